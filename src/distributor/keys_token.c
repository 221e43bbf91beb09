/* Where keys are that are not in plain files: the root key in a token or offline, the others wrapped under a token's key. */
#define LOG_MODULE "keys"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "crypto/pkcs8.h"
#include "distributor/keys_internal.h"

#define ROOT_TOKEN "root.token"
#define WRAP_TOKEN "wrap.token"
#define WRAP_KEY "wrap.key"
#define IN_TOKEN "hearth key in a token\n"

/* --- Where a token is: three lines, URL, module or nothing, PIN file or nothing ----------------------------------------- */

struct place {
    struct token_place place;
    char text[KEYS_PLACE_BYTES];
};

static int place_text(const struct token_place *place, char text[KEYS_PLACE_BYTES])
{
    const char *module = place->module != NULL ? place->module : "",
               *pin = place->pin_file != NULL ? place->pin_file : "";
    int len = snprintf(text, KEYS_PLACE_BYTES, "%s\n%s\n%s\n", place->url, module, pin);
    return len < 0 || len >= KEYS_PLACE_BYTES || strchr(place->url, '\n') != NULL || strchr(module, '\n') != NULL ||
                   strchr(pin, '\n') != NULL
               ? -EINVAL
               : 0;
}

static int write_place(const char *state_dir, const char *file, const struct token_place *place)
{
    char text[KEYS_PLACE_BYTES], path[KEYS_PATH_BYTES];
    int r = place_text(place, text);
    if (r == 0)
        r = keys_path(state_dir, file, path, sizeof(path));
    return r == 0 ? file_replace(path, slice_str(text), 0600) : r;
}

static const char *take_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (end == NULL)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line;
}

/* text: terminated; what *place borrows. */
static int parse_place(char *text, struct token_place *place)
{
    char *at = text;
    const char *url = take_line(&at), *module = url != NULL ? take_line(&at) : NULL,
               *pin = module != NULL ? take_line(&at) : NULL;
    if (pin == NULL)
        return -EUCLEAN;
    *place = (struct token_place){ url, module[0] != '\0' ? module : NULL, pin[0] != '\0' ? pin : NULL };
    return 0;
}

static int read_place(const char *state_dir, const char *file, struct place *out)
{
    char path[KEYS_PATH_BYTES];
    struct buf text CLEANUP(buf_free) = buf(sizeof(out->text) - 1);
    int r = keys_path(state_dir, file, path, sizeof(path));
    if (r == 0)
        r = file_read_regular(path, &text);
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    if (text.len > 0)
        memcpy(out->text, text.data, text.len);
    out->text[text.len] = '\0';
    return parse_place(out->text, &out->place);
}

static void note_pin(const struct token_place *place, char out[KEYS_PLACE_BYTES])
{
    (void)snprintf(out, KEYS_PLACE_BYTES, "%s", place->pin_file != NULL ? place->pin_file : "");
}

size_t keys_token_pins(const char *state_dir, char out[KEYS_TOKENS_MAX][KEYS_PLACE_BYTES])
{
    static const char *const files[] = { ROOT_TOKEN, WRAP_TOKEN };
    struct token_place storage;
    struct place place;
    char text[KEYS_PLACE_BYTES];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++)
        if (read_place(state_dir, files[i], &place) == 0)
            note_pin(&place.place, out[count++]);
    if (keys_storage_place(state_dir, text, &storage) == 0 && text[0] != '\0')
        note_pin(&storage, out[count++]);
    return count;
}

/* Outcomes of the PIN file, which must not be taken for those of a key file. */
static bool is_pin_file(int r) { return r == -ENOENT || r == -EPERM || r == -EUCLEAN; }

/* Says in the log what a person has to do; a token never says why to anybody else. */
static int open_token(struct token **out, const char *state_dir, const struct token_place *place, const char *what)
{
    if (keys_pin_was_refused(state_dir, place)) {
        log_error(
            "%s: the token refused this PIN before; it is not tried again before the PIN file is changed url=%s pin-file=%s",
            what, place->url, place->pin_file);
        return TOKEN_WRONG_PIN;
    }
    if (place->module != NULL && !keys_module_is_others(state_dir, place->module)) {
        log_error(
            "%s: the token's module is not loaded: it is not there, or lies below the state directory, or belongs "
            "to the user who serves; let root install it module=%s",
            what, place->module);
        return TOKEN_ABSENT;
    }
    int r = token_open(out, place);
    if (r == TOKEN_WRONG_PIN)
        keys_pin_refused(state_dir, place);
    else if (r == 0)
        keys_pin_taken(state_dir, place);
    if (r == TOKEN_ABSENT)
        log_error("%s: its token is not there, or holds no such key url=%s", what, place->url);
    else if (r == TOKEN_WRONG_PIN)
        log_error("%s: the token refused the PIN; it was not tried again url=%s pin-file=%s", what, place->url,
                  place->pin_file != NULL ? place->pin_file : "(none)");
    else if (r == TOKEN_LAST_TRY)
        log_error(
            "%s: the token has one try left, and gets no PIN from a file; give it at a terminal, without pin-file url=%s",
            what, place->url);
    else if (r == TOKEN_NO_PIN)
        log_error("%s: the token wants a PIN; give it with --pin-file, or at a terminal url=%s", what, place->url);
    else if (r == TOKEN_PIN_URL)
        log_error("%s: the token's URL holds a PIN, and others see command lines: use --pin-file", what);
    else if (is_pin_file(r))
        log_error("%s: the PIN file %s pin-file=%s", what,
                  r == -EPERM    ? "can be read by others, refusing it"
                  : r == -ENOENT ? "is not there"
                                 : "has no PIN in its first line",
                  place->pin_file);
    return r;
}

/* --- The root key ------------------------------------------------------------------------------------------------------- */

static int open_root_token(const char *state_dir, const struct token_place *place, struct root_signer *out)
{
    int r = open_token(&out->token, state_dir, place, "the root key");
    if (r != 0)
        return r > 0 || is_pin_file(r) ? KEYS_TOKEN : r;
    r = token_signer(out->token, &out->signer);
    if (r == 0)
        return 0;
    log_error("the root key: the token's key is neither an Ed25519 nor a P-256 key url=%s", place->url);
    keys_root_close(out);
    return r > 0 || is_pin_file(r) ? KEYS_TOKEN : r;
}

static bool is_ours(const struct keys *k, const struct signer *root)
{
    struct id id = sign_key_id(root->algorithm, root->public_key);
    return id_equal(&id, &k->self);
}

int keys_root_open(const struct keys *k, const char *state_dir, struct root_signer *out)
{
    struct place place;
    *out = (struct root_signer){ .token = NULL };
    if (k->has_root) {
        signer_from_pair(&out->signer, &k->root);
        return 0;
    }
    int r = read_place(state_dir, ROOT_TOKEN, &place);
    if (r == 0)
        r = open_root_token(state_dir, &place.place, out);
    if (r == 0 && !is_ours(k, &out->signer)) {
        log_error("the root key: the token holds another key than this distributor's url=%s", place.place.url);
        keys_root_close(out);
        return KEYS_TOKEN;
    }
    return r == -ENOENT ? KEYS_NO_ROOT : r;
}

void keys_root_close(struct root_signer *r)
{
    token_free(r->token);
    *r = (struct root_signer){ .token = NULL };
}

static int write_public(const char *state_dir, enum sign_algorithm algorithm, const uint8_t *public_key)
{
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, KEYS_ROOT_PUBLIC, path, sizeof(path));
    return r == 0 ? file_replace(path, slice(public_key, sign_public_len(algorithm)), 0600) : r;
}

int keys_root_create(const char *state_dir, const struct token_place *place)
{
    struct root_signer root = { .token = NULL };
    int r = open_root_token(state_dir, place, &root);
    if (r == 0)
        r = write_place(state_dir, ROOT_TOKEN, place);
    if (r == 0)
        r = write_public(state_dir, root.signer.algorithm, root.signer.public_key);
    keys_root_close(&root);
    return r;
}

/* Only after whatever takes its place is durable. */
static int remove_root(const char *state_dir)
{
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, keys_files[FILE_ROOT], path, sizeof(path));
    if (r == 0 && unlink(path) != 0 && errno != ENOENT)
        r = -errno;
    return r == 0 ? file_sync_parent(path) : r;
}

int keys_root_to_token(const struct keys *k, const char *state_dir, const struct token_place *place)
{
    struct root_signer root = { .token = NULL };
    int r = open_root_token(state_dir, place, &root);
    if (r == 0 && !is_ours(k, &root.signer)) {
        log_error("the root key: the token holds another key than this distributor's url=%s", place->url);
        r = KEYS_TOKEN;
    }
    keys_root_close(&root);
    if (r == 0)
        r = write_public(state_dir, k->root_algorithm, k->root_public);
    if (r == 0)
        r = write_place(state_dir, ROOT_TOKEN, place);
    return r == 0 ? remove_root(state_dir) : r;
}

int keys_root_export(const struct keys *k, const char *state_dir, const char *path)
{
    char pem[PKCS8_PEM_BYTES];
    if (!k->has_root)
        return KEYS_NO_ROOT;
    if (access(path, F_OK) == 0)
        return -EEXIST;
    int r = file_replace(path, slice(pem, pkcs8_encode(&k->root.seed, pem)), 0600);
    secret_wipe(pem, sizeof(pem));
    if (r == 0)
        r = write_public(state_dir, k->root_algorithm, k->root_public);
    return r == 0 ? remove_root(state_dir) : r;
}

bool keys_root_in_token(const char *state_dir)
{
    char path[KEYS_PATH_BYTES];
    return keys_path(state_dir, ROOT_TOKEN, path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

int keys_root_read(const char *path, struct sign_pair *out)
{
    struct buf pem CLEANUP(buf_free) = buf(2 * PKCS8_PEM_BYTES);
    struct key32 seed CLEANUP(key32_wipe);
    int r = keys_read_file(path, &pem);
    if (r == 0 && !pkcs8_decode(buf_slice(&pem), &seed))
        r = -EUCLEAN;
    if (r == 0)
        sign_pair_init(out, &seed);
    if (pem.data != NULL)
        secret_wipe(pem.data, pem.len);
    return r;
}

/* --- Wrapping ----------------------------------------------------------------------------------------------------------- */

static int unseal(const char *state_dir, const struct token_place *place, struct slice sealed, const char *what,
                  struct key32 *out)
{
    struct token *token = NULL;
    int r = open_token(&token, state_dir, place, what);
    if (r != 0)
        return r == TOKEN_WRONG_PIN || r == TOKEN_LAST_TRY || r == TOKEN_NO_PIN ? -EKEYREJECTED
               : is_pin_file(r)                                                 ? -EACCES
               : r > 0                                                          ? -ENXIO
                                                                                : r;
    r = token_unseal(token, sealed, out);
    token_free(token);
    if (r == TOKEN_UNFIT || r == -EUCLEAN)
        log_error("%s: wrapped for another key than the token's url=%s", what, place->url);
    return r > 0 ? -ENXIO : r;
}

static int seal(const char *state_dir, const struct token_place *place, const struct key32 *key, const char *what,
                struct buf *out)
{
    struct token *token = NULL;
    int r = open_token(&token, state_dir, place, what);
    if (r == 0)
        r = token_seal(token, key, out);
    token_free(token);
    if (r == TOKEN_UNFIT)
        log_error("%s: the token's key is no RSA key of 2048 bits or more url=%s", what, place->url);
    return r > 0 || is_pin_file(r) ? KEYS_TOKEN : r;
}

int keys_load_wrap(struct keys *k, const char *state_dir)
{
    struct place place;
    char path[KEYS_PATH_BYTES];
    struct buf sealed CLEANUP(buf_free) = buf(TOKEN_SEALED_MAX);
    int r = keys_path(state_dir, WRAP_KEY, path, sizeof(path));
    if (r == 0)
        r = keys_read_file(path, &sealed);
    if (r == -ENOENT) /* not wrapped */
        return 0;
    if (r == 0)
        r = read_place(state_dir, WRAP_TOKEN, &place);
    if (r != 0)
        return r == -ENOENT ? -EUCLEAN : r;
    r = unseal(state_dir, &place.place, buf_slice(&sealed), "the key files", &k->wrap);
    k->is_wrapped = r == 0;
    return r;
}

/* A key that the token can open, durable before anything is wrapped under it. */
static int make_wrap(struct keys *k, const char *state_dir, const struct rng *rng, const struct token_place *place)
{
    struct buf sealed CLEANUP(buf_free) = buf(TOKEN_SEALED_MAX);
    char path[KEYS_PATH_BYTES];
    rng_fill(rng, k->wrap.bytes, sizeof(k->wrap.bytes));
    int r = seal(state_dir, place, &k->wrap, "the key files", &sealed);
    if (r != 0)
        return r;
    r = write_place(state_dir, WRAP_TOKEN, place);
    if (r == 0)
        r = keys_path(state_dir, WRAP_KEY, path, sizeof(path));
    if (r == 0)
        r = file_replace(path, buf_slice(&sealed), 0600);
    k->is_wrapped = r == 0;
    return r;
}

static int wrap_file(const struct keys *k, const char *state_dir, const struct rng *rng, const char *file,
                     bool *changed)
{
    struct key32 key CLEANUP(key32_wipe);
    struct stat st;
    char path[KEYS_PATH_BYTES];
    int r = keys_path(state_dir, file, path, sizeof(path));
    if (r != 0)
        return r;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (st.st_size >= KEYS_WRAPPED_BYTES) /* it is already, or a token opens it by itself */
        return 0;
    *changed = true;
    r = keys_read(k, state_dir, file, &key);
    return r == 0 ? keys_write(k, state_dir, rng, file, &key) : r;
}

int keys_wrap(const char *state_dir, const struct rng *rng, const struct token_place *place)
{
    struct keys *k CLEANUP(keys_freep) = secret_alloc(sizeof(*k));
    bool changed = false;
    if (k == NULL)
        return -ENOMEM;
    *k = (struct keys){ 0 };
    int r = keys_load_wrap(k, state_dir);
    if (r == 0 && !k->is_wrapped) {
        changed = true;
        r = make_wrap(k, state_dir, rng, place);
    }
    for (size_t i = 0; r == 0 && i < KEYS_FILE_COUNT; i++) {
        char next[KEYS_NAME_BYTES];
        (void)snprintf(next, sizeof(next), "%s.new", keys_files[i]);
        r = wrap_file(k, state_dir, rng, keys_files[i], &changed);
        if (r == 0)
            r = wrap_file(k, state_dir, rng, next, &changed);
    }
    return r == 0 && !changed ? -EALREADY : r;
}

/* --- A key that a token opens by itself --------------------------------------------------------------------------------- */

bool keys_in_token(struct slice content)
{
    return content.len > sizeof(IN_TOKEN) - 1 && memcmp(content.data, IN_TOKEN, sizeof(IN_TOKEN) - 1) == 0;
}

int keys_token_seal(const char *state_dir, const struct token_place *place, const struct key32 *key, struct buf *out)
{
    char text[KEYS_PLACE_BYTES];
    int r = place_text(place, text);
    if (r == 0)
        r = buf_append(out, slice_str(IN_TOKEN));
    if (r == 0)
        r = buf_append(out, slice_str(text));
    return r == 0 ? seal(state_dir, place, key, "the storage key", out) : r > 0 ? -EINVAL : r;
}

/* *sealed: what follows the three lines. */
static int split(struct slice content, char text[KEYS_PLACE_BYTES], struct token_place *place, struct slice *sealed)
{
    size_t head = sizeof(IN_TOKEN) - 1, at = head;
    for (unsigned lines = 0; lines < 3; lines++) {
        const uint8_t *end = at < content.len ? memchr(content.data + at, '\n', content.len - at) : NULL;
        if (end == NULL)
            return -EUCLEAN;
        at = (size_t)(end - content.data) + 1;
    }
    if (at - head >= KEYS_PLACE_BYTES)
        return -EUCLEAN;
    memcpy(text, content.data + head, at - head);
    text[at - head] = '\0';
    *sealed = slice_sub(content, at, content.len - at);
    return parse_place(text, place);
}

int keys_token_place(struct slice content, char text[KEYS_PLACE_BYTES], struct token_place *place)
{
    struct slice sealed;
    return split(content, text, place, &sealed);
}

int keys_token_open(const char *state_dir, struct slice content, struct key32 *key)
{
    char text[KEYS_PLACE_BYTES];
    struct token_place place;
    struct slice sealed;
    int r = split(content, text, &place, &sealed);
    return r == 0 ? unseal(state_dir, &place, sealed, "the storage key", key) : r;
}
