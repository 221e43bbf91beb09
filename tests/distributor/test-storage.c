/* Changing the storage key: each point at which it may be interrupted, who reads and writes meanwhile, and what is refused (distributor/storage.h). */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/erase.h"
#include "distributor/keyblocks.h"
#include "distributor/program_history.h"
#include "distributor/storage.h"

static struct town town;
static struct id songs[3], client;

/* What the shop has under its storage key, as it was before. */
struct revealed {
    struct content_halves halves[ARRAY_COUNT(songs)];
    struct sign_pair copy;
    struct keyblocks_newest block;
    struct key32 program, names;
};
static struct revealed before;

static void read_all(struct operations *o, struct revealed *out)
{
    struct partner p;
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < ARRAY_COUNT(songs); i++)
        assert_int_equal(contents_halves(o, &songs[i], &out->halves[i]), 0);
    assert_int_equal(delegations_partner_find(o, &town.b.keys->self, &p), 0);
    assert_int_equal(delegations_copy_pair(o, &p, &out->copy), 0);
    assert_int_equal(keyblocks_newest(o, OPERATIONS_SELF, &out->block), 0);
    assert_int_equal(program_history_find(o, "mark", &client, &out->program), 0);
    assert_int_equal(storage_names_secret(o, &out->names), 0);
    assert_int_equal(erase_was_used(o, "carol"), 0);
    assert_int_equal(erase_was_used(o, "dave"), OPERATIONS_ABSENT);
}

static void everything_opens(struct operations *o)
{
    struct revealed now;
    read_all(o, &now);
    assert_memory_equal(&now, &before, sizeof(now));
}

static int set_up(void **state)
{
    (void)state;
    struct key32 information;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    town_init(&town);
    shop_user(&town.a, "carol", 0);
    for (size_t i = 0; i < ARRAY_COUNT(songs); i++) {
        char title[16];
        snprintf(title, sizeof(title), "song %zu", i);
        songs[i] = shop_publish(&town.a, title, 100, 10, 3, 1);
    }
    memset(client.bytes, 7, sizeof(client.bytes));
    assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
    assert_int_equal(erase_account(town.a.o, "carol", true, town.now_ms, NULL), 0);
    assert_int_equal(program_history_allot(town.a.o, "mark", 1, &client, town.now_ms, &information), 0);
    assert_int_equal(transaction_commit(&t), 0);
    read_all(town.a.o, &before);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    town_deinit(&town);
    return 0;
}

/* --- Somebody else, with keys and a connection of its own ----------------------------------------------------------- */

struct other {
    struct keys *keys;
    struct operations *o;
    struct storage_work work;
};

static int other_open(struct other *p)
{
    *p = (struct other){ .keys = NULL };
    int r = keys_load(&p->keys, town.a.dir);
    return r == 0 ? operations_open(&p->o, town.a.dir, p->keys, rng_system(), 0) : r;
}

static void other_close(struct other *p)
{
    operations_close(p->o);
    keys_free(p->keys);
}

static int switch_to(struct operations *o, const struct keys_storage_id *id)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, o->store), 0);
    int r = storage_switch(o, id, town.now_ms);
    return r == 0 ? transaction_commit(&t) : r;
}

static int step(struct other *p, unsigned rows)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(transaction_begin(&t, p->o->store), 0);
    int r = storage_step(p->o, &p->work, rows), kept = 0;
    if (r == 0 || r == STORAGE_MORE)
        kept = transaction_commit(&t);
    return kept != 0 ? kept : r;
}

static unsigned finish(struct other *p, unsigned rows)
{
    unsigned steps = 1;
    int r;
    while ((r = step(p, rows)) == STORAGE_MORE)
        assert_true(++steps < 1000);
    assert_int_equal(r, 0);
    return steps;
}

static struct keys_storage_id listed(struct operations *o, size_t count)
{
    struct storage_list list;
    assert_int_equal(storage_list(o, &list), 0);
    assert_int_equal(list.count, count);
    return list.ids[0];
}

static void path_of(const char *name, char out[128]) { snprintf(out, 128, "%s/keys/%s", town.a.dir, name); }

static void read_key(const char *name, uint8_t out[32])
{
    struct buf content CLEANUP(buf_free) = buf(64);
    char path[128];
    path_of(name, path);
    assert_int_equal(file_read(path, &content), 0);
    assert_int_equal(content.len, 32);
    memcpy(out, content.data, 32);
}

static bool is_there(const char *name)
{
    char path[128];
    path_of(name, path);
    return access(path, F_OK) == 0;
}

/* Nothing is left under another key than this one, in any table: judged by SQL of this test's own. */
static void all_is_under(const struct keys_storage_id *id)
{
    static const char *const columns[][2] = { { "content", "header_half" },
                                              { "content", "license_half" },
                                              { "key_block", "root" },
                                              { "partner", "copy_secret" },
                                              { "secret", "sealed" } };
    char hex[KEYS_STORAGE_TEXT_BYTES], sql[200];
    keys_storage_text(id, hex);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        snprintf(sql, sizeof(sql),
                 town_on_postgres() ? "SELECT count(*) FROM %s WHERE encode(substr(%s, 1, 8), 'hex') <> '%s'"
                                    : "SELECT count(*) FROM %s WHERE lower(hex(substr(%s, 1, 8))) <> '%s'",
                 columns[i][0], columns[i][1], hex);
        assert_int_equal(shop_ask(&town.a, sql), 0);
    }
}

/* --- Interrupted anywhere ------------------------------------------------------------------------------------------- */

/* Whoever began dies after so many steps (0: before the switch); who comes next has only what is on disk. */
static void interrupted_after(unsigned steps, const struct keys_storage_id *from)
{
    struct other first, next;
    struct keys_storage_id to, prepared;
    assert_int_equal(other_open(&first), 0);
    assert_int_equal(keys_storage_prepare(first.keys, town.a.dir, rng_system(), NULL, &to), 0);
    assert_int_equal(other_open(&next), 0); /* prepared alone: nothing is changed by it */
    assert_int_equal(step(&next, 1), 0);
    other_close(&next);
    everything_opens(first.o);
    if (steps > 0)
        assert_int_equal(switch_to(first.o, &to), 0);
    for (unsigned i = 1; i < steps; i++)
        if (step(&first, 1) == 0)
            break;
    other_close(&first);
    assert_int_equal(other_open(&next), 0);
    everything_opens(next.o);
    if (steps == 0) {
        assert_int_equal(keys_storage_prepared(next.keys, town.a.dir, &prepared), 0);
        assert_true(keys_storage_same(&prepared, &to));
        assert_int_equal(switch_to(next.o, &prepared), 0);
    }
    finish(&next, 1);
    everything_opens(next.o);
    to = listed(next.o, 1);
    assert_false(keys_storage_same(&to, from));
    all_is_under(&to);
    assert_false(is_there("storage.key.new"));
    assert_false(is_there("storage.key.old"));
    other_close(&next);
}

static void interrupted_anywhere(void **state)
{
    (void)state;
    struct keys_storage_id from = listed(town.a.o, 1);
    struct other p;
    uint8_t old[32], new[32];
    assert_int_equal(other_open(&p), 0);
    struct keys_storage_id to;
    assert_int_equal(keys_storage_prepare(p.keys, town.a.dir, rng_system(), NULL, &to), 0);
    assert_int_equal(switch_to(p.o, &to), 0);
    read_key("storage.key", old);
    unsigned steps = finish(&p, 1);
    read_key("storage.key", new);
    assert_memory_not_equal(old, new, 32);
    assert_int_equal(p.work.changed, ARRAY_COUNT(songs) + 1 + 1 + 1 + 1 +
                                         (uint64_t)shop_ask(&town.a, "SELECT count(*) - 1 FROM key_block"));
    other_close(&p);
    assert_true(steps > 10);
    for (unsigned i = 0; i <= steps + 1; i++) {
        interrupted_after(i, &from);
        from = listed(town.a.o, 1);
    }
    everything_opens(town.a.o); /* which has never heard of any of it */
}

/* The old key between its second name and the change, and after the change. */
static void interrupted_between_two_names(void **state)
{
    (void)state;
    for (int changed = 0; changed < 2; changed++) {
        struct other p;
        struct keys_storage_id to;
        char now[128], next[128], gone[128];
        path_of("storage.key", now);
        path_of("storage.key.new", next);
        path_of("storage.key.old", gone);
        assert_int_equal(other_open(&p), 0);
        assert_int_equal(keys_storage_prepare(p.keys, town.a.dir, rng_system(), NULL, &to), 0);
        assert_int_equal(switch_to(p.o, &to), 0);
        int lock = keys_lock(town.a.dir, false, false); /* somebody copies the keys: the old one is left for them */
        assert_true(lock >= 0);
        for (unsigned i = 0; i < 30; i++)
            assert_int_equal(step(&p, 100), STORAGE_MORE);
        assert_true(is_there("storage.key.new"));
        close(lock);
        assert_int_equal(link(now, gone), 0);
        if (changed)
            assert_int_equal(rename(next, now), 0);
        other_close(&p);
        assert_int_equal(other_open(&p), 0);
        everything_opens(p.o);
        finish(&p, 1);
        everything_opens(p.o);
        assert_false(is_there("storage.key.new"));
        assert_false(is_there("storage.key.old"));
        other_close(&p);
    }
}

/* --- Meanwhile ------------------------------------------------------------------------------------------------------- */

/* A server that loaded its keys before goes on through all of it, reading and writing at every step, and is told nothing. */
static void who_serves_is_not_disturbed(void **state)
{
    (void)state;
    struct other p;
    struct keys_storage_id to;
    bool more = true;
    assert_int_equal(other_open(&p), 0);
    for (unsigned i = 0; i < 3; i++) { /* two changes in a row, and a third */
        assert_int_equal(keys_storage_prepare(p.keys, town.a.dir, rng_system(), NULL, &to), 0);
        assert_int_equal(switch_to(p.o, &to), 0);
        assert_int_equal(switch_to(p.o, &to), STORAGE_CHANGING);
        for (more = true; more;) {
            struct content_halves halves;
            char title[24];
            snprintf(title, sizeof(title), "new %u %llu", i, (unsigned long long)town.now_ms++);
            struct id song = shop_publish(&town.a, title, 100, 10, 3, 1);
            assert_int_equal(contents_halves(town.a.o, &song, &halves), 0);
            assert_int_equal(contents_halves(p.o, &song, &halves), 0);
            everything_opens(town.a.o);
            int r = step(&p, 2);
            more = r == STORAGE_MORE;
            assert_true(more || r == 0);
            /* Between two looks of a server its keys that are not listed any more go out of its memory. */
            struct storage_list list;
            assert_int_equal(storage_list(town.a.o, &list), 0);
            keys_storage_keep(town.a.keys, list.ids, list.count);
        }
        all_is_under(&to);
    }
    other_close(&p);
}

static void two_work_at_it_at_once(void **state)
{
    (void)state;
    struct other one, two;
    struct keys_storage_id to;
    assert_int_equal(other_open(&one), 0);
    assert_int_equal(other_open(&two), 0);
    assert_int_equal(keys_storage_prepare(one.keys, town.a.dir, rng_system(), NULL, &to), 0);
    assert_int_equal(switch_to(one.o, &to), 0);
    int a = STORAGE_MORE, b = STORAGE_MORE;
    for (unsigned i = 0; (a != 0 || b != 0) && i < 200; i++) {
        a = step(&one, 1 + i % 2);
        b = step(&two, 1);
        everything_opens(two.o);
    }
    assert_int_equal(a, 0);
    assert_int_equal(b, 0);
    all_is_under(&to);
    other_close(&one);
    other_close(&two);
}

/* --- Earlier versions ------------------------------------------------------------------------------------------------ */

static void make_it_an_earlier_versions(const char *erased)
{
    static const char label[] = "hearth erased name";
    uint8_t key[32], hash[32];
    char hex[65], sql[200];
    read_key("storage.key", key);
    const struct slice parts[] = { SLICE_ARRAY(label), SLICE_ARRAY(key), slice_str(erased) };
    sha256_parts(parts, ARRAY_COUNT(parts), hash);
    hex_encode(SLICE_ARRAY(hash), hex);
    snprintf(sql, sizeof(sql),
             town_on_postgres() ? "INSERT INTO erased_name (hash) VALUES (decode('%s', 'hex'))"
                                : "INSERT INTO erased_name (hash) VALUES (x'%s')",
             hex);
    static const char *const changes[] = {
        "DELETE FROM erased_name",
        "DELETE FROM secret",
        "DELETE FROM storage_key",
        "UPDATE content SET header_half = substr(header_half, 9), license_half = substr(license_half, 9)",
        "UPDATE key_block SET root = substr(root, 9)",
        "UPDATE partner SET copy_secret = substr(copy_secret, 9)"
    };
    for (size_t i = 0; i < ARRAY_COUNT(changes); i++)
        assert_true(shop_change(&town.a, changes[i]));
    assert_true(shop_change(&town.a, sql));
}

static void an_earlier_versions_database(void **state)
{
    (void)state;
    struct other p, again;
    struct keys_storage_id to;
    make_it_an_earlier_versions("carol");
    assert_int_equal(other_open(&p), 0);
    read_key("storage.key", before.names.bytes);
    everything_opens(p.o); /* under no named key yet */
    assert_int_equal(keys_storage_prepare(p.keys, town.a.dir, rng_system(), NULL, &to), 0);
    assert_int_equal(switch_to(p.o, &to), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(step(&p, 1), STORAGE_MORE);
    assert_int_equal(other_open(&again), 0);
    everything_opens(again.o);
    finish(&again, 1);
    all_is_under(&to);
    everything_opens(again.o);
    everything_opens(p.o);
    other_close(&again);
    other_close(&p);
}

static void an_earlier_versions_database_with_other_keys(void **state)
{
    (void)state;
    struct other p;
    char path[128];
    static const uint8_t wrong[32] = { 1 };
    make_it_an_earlier_versions("carol");
    path_of("storage.key", path);
    assert_int_equal(file_replace(path, SLICE_ARRAY(wrong), 0600), 0);
    assert_int_equal(other_open(&p), -ENOKEY);
    other_close(&p);
    assert_int_equal(shop_ask(&town.a, "SELECT count(*) FROM storage_key"), 0);
}

/* --- Refused --------------------------------------------------------------------------------------------------------- */

/* Keys of before the change with a database of after it, and the other way round. */
static void keys_of_another_time_are_refused(void **state)
{
    (void)state;
    struct other p;
    struct keys_storage_id to;
    uint8_t old[32], new[32];
    char now[128], next[128];
    path_of("storage.key", now);
    path_of("storage.key.new", next);
    read_key("storage.key", old);
    assert_int_equal(other_open(&p), 0);
    assert_int_equal(keys_storage_prepare(p.keys, town.a.dir, rng_system(), NULL, &to), 0);
    assert_int_equal(switch_to(p.o, &to), 0);
    read_key("storage.key.new", new);
    other_close(&p);
    assert_int_equal(unlink(next), 0);
    assert_int_equal(other_open(&p), -ENOKEY); /* begun, and the next key is lost */
    other_close(&p);
    assert_int_equal(file_replace(now, SLICE_ARRAY(new), 0600), 0);
    assert_int_equal(other_open(&p), -ENOKEY); /* begun, and the one before is lost */
    other_close(&p);
    assert_int_equal(file_replace(now, SLICE_ARRAY(old), 0600), 0);
    assert_int_equal(file_replace(next, SLICE_ARRAY(new), 0600), 0);
    assert_int_equal(other_open(&p), 0);
    finish(&p, 100);
    other_close(&p);
    assert_int_equal(file_replace(now, SLICE_ARRAY(old), 0600), 0);
    assert_int_equal(other_open(&p), -ENOKEY); /* ended, and the keys are those of before */
    other_close(&p);
    assert_int_equal(file_replace(now, SLICE_ARRAY(new), 0600), 0);
    assert_int_equal(other_open(&p), 0);
    everything_opens(p.o);
    other_close(&p);
}

static void a_row_that_no_key_opens_keeps_the_key(void **state)
{
    (void)state;
    struct other p;
    struct keys_storage_id to;
    uint8_t old[32], now[32];
    read_key("storage.key", old);
    assert_true(shop_change(
        &town.a, "UPDATE partner SET copy_secret = (SELECT license_half FROM content ORDER BY content LIMIT 1)"));
    assert_int_equal(other_open(&p), 0);
    assert_int_equal(keys_storage_prepare(p.keys, town.a.dir, rng_system(), NULL, &to), 0);
    assert_int_equal(switch_to(p.o, &to), 0);
    int r = STORAGE_MORE;
    for (unsigned i = 0; r == STORAGE_MORE && i < 100; i++)
        r = step(&p, 1);
    assert_int_equal(r, -EUCLEAN);
    read_key("storage.key", now);
    assert_memory_equal(old, now, 32);
    listed(p.o, 2);
    other_close(&p);
}

static void a_key_in_a_token_is_named_whole(void **state)
{
    (void)state;
#define HEAD "hearth key in a token\n"
    static const struct {
        const char *name, *content;
        int outcome;
    } cases[] = {
        { "nothing but the first line", HEAD, -EUCLEAN },
        { "two lines of three", HEAD "pkcs11:token=a\n\n", -EUCLEAN },
        { "a module that is none", HEAD "pkcs11:token=a\n/nowhere/module.so\n\nsealed", -ENXIO },
        { "a PIN file that is not there", HEAD "pkcs11:token=a\n/etc/passwd\n/nowhere/pin\nsealed", -EACCES },
        { "a PIN in the URL", HEAD "pkcs11:token=a?pin-value=1\n\n\nsealed", -ENXIO },
        { "another first line", "hearth key in a tokem\nabc\n\n\nsealed", -EUCLEAN },
    };
    char path[128], place[KEYS_PLACE_BYTES];
    path_of("storage.key", path);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct keys *k CLEANUP(keys_freep) = NULL;
        assert_int_equal(file_replace(path, slice_str(cases[i].content), 0600), 0);
        int r = keys_load(&k, town.a.dir);
        if (r != cases[i].outcome)
            fail_msg("%s: %d", cases[i].name, r);
    }
    assert_int_equal(file_replace(path, slice_str(cases[2].content), 0644), 0);
    struct keys *k CLEANUP(keys_freep) = NULL;
    assert_int_equal(keys_load(&k, town.a.dir), -EPERM);
    assert_int_equal(file_replace(path, slice_str(cases[2].content), 0600), 0);
    assert_int_equal(keys_storage_place(town.a.dir, place, NULL), 0);
    assert_string_equal(place, "pkcs11:token=a");
    const struct token_place nowhere = { "pkcs11:token=a", "/nowhere/module.so", NULL },
                             lines = { "pkcs11:\n", NULL, NULL };
    struct keys_storage_id id;
    assert_int_equal(keys_storage_prepare(town.a.keys, town.a.dir, rng_system(), &nowhere, &id), KEYS_TOKEN);
    assert_int_equal(keys_storage_prepare(town.a.keys, town.a.dir, rng_system(), &lines, &id), -EINVAL);
    assert_false(is_there("storage.key.new"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(interrupted_anywhere),
        TEST(interrupted_between_two_names),
        TEST(who_serves_is_not_disturbed),
        TEST(two_work_at_it_at_once),
        TEST(an_earlier_versions_database),
        TEST(an_earlier_versions_database_with_other_keys),
        TEST(keys_of_another_time_are_refused),
        TEST(a_row_that_no_key_opens_keeps_the_key),
        TEST(a_key_in_a_token_is_named_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
