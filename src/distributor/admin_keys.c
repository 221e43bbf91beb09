/* keys: what there is, rotating, withdrawing, installing. One thread. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_keys.h"
#include "distributor/endings.h"
#include "distributor/keyset.h"
#include "distributor/rotation.h"
#include "distributor/storage.h"

/* The last two: a license key that was withdrawn, and counts for the shared rows of before alone, or for nothing. A person is told what it was. */
static const char *const purposes[] = { NULL, "tls", "license", "roster", "sealing", "shared", "withdrawn" };

const char *admin_keys_purpose(uint32_t purpose)
{
    return purpose < ARRAY_COUNT(purposes) && purpose > 0 ? purposes[purpose] : "?";
}

/* 0: there is no such purpose that is rotated. */
static enum key_purpose purpose_of(const char *word)
{
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++)
        if (strcmp(purposes[p], word) == 0)
            return p;
    return 0;
}

/* --- list ---------------------------------------------------------------------------------------------------------- */

static const char *state_of(const struct admin *a, const struct keys_ages *ages, const doc_Key *k)
{
    enum key_purpose p = (enum key_purpose)k->purpose;
    if (p > KEY_SEALING)
        return "withdrawn";
    bool gone = false;
    if (keyset_is_withdrawn(a->o, k->key, &gone) == 0 && gone)
        return "to be withdrawn";
    if (memcmp(k->key, keys_public(a->keys, p), sizeof(k->key)) == 0)
        return ages->of[p] == KEYS_NEWEST ? "in use" : "former, and here";
    const struct keys_next *next = &a->keys->next[p - 1];
    return next->there && memcmp(k->key, next->public_key, sizeof(k->key)) == 0 ? "next" : "former";
}

static int keys_list(struct admin *a)
{
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k));
    struct out_list l;
    int r = k != NULL ? admin_open(a) : -ENOMEM;
    if (r != 0)
        return r > 0 ? r : admin_error(a, r, "list the keys");
    r = keyset_own(a->o, k);
    if (r != 0)
        return admin_error(a, r, "list the keys");
    struct endings *e CLEANUP(freep) = malloc(sizeof(*e));
    r = e != NULL ? endings_read(a->o, a->now_ms, e) : -ENOMEM;
    if (r != 0)
        return admin_error(a, r, "list the keys");
    unsigned due = 0;
    struct keys_ages ages;
    keys_ages_of(k, a->keys, a->now_ms, &ages);
    r = keyset_due(a->o, a->now_ms, &due);
    if (r != 0)
        return admin_error(a, r, "list the keys");
    struct storage_list storage;
    char storage_key[KEYS_STORAGE_TEXT_BYTES], storage_in[KEYS_PLACE_BYTES];
    r = storage_list(a->o, &storage);
    if (r == 0)
        r = keys_storage_place(a->state_dir, storage_in, NULL);
    if (r != 0)
        return admin_error(a, r, "list the keys");
    keys_storage_text(&storage.ids[0], storage_key);
    const struct out_field head[] = { OUT_N("sequence", k->sequence),
                                      OUT_MS("ends", k->ends_ms),
                                      OUT_T("due", keyset_due_asks(due, a->keys->has_root)),
                                      OUT_F("root-here", a->keys->has_root),
                                      OUT_T("root-in", admin_keys_root_place(a)),
                                      OUT_F("wrapped", a->keys->is_wrapped),
                                      OUT_N("ending-soon", e->count + e->more),
                                      OUT_T("storage-key", storage_key),
                                      OUT_T("storage-in", storage_in[0] != '\0' ? storage_in : "a file"),
                                      OUT_F("storage-changing", storage_is_changing(a->o, &storage)) };
    out_list_begin(&l, a, "keys");
    out_list_head(&l, head, ARRAY_COUNT(head));
    for (pb_size_t i = 0; i < k->keys_count; i++) {
        struct id id = id_from(k->keys[i].key);
        const char *purpose = admin_keys_purpose(k->keys[i].purpose);
        if (k->keys[i].purpose > KEY_SEALING && !a->json)
            purpose = purposes[KEY_LICENSE];
        const struct out_field fields[] = { OUT_T("purpose", purpose), OUT_T("state", state_of(a, &ages, &k->keys[i])),
                                            OUT_MS("ends", k->keys[i].ends_ms), OUT_I("key", &id) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return ADMIN_DONE;
}

/* --- rotate, withdraw ---------------------------------------------------------------------------------------------- */

static int reopen(struct admin *a)
{
    admin_close(a);
    return admin_open(a);
}

/* The next keys of these purposes are on disk, and loaded. 0 or an exit code. */
static int prepare(struct admin *a, const bool wanted[KEYS_PURPOSES + 1])
{
    int r = admin_open(a);
    for (enum key_purpose p = KEY_TLS; r == 0 && p <= KEY_SEALING; p++) {
        if (!wanted[p])
            continue;
        int made = keys_prepare(a->keys, a->state_dir, rng_system(), p);
        if (made != 0)
            return admin_error(a, made, "make a key");
    }
    return r == 0 ? reopen(a) : r;
}

/* The keyset is stored; what stands behind it follows. 0 or an exit code. */
static int finish(struct admin *a)
{
    bool changed;
    int r = admin_commit(a);
    if (r != 0)
        return r;
    r = rotation_settle(a->o, &changed);
    if (r != 0)
        return admin_error(a, r, "put the new keys in place; the next command or start goes on with it");
    return keys_list(a);
}

/* What a withdrawn key has signed: rosters are issued anew when they are asked for, the rest by a server or the next command. */
static int issue(struct admin *a, const char *doing)
{
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = keyset_issue(a->o, a->now_ms);
    return r == 0 ? finish(a) : admin_keys_root_failed(a, r, doing);
}

/* What is changed while the root key is elsewhere is in the request. */
static int keys_change(struct admin *a, const char *request, const char *doing)
{
    if (request == NULL)
        return issue(a, doing);
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k));
    struct buf bytes CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    int r = k != NULL ? keyset_propose(a->o, a->now_ms, k) : -ENOMEM;
    if (r == 0)
        r = CODEC_ENCODE(doc_Keyset, &bytes, k);
    if (r == 0)
        r = file_replace(request, buf_slice(&bytes), 0600);
    if (r != 0)
        return admin_error_at(a, r > 0 ? -EMSGSIZE : r, "write the request", request);
    const struct out_field fields[] = { OUT_T("request", request), OUT_N("sequence", k->sequence),
                                        OUT_N("keys", k->keys_count) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static bool root_is_elsewhere(const struct admin *a) { return !a->keys->has_root && !keys_root_in_token(a->state_dir); }

/* The root key is elsewhere: the new keys are made, and wait here for what it has to sign. */
static int say_rotated(struct admin *a, const bool wanted[KEYS_PURPOSES + 1])
{
    char made[64] = "";
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++)
        if (wanted[p])
            snprintf(made + strlen(made), sizeof(made) - strlen(made), "%s%s", made[0] != '\0' ? " " : "", purposes[p]);
    const struct out_field fields[] = {
        OUT_T("made", made),
        OUT_T("needed",
              "the root key is not here: what it signs lets the new keys count, and until then those of before do. "
              "hearth-distributor keys request FILE; keys sign where it is; keys install")
    };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int keys_rotate(struct admin *a, int argc, char **argv, const char *request)
{
    a->any_keys = true; /* who lost the newest ones makes others */
    bool wanted[KEYS_PURPOSES + 1] = { false };
    for (int i = 0; i < argc; i++) {
        enum key_purpose p = purpose_of(argv[i]);
        if (p == 0)
            return admin_usage(
                a,
                "keys rotate [tls] [license] [roster] [sealing]; without a word, all of them; or keys rotate storage");
        wanted[p] = true;
    }
    for (enum key_purpose p = KEY_TLS; argc == 0 && p <= KEY_SEALING; p++)
        wanted[p] = true;
    int r = admin_keys_room(a, wanted);
    if (r == 0)
        r = prepare(a, wanted);
    if (r == 0 && request == NULL && root_is_elsewhere(a))
        return say_rotated(a, wanted);
    return r == 0 ? keys_change(a, request, "rotate the keys") : r;
}

/* By a prefix of the key, as `keys list` shows it, or by the purpose: the one in use. */
static int find_key(struct admin *a, const char *word, doc_Key *out)
{
    doc_Keyset *k CLEANUP(freep) = malloc(sizeof(*k));
    enum key_purpose p = purpose_of(word);
    unsigned found = 0;
    int r = k != NULL ? keyset_own(a->o, k) : -ENOMEM;
    for (pb_size_t i = 0; r == 0 && i < k->keys_count; i++) {
        char text[ID_TEXT_BYTES];
        struct id id = id_from(k->keys[i].key);
        id_text(&id, text);
        if (k->keys[i].purpose > KEY_SEALING)
            continue;
        if (p != 0 ? memcmp(k->keys[i].key, keys_public(a->keys, p), 32) != 0 : strncmp(text, word, strlen(word)) != 0)
            continue;
        *out = k->keys[i];
        found++;
    }
    if (r != 0)
        return admin_error(a, r, "look for the key");
    if (found == 1)
        return 0;
    return found == 0 ? admin_fail(a, REASON_NOT_FOUND,
                                   "No key that is listed begins with %s: hearth-distributor keys list", word)
                      : admin_fail(a, REASON_AMBIGUOUS, "%s fits several keys.", word);
}

/* Before anything is asked of the root key: it is not forgotten with a request that is lost. */
static int mark_withdrawn(struct admin *a, const uint8_t key[32])
{
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = keyset_withdraw(a->o, key, a->now_ms);
    return r == 0 ? admin_commit(a) : admin_error(a, r, "withdraw the key");
}

/* The root key is elsewhere: what is done here, and what is still to be done. */
static int say_withdrawn(struct admin *a, const doc_Key *key)
{
    struct id id = id_from(key->key);
    const struct out_field fields[] = {
        OUT_I("key", &id), OUT_T("purpose", purposes[key->purpose]),
        OUT_T(
            "needed",
            "the root key is not here, and until it has signed a keyset without this key everybody takes what the key signs: "
            "hearth-distributor keys request FILE")
    };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int keys_withdraw(struct admin *a, const char *word, const char *request)
{
    doc_Key key;
    bool wanted[KEYS_PURPOSES + 1] = { false };
    int r = admin_open(a);
    if (r == 0)
        r = find_key(a, word, &key);
    if (r != 0)
        return r;
    if (memcmp(key.key, keys_public(a->keys, (enum key_purpose)key.purpose), sizeof(key.key)) == 0) {
        wanted[key.purpose] = true; /* it is in use: another one takes its place */
        admin_close(a);
        r = prepare(a, wanted);
    }
    if (r == 0)
        r = mark_withdrawn(a, key.key);
    if (r != 0)
        return r;
    if (request == NULL && root_is_elsewhere(a))
        return say_withdrawn(a, &key);
    return keys_change(a, request, "sign a keyset without the key, which is withdrawn here");
}

/* --- install ------------------------------------------------------------------------------------------------------- */

int admin_keys_read(struct admin *a, const char *path, struct buf *out)
{
    int r = admin_read_file(path, out);
    return r == 0          ? 0
           : r == BUF_FULL ? admin_fail(a, REASON_TOO_LARGE, "%s is no such file: it is too large.", path)
                           : admin_error_at(a, r, "read", path);
}

static int keys_install(struct admin *a, const char *file)
{
    const char *why = "";
    struct buf envelope CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    a->any_keys = true; /* those that it lists may be the first that count again */
    struct buf installed CLEANUP(buf_free) = buf(KEYSET_ENVELOPE_MAX);
    int r = admin_keys_read(a, file, &envelope);
    if (r == 0)
        r = admin_begin(a);
    if (r != 0)
        return r;
    r = keyset_current(a->o, &installed);
    if (r != 0)
        return admin_error(a, r, "read the keyset");
    if (!slice_equal(buf_slice(&envelope), buf_slice(&installed))) /* else it was, and what stands behind it follows */
        r = keyset_install(a->o, buf_slice(&envelope), a->now_ms, &why);
    if (r > 0 && r < REASON_COUNT)
        return admin_fail(a, REASON_KEYSET_INVALID,
                          "%s is not taken: %s. Make a new request: hearth-distributor keys request FILE", file, why);
    return r == 0 ? finish(a) : admin_error(a, r, "install the keyset");
}

/* --- The command --------------------------------------------------------------------------------------------------- */

enum { KEYS_REQUEST, KEYS_ROOT, KEYS_TOKEN_URL, KEYS_MODULE, KEYS_PIN_FILE, KEYS_HERE, KEYS_PREPARE, KEYS_OPTIONS };

int admin_absolute(struct admin *a, struct admin_option *o, char out[PATH_MAX])
{
    if (!o->given)
        return 0;
    if (realpath(o->text, out) == NULL)
        return admin_fail(a, REASON_NOT_FOUND, "There is no file %s (--%s).", o->text, o->name);
    o->text = out;
    return 0;
}

/* A server has to open the token by itself. */
static int rotate_storage(struct admin *a, const struct admin_option *options, const struct token_place *place)
{
    bool token = options[KEYS_TOKEN_URL].given, here = options[KEYS_HERE].given;
    if ((token && here) || options[KEYS_REQUEST].given || token != options[KEYS_PIN_FILE].given ||
        (options[KEYS_MODULE].given && !token))
        return admin_usage(
            a, "keys rotate storage [--here | --token URL --pin-file F [--module F]] [--prepare]; see keys --help");
    const struct storage_place to = { .here = here,
                                      .token = token ? place : NULL,
                                      .only_prepare = options[KEYS_PREPARE].given };
    return admin_storage_rotate(a, &to);
}

int admin_keys(struct admin *a, int argc, char **argv)
{
    struct admin_option options[KEYS_OPTIONS] = { { .name = "request" },
                                                  { .name = "root" },
                                                  { .name = "token" },
                                                  { .name = "module" },
                                                  { .name = "pin-file" },
                                                  { .name = "here", .kind = ADMIN_FLAG },
                                                  { .name = "prepare", .kind = ADMIN_FLAG } };
    char module[PATH_MAX], pin[PATH_MAX];
    int r = admin_options(a, options, KEYS_OPTIONS, &argc, argv);
    if (r == 0)
        r = admin_absolute(a, &options[KEYS_MODULE], module);
    if (r == 0)
        r = admin_absolute(a, &options[KEYS_PIN_FILE], pin);
    if (r != 0)
        return r;
    const struct token_place place = { options[KEYS_TOKEN_URL].text, options[KEYS_MODULE].text,
                                       options[KEYS_PIN_FILE].text };
    const char *verb = argc > 0 ? argv[0] : "list", *request = options[KEYS_REQUEST].text;
    if (strcmp(verb, "list") == 0 && argc <= 1)
        return keys_list(a);
    if (strcmp(verb, "rotate") == 0 && argc == 2 && strcmp(argv[1], "storage") == 0)
        return rotate_storage(a, options, &place);
    if (options[KEYS_HERE].given || options[KEYS_PREPARE].given)
        return admin_usage(a, "--here and --prepare belong to keys rotate storage");
    if (strcmp(verb, "rotate") == 0)
        return keys_rotate(a, argc - 1, argv + 1, request);
    if (strcmp(verb, "withdraw") == 0 && argc == 2)
        return keys_withdraw(a, argv[1], request);
    if (strcmp(verb, "request") == 0 && argc == 2) {
        r = admin_open(a);
        return r == 0 ? keys_change(a, argv[1], "ask for a keyset") : r;
    }
    if (strcmp(verb, "sign") == 0 && argc == 3 && options[KEYS_ROOT].given != options[KEYS_TOKEN_URL].given)
        return admin_keys_sign(a, options[KEYS_ROOT].text, &place, argv[1], argv[2]);
    if (strcmp(verb, "install") == 0 && argc == 2)
        return keys_install(a, argv[1]);
    if (strcmp(verb, "root") == 0 && argc == 3 && strcmp(argv[1], "export") == 0)
        return admin_keys_root_export(a, argv[2]);
    if (strcmp(verb, "root") == 0 && argc == 2 && strcmp(argv[1], "token") == 0 && options[KEYS_TOKEN_URL].given)
        return admin_keys_root_token(a, &place);
    if (strcmp(verb, "wrap") == 0 && argc == 1 && options[KEYS_TOKEN_URL].given)
        return admin_keys_wrap(a, &place);
    return admin_usage(
        a,
        "keys list | rotate | withdraw KEY | request FILE | sign REQUEST OUT | install FILE | root export FILE | root token | wrap; see keys --help");
}
