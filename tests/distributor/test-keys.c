/* Key files, keysets, key blocks, what lies in the database under storage.key. */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/endings.h"
#include "distributor/keyblocks.h"
#include "distributor/keys_age.h"
#include "distributor/rotation.h"

static struct town town;

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    town_deinit(&town);
    return 0;
}

static void key_files_are_private(void **state)
{
    (void)state;
    char path[128];
    struct keys *k = NULL;
    snprintf(path, sizeof(path), "%s/keys/license.key", town.a.dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(keys_load(&k, town.a.dir), -EPERM);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 31), 0);
    assert_int_equal(keys_load(&k, town.a.dir), -EUCLEAN);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(keys_load(&k, town.a.dir), -ENOENT);
    assert_int_equal(keys_load(&k, "/nowhere/at/all"), -ENOENT);
    struct operations *o;
    assert_int_equal(operations_open(&o, "/nowhere/at/all", town.a.keys, rng_system(), 0), -ENOENT);
    assert_int_equal(operations_open(&o, town.b.dir, town.a.keys, rng_system(), 0), -EUCLEAN);
}

static void stored_secrets_mean_one_thing(void **state)
{
    (void)state;
    struct key32 secret = { { 1, 2, 3 } }, read;
    uint8_t stored[KEYS_STORED_BYTES];
    const struct keys *k = town.a.keys;
    struct slice here = slice_str("here"), there = slice_str("there");
    const struct keys_storage_id id = keys_storage_first(k), unknown = { { 1 } };
    assert_int_equal(keys_protect(k, rng_system(), &unknown, "a label", here, &secret, stored), -ENOKEY);
    assert_int_equal(keys_protect(k, rng_system(), &id, "a label", here, &secret, stored), 0);
    assert_true(keys_is_under(SLICE_ARRAY(stored), &id) && !keys_is_under(SLICE_ARRAY(stored), &unknown));
    assert_int_equal(keys_reveal(k, "a label", here, SLICE_ARRAY(stored), &read), 0);
    assert_memory_equal(secret.bytes, read.bytes, 32);
    assert_int_equal(keys_reveal(k, "a label", there, SLICE_ARRAY(stored), &read), -EUCLEAN);
    assert_int_equal(keys_reveal(k, "b label", here, SLICE_ARRAY(stored), &read), -EUCLEAN);
    assert_int_equal(keys_reveal(town.b.keys, "a label", here, SLICE_ARRAY(stored), &read), -ENOKEY);
    /* As earlier versions wrote it, without the name of the key. */
    struct slice unnamed = slice(stored + KEYS_STORAGE_ID_BYTES, sizeof(stored) - KEYS_STORAGE_ID_BYTES);
    assert_int_equal(keys_reveal(k, "a label", here, unnamed, &read), 0);
    assert_memory_equal(secret.bytes, read.bytes, 32);
    assert_int_equal(keys_reveal(k, "a label", there, unnamed, &read), -EUCLEAN);
    assert_int_equal(keys_reveal(town.b.keys, "a label", here, unnamed, &read), -EUCLEAN);
    for (size_t i = 0; i < sizeof(stored); i++) {
        stored[i] ^= 1;
        assert_int_equal(keys_reveal(k, "a label", here, SLICE_ARRAY(stored), &read),
                         i < KEYS_STORAGE_ID_BYTES ? -ENOKEY : -EUCLEAN);
        stored[i] ^= 1;
    }
    assert_int_equal(keys_reveal(k, "a label", here, slice(stored, 31), &read), -EUCLEAN);
}

static void begin(struct transaction *t, struct shop *s) { assert_int_equal(transaction_begin(t, s->o->store), 0); }

static void keysets_are_issued_in_time(void **state)
{
    (void)state;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    static doc_Keyset before, after, judged;
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    bool changed = true;
    assert_int_equal(keyset_own(town.a.o, &before), 0);
    begin(&t, &town.a);
    assert_int_equal(operations_tick(town.a.o, town.now_ms + 40 * TOWN_DAY_MS, &changed), 0);
    assert_false(changed);
    assert_int_equal(operations_tick(town.a.o, town.now_ms + 46 * TOWN_DAY_MS, &changed), 0);
    assert_true(changed);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(keyset_own(town.a.o, &after), 0);
    assert_int_equal(after.sequence, before.sequence + 1);
    assert_int_equal(keyset_current(town.a.o, &envelope), 0);
    assert_int_equal(keyset_judge(buf_slice(&envelope), &town.a.keys->self, after.sequence, town.a.keys->tls.public_key,
                                  town.now_ms + 46 * TOWN_DAY_MS, &judged),
                     0);
}

static void an_older_keyset_never_replaces_a_newer(void **state)
{
    (void)state;
    struct buf old CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX), new CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int64_t number;
    uint64_t lowest;
    assert_int_equal(keyset_current(town.b.o, &old), 0);
    begin(&t, &town.b);
    assert_int_equal(keyset_issue(town.b.o, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(keyset_current(town.b.o, &new), 0);
    begin(&t, &town.a);
    assert_int_equal(keyset_store(town.a.o, &town.b.keys->self, buf_slice(&new), town.now_ms, &number), 0);
    assert_int_equal(keyset_store(town.a.o, &town.b.keys->self, buf_slice(&old), town.now_ms, &number), 0);
    assert_int_equal(keyset_lowest(town.a.o, &town.b.keys->self, &lowest), 0);
    assert_int_equal(lowest, 2);
    assert_int_equal(
        keyset_store(town.a.o, &town.b.keys->self, buf_slice(&new), town.now_ms + 100 * TOWN_DAY_MS, &number),
        REASON_KEYSET_INVALID);
    assert_int_equal(keyset_store(town.a.o, &town.a.keys->self, buf_slice(&new), town.now_ms, &number),
                     REASON_KEYSET_INVALID);
    assert_int_equal(transaction_commit(&t), 0);
}

static void a_rolled_back_block_is_not_remembered(void **state)
{
    (void)state;
    doc_KeyBlockEntry first, second, third;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(keyblocks_entry(town.a.o, OPERATIONS_SELF, 5, &first), 0);
    begin(&t, &town.a);
    assert_int_equal(keyblocks_issue(town.a.o, town.now_ms), 0);
    assert_int_equal(keyblocks_entry(town.a.o, OPERATIONS_SELF, 5, &second), 0);
    assert_memory_not_equal(first.entry, second.entry, sizeof(first.entry));
    transaction_end(&t);
    begin(&t, &town.a);
    assert_int_equal(keyblocks_issue(town.a.o, town.now_ms), 0); /* the same version number again */
    assert_int_equal(keyblocks_entry(town.a.o, OPERATIONS_SELF, 5, &third), 0);
    assert_memory_not_equal(second.entry, third.entry, sizeof(third.entry));
    assert_int_equal(transaction_commit(&t), 0);
    struct keyblocks_newest newest CLEANUP(keyblocks_newest_wipe) = { 0 };
    assert_int_equal(keyblocks_newest(town.a.o, OPERATIONS_SELF, &newest), 0);
    assert_int_equal(newest.version, 2);
}

static void settings_have_defaults(void **state)
{
    (void)state;
    char value[64];
    int64_t number;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(operations_setting(town.a.o, "registration", value, sizeof(value)), 0);
    assert_string_equal(value, "invite");
    assert_int_equal(operations_setting_i64(town.a.o, "credit-limit", &number), 0);
    assert_int_equal(number, 5000);
    assert_int_equal(operations_setting(town.a.o, "no-such", value, sizeof(value)), -EINVAL);
    begin(&t, &town.a);
    assert_int_equal(operations_setting_set(town.a.o, "no-such", "x"), -EINVAL);
    assert_int_equal(operations_setting_set(town.a.o, "credit-limit", "much"), 0);
    assert_int_equal(operations_setting_i64(town.a.o, "credit-limit", &number), -EUCLEAN);
}

/* For shared rows until the next keyset, and from then on to be refused by: what it has signed may be on its way for weeks. */
static void a_withdrawn_license_key_stays_known(void **state)
{
    (void)state;
    uint8_t gone[32];
    memcpy(gone, town.a.keys->license.public_key, sizeof(gone));
    town_rotate(&town.a, KEY_LICENSE, true);
    assert_true(keyset_lists(&town.a.keyset, KEY_SHARED, gone, 0) && keyset_lists_shared(&town.a.keyset, gone));
    for (unsigned i = 0; i < 3; i++) {
        unsigned due = 0;
        town.now_ms += TOWN_DAY_MS;
        town_rotate(&town.a, i == 1 ? KEY_TLS : KEY_LICENSE, false);
        assert_true(keyset_lists(&town.a.keyset, KEY_WITHDRAWN, gone, 0));
        assert_false(keyset_lists_shared(&town.a.keyset, gone) || keyset_lists(&town.a.keyset, KEY_LICENSE, gone, 0));
        assert_int_equal(keyset_due(town.a.o, town.now_ms, &due), 0);
        assert_int_equal(due, 0);
    }
    assert_false(keyset_lists(&town.a.keyset, KEY_WITHDRAWN, gone, TOWN_START_MS + TOWN_DAY_MS)); /* nothing of later */
}

/* --- What ends soon ------------------------------------------------------------------------------------------------ */

static void what_ends_is_said_in_time(void **state)
{
    (void)state;
    static struct measures m;
    static struct endings e;
    const int64_t now = TOWN_START_MS, day = TOWN_DAY_MS;
    const struct {
        const char *name;
        int64_t keyset, license, delegation, grant; /* days from now */
        bool has_root;
        const char *says[2]; /* NULL: nothing */
    } cases[] = {
        { "nothing ends", 89, 700, 29, 29, true, { NULL } },
        { "the keyset in a month, to the day", 30, 700, 29, 29, true, { NULL } },
        { "the keyset in less", 29, 700, 29, 29, true, { "The keyset ends", "hearth-distributor keys rotate" } },
        { "the keyset has ended", -1, 700, 29, 29, true, { "The keyset has ended", "keys rotate" } },
        { "the keyset, without its root key", 3, 700, 29, 29, false, { "The keyset ends", "keys request FILE" } },
        { "a key", 89, 12, 29, 29, true, { "The license key ends", "keys rotate license" } },
        { "a delegation in two days renews itself", 89, 700, 2, 29, true, { NULL } },
        { "a delegation has not", 89, 700, 0, 29, true, { "The delegation of partner boreal", "partner list" } },
        { "a grant has ended", 89, 700, 29, -4, true, { "The key grant of partner boreal has ended", "partner list" } },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        m = (struct measures){ .now_ms = now,
                               .keyset_ends_ms = now + cases[i].keyset * day,
                               .keys = { { KEY_LICENSE, now + day }, /* retires */
                                         { KEY_LICENSE, now + cases[i].license * day },
                                         { KEY_SHARED, now - day } },
                               .key_count = 3,
                               .partners = { { "boreal", now + cases[i].delegation * day + 1,
                                               now + cases[i].grant * day + 1 },
                                             { "nobody yet", 0, 0 } },
                               .partner_count = 2 };
        endings_of(&m, cases[i].has_root, &e);
        if (e.count != (cases[i].says[0] != NULL ? 1 : 0))
            fail_msg("%s: %zu sentences: %s", cases[i].name, e.count, e.texts[0]);
        for (size_t j = 0; j < 2 && cases[i].says[j] != NULL; j++)
            if (strstr(e.texts[0], cases[i].says[j]) == NULL)
                fail_msg("%s: %s", cases[i].name, e.texts[0]);
    }
}

/* Whatever the clock says: no crash, no more sentences than there is room for, and those that are left out are counted. */
static void a_clock_that_is_far_off(void **state)
{
    (void)state;
    static const int64_t clocks[] = {
        INT64_MIN, -1, 0, TOWN_START_MS - 3650 * TOWN_DAY_MS, TOWN_START_MS + 3650 * TOWN_DAY_MS, INT64_MAX
    };
    static struct measures m;
    static struct endings e;
    for (size_t i = 0; i < ARRAY_COUNT(clocks); i++) {
        assert_int_equal(measures_read(town.a.o, TOWN_START_MS, &m), 0);
        m.now_ms = clocks[i];
        m.partner_count = MEASURES_PARTNERS;
        for (size_t j = 0; j < MEASURES_PARTNERS; j++)
            m.partners[j] = (struct measures_partner){ "boreal", TOWN_START_MS, TOWN_START_MS };
        endings_of(&m, true, &e);
        bool late = clocks[i] > TOWN_START_MS;
        assert_int_equal(e.count, late ? ENDINGS_MAX : 0);
        assert_int_equal(e.more, late ? 5 + 2 * MEASURES_PARTNERS - ENDINGS_MAX : 0);
    }
}

/* --- Floors -------------------------------------------------------------------------------------------------------- */

/* Partner number i of many, who was delegated to. */
static void add_partner(unsigned i, struct partner *out)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf envelope CLEANUP(buf_free) = buf(1024);
    struct id id = { .bytes = { 200, (uint8_t)i } };
    char name[16];
    snprintf(name, sizeof(name), "p%u", i);
    begin(&t, &town.a);
    assert_int_equal(delegations_partner_add(town.a.o, &id, name, "p:1"), 0);
    assert_int_equal(delegations_partner_find(town.a.o, &id, out), 0);
    assert_int_equal(delegations_make(town.a.o, out, id.bytes, town.now_ms, &envelope), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

static bool withdraw(const struct partner *p, doc_Keyset *own)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    bool told, found = false;
    begin(&t, &town.a);
    assert_int_equal(delegations_partner_withdraw(town.a.o, &p->id, town.now_ms, &told), 0);
    assert_int_equal(transaction_commit(&t), 0);
    assert_int_equal(keyset_own(town.a.o, own), 0);
    for (pb_size_t i = 0; i < own->floors_count; i++)
        found = found || id_equal(own->floors[i].partner, &p->id);
    return found;
}

/* However many partners there were: a floor is listed as long as anything may count that was issued below it. */
static void floors_end_with_what_they_end(void **state)
{
    (void)state;
    static struct partner partners[KEYSET_FLOORS + 20];
    static doc_Keyset own;
    unsigned due, left;
    int64_t until_ms;
    const int64_t floor_ms = DELEGATIONS_LIFE_MS + DELEGATIONS_CERTIFICATE_LIFE_MS + DELEGATIONS_LATE_MS;
    for (unsigned i = 0; i < ARRAY_COUNT(partners); i++)
        add_partner(i, &partners[i]);
    assert_int_equal(keyset_room(town.a.o, town.now_ms, &left, &until_ms), 0);
    assert_int_equal(left, KEYSET_FLOORS);
    assert_int_equal(until_ms, 0);
    const int64_t first_ms = town.now_ms;
    for (unsigned i = 0; i < KEYSET_FLOORS; i++) {
        assert_true(withdraw(&partners[i], &own));
        assert_int_equal(keyset_room(town.a.o, town.now_ms, &left, &until_ms), 0);
        assert_int_equal(left, KEYSET_FLOORS - 1 - i);
        assert_int_equal(until_ms, first_ms + floor_ms);
    }
    assert_int_equal(keyset_due(town.a.o, town.now_ms, &due), 0);
    assert_int_equal(due, 0);
    town.now_ms += 1000;
    assert_true(withdraw(&partners[KEYSET_FLOORS], &own)); /* no room: the latest is listed, and it is said */
    assert_int_equal(own.floors_count, KEYSET_FLOORS);
    assert_int_equal(keyset_due(town.a.o, town.now_ms, &due), 0);
    assert_int_equal(due, KEYSET_DUE_PARTNER);
    assert_int_equal(keyset_room(town.a.o, town.now_ms, &left, &until_ms), 0);
    assert_int_equal(left, 0);
    town.now_ms += floor_ms;
    assert_true(withdraw(&partners[KEYSET_FLOORS + 1], &own));
    assert_int_equal(own.floors_count, 1); /* what those before ended is over by itself */
    assert_int_equal(keyset_due(town.a.o, town.now_ms, &due), 0);
    assert_int_equal(due, 0);
}

/* --- Rotating ------------------------------------------------------------------------------------------------------ */

static void copy_key(uint8_t out[32], enum key_purpose p) { memcpy(out, keys_public(town.a.keys, p), 32); }

/* The next keyset, by somebody who has just loaded the keys. */
static void list_again(void)
{
    struct keys *k CLEANUP(keys_freep) = NULL;
    struct operations *o CLEANUP(operations_closep) = NULL;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    assert_int_equal(keys_load(&k, town.a.dir), 0);
    assert_int_equal(operations_open(&o, town.a.dir, k, rng_system(), 0), 0);
    assert_int_equal(transaction_begin(&t, o->store), 0);
    assert_int_equal(keyset_issue(o, town.now_ms), 0);
    assert_int_equal(transaction_commit(&t), 0);
}

/* Each time it is interrupted somewhere else, the next load goes on. */
static void a_rotation_goes_on_where_it_was_interrupted(void **state)
{
    (void)state;
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++) {
        struct keys *k CLEANUP(keys_freep) = NULL, *again CLEANUP(keys_freep) = NULL;
        uint8_t before[32], next[32];
        copy_key(before, p);
        assert_int_equal(keys_prepare(town.a.keys, town.a.dir, rng_system(), p), 0);
        assert_int_equal(rotation_load(&k, town.a.dir), 0); /* 1: on disk; not listed, so the one before stays */
        assert_memory_equal(keys_public(k, p), before, 32);
        assert_true(k->next[p - 1].there);
        memcpy(next, k->next[p - 1].public_key, 32);
        assert_int_equal(keys_prepare(k, town.a.dir, rng_system(), p), 0); /* no second one */
        list_again();
        assert_int_equal(rotation_load(&again, town.a.dir), 0); /* 2: listed; it takes the other's place */
        assert_memory_equal(keys_public(again, p), next, 32);
        assert_false(again->next[p - 1].there);
        assert_int_equal(keys_adopt(town.a.dir, p), 0); /* somebody was faster: nothing happens */
    }
}

static void a_next_key_that_is_damaged_changes_nothing(void **state)
{
    (void)state;
    const struct {
        const char *name;
        size_t len;
        mode_t mode;
        int outcome;
    } cases[] = {
        { "empty", 0, 0600, -EUCLEAN },      { "cut off", 31, 0600, -EUCLEAN },
        { "too long", 33, 0600, -EUCLEAN },  { "as long as a wrapped one", KEYS_STORED_BYTES, 0600, -EUCLEAN },
        { "group reads", 32, 0640, -EPERM }, { "others read", 32, 0604, -EPERM }
    };
    static const uint8_t bytes[KEYS_STORED_BYTES] = { 1 };
    char path[128];
    uint8_t before[32];
    copy_key(before, KEY_LICENSE);
    snprintf(path, sizeof(path), "%s/keys/license.key.new", town.a.dir);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct keys *k CLEANUP(keys_freep) = NULL;
        assert_int_equal(file_replace(path, slice(bytes, cases[i].len), 0600), 0);
        assert_int_equal(chmod(path, cases[i].mode), 0);
        int r = rotation_load(&k, town.a.dir);
        if (r != cases[i].outcome)
            fail_msg("%s: %d", cases[i].name, r);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rotation_load(&k, town.a.dir), 0);
        assert_memory_equal(keys_public(k, KEY_LICENSE), before, 32);
    }
}

/* The keys are changed by somebody else; town.a's are of before from then on, as a second machine's copy is. */
static void keys_of_before_are_known(void **state)
{
    (void)state;
    struct keys_ages ages;
    struct keys *newest CLEANUP(keys_freep) = NULL;
    doc_Keyset proposed;
    assert_int_equal(keys_ages_read(town.a.o, town.a.keys, town.now_ms, &ages), 0);
    assert_int_equal(ages.of[0], KEYS_NEWEST);
    assert_int_equal(keys_prepare(town.a.keys, town.a.dir, rng_system(), KEY_LICENSE), 0);
    list_again();
    assert_int_equal(rotation_load(&newest, town.a.dir), 0);
    assert_int_equal(keys_ages_read(town.a.o, newest, town.now_ms, &ages), 0);
    assert_int_equal(ages.of[0], KEYS_NEWEST);

    const struct {
        int64_t after_ms;
        enum keys_age age;
        int usable;
    } times[] = { { 0, KEYS_FORMER, 0 }, { 3599999, KEYS_FORMER, 0 }, { 3600000, KEYS_GONE, -EKEYREVOKED } };
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        int64_t now_ms = town.now_ms + times[i].after_ms;
        assert_int_equal(keys_ages_read(town.a.o, town.a.keys, now_ms, &ages), 0);
        assert_int_equal(ages.of[0], times[i].age);
        assert_int_equal(ages.of[KEY_LICENSE], times[i].age);
        assert_int_equal(ages.of[KEY_TLS], KEYS_NEWEST);
        assert_int_equal(keys_usable(town.a.o, now_ms), times[i].usable);
    }
    assert_int_equal(ages.until_ms, INT64_MAX);
    assert_int_equal(keyset_propose(town.a.o, town.now_ms, &proposed),
                     -EKEYREVOKED); /* it would turn the keyset back */
    struct transaction t CLEANUP(transaction_end) = { 0 };
    bool changed = true;
    begin(&t, &town.a);
    int64_t late_ms = town.now_ms + 60 * INT64_C(86400000); /* it would be due */
    assert_int_equal(keyset_keep_fresh(town.a.o, late_ms, &changed), 0);
    doc_Keyset own;
    assert_int_equal(keyset_own(town.a.o, &own), 0);
    assert_memory_equal(keyset_key(&own, KEY_LICENSE), keys_public(newest, KEY_LICENSE), 32);
    assert_true(own.issued_ms <= (uint64_t)town.now_ms);
}

static void which_keys_are_better(void **state)
{
    (void)state;
    const struct {
        const char *name;
        enum keys_age a[2], b[2]; /* tls, license */
        bool not_older;
    } cases[] = { { "the same", { KEYS_NEWEST, KEYS_NEWEST }, { KEYS_NEWEST, KEYS_NEWEST }, true },
                  { "one newer", { KEYS_FORMER, KEYS_NEWEST }, { KEYS_FORMER, KEYS_GONE }, true },
                  { "one newer, one older", { KEYS_FORMER, KEYS_NEWEST }, { KEYS_NEWEST, KEYS_GONE }, false },
                  { "older", { KEYS_NEWEST, KEYS_GONE }, { KEYS_NEWEST, KEYS_FORMER }, false } };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct keys_ages a = { .of = { [KEY_TLS] = cases[i].a[0], [KEY_LICENSE] = cases[i].a[1] } };
        struct keys_ages b = { .of = { [KEY_TLS] = cases[i].b[0], [KEY_LICENSE] = cases[i].b[1] } };
        if (keys_ages_not_older(&a, &b) != cases[i].not_older)
            fail_msg("%s", cases[i].name);
    }
}

static void other_files_have_another_stamp(void **state)
{
    (void)state;
    struct keys_stamp before, after;
    char path[128];
    keys_stamp(town.a.dir, &before);
    keys_stamp(town.a.dir, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    snprintf(path, sizeof(path), "%s/keys/roster.key", town.a.dir);
    assert_int_equal(file_replace(path, slice(town.a.keys->roster.seed.bytes, 32), 0600), 0);
    keys_stamp(town.a.dir, &after);
    assert_memory_not_equal(&before, &after, sizeof(before));
}

/* --- The root key, elsewhere --------------------------------------------------------------------------------------- */

static void put_file(const char *name, const void *bytes, size_t len)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/keys/%s", town.a.dir, name);
    if (bytes == NULL)
        assert_int_equal(unlink(path), 0);
    else
        assert_int_equal(file_replace(path, slice(bytes, len), 0600), 0);
}

static int load(void)
{
    struct keys *k CLEANUP(keys_freep) = NULL;
    return keys_load(&k, town.a.dir);
}

static void a_root_key_elsewhere_is_named_whole(void **state)
{
    (void)state;
    static const uint8_t longer[33];
    static const struct {
        const char *name, *text;
        size_t len;
        int outcome;
    } places[] = {
        { "empty", "", 0, -EUCLEAN },
        { "one line", "pkcs11:token=a\n", 15, -EUCLEAN },
        { "the last line cut off", "pkcs11:token=a\n\n/pin", 20, -EUCLEAN },
        { "a zero in it", "pkcs11:\0oken=a\n\n\n", 17, -EUCLEAN },
        { "a module that is none", "pkcs11:token=a\n/nowhere/module.so\n\n", 35, KEYS_TOKEN },
        { "a PIN file that is not there", "pkcs11:token=a\n/etc/passwd\n/nowhere/pin\n", 40, KEYS_TOKEN },
        { "a PIN in the URL", "pkcs11:token=a?pin-value=1\n\n\n", 29, KEYS_TOKEN },
    };
    struct keys *k CLEANUP(keys_freep) = NULL;
    struct root_signer root;
    put_file("root.key", NULL, 0);
    assert_int_equal(load(), -ENOENT);
    put_file("root.pub", town.a.keys->root_public, 31);
    assert_int_equal(load(), -EUCLEAN);
    put_file("root.pub", longer, sizeof(longer));
    assert_int_equal(load(), -EUCLEAN);
    put_file("root.pub", town.a.keys->root_public, 32);
    assert_int_equal(keys_load(&k, town.a.dir), 0);
    assert_true(!k->has_root && id_equal(&k->self, &town.a.keys->self));
    assert_int_equal(keys_root_open(k, town.a.dir, &root), KEYS_NO_ROOT);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        put_file("root.token", places[i].text, places[i].len);
        int r = keys_root_open(k, town.a.dir, &root);
        if (r != places[i].outcome)
            fail_msg("%s: %d", places[i].name, r);
    }
}

static void a_wrapping_key_without_its_token_opens_nothing(void **state)
{
    (void)state;
    put_file("wrap.key", "sealed", 6);
    assert_int_equal(load(), -EUCLEAN); /* nobody knows in which token */
    put_file("wrap.token", "pkcs11:token=a\n", 15);
    assert_int_equal(load(), -EUCLEAN);
    put_file("wrap.token", "pkcs11:token=a\n/nowhere/module.so\n\n", 35);
    assert_int_equal(load(), -ENXIO);
    put_file("wrap.token", "pkcs11:token=a\n/etc/passwd\n/nowhere/pin\n", 40);
    assert_int_equal(load(), -EACCES); /* not -ENOENT, which says that there is no distributor here */
    put_file("wrap.key", NULL, 0);
    assert_int_equal(load(), 0); /* nothing was wrapped: a first try had ended before */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(key_files_are_private),
        TEST(stored_secrets_mean_one_thing),
        TEST(keysets_are_issued_in_time),
        TEST(an_older_keyset_never_replaces_a_newer),
        TEST(a_rolled_back_block_is_not_remembered),
        TEST(settings_have_defaults),
        TEST(a_withdrawn_license_key_stays_known),
        TEST(what_ends_is_said_in_time),
        TEST(a_clock_that_is_far_off),
        TEST(floors_end_with_what_they_end),
        TEST(a_rotation_goes_on_where_it_was_interrupted),
        TEST(a_next_key_that_is_damaged_changes_nothing),
        TEST(keys_of_before_are_known),
        TEST(which_keys_are_better),
        TEST(other_files_have_another_stamp),
        TEST(a_root_key_elsewhere_is_named_whole),
        TEST(a_wrapping_key_without_its_token_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
