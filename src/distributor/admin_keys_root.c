/* keys sign, keys root, keys wrap: the root key, which is elsewhere or goes there, and tokens. One thread. */
#include <limits.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/util.h"
#include "distributor/admin_keys.h"
#include "distributor/keyset.h"

int admin_keys_root_failed(struct admin *a, int r, const char *doing)
{
    if (r == KEYS_NO_ROOT)
        return admin_fail(
            a, REASON_NOT_PERMITTED,
            "Cannot %s: the root key is not on this machine. Carry a request to it: hearth-distributor keys request FILE",
            doing);
    if (r == KEYS_TOKEN)
        return admin_fail(a, REASON_NOT_PERMITTED, "Cannot %s: the token does not do it; the log line above says why.",
                          doing);
    return admin_error(a, r, doing);
}

const char *admin_keys_root_place(const struct admin *a)
{
    return a->keys->has_root ? "a file" : keys_root_in_token(a->state_dir) ? "a token" : "elsewhere";
}

static void show(struct admin *a, const doc_Keyset *k, const char *out)
{
    struct out_list l;
    struct id self = id_from(k->distributor);
    const struct out_field head[] = { OUT_T("signed", out),
                                      OUT_T("name", k->name),
                                      OUT_I("distributor", &self),
                                      OUT_N("sequence", k->sequence),
                                      OUT_MS("issued", k->issued_ms),
                                      OUT_MS("ends", k->ends_ms),
                                      OUT_N("partners-limited", k->floors_count) };
    out_list_begin(&l, a, "keys");
    out_list_head(&l, head, ARRAY_COUNT(head));
    for (pb_size_t i = 0; i < k->keys_count; i++) {
        struct id id = id_from(k->keys[i].key);
        const struct out_field fields[] = { OUT_T("purpose", admin_keys_purpose(k->keys[i].purpose)),
                                            OUT_MS("ends", k->keys[i].ends_ms), OUT_I("key", &id) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
}

/* On the machine of the root key: no state directory is opened. */
static int sign_request(struct admin *a, const struct signer *signer, const char *request, const char *out)
{
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k));
    struct buf bytes CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX),
                     envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    struct id root = sign_key_id(signer->algorithm, signer->public_key);
    if (k == NULL)
        return admin_error(a, -ENOMEM, "sign");
    int r = admin_keys_read(a, request, &bytes);
    if (r != 0)
        return r;
    if (CODEC_DECODE(doc_Keyset, buf_slice(&bytes), k) != 0)
        return admin_fail(a, REASON_MALFORMED, "%s is no request for a keyset.", request);
    if (!id_equal(k->distributor, &root))
        return admin_fail(a, REASON_NOT_PERMITTED, "%s is of another distributor than this root key's.", request);
    r = document_sign(&envelope, DOCUMENT_KEYSET, k, signer);
    if (r == 0)
        r = file_replace(out, buf_slice(&envelope), 0600);
    if (r != 0)
        return admin_error_at(a, r > 0 ? -EMSGSIZE : r, "write the answer", out);
    show(a, k, out);
    return ADMIN_DONE;
}

int admin_keys_sign(struct admin *a, const char *root_file, const struct token_place *place, const char *request,
                    const char *out)
{
    struct sign_pair pair = { .public_key = { 0 } };
    struct token *token = NULL;
    struct signer signer;
    int r = root_file != NULL ? keys_root_read(root_file, &pair) : token_open(&token, place);
    if (r == 0 && root_file != NULL)
        signer_from_pair(&signer, &pair);
    else if (r == 0)
        r = token_signer(token, &signer);
    if (r == 0)
        r = sign_request(a, &signer, request, out);
    else if (root_file != NULL)
        r = r == -EUCLEAN ? admin_fail(a, REASON_MALFORMED, "%s is no root key (Ed25519, PKCS#8 in PEM).", root_file)
                          : admin_error_at(a, r, "read the root key", root_file);
    else
        r = r < 0
                ? admin_error(a, r, "use the token")
                : admin_fail(a, REASON_NOT_PERMITTED,
                             r == TOKEN_WRONG_PIN ? "The token refused the PIN; it was not tried again."
                             : r == TOKEN_NO_PIN  ? "The token wants a PIN: --pin-file FILE, or run this at a terminal."
                             : r == TOKEN_PIN_URL
                                 ? "The token's URL holds a PIN, and others see command lines: use --pin-file FILE."
                             : r == TOKEN_UNFIT ? "The token's key is neither an Ed25519 nor a P-256 key."
                                                : "The token is not there, or holds no such key.");
    secret_wipe(&pair, sizeof(pair));
    token_free(token);
    return r;
}

static int print_root(struct admin *a, const char *where)
{
    const struct out_field fields[] = { OUT_T("root-key", where), OUT_I("distributor", &a->keys->self) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_keys_root_export(struct admin *a, const char *path)
{
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = keys_root_export(a->keys, a->state_dir, path);
    if (r == KEYS_NO_ROOT)
        return admin_fail(a, REASON_NOT_PERMITTED,
                          keys_root_in_token(a->state_dir)
                              ? "The root key is in a token, which gives no key away: there is nothing to export."
                              : "The root key is not on this machine: it was exported before.");
    if (r < 0) {
        char doing[PATH_MAX + 32];
        snprintf(doing, sizeof(doing), "write the root key to %s", path);
        return admin_error(a, r, doing);
    }
    if (r != 0)
        return admin_keys_root_failed(a, r, "take the root key away");
    if (!a->json)
        fprintf(stderr,
                "hearth-distributor: a server that runs has the key in its memory until it is started again.\n");
    return print_root(a, path);
}

int admin_keys_root_token(struct admin *a, const struct token_place *place)
{
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = keys_root_to_token(a->keys, a->state_dir, place);
    return r == 0 ? print_root(a, place->url) : admin_keys_root_failed(a, r, "use the root key of the token");
}

int admin_keys_wrap(struct admin *a, const struct token_place *place)
{
    int r = keys_wrap(a->state_dir, rng_system(), place);
    if (r == -EALREADY)
        return admin_fail(a, REASON_ALREADY, "The keys are wrapped already.");
    if (r != 0)
        return admin_keys_root_failed(a, r, "wrap the keys");
    r = admin_open(a);
    return r == 0 ? print_root(a, a->keys->has_root ? "wrapped, in a file" : admin_keys_root_place(a)) : r;
}
