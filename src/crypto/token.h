/* A key in a PKCS#11 token (a smart card, an HSM, SoftHSM) over GnuTLS: signs as Ed25519 or ES256, or opens what was sealed to an RSA key. The secret
 * never leaves the token. One thread at a time. */
#ifndef CRYPTO_TOKEN_H
#define CRYPTO_TOKEN_H

#include "crypto/sign.h"

#define TOKEN_ABSENT 1    /* no such token or key: not plugged in, another label */
#define TOKEN_WRONG_PIN 2 /* the PIN was refused; it is not tried again: tokens lock themselves */
#define TOKEN_UNFIT 3     /* the key is of another kind than asked for */
#define TOKEN_NO_PIN 4    /* it wants a PIN, and there is neither a file nor somebody to ask */
#define TOKEN_LAST_TRY 6  /* one wrong PIN more locks the token: it gets none from a file, only from a person */
#define TOKEN_PIN_URL 5   /* the URL holds or names a PIN: others see command lines; never show that URL */

#define TOKEN_PIN_BYTES 64
/* Who is asked for a PIN where no file has it: false when there is nobody. Whole process; NULL (at first): nobody. */
typedef bool (*token_ask_pin)(const char *label, char pin[TOKEN_PIN_BYTES]);
void token_ask_with(token_ask_pin ask);

struct token_place {
    const char *url;      /* RFC 7512, names a private key: "pkcs11:token=shop;object=root" */
    const char *module;   /* path of the token's library; NULL: those that p11-kit knows */
    const char *pin_file; /* first line; readable by its owner alone */
};
struct token;
/* Returns owned (token_free). place: borrowed for the call. 0; TOKEN_ABSENT; TOKEN_WRONG_PIN; TOKEN_LAST_TRY; TOKEN_NO_PIN; TOKEN_PIN_URL; -EUCLEAN: no PIN in the file; -EPERM: the PIN file can be read by others;
 * -ENOENT: there is none; -ENOMEM, -EIO. */
int token_open(struct token **out, const struct token_place *place) MUST_USE;
void token_free(struct token *t); /* accepts NULL */

/* Signs with the token's key, Ed25519 or ECDSA over P-256; borrows t for the signer's life. 0, TOKEN_UNFIT, -EIO. */
int token_signer(struct token *t, struct signer *out) MUST_USE;

/* A secret sealed to the token's RSA key (at least 2048 bits; PKCS#1 v1.5: only its holder is offered what to open), and opened by it. */
#define TOKEN_SEALED_MAX 1024
int token_seal(struct token *t, const struct key32 *secret, struct buf *out)
    MUST_USE; /* 0, TOKEN_UNFIT, -EIO, -ENOMEM */
int token_unseal(struct token *t, struct slice sealed, struct key32 *secret)
    MUST_USE; /* 0, TOKEN_UNFIT, -EUCLEAN: not sealed to it; -EIO */

#endif
