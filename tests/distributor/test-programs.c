/* Programs at a distributor: who may publish what, what a device gets and gets again, what others do not, and that the history is a database apart. */
#include "distributor/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "distributor/erase.h"
#include "distributor/program_history.h"
#include "town.h"

static struct town town;
static struct gadget kitchen, attic, bedroom;
static struct reply reply;
static struct sign_pair provider, other;
static uint8_t bytes[2 * PROGRAM_BLOCK_BYTES + 99];

static void vouch(const struct sign_pair *pair, const char *name)
{
    struct program_provider p = { .id = id_of_key(pair->public_key), .added_ms = town.now_ms };
    struct transaction t CLEANUP(transaction_end) = { 0 };
    snprintf(p.name, sizeof(p.name), "%s", name);
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(program_providers_add(town.a.o, &p), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static int set_up(void **state)
{
    (void)state;
    struct key32 seed;
    town_init(&town);
    shop_user(&town.a, "alice", 5000);
    shop_user(&town.b, "alina", 5000);
    gadget_init(&town, &kitchen, "kitchen");
    gadget_init(&town, &attic, "attic");
    gadget_init(&town, &bedroom, "bedroom");
    assert_int_equal(gadget_register(&town.a, &kitchen, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.a, &attic, "alice", TOWN_PASSWORD), 0);
    assert_int_equal(gadget_register(&town.b, &bedroom, "alina", TOWN_PASSWORD), 0);
    rng_fill(&town.rng.rng, seed.bytes, sizeof(seed.bytes));
    sign_pair_init(&provider, &seed);
    rng_fill(&town.rng.rng, seed.bytes, sizeof(seed.bytes));
    sign_pair_init(&other, &seed);
    rng_fill(&town.rng.rng, bytes, sizeof(bytes));
    reply_init(&reply);
    vouch(&provider, "acme");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shop_check(&town.a);
    reply_free(&reply);
    gadget_deinit(&kitchen);
    gadget_deinit(&attic);
    gadget_deinit(&bedroom);
    town_deinit(&town);
    return 0;
}

static int publish(const struct sign_pair *by, const char *name, const char *version, struct slice what)
{
    struct buf document CLEANUP(buf_free) = buf(320);
    struct signer signer;
    struct id id = id_of_key(by->public_key);
    doc_Program p = { .kind = PROGRAM_PLUGIN, .program_bytes = what.len };
    CODEC_SET_TEXT(p.name, name);
    assert_int_equal(program_version_parse(version, &p.version), 0);
    memcpy(p.provider, id.bytes, ID_BYTES);
    sha256(what, p.digest);
    signer_from_pair(&signer, by);
    assert_int_equal(document_sign(&document, DOCUMENT_PROGRAM, &p, &signer), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = programs_add(town.a.o, &p, buf_slice(&document), what, "a note", town.now_ms);
    if (r == 0 || r == REASON_ALREADY)
        assert_int_equal(transaction_commit(&t), 0);
    return r;
}

static int withdraw(const char *name, uint64_t version, bool withdrawn)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    int r = programs_withdraw(town.a.o, name, version, withdrawn);
    return r == 0 ? transaction_commit(&t) : r;
}

struct got {
    doc_ProgramGrant grant;
    doc_Program program;
    uint8_t information[32];
};

/* PROGRAM_GET; what comes is judged and opened as the gadget's vault would. */
static int get(struct gadget *g, const char *name, uint64_t version, struct got *out)
{
    msg_ProgramGet m = { .has_version = version != 0, .version = version };
    CODEC_SET_TEXT(m.name, name);
    int r = RUN(&town.a, &g->who, PROGRAM_GET, msg_ProgramGet, &m, &reply);
    if (r != 0)
        return r;
    assert_int_equal(reply.type, msg_Type_PROGRAM);
    assert_int_equal(
        program_grant_judge(buf_slice(&reply.tail), &town.a.keyset, &g->client, &out->grant, &out->program), 0);
    assert_int_equal(seal_open(&g->sealing, SLICE_ARRAY(out->grant.information), out->information), 0);
    return 0;
}

static int get_blocks(struct gadget *g, const struct got *p, uint32_t first, uint32_t count)
{
    msg_ProgramBlocksGet m = { .version = p->program.version, .first = first, .count = count };
    CODEC_SET_TEXT(m.name, p->program.name);
    return RUN(&town.a, &g->who, PROGRAM_BLOCKS_GET, msg_ProgramBlocksGet, &m, &reply);
}

/* Does the gadget's information open what came, to the program that was signed? */
static bool opens(const struct got *p)
{
    static uint8_t plain[sizeof(bytes)];
    struct key32 key;
    uint8_t digest[32];
    program_key(p->information, p->program.digest, &key);
    for (uint32_t i = 0; i < program_block_count(sizeof(bytes)); i++) {
        struct slice block = slice_sub(buf_slice(&reply.tail), (size_t)program_block_offset(i),
                                       program_block_len(sizeof(bytes), i) + BLOCK_OVERHEAD_BYTES);
        if (block_open(&key, p->program.digest, i, program_block_count(sizeof(bytes)), block,
                       plain + (size_t)i * PROGRAM_BLOCK_BYTES) != 0)
            return false;
    }
    sha256(SLICE_ARRAY(plain), digest);
    return memcmp(digest, p->program.digest, sizeof(digest)) == 0;
}

static const char *const files[] = { "operations.db", "operations.db-wal" };

static void only_providers_that_are_vouched_for(void **state)
{
    (void)state;
    assert_int_equal(publish(&other, "tone", "1", SLICE_ARRAY(bytes)), REASON_PROVIDER_UNKNOWN);
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), REASON_ALREADY);
    assert_int_equal(publish(&provider, "tone", "1", slice(bytes, 10)), REASON_USER_EXISTS);
    vouch(&other, "bolt");
    assert_int_equal(publish(&other, "tone", "2", SLICE_ARRAY(bytes)),
                     REASON_PROVIDER_UNKNOWN); /* the name is acme's */
    assert_int_equal(publish(&other, "hum", "2", SLICE_ARRAY(bytes)), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(program_providers_withdraw(town.a.o, "bolt", true), 0);
    assert_int_equal(program_providers_withdraw(town.a.o, "nobody", true), OPERATIONS_ABSENT);
    assert_int_equal(transaction_commit(&t), 0);
    struct got got;
    assert_int_equal(get(&kitchen, "hum", 0, &got), REASON_PROGRAM_WITHDRAWN);
    assert_int_equal(publish(&other, "hum", "3", slice(bytes, 5)), REASON_PROVIDER_UNKNOWN);
}

static void what_was_signed_is_what_is_published(void **state)
{
    (void)state;
    doc_Program p = { .name = "tone", .kind = PROGRAM_UPDATE, .version = 1, .program_bytes = sizeof(bytes) };
    struct id id = id_of_key(provider.public_key);
    memcpy(p.provider, id.bytes, ID_BYTES);
    sha256(SLICE_ARRAY(bytes), p.digest);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(programs_add(town.a.o, &p, slice_str("x"), slice(bytes, sizeof(bytes) - 1), "", 0),
                     REASON_CONTENT_ID_MISMATCH);
    bytes[7] ^= 1;
    assert_int_equal(programs_add(town.a.o, &p, slice_str("x"), SLICE_ARRAY(bytes), "", 0), REASON_CONTENT_ID_MISMATCH);
    bytes[7] ^= 1;
}

static void a_second_download_is_the_same(void **state)
{
    (void)state;
    struct got first, again, later, elsewhere;
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &first), 0);
    town.now_ms += TOWN_DAY_MS;
    town_restart(&town.a);
    assert_int_equal(get(&kitchen, "tone", 0, &again), 0);
    assert_memory_equal(first.information, again.information, 32);
    assert_memory_not_equal(first.grant.information, again.grant.information, 80); /* sealed anew each time */
    /* another version of it: the same; another device: never */
    assert_int_equal(publish(&provider, "tone", "1.1", slice(bytes, 50)), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &later), 0);
    assert_int_equal(later.program.program_bytes, 50);
    assert_memory_equal(first.information, later.information, 32);
    assert_int_equal(get(&attic, "tone", 0, &elsewhere), 0);
    assert_memory_not_equal(first.information, elsewhere.information, 8);
    assert_memory_not_equal(first.information + 8, elsewhere.information + 8, 24);
    /* another program on the same device: another */
    assert_int_equal(publish(&provider, "hum", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(get(&kitchen, "hum", 0, &elsewhere), 0);
    assert_memory_not_equal(first.information, elsewhere.information, 32);
    /* what is sealed for one device opens there, each time, and nowhere else */
    assert_int_equal(get_blocks(&kitchen, &first, 0, 3), 0);
    assert_true(opens(&first));
    assert_int_equal(get(&attic, "tone", first.program.version, &elsewhere), 0);
    assert_int_equal(get_blocks(&kitchen, &first, 0, 3), 0);
    assert_true(opens(&again));
    assert_false(opens(&elsewhere));
}

static void who_may_not(void **state)
{
    (void)state;
    struct got got;
    assert_int_equal(get(&kitchen, "tone", 0, &got), REASON_UNKNOWN_PROGRAM);
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(get(&bedroom, "tone", 0, &got), REASON_NOT_REGISTERED); /* another distributor's customer */
    assert_int_equal(get(&kitchen, "tone", 7, &got), REASON_UNKNOWN_PROGRAM);
    assert_int_equal(get(&kitchen, "tone", UINT64_MAX, &got), REASON_UNKNOWN_PROGRAM);
    assert_int_equal(get(&kitchen, "", 0, &got), REASON_UNKNOWN_PROGRAM);
    assert_int_equal(get(&kitchen, "tone", 0, &got), 0);
    assert_int_equal(get_blocks(&attic, &got, 0, 3), REASON_NOT_PERMITTED); /* it was given to the kitchen */
    static const struct {
        uint32_t first, count;
    } bad[] = { { 0, 0 }, { 0, 4 }, { 3, 1 }, { 2, 2 }, { UINT32_MAX, 1 }, { 1, UINT32_MAX }, { 0, 33 } };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(get_blocks(&kitchen, &got, bad[i].first, bad[i].count), REASON_MALFORMED);
    assert_int_equal(get_blocks(&kitchen, &got, 2, 1), 0);
    assert_int_equal(withdraw("tone", got.program.version, true), 0);
    assert_int_equal(get_blocks(&kitchen, &got, 2, 1), REASON_PROGRAM_WITHDRAWN);
    assert_int_equal(get(&kitchen, "tone", 0, &got), REASON_PROGRAM_WITHDRAWN);
    assert_int_equal(get(&kitchen, "tone", 1ull << 32, &got), REASON_PROGRAM_WITHDRAWN);
    assert_int_equal(withdraw("tone", 99, true), OPERATIONS_ABSENT);
    assert_int_equal(withdraw("tone", 0, false), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &got), 0);
    msg_DeviceRemove remove;
    memcpy(remove.client, kitchen.client.bytes, ID_BYTES);
    assert_int_equal(RUN(&town.a, &attic.who, DEVICE_REMOVE, msg_DeviceRemove, &remove, &reply), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &got), REASON_DEVICE_REVOKED);
}

static void the_list(void **state)
{
    (void)state;
    msg_ProgramsGet m = { 0 };
    static msg_Programs list;
    for (unsigned i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%02u", i);
        assert_int_equal(publish(&provider, name, "1", slice(bytes, 9)), 0);
    }
    assert_int_equal(publish(&provider, "p00", "2", slice(bytes, 8)), 0);
    assert_int_equal(withdraw("p01", 0, true), 0);
    assert_int_equal(RUN(&town.a, &bedroom.who, PROGRAMS_GET, msg_ProgramsGet, &m, &reply), REASON_NOT_REGISTERED);
    assert_int_equal(RUN(&town.a, &kitchen.who, PROGRAMS_GET, msg_ProgramsGet, &m, &reply), 0);
    REPLY_AS(&reply, PROGRAMS, msg_Programs, &list);
    assert_int_equal(list.total, 39);
    assert_int_equal(list.programs_count, 32);
    assert_string_equal(list.programs[0].name, "p00");
    assert_int_equal(list.programs[0].version, 2ull << 32);
    assert_string_equal(list.programs[0].provider_name, "acme");
    assert_string_equal(list.programs[1].name, "p02");
    m.offset = 32;
    assert_int_equal(RUN(&town.a, &kitchen.who, PROGRAMS_GET, msg_ProgramsGet, &m, &reply), 0);
    REPLY_AS(&reply, PROGRAMS, msg_Programs, &list);
    assert_int_equal(list.programs_count, 7);
}

static bool holds(const char *path, struct slice secret)
{
    struct buf all CLEANUP(buf_free) = buf(64u << 20);
    int r = file_read(path, &all);
    if (r == -ENOENT)
        return false;
    assert_int_equal(r, 0);
    return all.len > 0 && memmem(all.data, all.len, secret.data, secret.len) != NULL;
}

/* Nobody who reads the public store, or either database without the key, learns what is specific to a device. */
static void the_history_is_apart(void **state)
{
    (void)state;
    struct got got;
    char path[256];
    struct stat st;
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &got), 0);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", town.a.dir, files[i]);
        assert_false(holds(path, slice(got.information, 8)));
        assert_false(holds(path, slice(got.information + 8, 24)));
    }
    snprintf(path, sizeof(path), "%s/confidential/programs.db", town.a.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(holds(path, slice(got.information + 8, 24)));
    snprintf(path, sizeof(path), "%s/confidential/programs.db-wal", town.a.dir);
    assert_false(holds(path, slice(got.information + 8, 24)));
    /* a directory that others may enter is refused, and nothing is given */
    snprintf(path, sizeof(path), "%s/confidential", town.a.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    program_history_close(steal(&town.a.o->history));
    assert_int_equal(chmod(path, 0750), 0);
    assert_true(get(&attic, "tone", 0, &got) < 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(get(&attic, "tone", 0, &got), 0);
}

/* A row that was put in another's place does not open. */
static void a_row_is_its_devices(void **state)
{
    (void)state;
    struct got got;
    char command[512];
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &got), 0);
    assert_int_equal(get(&attic, "tone", 0, &got), 0);
    program_history_close(steal(&town.a.o->history));
    snprintf(command, sizeof(command),
             "sqlite3 %s/confidential/programs.db 'UPDATE allotment SET sealed = (SELECT max(sealed) FROM allotment)'",
             town.a.dir);
    assert_int_equal(system(command), 0);
    int kitchens = get(&kitchen, "tone", 0, &got), attics = get(&attic, "tone", 0, &got);
    assert_true((kitchens == 0 && attics == -EUCLEAN) || (kitchens == -EUCLEAN && attics == 0));
}

static void the_history_tells_who_got_what(void **state)
{
    (void)state;
    struct got mine, theirs;
    struct program_allotment at = { 0 };
    assert_int_equal(program_history_next(town.a.o, &at), OPERATIONS_ABSENT);
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(publish(&provider, "tone", "2", slice(bytes, 5)), 0);
    assert_int_equal(get(&kitchen, "tone", 1ull << 32, &mine), 0);
    assert_int_equal(get(&kitchen, "tone", 1ull << 32, &mine), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &mine), 0);
    assert_int_equal(get(&attic, "tone", 0, &theirs), 0);
    unsigned rows = 0, kitchens = 0;
    while (program_history_next(town.a.o, &at) == 0) {
        bool is_kitchen = id_equal(&at.client, &kitchen.client);
        assert_memory_equal(at.mark, is_kitchen ? mine.information : theirs.information, sizeof(at.mark));
        assert_string_equal(at.name, "tone");
        rows++;
        kitchens += is_kitchen;
    }
    assert_int_equal(rows, 3);
    assert_int_equal(kitchens, 2);
}

static void an_erased_account_leaves_it(void **state)
{
    (void)state;
    struct got got;
    struct program_allotment at = { 0 };
    assert_int_equal(publish(&provider, "tone", "1", SLICE_ARRAY(bytes)), 0);
    assert_int_equal(get(&kitchen, "tone", 0, &got), 0);
    assert_int_equal(program_history_forget(town.a.o), 0); /* everybody is known */
    assert_int_equal(program_history_next(town.a.o, &at), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(erase_account(town.a.o, "alice", true, town.now_ms, NULL), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(erase_scrub(town.a.o), 0);
    at = (struct program_allotment){ 0 };
    assert_int_equal(program_history_next(town.a.o, &at), OPERATIONS_ABSENT);
    char path[256];
    snprintf(path, sizeof(path), "%s/confidential/programs.db", town.a.dir);
    assert_false(holds(path, SLICE_ARRAY(kitchen.client.bytes)));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(only_providers_that_are_vouched_for),
        CASE(what_was_signed_is_what_is_published),
        CASE(a_second_download_is_the_same),
        CASE(who_may_not),
        CASE(the_list),
        CASE(the_history_is_apart),
        CASE(a_row_is_its_devices),
        CASE(the_history_tells_who_got_what),
        CASE(an_erased_account_leaves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
