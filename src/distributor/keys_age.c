/* Which of our keys count: said from the stored keyset, so that nothing has to be remembered. */
#include "distributor/keys_age.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "distributor/keyset.h"

static enum keys_age age_of(const doc_Keyset *own, enum key_purpose purpose, const uint8_t key[32], int64_t now_ms,
                            int64_t *ends_ms)
{
    uint64_t latest_ms = 0, ours_ms = 0;
    bool listed = false;
    for (pb_size_t i = 0; i < own->keys_count; i++) {
        const doc_Key *k = &own->keys[i];
        if (k->purpose != (uint32_t)purpose)
            continue;
        latest_ms = u64_max(latest_ms, k->ends_ms);
        if (memcmp(k->key, key, sizeof(k->key)) != 0)
            continue;
        listed = true;
        ours_ms = k->ends_ms;
    }
    *ends_ms = (int64_t)ours_ms;
    if (listed && ours_ms == latest_ms)
        return KEYS_NEWEST;
    return listed && now_ms < (int64_t)ours_ms ? KEYS_FORMER : KEYS_GONE;
}

void keys_ages_of(const doc_Keyset *own, const struct keys *k, int64_t now_ms, struct keys_ages *out)
{
    *out = (struct keys_ages){ .until_ms = INT64_MAX };
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++) {
        int64_t ends_ms;
        out->of[p] = age_of(own, p, keys_public(k, p), now_ms, &ends_ms);
        if (out->of[p] > out->of[0])
            out->of[0] = out->of[p];
        if (out->of[p] == KEYS_FORMER && ends_ms < out->until_ms)
            out->until_ms = ends_ms;
    }
}

int keys_ages_read(struct operations *o, const struct keys *k, int64_t now_ms, struct keys_ages *out)
{
    doc_Keyset *own CLEANUP(freep) = malloc(sizeof(*own));
    int r = own != NULL ? keyset_own(o, own) : -ENOMEM;
    if (r == 0)
        keys_ages_of(own, k, now_ms, out);
    return r;
}

bool keys_ages_not_older(const struct keys_ages *a, const struct keys_ages *b)
{
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++)
        if (a->of[p] > b->of[p])
            return false;
    return true;
}

int keys_usable(struct operations *o, int64_t now_ms)
{
    struct keys_ages ages;
    int r = keys_ages_read(o, o->keys, now_ms, &ages);
    return r == 0 && ages.of[0] == KEYS_GONE ? -EKEYREVOKED : r;
}

/* "license, tls" */
static const char *names_of(const struct keys_ages *a, char out[64])
{
    static const char *const names[] = {
        [KEY_TLS] = "tls", [KEY_LICENSE] = "license", [KEY_ROSTER] = "roster", [KEY_SEALING] = "sealing"
    };
    size_t len = 0;
    out[0] = '\0';
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++)
        if (a->of[p] != KEYS_NEWEST)
            len += (size_t)snprintf(out + len, 64 - len, "%s%s", len > 0 ? ", " : "", names[p]);
    return out;
}

const char *keys_ages_text(const struct keys_ages *a, char out[KEYS_AGE_TEXT_BYTES])
{
    char names[64];
    out[0] = '\0';
    if (a->of[0] == KEYS_NEWEST)
        return out;
    snprintf(
        out, KEYS_AGE_TEXT_BYTES,
        "keys/ here has keys of before (%s): %s. Copy the files of keys/ from the machine on which they were changed; a server that runs takes them by "
        "itself. If they are lost: keys rotate",
        names_of(a, names),
        a->of[0] == KEYS_GONE ? "nobody takes what they sign, so nothing is served or changed with them"
                              : "what they sign counts for an hour only");
    return out;
}
