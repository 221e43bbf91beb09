/* Hashes and what is made of them need no memory: without it they are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/hkdf.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"
#include "fault.h"

#define HASH_BYTES 32
#define LONG_BYTES 100 /* several hashes, and a part of one */

struct all {
    uint8_t hash[HASH_BYTES], parts[HASH_BYTES], mac[HASH_BYTES], derived[LONG_BYTES], salted[LONG_BYTES];
};

static void all_of(struct all *out)
{
    static const struct key32 key = { { 1, 2, 3 } };
    struct slice text = slice("what is hashed", 14), none = { 0 };
    sha256(text, out->hash);
    sha256_parts((struct slice[]){ text, none, text }, 3, out->parts);
    hmac_sha256(&key, text, out->mac);
    hkdf_sha256(slice(key.bytes, sizeof(key.bytes)), none, text, out->derived, LONG_BYTES);
    hkdf_sha256(slice(key.bytes, sizeof(key.bytes)), text, none, out->salted, LONG_BYTES);
}

static void without_memory(void **state)
{
    struct all with, without;
    bool onwards = *state != NULL;
    unsigned come = 1;
    all_of(&with);
    for (unsigned at = 1; come > 0; at++) {
        fault_arm(&(struct fault){ FAULT_ALLOC, at, onwards }, 1);
        all_of(&without);
        come = fault_disarm();
        assert_true(come > 0 || at > 1);
        assert_memory_equal(&with, &without, sizeof(with));
    }
}

int main(void)
{
    static char onwards;
    const struct CMUnitTest tests[] = { { "one allocation fails", without_memory, NULL, NULL, NULL },
                                        { "all from there on", without_memory, NULL, NULL, &onwards } };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
