/* Programs in the vault: grants judged, sealed programs opened and compared, plug-ins for the player's channel alone. */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/seal.h"
#include "crypto/sha256.h"
#include "protocol/program.h"
#include "rig.h"

#define BYTES (PROGRAM_BLOCK_BYTES + 777)

static struct rig rig;
static struct maker shop, other;
static struct sign_pair provider, stranger;
static uint8_t bytes[BYTES], information[PROGRAM_INFORMATION_BYTES];

/* What a distributor would give; a test changes it before `give`. */
struct gift {
    doc_Program program;
    doc_ProgramGrant grant;
    const struct sign_pair *by;
    const struct key32 *signer;
    struct buf envelope;
    struct slice what;
};

static void pair_from(struct sign_pair *pair, uint8_t which)
{
    struct key32 seed;
    maker_key(&seed, 77, which);
    sign_pair_init(pair, &seed);
}

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    assert_int_equal(rig_register(&rig, &shop), 0);
    pair_from(&provider, 1);
    pair_from(&stranger, 2);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    memset(information, 0x5a, sizeof(information));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    maker_deinit(&shop);
    maker_deinit(&other);
    return 0;
}

static void gift_init(struct gift *g, const char *version, uint32_t kind, size_t len)
{
    memset(g, 0, sizeof(*g));
    CODEC_SET_TEXT(g->program.name, "tone");
    g->program.kind = kind;
    assert_int_equal(program_version_parse(version, &g->program.version), 0);
    g->what = slice(bytes, len);
    g->program.program_bytes = len;
    sha256(g->what, g->program.digest);
    g->by = &provider;
    g->signer = &shop.license;
    memcpy(g->grant.distributor, shop.id.bytes, ID_BYTES);
    memcpy(g->grant.client, rig.self.client.bytes, ID_BYTES);
    g->grant.issued_ms = (uint64_t)maker_now();
    assert_int_equal(seal_to(rig.self.sealing_key, SLICE_ARRAY(information), g->grant.information), 0);
    g->envelope = buf(1024);
}

static void sign_gift(struct gift *g)
{
    struct buf inside CLEANUP(buf_free) = buf(512);
    struct signer signer;
    struct id id = id_of_key(g->by->public_key);
    memcpy(g->program.provider, id.bytes, ID_BYTES);
    signer_from_pair(&signer, g->by);
    assert_int_equal(document_sign(&inside, DOCUMENT_PROGRAM, &g->program, &signer), 0);
    assert_int_equal(CODEC_SET_BYTES(g->grant.program, buf_slice(&inside)), 0);
    sign_into(&g->envelope, DOCUMENT_PROGRAM_GRANT, &g->grant, g->signer);
}

/* The sealed program in memory; fd is the caller's. */
static int sealed(const struct gift *g)
{
    struct key32 key;
    uint8_t block[PROGRAM_BLOCK_BYTES + BLOCK_OVERHEAD_BYTES];
    int fd = memfd_create("sealed", MFD_CLOEXEC);
    assert_true(fd >= 0);
    program_key(information, g->program.digest, &key);
    for (uint32_t i = 0; i < program_block_count(g->what.len); i++) {
        uint32_t len = program_block_len(g->what.len, i);
        assert_int_equal(block_seal(rng_system(), &key, g->program.digest, i, program_block_count(g->what.len),
                                    slice_sub(g->what, (size_t)i * PROGRAM_BLOCK_BYTES, len), block),
                         0);
        assert_int_equal(file_pwrite_all(fd, block, len + BLOCK_OVERHEAD_BYTES, program_block_offset(i)), 0);
    }
    return fd;
}

static int check_grant(const struct gift *g, bool older, vlt_Program *out)
{
    vlt_ProgramCheck m = { .older = older };
    memcpy(m.distributor, shop.id.bytes, ID_BYTES);
    uint32_t id = rig_send(&rig, vlt_Type_PROGRAM_CHECK, vlt_ProgramCheck_fields, &m, buf_slice(&g->envelope), -1);
    return rig_receive(&rig, id, vlt_Type_PROGRAM, vlt_Program_fields, vlt_Program_size, out, sizeof(*out));
}

static int store_fd(const struct gift *g, bool older, bool keep, int fd)
{
    static vlt_ProgramStore m;
    vlt_Program out;
    m = (vlt_ProgramStore){ .older = older, .keep = keep };
    memcpy(m.distributor, shop.id.bytes, ID_BYTES);
    assert_int_equal(CODEC_SET_BYTES(m.grant, buf_slice(&g->envelope)), 0);
    uint32_t id = rig_send(&rig, vlt_Type_PROGRAM_STORE, vlt_ProgramStore_fields, &m, slice(NULL, 0), fd);
    return rig_receive(&rig, id, vlt_Type_PROGRAM, vlt_Program_fields, vlt_Program_size, &out, sizeof(out));
}

static int store(const struct gift *g, bool older)
{
    int fd CLEANUP(closep) = sealed(g);
    return store_fd(g, older, true, fd);
}

/* Makes and stores one that is right. */
static int give(const char *version, uint32_t kind)
{
    struct gift g;
    gift_init(&g, version, kind, BYTES);
    sign_gift(&g);
    int r = store(&g, false);
    buf_free(&g.envelope);
    return r;
}

static uint32_t list(vlt_Programs *out)
{
    const vlt_ProgramsGet m = { 0 };
    uint32_t id = rig_send(&rig, vlt_Type_PROGRAMS_GET, vlt_ProgramsGet_fields, &m, slice(NULL, 0), -1);
    assert_int_equal(
        rig_receive(&rig, id, vlt_Type_PROGRAMS, vlt_Programs_fields, vlt_Programs_size, out, sizeof(*out)), 0);
    return out->total;
}

static int drop(bool forget)
{
    vlt_ProgramDrop m = { .name.name = "tone", .forget = forget };
    memcpy(m.name.distributor, shop.id.bytes, ID_BYTES);
    uint32_t id = rig_send(&rig, vlt_Type_PROGRAM_DROP, vlt_ProgramDrop_fields, &m, slice(NULL, 0), -1);
    return rig_receive(&rig, id, vlt_Type_DONE, NULL, 0, NULL, 0);
}

static int open_in(int fd)
{
    vlt_ProgramOpen m = { .name.name = "tone" };
    vlt_Program out;
    memcpy(m.name.distributor, shop.id.bytes, ID_BYTES);
    uint32_t id = rig_send(&rig, vlt_Type_PROGRAM_OPEN, vlt_ProgramOpen_fields, &m, slice(NULL, 0), fd);
    return rig_receive(&rig, id, vlt_Type_PROGRAM, vlt_Program_fields, vlt_Program_size, &out, sizeof(out));
}

static void is_plain(int fd)
{
    static uint8_t got[BYTES];
    assert_int_equal(lseek(fd, 0, SEEK_END), BYTES);
    assert_int_equal(file_pread_all(fd, got, sizeof(got), 0), 0);
    assert_memory_equal(got, bytes, sizeof(got));
}

static void kept_over_a_restart(void **state)
{
    (void)state;
    static vlt_Programs programs;
    struct gift g;
    vlt_Program said;
    gift_init(&g, "1.2.3", PROGRAM_UPDATE, BYTES);
    sign_gift(&g);
    assert_int_equal(check_grant(&g, false, &said), 0);
    assert_int_equal(said.version, g.program.version);
    assert_string_equal(said.name.name, "tone");
    assert_int_equal(list(&programs), 0); /* looked at, not kept */
    int fd CLEANUP(closep) = sealed(&g);
    assert_int_equal(store_fd(&g, false, false, fd), 0);
    assert_int_equal(list(&programs), 0);
    assert_int_equal(store_fd(&g, false, true, fd), 0);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(list(&programs), 1);
    assert_true(programs.programs[0].here);
    assert_memory_equal(programs.programs[0].digest, g.program.digest, 32);
    assert_int_equal(store_fd(&g, false, true, fd), 0); /* again: harmless */
    assert_int_equal(open_in(fd), 0);
    is_plain(fd);
    buf_free(&g.envelope);
}

static void who_is_refused(void **state)
{
    (void)state;
    vlt_Program said;
    static vlt_Programs programs;
    struct gift g;
    static const struct {
        const char *name;
        int want;
    } cases[] = {
        { "for another device", REASON_WRONG_DESTINATION },
        { "signed by another distributor", REASON_SIGNATURE_INVALID },
        { "in another's name", REASON_SIGNATURE_INVALID },
        { "signed by the root key", REASON_SIGNATURE_INVALID },
        { "information of another", REASON_MALFORMED },
        { "of no kind", REASON_MALFORMED },
        { "a provider that did not sign", REASON_SIGNATURE_INVALID },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        gift_init(&g, "1", PROGRAM_PLUGIN, BYTES);
        if (i == 0)
            g.grant.client[0] ^= 1;
        if (i == 1)
            g.signer = &other.license;
        if (i == 2)
            memcpy(g.grant.distributor, other.id.bytes, ID_BYTES);
        if (i == 3)
            g.signer = &shop.root;
        if (i == 4)
            g.grant.information[50] ^= 1;
        if (i == 5)
            g.program.kind = 3;
        sign_gift(&g);
        if (i == 6) { /* the provider's signature is the last thing in the program's envelope */
            g.grant.program.bytes[g.grant.program.size - 1] ^= 1;
            sign_into(&g.envelope, DOCUMENT_PROGRAM_GRANT, &g.grant, g.signer);
        }
        int fd CLEANUP(closep) = sealed(&g);
        if (check_grant(&g, true, &said) != cases[i].want || store_fd(&g, true, true, fd) != cases[i].want)
            fail_msg("%s", cases[i].name);
        buf_free(&g.envelope);
    }
    assert_int_equal(list(&programs), 0);
}

static void what_came_must_be_what_was_signed(void **state)
{
    (void)state;
    static vlt_Programs programs;
    struct gift g;
    gift_init(&g, "1", PROGRAM_PLUGIN, BYTES);
    sign_gift(&g);
    uint8_t byte;
    for (uint64_t at = 0; at < program_sealed_bytes(BYTES); at += 1001) {
        int fd CLEANUP(closep) = sealed(&g);
        assert_int_equal(file_pread_all(fd, &byte, 1, at), 0);
        byte ^= 0x10;
        assert_int_equal(file_pwrite_all(fd, &byte, 1, at), 0);
        assert_int_equal(store_fd(&g, false, true, fd), REASON_BLOCK_CORRUPT);
    }
    int fd CLEANUP(closep) = sealed(&g);
    assert_int_equal(ftruncate(fd, (off_t)program_sealed_bytes(BYTES) - 1), 0);
    assert_int_equal(store_fd(&g, false, true, fd), REASON_BLOCK_CORRUPT);
    assert_int_equal(ftruncate(fd, (off_t)program_sealed_bytes(BYTES) + 1), 0);
    assert_int_equal(store_fd(&g, false, true, fd), REASON_BLOCK_CORRUPT);
    /* sealed for the right device by a distributor that swapped the program: not what its provider signed */
    struct gift swapped = g;
    bytes[5] ^= 1;
    int other_fd CLEANUP(closep) = sealed(&swapped);
    bytes[5] ^= 1;
    assert_int_equal(store_fd(&g, false, true, other_fd), REASON_BLOCK_CORRUPT);
    int ends[2];
    assert_int_equal(pipe(ends), 0); /* no file at all */
    assert_int_equal(store_fd(&g, false, true, ends[0]), REASON_BLOCK_CORRUPT);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(store_fd(&g, false, true, -1), REASON_MALFORMED);
    assert_int_equal(list(&programs), 0);
    buf_free(&g.envelope);
}

static void versions_and_providers(void **state)
{
    (void)state;
    static vlt_Programs programs;
    struct gift g;
    assert_int_equal(give("2", PROGRAM_PLUGIN), 0);
    assert_int_equal(give("1.9", PROGRAM_PLUGIN), REASON_PROGRAM_OUTDATED);
    gift_init(&g, "2", PROGRAM_PLUGIN, 100); /* the same version, another program */
    sign_gift(&g);
    assert_int_equal(store(&g, false), REASON_PROGRAM_OUTDATED);
    buf_free(&g.envelope);
    gift_init(&g, "1.9", PROGRAM_PLUGIN, BYTES);
    sign_gift(&g);
    assert_int_equal(store(&g, true), 0); /* asked for */
    buf_free(&g.envelope);
    assert_int_equal(list(&programs), 1);
    assert_int_equal(programs.programs[0].version, 1ull << 32 | 9 << 16);
    assert_int_equal(programs.programs[0].highest, 2ull << 32);
    assert_int_equal(give("1.9.5", PROGRAM_PLUGIN), REASON_PROGRAM_OUTDATED); /* the highest stays */
    gift_init(&g, "3", PROGRAM_PLUGIN, BYTES);
    g.by = &stranger;
    sign_gift(&g);
    assert_int_equal(store(&g, false), REASON_PROVIDER_UNKNOWN);
    assert_int_equal(store(&g, true), REASON_PROVIDER_UNKNOWN);
    assert_int_equal(drop(false), 0);
    assert_int_equal(list(&programs), 1);
    assert_false(programs.programs[0].here);
    assert_int_equal(store(&g, true), REASON_PROVIDER_UNKNOWN); /* removing forgets neither */
    assert_int_equal(give("1", PROGRAM_PLUGIN), REASON_PROGRAM_OUTDATED);
    assert_int_equal(drop(true), 0);
    assert_int_equal(drop(true), 0);
    assert_int_equal(list(&programs), 0);
    assert_int_equal(store(&g, false), 0);
    buf_free(&g.envelope);
}

/* A row that was altered or put in another's place opens nothing. */
static void rows_are_sealed(void **state)
{
    (void)state;
    static vlt_Programs programs;
    const vlt_ProgramsGet m = { 0 };
    assert_int_equal(give("1", PROGRAM_UPDATE), 0);
    rig_stop(&rig);
    rig_alter_and_seal(&rig, "UPDATE program SET name = 'hum'");
    rig_start(&rig);
    uint32_t id = rig_send(&rig, vlt_Type_PROGRAMS_GET, vlt_ProgramsGet_fields, &m, slice(NULL, 0), -1);
    assert_int_equal(
        rig_receive(&rig, id, vlt_Type_PROGRAMS, vlt_Programs_fields, vlt_Programs_size, &programs, sizeof(programs)),
        REASON_INTERNAL);
}

static void updates_open_here(void **state)
{
    (void)state;
    struct gift g;
    gift_init(&g, "1", PROGRAM_UPDATE, BYTES);
    int fd CLEANUP(closep) = sealed(&g), damaged CLEANUP(closep) = sealed(&g);
    assert_int_equal(open_in(fd), REASON_UNKNOWN_PROGRAM);
    assert_int_equal(give("1", PROGRAM_UPDATE), 0);
    assert_int_equal(file_pwrite_all(damaged, "x", 1, PROGRAM_BLOCK_BYTES + 100), 0);
    assert_int_equal(open_in(damaged), REASON_BLOCK_CORRUPT);
    assert_int_equal(lseek(damaged, 0, SEEK_END), 0); /* nothing of it is left there */
    assert_int_equal(open_in(-1), REASON_MALFORMED);
    assert_int_equal(open_in(fd), 0);
    is_plain(fd);
    buf_free(&g.envelope);
}

/* --- Plug-ins ---------------------------------------------------------------------------------------------------- */

static int open_play(const struct content *c, const char *plugin, struct channel *player)
{
    int ends[2];
    static vlt_PlayOpen ask;
    vlt_PlayOpened out;
    memset(&ask, 0, sizeof(ask));
    memcpy(ask.content, c->id.bytes, ID_BYTES);
    assert_int_equal(CODEC_SET_BYTES(ask.info, buf_slice(&c->info_bytes)), 0);
    memcpy(ask.list_root, c->list_root, 32);
    ask.has_plugin = plugin != NULL;
    if (plugin)
        CODEC_SET_TEXT(ask.plugin.name, plugin);
    memcpy(ask.plugin.distributor, shop.id.bytes, ID_BYTES);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    uint32_t id = rig_send(&rig, vlt_Type_PLAY_OPEN, vlt_PlayOpen_fields, &ask, slice(NULL, 0), ends[1]);
    close(ends[1]);
    int r = rig_receive(&rig, id, vlt_Type_PLAY_OPENED, vlt_PlayOpened_fields, vlt_PlayOpened_size, &out, sizeof(out));
    if (r == 0)
        channel_init(player, ends[0], BLOCK_PLAIN_MAX);
    else
        close(ends[0]);
    return r;
}

static int open_plugin(struct channel *player, int fd, vlt_PluginOpened *out)
{
    static const vlt_PluginOpen ask;
    struct frame f;
    msg_Refusal refusal;
    int r = fd < 0 ? channel_send(player, vlt_Type_PLUGIN_OPEN, 5, vlt_PluginOpen_fields, &ask, slice(NULL, 0))
                   : channel_send_fd(player, vlt_Type_PLUGIN_OPEN, 5, vlt_PluginOpen_fields, &ask, fd);
    assert_int_equal(r, 0);
    assert_int_equal(channel_read(player, true, &f), 0);
    r = (int)reason_of_reply(&f, vlt_Type_PLUGIN_OPENED, &refusal);
    if (r == 0)
        assert_int_equal(CODEC_DECODE(vlt_PluginOpened, f.message, out), 0);
    return r;
}

static void plugins_open_for_the_player_alone(void **state)
{
    (void)state;
    struct content c;
    struct channel player;
    struct gift g;
    vlt_PluginOpened opened;
    struct buf plain CLEANUP(buf_free) = buf(4096);
    content_init(&c, &shop, 1, "audio/flac", slice_str("sound"), 4096);
    assert_int_equal(rig_buy(&rig, &shop, &c, 1), 0);
    assert_int_equal(open_play(&c, "tone", &player), REASON_UNKNOWN_PROGRAM);
    assert_int_equal(give("1", PROGRAM_PLUGIN), 0);
    gift_init(&g, "1", PROGRAM_PLUGIN, BYTES);
    int fd CLEANUP(closep) = sealed(&g), again CLEANUP(closep) = sealed(&g), damaged CLEANUP(closep) = sealed(&g);
    assert_int_equal(open_in(fd), REASON_NOT_PERMITTED); /* hearthd sees no plug-in */
    assert_int_equal(open_play(&c, "tone", &player), 0);
    assert_int_equal(open_plugin(&player, -1, &opened), REASON_MALFORMED);
    assert_int_equal(file_pwrite_all(damaged, "x", 1, 20), 0);
    assert_int_equal(open_plugin(&player, damaged, &opened), REASON_BLOCK_CORRUPT);
    assert_int_equal(open_plugin(&player, fd, &opened), 0);
    is_plain(fd);
    assert_memory_equal(opened.information, information, sizeof(information));
    assert_memory_equal(opened.digest, g.program.digest, 32);
    assert_int_equal(open_plugin(&player, again, &opened), 0);
    assert_int_equal(rig_open_block(&player, 0, content_block(&c, 0), &plain), 0); /* and then the content */
    assert_true(slice_equal(buf_slice(&plain), slice_str("sound")));
    channel_deinit(&player);
    assert_int_equal(open_play(&c, NULL, &player), 0); /* no plug-in was named */
    assert_int_equal(open_plugin(&player, again, &opened), REASON_UNKNOWN_PROGRAM);
    channel_deinit(&player);
    assert_int_equal(drop(false), 0);
    assert_int_equal(open_play(&c, "tone", &player), REASON_UNKNOWN_PROGRAM);
    content_deinit(&c);
    buf_free(&g.envelope);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(kept_over_a_restart),
        CASE(who_is_refused),
        CASE(what_came_must_be_what_was_signed),
        CASE(versions_and_providers),
        CASE(rows_are_sealed),
        CASE(updates_open_here),
        CASE(plugins_open_for_the_player_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
