/* Keys in tokens over GnuTLS's PKCS#11. */
#include "crypto/token.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/pkcs11.h>

#include "base/util.h"

#define RSA_BITS_MIN 2048

struct token {
    gnutls_privkey_t key;
    char pin[TOKEN_PIN_BYTES];
    bool pin_refused, pin_missing, pin_withheld;
};
static token_ask_pin ask_pin;

void token_ask_with(token_ask_pin ask) { ask_pin = ask; }

/* Asked again when the token refused it: then it is wrong, and one more try might lock the token. */
static int give_pin(void *ctx, int attempt, const char *url, const char *label, unsigned flags, char *pin, size_t cap)
{
    struct token *t = ctx;
    (void)url;
    if (t->pin[0] != '\0' && (flags & GNUTLS_PIN_FINAL_TRY) != 0) {
        t->pin_withheld = true;
        return -1;
    }
    if (t->pin[0] == '\0' && !(ask_pin != NULL && ask_pin(label, t->pin) && t->pin[0] != '\0')) {
        t->pin_missing = true;
        return -1;
    }
    if (attempt > 0 || (flags & GNUTLS_PIN_WRONG) != 0 || strlen(t->pin) >= cap) {
        t->pin_refused = true;
        return -1;
    }
    memcpy(pin, t->pin, strlen(t->pin) + 1);
    return 0;
}

static int read_pin(const char *path, char out[TOKEN_PIN_BYTES])
{
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        return -EPERM;
    ssize_t n = read(fd, out, TOKEN_PIN_BYTES);
    if (n < 0)
        return -errno;
    size_t len = 0;
    while (len < (size_t)n && out[len] != '\n' && out[len] != '\r')
        len++;
    bool fits = len > 0 && len < TOKEN_PIN_BYTES && memchr(out, '\0', len) == NULL;
    secret_wipe(out + len, TOKEN_PIN_BYTES - len); /* and what follows the line */
    return fits ? 0 : -EUCLEAN;
}

static int outcome_of(const struct token *t, int code)
{
    if (code >= 0)
        return 0;
    if (t->pin_missing)
        return TOKEN_NO_PIN;
    if (t->pin_withheld)
        return TOKEN_LAST_TRY;
    if (t->pin_refused || code == GNUTLS_E_PKCS11_PIN_ERROR || code == GNUTLS_E_PKCS11_PIN_LOCKED ||
        code == GNUTLS_E_PKCS11_PIN_EXPIRED)
        return TOKEN_WRONG_PIN;
    return code == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : code == GNUTLS_E_PKCS11_ERROR ? -EIO : TOKEN_ABSENT;
}

/* The module is loaded once a process: GnuTLS keeps it. */
static int load_module(const char *module)
{
    int r = gnutls_pkcs11_init(module != NULL ? GNUTLS_PKCS11_FLAG_MANUAL : GNUTLS_PKCS11_FLAG_AUTO, NULL);
    if (r >= 0 && module != NULL)
        r = gnutls_pkcs11_add_provider(module, NULL);
    return r >= 0 || r == GNUTLS_E_INT_RET_0 ? 0 : TOKEN_ABSENT;
}

/* RFC 7512's attributes of that kind; GnuTLS would take them. */
static bool holds_pin(const char *url)
{
    return strstr(url, "pin-value=") != NULL || strstr(url, "pin-source=") != NULL;
}

int token_open(struct token **out, const struct token_place *place)
{
    if (holds_pin(place->url))
        return TOKEN_PIN_URL;
    struct token *t = secret_alloc(sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    *t = (struct token){ 0 };
    int r = place->pin_file != NULL ? read_pin(place->pin_file, t->pin) : 0;
    if (r == 0)
        r = load_module(place->module);
    if (r == 0 && gnutls_privkey_init(&t->key) < 0)
        r = -ENOMEM;
    if (r == 0) {
        gnutls_privkey_set_pin_function(t->key, give_pin, t);
        r = outcome_of(t, gnutls_privkey_import_url(t->key, place->url, 0));
    }
    if (r != 0) {
        token_free(t);
        return r;
    }
    *out = t;
    return 0;
}

void token_free(struct token *t)
{
    if (t == NULL)
        return;
    if (t->key != NULL)
        gnutls_privkey_deinit(t->key);
    secret_free(t);
}

/* --- Signing --- */

static int sign(struct token *t, gnutls_sign_algorithm_t algorithm, struct slice message, gnutls_datum_t *made)
{
    gnutls_datum_t data = { (unsigned char *)(uintptr_t)message.data, (unsigned)message.len };
    return gnutls_privkey_sign_data2(t->key, algorithm, 0, &data, made) >= 0 ? 0 : -EIO;
}

static int sign_ed25519(void *ctx, struct slice message, uint8_t signature[SIGN_BYTES])
{
    gnutls_datum_t made = { 0 };
    int r = sign(ctx, GNUTLS_SIGN_EDDSA_ED25519, message, &made);
    if (r == 0 && made.size != SIGN_BYTES)
        r = -EIO;
    if (r == 0)
        memcpy(signature, made.data, SIGN_BYTES);
    gnutls_free(made.data);
    return r;
}

static int sign_es256(void *ctx, struct slice message, uint8_t signature[SIGN_BYTES])
{
    gnutls_datum_t made = { 0 };
    int r = sign(ctx, GNUTLS_SIGN_ECDSA_SHA256, message, &made);
    if (r == 0)
        r = es256_from_der(slice(made.data, made.size), signature);
    gnutls_free(made.data);
    return r;
}

static int public_key(struct token *t, gnutls_pubkey_t *out)
{
    if (gnutls_pubkey_init(out) < 0)
        return -ENOMEM;
    if (gnutls_pubkey_import_privkey(*out, t->key, 0, 0) >= 0)
        return 0;
    gnutls_pubkey_deinit(*out);
    return -EIO;
}

/* x, y: as GnuTLS exports them; zeros in front may be missing. */
static bool fill_ed25519(const gnutls_datum_t *x, struct signer *out)
{
    if (x->size != SIGN_PUBLIC_BYTES)
        return false;
    out->algorithm = SIGN_ED25519;
    memcpy(out->public_key, x->data, SIGN_PUBLIC_BYTES);
    out->sign = sign_ed25519;
    return true;
}

static bool fill_es256(const gnutls_datum_t *x, const gnutls_datum_t *y, struct signer *out)
{
    const size_t half = (ES256_PUBLIC_BYTES - 1) / 2;
    if (x->size > half || y->size > half)
        return false;
    out->algorithm = SIGN_ES256;
    memset(out->public_key, 0, sizeof(out->public_key));
    out->public_key[0] = 4;
    memcpy(out->public_key + 1 + half - x->size, x->data, x->size);
    memcpy(out->public_key + 1 + 2 * half - y->size, y->data, y->size);
    out->sign = sign_es256;
    return true;
}

int token_signer(struct token *t, struct signer *out)
{
    gnutls_pubkey_t key;
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    gnutls_datum_t x = { 0 }, y = { 0 };
    struct signer made = { .ctx = t };
    int kind = gnutls_privkey_get_pk_algorithm(t->key, NULL);
    if (kind != GNUTLS_PK_EDDSA_ED25519 && kind != GNUTLS_PK_ECDSA)
        return TOKEN_UNFIT;
    int r = public_key(t, &key);
    if (r != 0)
        return r;
    bool fits = gnutls_pubkey_export_ecc_raw2(key, &curve, &x, &y, GNUTLS_EXPORT_FLAG_NO_LZ) >= 0 &&
                (curve == GNUTLS_ECC_CURVE_ED25519     ? fill_ed25519(&x, &made)
                 : curve == GNUTLS_ECC_CURVE_SECP256R1 ? fill_es256(&x, &y, &made)
                                                       : false);
    if (fits)
        *out = made;
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_pubkey_deinit(key);
    return fits ? 0 : TOKEN_UNFIT;
}

/* --- RSA --- */

static bool is_box(const struct token *t)
{
    unsigned bits = 0;
    return gnutls_privkey_get_pk_algorithm(t->key, &bits) == GNUTLS_PK_RSA && bits >= RSA_BITS_MIN;
}

int token_seal(struct token *t, const struct key32 *secret, struct buf *out)
{
    gnutls_pubkey_t key;
    gnutls_datum_t plain = { (unsigned char *)(uintptr_t)secret->bytes, sizeof(secret->bytes) }, sealed = { 0 };
    if (!is_box(t))
        return TOKEN_UNFIT;
    int r = public_key(t, &key);
    if (r != 0)
        return r;
    r = gnutls_pubkey_encrypt_data(key, 0, &plain, &sealed) >= 0 ? buf_append(out, slice(sealed.data, sealed.size))
                                                                 : -EIO;
    gnutls_free(sealed.data);
    gnutls_pubkey_deinit(key);
    return r > 0 ? -ENOMEM : r;
}

int token_unseal(struct token *t, struct slice sealed, struct key32 *secret)
{
    gnutls_datum_t data = { (unsigned char *)(uintptr_t)sealed.data, (unsigned)sealed.len };
    if (!is_box(t))
        return TOKEN_UNFIT;
    return gnutls_privkey_decrypt_data2(t->key, 0, &data, secret->bytes, sizeof(secret->bytes)) >= 0 ? 0 : -EUCLEAN;
}
