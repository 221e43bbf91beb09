/* Login tokens in the database (table login), each under the storage key and bound to its distributor. */
#include "vault/logins.h"

#include "crypto/seal.h"
#include "protocol/login_token.h"
#include "vault/db.h"
#include "vault/keys.h"
#include "vault/sealed.h"

#define LABEL "hearth vault login"

static int keep(struct vault *v, const uint8_t distributor[ID_BYTES], const struct key32 *token)
{
    struct buf sealed CLEANUP(buf_free) = buf(LOGIN_TOKEN_BYTES + SEALED_OVERHEAD_BYTES);
    int r = sealed_put(v, LABEL, slice(distributor, ID_BYTES), SLICE_ARRAY(token->bytes), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_LOGIN_PUT);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    query_bind_blob(&q, 2, buf_slice(&sealed));
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* Its keyset was checked here: registered, or the issuer of a license that came in a copy. 0, REASON_NOT_REGISTERED, -errno. */
static int is_known(struct vault *v, const uint8_t distributor[ID_BYTES])
{
    struct query q CLEANUP(query_end) = query(v->store, DB_KEYSET_GET);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    int r = query_one(&q);
    if (r == STORE_ABSENT || (r == 0 && query_is_null(&q, 1)))
        return REASON_NOT_REGISTERED;
    return r > 0 ? -EUCLEAN : r;
}

int logins_store(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_LoginStore *m = rq->message;
    int r = is_known(v, m->distributor);
    if (r != 0)
        return r;
    struct key32 token;
    r = seal_open(&v->keys->sealing_secret, SLICE_ARRAY(m->token), token.bytes);
    if (r == 0)
        r = keep(v, m->distributor, &token);
    else if (r > 0)
        r = REASON_MALFORMED;
    secret_wipe(&token, sizeof(token));
    return r;
}

/* 0, REASON_LOGIN_NEEDED, -errno. */
static int find(struct vault *v, const uint8_t distributor[ID_BYTES], struct key32 *token)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_LOGIN_GET);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    int r = query_one(&q);
    if (r == STORE_ABSENT)
        return REASON_LOGIN_NEEDED;
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    if (r == 0 && sealed.len != LOGIN_TOKEN_BYTES + SEALED_OVERHEAD_BYTES)
        r = -EUCLEAN;
    return r == 0 ? sealed_open(v, LABEL, slice(distributor, ID_BYTES), sealed, token->bytes) : r;
}

int logins_prove(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_LoginProve *m = rq->message;
    struct key32 token;
    int r = find(v, m->distributor, &token);
    if (r != 0)
        return r;
    struct id distributor = id_from(m->distributor);
    login_token_prove(&token, &distributor, &v->keys->client, m->challenge, reply->login.key, reply->login.proof);
    secret_wipe(&token, sizeof(token));
    reply->type = vlt_Type_LOGIN_PROOF;
    reply->fields = vlt_LoginProof_fields;
    return 0;
}

int logins_forget(struct vault *v, const void *distributor)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_LOGIN_DROP);
    query_bind_blob(&q, 1, slice(distributor, ID_BYTES));
    int r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

int logins_drop(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_LoginDrop *m = rq->message;
    return logins_forget(v, m->distributor);
}
