/* A distributor in one process for harnesses. */
#include "shop.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/password.h"
#include "distributor/accounts.h"
#include "distributor/billing.h"
#include "distributor/keyset.h"
#include "distributor/roster.h"
#include "fuzz.h"

const struct key32 shop_sealing_secret = { { 9, 9, 9 } };

static char directory[64];

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static void remove_directory(void) { nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

static void register_device(struct shop *s, enum who who, const char *name)
{
    struct caller caller;
    struct reply reply;
    struct buf bytes CLEANUP(buf_free) = buf(2048);
    msg_Register r = { .user = SHOP_USER, .password = "correct horse" };
    CODEC_SET_TEXT(r.device_name, name);
    seal_public_key(&shop_sealing_secret, r.sealing_key);
    shop_caller(s, who, &caller);
    caller.password_ok = true;
    caller.password_hash = "$argon2id$x";
    reply_init(&reply);
    CHECK(CODEC_ENCODE(msg_Register, &bytes, &r) == 0);
    CHECK(requests_run(s->operations, &caller, msg_Type_REGISTER, buf_slice(&bytes), slice(NULL, 0), &reply) == 0);
    reply_free(&reply);
}

static void stock(struct shop *s)
{
    struct content_new n = { .now_ms = WORLD_NOW_MS };
    struct product p = { .name = "Own it",
                         .price = 120,
                         .copy_price = 7,
                         .conditions = { .max_copies = 4, .copy_depth = 1, .max_removable = 2 } };
    n.content.id = s->world->content;
    CODEC_SET_TEXT(n.content.title, "Nocturne");
    CODEC_SET_TEXT(n.content.media_type, "audio/flac");
    n.content.plain_bytes = s->world->content_info.plain_bytes;
    memset(n.header_half.bytes, 0x21, 32);
    memset(n.license_half.bytes, 0x22, 32);
    CHECK(products_add(s->operations, &p) == 0 && contents_add(s->operations, &n) == 0);
    CHECK(contents_offer(s->operations, &n.content.id, &p.number, 1) == 0);
    s->content = n.content.id;
    s->product = p.number;
}

static void open_up(struct shop *s)
{
    struct operations_new n = {
        .name = "boreal", .currency = "EUR", .listen = "127.0.0.1:1", .address = "127.0.0.1:1", .now_ms = WORLD_NOW_MS
    };
    CHECK(keys_create(directory, &s->rng.rng, NULL) == 0 && keys_load(&s->keys, directory) == 0);
    CHECK(operations_create(directory, s->keys, &s->rng.rng, &n) == 0);
    CHECK(operations_open(&s->operations, directory, s->keys, &s->rng.rng, 0) == 0);
}

static void fill(struct shop *s)
{
    const struct world *w = s->world;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct buf payload CLEANUP(buf_free) = buf(8192), envelope CLEANUP(buf_free) = buf(8192);
    int64_t number;
    CHECK(transaction_begin(&t, s->operations->store) == 0);
    CHECK(accounts_add(s->operations, SHOP_USER, "$argon2id$x", "Alice", "", SHOP_CREDIT, WORLD_NOW_MS) == 0);
    CHECK(accounts_add(s->operations, "mallory", "$argon2id$x", "Mallory", "", 0, WORLD_NOW_MS) == 0);
    CHECK(delegations_partner_add(s->operations, &w->ids[WHO_PARTNER_ROOT], "aurora", "127.0.0.1:2") == 0);
    CHECK(codec_encode(&payload, doc_Keyset_fields, &w->partner) == 0);
    world_sign(w, DOCUMENT_KEYSET, buf_slice(&payload), WHO_PARTNER_ROOT, &envelope);
    CHECK(keyset_store(s->operations, &w->ids[WHO_PARTNER_ROOT], buf_slice(&envelope), WORLD_NOW_MS, &number) == 0);
    stock(s);
    register_device(s, WHO_SELF, "kitchen");
    register_device(s, WHO_SOURCE, "attic");
    CHECK(transaction_commit(&t) == 0);
}

struct shop *shop_get(void)
{
    static struct shop *made;
    if (made)
        return made;
    struct shop *s = calloc(1, sizeof(*s));
    const char *base = getenv("TMPDIR");
    CHECK(s);
    CHECK(setenv("HEARTH_LOG", "error", 0) == 0);
    log_init("fuzz");
    snprintf(directory, sizeof(directory), "%.40s/hearth-shop-XXXXXX", base ? base : "/tmp");
    CHECK(mkdtemp(directory) && atexit(remove_directory) == 0);
    s->world = world_get();
    rng_fake_init(&s->rng, 77);
    open_up(s);
    fill(s);
    made = s;
    return made;
}

/* What a vault would say: it is current. */
static void present(struct shop *s, enum who who, struct caller *caller)
{
    msg_Present m = msg_Present_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(m.statement.bytes)),
                        bytes CLEANUP(buf_free) = buf(msg_Present_size);
    struct signer signer;
    struct reply reply;
    doc_Generation g = { .session = caller->session, .current = true };
    memcpy(g.distributor, s->keys->self.bytes, sizeof(g.distributor));
    memcpy(g.client, caller->client.bytes, sizeof(g.client));
    signer_from_pair(&signer, &s->world->keys[who]);
    reply_init(&reply);
    CHECK(document_sign(&envelope, DOCUMENT_GENERATION, &g, &signer) == 0);
    CHECK(CODEC_SET_BYTES(m.statement, buf_slice(&envelope)) == 0 && CODEC_ENCODE(msg_Present, &bytes, &m) == 0);
    CHECK(requests_run(s->operations, caller, msg_Type_PRESENT, buf_slice(&bytes), slice(NULL, 0), &reply) == 0);
    reply_free(&reply);
}

void shop_caller(struct shop *s, enum who who, struct caller *out)
{
    struct reply reply;
    struct buf bytes CLEANUP(buf_free) = buf(64);
    msg_Hello hello = { .role = 1, .generation = 1 };
    *out = (struct caller){ .role = REQUESTS_DEVICE, .client = s->world->ids[who], .now_ms = WORLD_NOW_MS };
    memcpy(out->key, s->world->keys[who].public_key, 32);
    reply_init(&reply);
    CHECK(CODEC_ENCODE(msg_Hello, &bytes, &hello) == 0);
    CHECK(requests_run(s->operations, out, msg_Type_HELLO, buf_slice(&bytes), slice(NULL, 0), &reply) == 0);
    out->session = reply.session;
    reply_free(&reply);
    if (out->session != 0)
        present(s, who, out);
}

void shop_caller_partner(struct shop *s, struct caller *out)
{
    *out = (struct caller){ .role = REQUESTS_DISTRIBUTOR,
                            .partner = s->world->ids[WHO_PARTNER_ROOT],
                            .partner_keyset = &s->world->partner,
                            .now_ms = WORLD_NOW_MS };
    memcpy(out->key, s->world->keys[WHO_PARTNER_LICENSE].public_key, 32);
}

void shop_check(struct shop *s)
{
    char user[OPERATIONS_NAME_BYTES];
    while (roster_take_touched(s->operations, user))
        ;
    static const char *const users[] = { SHOP_USER, "mallory" };
    struct ledger_audit audit;
    CHECK(ledger_check(s->operations, &audit) == 0);
    CHECK(audit.uneven_posting == 0 && audit.drifted_entry == 0);
    for (size_t i = 0; i < ARRAY_COUNT(users); i++) {
        struct account account;
        int64_t balance;
        int r = accounts_find(s->operations, users[i], &account);
        if (r == OPERATIONS_ABSENT) /* erased: nothing is owed then */
            account.credit_limit = 0;
        CHECK(r == 0 || r == OPERATIONS_ABSENT);
        CHECK(billing_balance(s->operations, users[i], &balance) == 0 && balance >= -account.credit_limit &&
              balance <= 0);
    }
}
