/* Keys in a token (SoftHSM): what opens it, what does not, and that a key is used for what it is only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/dsse.h"
#include "crypto/token.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define URL(token, object) "pkcs11:token=" token ";object=" object ";type=private"
#define SHOP_ROOT URL("shop", "root")
#define SHOP_BOX URL("shop", "box")

static char dir[] = "/tmp/test-token-XXXXXX";

static void run(const char *format, ...) PRINTF_LIKE(1, 2);
static void run(const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

static void make_key(const char *kind, const char *label, const char *number)
{
    run("pkcs11-tool --module " MODULE
        " --login --pin 123456 --token-label shop --keypairgen --key-type %s --label %s --id %s >/dev/null 2>&1",
        kind, label, number);
}

static void write_pin(const char *name, const char *bytes, size_t len, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(file_replace(path, slice(bytes, len), 0600), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_tokens(void **state)
{
    (void)state;
    char path[128], long_pin[200];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/conf", dir);
    run("mkdir %s/tokens && echo 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR' >%s",
        dir, dir, path);
    setenv("SOFTHSM2_CONF", path, 1);
    run("softhsm2-util --init-token --free --label shop --pin 123456 --so-pin 654321 >/dev/null");
    make_key("EC:edwards25519", "root", "01");
    make_key("EC:prime256v1", "p256", "04");
    make_key("EC:secp384r1", "p384", "05");
    make_key("rsa:2048", "box", "02");
    make_key("rsa:1024", "small", "03");
    memset(long_pin, '1', sizeof(long_pin));
    write_pin("good", "123456\n", 7, 0600);
    write_pin("bare", "123456", 6, 0600);
    write_pin("more", "123456\r\nsecond line", 19, 0400);
    write_pin("wrong", "999999\n", 7, 0600);
    write_pin("group", "123456\n", 7, 0640);
    write_pin("others", "123456\n", 7, 0604);
    write_pin("empty", "", 0, 0600);
    write_pin("blank", "\n123456\n", 8, 0600);
    write_pin("long", long_pin, sizeof(long_pin), 0600);
    write_pin("nul", "12\0 3456\n", 9, 0600);
    return 0;
}

static int remove_tokens(void **state)
{
    (void)state;
    run("rm -r %s", dir);
    return 0;
}

static int open_with(struct token **out, const char *url, const char *pin)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, pin != NULL ? pin : "");
    const struct token_place place = { url, MODULE, pin != NULL ? path : NULL };
    return token_open(out, &place);
}

static void opens_only_with_what_is_right(void **state)
{
    (void)state;
    static const struct {
        const char *name, *url, *pin;
        int outcome;
    } cases[] = {
        { "key and PIN are there", SHOP_ROOT, "good", 0 },
        { "a PIN file without a line's end", SHOP_ROOT, "bare", 0 },
        { "a PIN file with more than one line", SHOP_ROOT, "more", 0 },
        { "no token of this label", URL("market", "root"), "good", TOKEN_ABSENT },
        { "no key of this label", URL("shop", "leaf"), "good", TOKEN_ABSENT },
        { "no URL of a token", "http://shop/", "good", TOKEN_ABSENT },
        { "an empty URL", "", "good", TOKEN_ABSENT },
        { "the wrong PIN", SHOP_ROOT, "wrong", TOKEN_WRONG_PIN },
        { "no PIN file, and nobody to ask", SHOP_ROOT, NULL, TOKEN_NO_PIN },
        { "a PIN file that is not there", SHOP_ROOT, "nowhere", -ENOENT },
        { "a PIN file that the group can read", SHOP_ROOT, "group", -EPERM },
        { "a PIN file that others can read", SHOP_ROOT, "others", -EPERM },
        { "a folder as PIN file", SHOP_ROOT, "tokens", -EPERM },
        { "an empty PIN file", SHOP_ROOT, "empty", -EUCLEAN },
        { "a PIN file with an empty first line", SHOP_ROOT, "blank", -EUCLEAN },
        { "a PIN that is too long", SHOP_ROOT, "long", -EUCLEAN },
        { "a PIN with a zero in it", SHOP_ROOT, "nul", -EUCLEAN },
        { "a PIN in the URL", SHOP_ROOT "?pin-value=123456", "good", TOKEN_PIN_URL },
        { "a PIN file in the URL", SHOP_ROOT "?pin-source=file:/etc/pin", "good", TOKEN_PIN_URL },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct token *t = NULL;
        int r = open_with(&t, cases[i].url, cases[i].pin);
        if (r != cases[i].outcome)
            fail_msg("%s: %d, not %d", cases[i].name, r, cases[i].outcome);
        assert_int_equal(t != NULL, r == 0);
        token_free(t);
    }
}

static const char *typed;
static unsigned asked;

static bool type_pin(const char *label, char pin[TOKEN_PIN_BYTES])
{
    assert_string_equal(label, "shop");
    asked++;
    if (typed != NULL)
        snprintf(pin, TOKEN_PIN_BYTES, "%s", typed);
    return typed != NULL;
}

static void asks_once(void **state)
{
    (void)state;
    static const struct {
        const char *name, *typed, *pin;
        int outcome;
        unsigned asked;
    } cases[] = {
        { "the right one is typed", "123456", NULL, 0, 1 },
        { "a wrong one is not asked for again", "999999", NULL, TOKEN_WRONG_PIN, 1 },
        { "nobody types", NULL, NULL, TOKEN_NO_PIN, 1 },
        { "nothing is typed", "", NULL, TOKEN_NO_PIN, 1 },
        { "a file has it", "999999", "good", 0, 0 },
        { "a file has a wrong one", "123456", "wrong", TOKEN_WRONG_PIN, 0 },
    };
    token_ask_with(type_pin);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct token *t = NULL;
        typed = cases[i].typed;
        asked = 0;
        int r = open_with(&t, SHOP_ROOT, cases[i].pin);
        if (r != cases[i].outcome || asked != cases[i].asked)
            fail_msg("%s: %d, asked %u times", cases[i].name, r, asked);
        token_free(t);
    }
    token_ask_with(NULL);
}

static void signs_as_ed25519(void **state)
{
    (void)state;
    struct token *t = NULL;
    struct signer signer;
    uint8_t signature[SIGN_BYTES];
    assert_int_equal(open_with(&t, SHOP_ROOT, "good"), 0);
    assert_int_equal(token_signer(t, &signer), 0);
    assert_int_equal(signer.sign(signer.ctx, slice_str("said"), signature), 0);
    assert_true(sign_is_valid(signer.public_key, slice_str("said"), signature));
    assert_false(sign_is_valid(signer.public_key, slice_str("sad"), signature));
    token_free(t);
}

static void signs_as_es256(void **state)
{
    (void)state;
    struct token *t = NULL;
    struct signer signer;
    struct dsse_view view;
    assert_int_equal(open_with(&t, URL("shop", "p256"), "good"), 0);
    assert_int_equal(token_signer(t, &signer), 0);
    assert_int_equal(signer.algorithm, SIGN_ES256);
    for (unsigned i = 0; i < 40; i++) { /* half of what a token makes has the higher s */
        struct buf envelope CLEANUP(buf_free) = buf(4096);
        char said[16];
        snprintf(said, sizeof(said), "said %u", i);
        assert_int_equal(dsse_sign(&envelope, "hearth/keyset/1", slice_str(said), &signer), 0);
        assert_int_equal(dsse_verify(buf_slice(&envelope), "hearth/keyset/1", &view), 0);
        struct id id = sign_key_id(signer.algorithm, signer.public_key);
        assert_true(view.algorithm == SIGN_ES256 && id_equal(&view.signer, &id));
        for (size_t at = 1; at < envelope.len; at += 7) {
            envelope.data[at] ^= 4;
            assert_true(dsse_verify(buf_slice(&envelope), "hearth/keyset/1", &view) > 0);
            envelope.data[at] ^= 4;
        }
    }
    token_free(t);
    assert_int_equal(open_with(&t, URL("shop", "p384"), "good"), 0);
    assert_int_equal(token_signer(t, &signer), TOKEN_UNFIT);
    token_free(t);
}

static void a_key_is_what_it_is(void **state)
{
    (void)state;
    struct token *t = NULL;
    struct signer signer;
    struct key32 secret = { { 1 } };
    struct buf sealed CLEANUP(buf_free) = buf(TOKEN_SEALED_MAX);
    assert_int_equal(open_with(&t, SHOP_BOX, "good"), 0);
    assert_int_equal(token_signer(t, &signer), TOKEN_UNFIT);
    token_free(t);
    assert_int_equal(open_with(&t, SHOP_ROOT, "good"), 0);
    assert_int_equal(token_seal(t, &secret, &sealed), TOKEN_UNFIT);
    assert_int_equal(token_unseal(t, slice_str("anything"), &secret), TOKEN_UNFIT);
    token_free(t);
    assert_int_equal(open_with(&t, URL("shop", "small"), "good"), 0);
    assert_int_equal(token_seal(t, &secret, &sealed), TOKEN_UNFIT); /* 1024 bits */
    token_free(t);
    assert_int_equal(sealed.len, 0);
}

static void opens_what_was_sealed_to_it(void **state)
{
    (void)state;
    struct token *t = NULL;
    const struct key32 secret = { { 1, 2, 3 } };
    struct key32 read = { { 0 } };
    struct buf sealed CLEANUP(buf_free) = buf(TOKEN_SEALED_MAX);
    assert_int_equal(open_with(&t, SHOP_BOX, "good"), 0);
    assert_int_equal(token_seal(t, &secret, &sealed), 0);
    assert_int_equal(token_unseal(t, buf_slice(&sealed), &read), 0);
    assert_memory_equal(read.bytes, secret.bytes, sizeof(secret.bytes));
    for (size_t len = 0; len < sealed.len; len += 51) /* cut off */
        assert_int_equal(token_unseal(t, slice(sealed.data, len), &read), -EUCLEAN);
    token_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_only_with_what_is_right),
        cmocka_unit_test(asks_once),
        cmocka_unit_test(signs_as_ed25519),
        cmocka_unit_test(signs_as_es256),
        cmocka_unit_test(a_key_is_what_it_is),
        cmocka_unit_test(opens_what_was_sealed_to_it),
    };
    if (access(MODULE, R_OK) != 0 || system("command -v softhsm2-util pkcs11-tool >/dev/null") != 0) {
        puts("SKIP softhsm2 and opensc are missing");
        return 77;
    }
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, make_tokens, remove_tokens);
}
