/* How a play ended, in words: what is counted is said to be counted, what is not is not, and an ordinary stop is no mishap. */
#include "daemon/play_verdict.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "protocol/play_end.h"

static void verdicts(void **state)
{
    static const struct {
        vlt_PlayClosed closed;
        const char *text;
    } cases[] = {
        { { .end = vlt_PlayEnd_END_NONE, .counted = true }, "" },
        { { .end = vlt_PlayEnd_END_FINISHED, .counted = true }, "" },
        { { .end = vlt_PlayEnd_END_STOPPED }, "" },
        { { .end = vlt_PlayEnd_END_STOPPED, .counted = true },
          "This play is counted: it was stopped after it had begun." },
        { { .end = vlt_PlayEnd_END_KILLED, .counted = true },
          "This play is counted, though somebody ended the player." },
        { { .end = vlt_PlayEnd_END_DAEMON_LOST, .recovered = true, .recoveries = 1, .max_recoveries = 3 },
          "This play is not counted, because hearthd ended without a word (recovery 1 of 3)." },
        { { .end = vlt_PlayEnd_END_VAULT_LOST, .counted = true, .recoveries = 3, .max_recoveries = 3 },
          "This play is counted, though the vault ended without a word: its license allows no more recoveries." },
        { { .end = vlt_PlayEnd_END_POWER_LOST, .counted = true }, "This play is counted, though the power was lost." },
        { { .end = 99, .counted = true }, "" },
    };
    char text[PLAY_VERDICT_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_string_equal(play_verdict_text(&cases[i].closed, text), cases[i].text);
}

static void codes_and_words(void **state)
{
    (void)state;
    for (uint32_t end = vlt_PlayEnd_END_STOPPED; end <= vlt_PlayEnd_END_POWER_LOST; end++) {
        assert_non_null(play_end_text(end));
        assert_int_equal(play_end_of_code(play_end_code(end)), end);
        assert_null(strchr(play_end_text(end), '-')); /* words */
    }
    assert_null(play_end_code(vlt_PlayEnd_END_FINISHED));
    assert_null(play_end_text(vlt_PlayEnd_END_POWER_LOST + 1));
    assert_int_equal(play_end_of_code("of-a-later-version"), vlt_PlayEnd_END_NONE);
}

static void exits(void **state)
{
    (void)state;
    assert_int_equal(play_end_of_exit(REASON_CANCELLED, 0), vlt_PlayEnd_END_STOPPED);
    assert_int_equal(play_end_of_exit(REASON_TIMED_OUT, 0), vlt_PlayEnd_END_HUNG);
    assert_int_equal(play_end_of_exit(REASON_OUTPUT_FAILED, 0), vlt_PlayEnd_END_OUTPUT_FAILED);
    assert_int_equal(play_end_of_exit(REASON_INTERNAL, 0), vlt_PlayEnd_END_CRASHED);
    assert_int_equal(play_end_of_exit(REASON_INTERNAL, SIGSEGV), vlt_PlayEnd_END_CRASHED);
    assert_int_equal(play_end_of_exit(REASON_INTERNAL, SIGKILL), vlt_PlayEnd_END_KILLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(verdicts), cmocka_unit_test(codes_and_words),
                                        cmocka_unit_test(exits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
