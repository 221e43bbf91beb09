/* Shops, and what travels between them. */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/billing.h"
#include "distributor/late.h"
#include "distributor/publish.h"
#include "distributor/rotation.h"
#include "distributor/tally.h"

/* --- Life -------------------------------------------------------------------------------------------------------- */

static void open_shop(struct shop *s)
{
    assert_int_equal(operations_open(&s->o, s->dir, s->keys, &s->town->rng.rng, 0), 0);
    assert_int_equal(keyset_own(s->o, &s->keyset), 0);
    if (getenv("TOWN_RESTART")) /* so that copies are issued both ways: late, and at once */
        return;
    assert_int_equal(late_new(&s->o->late), 0);
    s->o->tally = tally_new();
    assert_non_null(s->o->tally);
}

static void begin(struct transaction *t, struct shop *s)
{
    assert_int_equal(transaction_begin_batch(t, s->o->store), 0);
}
static void commit(struct transaction *t) { assert_int_equal(transaction_commit(t), 0); }

void town_shop_init(struct town *t, struct shop *s, const char *name)
{
    s->town = t;
    /* In memory where there is some: none of these tests is about the disk. */
    snprintf(s->dir, sizeof(s->dir), "%s/hearth-town-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(s->dir));
    char bodies[80];
    snprintf(bodies, sizeof(bodies), "%s/bodies", s->dir);
    assert_int_equal(file_make_dirs(bodies, 0700), 0);
    town_db_make(s);
    assert_int_equal(keys_create(s->dir, &t->rng.rng, NULL), 0);
    assert_int_equal(keys_create(s->dir, &t->rng.rng, NULL), KEYS_UNUSED);
    assert_int_equal(keys_load(&s->keys, s->dir), 0);
    struct operations_new n = {
        .name = name, .currency = "EUR", .listen = "127.0.0.1:7700", .address = "shop:7700", .now_ms = t->now_ms
    };
    assert_int_equal(operations_create(s->dir, s->keys, &t->rng.rng, &n), 0);
    assert_int_equal(operations_create(s->dir, s->keys, &t->rng.rng, &n), -EEXIST);
    assert_int_equal(keys_create(s->dir, &t->rng.rng, NULL), -EEXIST);
    open_shop(s);
}

void town_meet(struct shop *s, const struct shop *other)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf keyset CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    int64_t number;
    assert_int_equal(keyset_current(other->o, &keyset), 0);
    begin(&t, s);
    assert_int_equal(keyset_store(s->o, &other->keys->self, buf_slice(&keyset), s->town->now_ms, &number), 0);
    commit(&t);
}

void town_befriend(struct shop *s, const struct shop *other, const char *name)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, s);
    assert_int_equal(delegations_partner_add(s->o, &other->keys->self, name, "other:7700"), 0);
    commit(&t);
    town_meet(s, other);
}

void town_init(struct town *t)
{
    *t = (struct town){ .now_ms = TOWN_START_MS, .directory = true };
    assert_int_equal(secret_init(), 0);
    static uint64_t seed = 7;
    rng_fake_init(&t->rng, seed++); /* no two towns have the same shops */
    town_shop_init(t, &t->a, "Aurora");
    town_shop_init(t, &t->b, "Boreal");
    town_befriend(&t->a, &t->b, "Boreal");
    town_befriend(&t->b, &t->a, "Aurora");
}

static void deinit_shop(struct shop *s)
{
    char command[128];
    operations_close(s->o);
    keys_free(s->keys);
    town_db_free(s);
    snprintf(command, sizeof(command), "rm -r %s", s->dir);
    assert_int_equal(system(command), 0);
}

void town_deinit(struct town *t)
{
    shop_check(&t->a);
    shop_check(&t->b);
    deinit_shop(&t->a);
    deinit_shop(&t->b);
}

void town_restart(struct shop *s)
{
    if (!getenv("TOWN_RESTART"))
        return;
    operations_close(s->o);
    open_shop(s);
}

void town_rotate(struct shop *s, enum key_purpose p, bool withdraws)
{
    uint8_t before[32];
    memcpy(before, keys_public(s->keys, p), sizeof(before));
    for (int i = 0; i < 2; i++) { /* prepared and listed; then adopted */
        struct keys *k = NULL;
        struct transaction t CLEANUP(transaction_end) = { 0 };
        if (i == 0)
            assert_int_equal(keys_prepare(s->keys, s->dir, rng_system(), p), 0);
        operations_close(s->o);
        assert_int_equal(rotation_load(&k, s->dir), 0);
        keys_free(s->keys);
        s->keys = k;
        open_shop(s);
        begin(&t, s);
        if (i == 0 && withdraws)
            assert_int_equal(keyset_withdraw(s->o, before, s->town->now_ms), 0);
        assert_int_equal(i == 0 ? keyset_issue(s->o, s->town->now_ms) : rotation_sign_again(s->o, s->town->now_ms), 0);
        commit(&t);
    }
    assert_false(s->keys->next[p - 1].there);
    assert_int_equal(keyset_own(s->o, &s->keyset), 0);
}

/* --- Between shops ----------------------------------------------------------------------------------------------- */

void town_carry(struct shop *from, struct shop *to, uint64_t *after)
{
    struct buf tail CLEANUP(buf_free) = buf(1 << 24);
    uint64_t last = 0;
    uint32_t count = 0;
    assert_int_equal(share_outbox_read(from->o, *after, 100000, 1 << 23, &tail, &count, &last), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct reader r = reader(buf_slice(&tail));
    struct slice envelope;
    begin(&t, to);
    while (codec_list_next(&r, SHARE_ENVELOPE_MAX, &envelope) == 0)
        assert_int_equal(share_apply(to->o, envelope, to->town->now_ms), 0);
    commit(&t);
    *after = last > *after ? last : *after;
}

static void share_one_way(struct shop *from, struct shop *to)
{
    uint64_t after = 0;
    town_carry(from, to, &after);
}

void town_share(struct town *t)
{
    share_one_way(&t->a, &t->b);
    share_one_way(&t->b, &t->a);
    share_one_way(&t->a, &t->b); /* what the second way brought about */
}

static struct shop *shop_of(struct town *t, const struct id *id)
{
    return id_equal(id, &t->a.keys->self) ? &t->a : &t->b;
}

static void caller_of(struct shop *s, struct caller *out)
{
    *out = (struct caller){
        .role = REQUESTS_DISTRIBUTOR, .partner = s->keys->self, .partner_keyset = &s->keyset, .now_ms = s->town->now_ms
    };
    memcpy(out->key, s->keys->tls.public_key, sizeof(out->key));
}

static void fetch_delegation(struct shop *s, struct shop *other)
{
    struct partner p;
    struct caller who;
    struct reply reply CLEANUP(reply_free);
    msg_DelegationGet get;
    msg_Delegation got;
    reply_init(&reply);
    caller_of(s, &who);
    assert_int_equal(delegations_partner_find(s->o, &other->keys->self, &p), 0);
    memcpy(get.copy_key, p.copy_key, sizeof(get.copy_key));
    int r = RUN(other, &who, DELEGATION_GET, msg_DelegationGet, &get, &reply);
    if (r != 0)
        return; /* refused: the second run will say so */
    REPLY_AS(&reply, DELEGATION, msg_Delegation, &got);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, s);
    assert_int_equal(delegations_store(s->o, &other->keys->self, CODEC_BYTES(got.delegation), s->town->now_ms), 0);
    commit(&t);
}

static void fetch_grant(struct shop *s, struct shop *other)
{
    struct caller who;
    struct buf entries CLEANUP(buf_free) = buf(1 << 26);
    msg_Grant got;
    uint32_t count = 1;
    caller_of(s, &who);
    for (uint32_t first = 0; first < count; first = (uint32_t)(entries.len / EKB_ENTRY_BYTES)) {
        struct reply reply CLEANUP(reply_free);
        reply_init(&reply);
        msg_GrantGet get = { .category = OPERATIONS_CATEGORY, .first = first };
        if (RUN(other, &who, GRANT_GET, msg_GrantGet, &get, &reply) != 0)
            return;
        REPLY_AS(&reply, GRANT, msg_Grant, &got);
        assert_int_equal(buf_append(&entries, buf_slice(&reply.tail)), 0);
        assert_int_equal(delegations_block_units(s->o, &other->keys->self, CODEC_BYTES(got.block), &count), 0);
    }
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, s);
    assert_int_equal(delegations_grant_store(s->o, &other->keys->self, CODEC_BYTES(got.grant), CODEC_BYTES(got.block),
                                             buf_slice(&entries), s->town->now_ms),
                     0);
    commit(&t);
}

/* As the server does: keyset first, then both documents. */
static void ask_id(struct shop *s, const struct id *partner)
{
    struct shop *other = shop_of(s->town, partner);
    if (other->unreachable)
        return;
    town_meet(s, other);
    fetch_delegation(s, other);
    fetch_grant(s, other);
}

void town_ask(struct shop *s, const struct shop *other) { ask_id(s, &other->keys->self); }

/* --- Requests ---------------------------------------------------------------------------------------------------- */

static int run_once(struct shop *s, struct caller *who, uint16_t type, struct slice message, struct slice tail,
                    struct reply *out)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    begin(&t, s);
    if (s->o->late)
        late_begun(s->o);
    assert_int_equal(savepoint_begin(&p, s->o->store), 0);
    reply_free(out);
    reply_init(out);
    int r = requests_run(s->o, who, type, message, tail, out);
    if (r == 0)
        assert_int_equal(savepoint_release(&p), 0);
    savepoint_end(&p);
    if (s->o->late) {
        late_ended(s->o, r);
        assert_int_equal(late_finish(s->o), 0);
    }
    commit(&t);
    if (s->o->late)
        late_over(s->o, true);
    return r;
}

/* As the server's session does. */
static void keep_login(struct caller *who, const struct reply *r)
{
    if (r->has_challenge) {
        who->has_challenge = true;
        memcpy(who->challenge, r->challenge, sizeof(who->challenge));
    }
    if (r->login == REPLY_LOGIN_AS_BEFORE)
        return;
    who->has_token = r->login == REPLY_LOGGED_IN;
    memcpy(who->token, r->token, sizeof(who->token));
}

int town_run(struct shop *s, struct caller *who, uint16_t type, const pb_msgdesc_t *fields, const void *message,
             struct slice tail, struct reply *out)
{
    struct buf encoded CLEANUP(buf_free) = buf(1 << 20);
    assert_int_equal(codec_encode(&encoded, fields, message), 0);
    town_restart(s);
    who->now_ms = s->town->now_ms;
    who->directory_asked = false;
    who->partners_asked_count = 0;
    for (;;) {
        int r = run_once(s, who, type, buf_slice(&encoded), tail, out);
        if (r == REQUESTS_ASK_DIRECTORY) {
            assert_false(who->directory_asked);
            who->directory_asked = true;
            if (s->town->directory)
                town_share(s->town);
            continue;
        }
        if (r == REQUESTS_ASK_PARTNER) {
            assert_true(who->partners_asked_count < REQUESTS_PARTNERS_MAX);
            who->partners_asked[who->partners_asked_count++] = out->ask;
            ask_id(s, &out->ask);
            continue;
        }
        if (r == 0)
            keep_login(who, out);
        return r;
    }
}

/* --- Shops ------------------------------------------------------------------------------------------------------- */

void shop_user(struct shop *s, const char *user, int64_t credit)
{
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, s);
    assert_int_equal(
        accounts_add(s->o, user, "a hash of " TOWN_PASSWORD, "A person", "a@example.org", credit, s->town->now_ms), 0);
    commit(&t);
}

struct id shop_publish(struct shop *s, const char *title, int64_t price, int64_t copy_price, uint32_t max_copies,
                       uint32_t copy_depth)
{
    struct product product = { .name = "Purchase", .price = price, .copy_price = copy_price };
    product.conditions.max_copies = max_copies;
    product.conditions.copy_depth = copy_depth;
    product.conditions.max_removable = 1;
    return shop_publish_as(s, title, &product);
}

struct id shop_publish_as(struct shop *s, const char *title, const struct product *as)
{
    struct product product = *as;
    char path[96];
    snprintf(path, sizeof(path), "%s/file", s->dir);
    struct buf file CLEANUP(buf_free) = buf(1 << 20);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(buf_append(&file, slice_str(title)), 0);
    assert_int_equal(file_replace(path, buf_slice(&file), 0600), 0);
    struct publish p = { .path = path, .now_ms = s->town->now_ms };
    snprintf(p.tags.title, sizeof(p.tags.title), "%s", title);
    snprintf(p.tags.creator, sizeof(p.tags.creator), "The Band");
    snprintf(p.tags.media_type, sizeof(p.tags.media_type), "audio/flac");
    struct content_new n CLEANUP(content_new_wipe) = { 0 };
    uint8_t hash[32];
    assert_int_equal(publish_hash(&p, hash), 0);
    assert_int_equal(publish_body(s->o, &p, hash, &n), 0);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    begin(&t, s);
    assert_int_equal(products_add(s->o, &product), 0);
    assert_int_equal(contents_add(s->o, &n), 0);
    assert_int_equal(contents_offer(s->o, &n.content.id, &product.number, 1), 0);
    commit(&t);
    unlink(path);
    return n.content.id;
}

void shop_license_id(struct shop *s, const struct id *content, uint8_t license_id[16])
{
    struct content_halves halves CLEANUP(content_halves_wipe);
    assert_int_equal(contents_halves(s->o, content, &halves), 0);
    memcpy(license_id, halves.license_id, 16);
}

int64_t shop_balance(struct shop *s, const char *user)
{
    int64_t balance;
    assert_int_equal(billing_balance(s->o, user, &balance), 0);
    return balance;
}

void shop_check(struct shop *s)
{
    struct ledger_audit audit;
    assert_int_equal(ledger_check(s->o, &audit), 0);
    assert_int_equal(audit.uneven_posting, 0);
    assert_int_equal(audit.drifted_entry, 0);
    assert_int_equal(store_verify(s->o->store), 0);
}
