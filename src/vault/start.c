/* The parts of the vault, one after the other. */
#include "vault/start.h"

#include "vault/behind.h"
#include "vault/certificates.h"
#include "vault/counter.h"
#include "vault/db.h"
#include "vault/in_use.h"
#include "vault/keys.h"
#include "vault/play.h"
#include "vault/service.h"
#include "vault/whole.h"

int vault_start(struct vault *v, const char *path, struct keys **keys)
{
    int r = db_open(&v->store, path);
    if (r == STORE_NEWER)
        r = -EPROTONOSUPPORT;
    if (r == 0)
        r = keys_load(v, keys);
    if (r == 0)
        r = whole_follow(v); /* before anything is written */
    if (r == 0)
        r = counter_start(v);
    if (r == 0)
        r = certificates_forget_ended(v);
    if (r == 0)
        r = in_use_settle_left(v);
    if (r == 0)
        r = services_init(v);
    if (r == 0)
        r = behind_init(v);
    return r == 0 ? plays_init(v) : r;
}

void vault_stop(struct vault *v, struct keys *keys)
{
    plays_deinit(v);
    behind_deinit(v);
    services_deinit(v);
    store_close(v->store);
    keys_free(keys);
    secret_free(v->row_key);
}
