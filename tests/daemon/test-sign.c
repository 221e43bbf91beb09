/* Signatures of the vault for TLS that come late: what was late is passed over, and the next ones are had. Its twin is a socket that this test answers. */
#include "cm.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/vault_sign.h"
#include "vault.pb.h"

static struct vault_sign sign;
static struct channel vault;

static int setup(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    sign = (struct vault_sign){ 0 };
    vault_sign_open(&sign, pair[0]);
    channel_init(&vault, pair[1], 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vault_sign_close(&sign);
    channel_deinit(&vault);
    return 0;
}

/* The oldest question that is not answered yet; its ID. */
static uint32_t asked(void)
{
    struct frame f;
    assert_int_equal(channel_read(&vault, true, &f), 0);
    assert_int_equal(f.type, vlt_Type_TLS_SIGN);
    return f.request;
}

static void answer(uint32_t id, uint8_t byte)
{
    vlt_TlsSigned signature;
    memset(signature.signature, byte, sizeof(signature.signature));
    assert_int_equal(channel_send(&vault, vlt_Type_TLS_SIGNED, id, vlt_TlsSigned_fields, &signature, slice(NULL, 0)),
                     0);
}

static int ask(uint8_t signature[SIGN_BYTES]) { return vault_sign(&sign, slice_str("input"), signature); }

static void a_late_answer_is_passed_over(void **state)
{
    uint8_t signature[SIGN_BYTES] = { 0 };
    (void)state;
    assert_int_equal(ask(signature), -ETIMEDOUT);
    uint32_t late = asked();
    assert_int_equal(ask(signature), -ETIMEDOUT); /* at once, and nothing more is asked meanwhile */
    answer(late, 1);
    answer(late + 1, 2); /* as if it had been quick */
    assert_int_equal(ask(signature), 0);
    assert_int_equal(signature[0], 2);
    assert_int_equal(asked(), late + 1);
    answer(late + 2, 3);
    assert_int_equal(ask(signature), 0);
    assert_int_equal(signature[0], 3);
}

static void what_answers_another_question_ends_it(void **state)
{
    uint8_t signature[SIGN_BYTES] = { 0 };
    (void)state;
    answer(7, 1);
    assert_int_equal(ask(signature), -EPROTO);
    assert_int_equal(ask(signature), -EPIPE);
    assert_int_equal(signature[0], 0);
}

static void a_vault_that_ends(void **state)
{
    uint8_t signature[SIGN_BYTES];
    (void)state;
    channel_deinit(&vault);
    assert_int_equal(ask(signature), -EPIPE);
    assert_int_equal(ask(signature), -EPIPE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_late_answer_is_passed_over),
        TEST(what_answers_another_question_ends_it),
        TEST(a_vault_that_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
