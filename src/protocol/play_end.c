/* Codes and words. */
#include "protocol/play_end.h"

#include <string.h>

#include "base/util.h"

static const struct {
    const char *code, *text;
} ends[] = {
    [vlt_PlayEnd_END_STOPPED] = { "stopped", "it was stopped" },
    [vlt_PlayEnd_END_KILLED] = { "killed", "somebody ended the player" },
    [vlt_PlayEnd_END_CRASHED] = { "crashed", "the player crashed" },
    [vlt_PlayEnd_END_HUNG] = { "hung", "the player hung" },
    [vlt_PlayEnd_END_OUTPUT_FAILED] = { "output-failed", "the output failed" },
    [vlt_PlayEnd_END_UNREADABLE] = { "unreadable", "it could not be read or rendered" },
    [vlt_PlayEnd_END_DAEMON_LOST] = { "daemon-lost", "hearthd ended without a word" },
    [vlt_PlayEnd_END_VAULT_LOST] = { "vault-lost", "the vault ended without a word" },
    [vlt_PlayEnd_END_POWER_LOST] = { "power-lost", "the power was lost" },
};

const char *play_end_code(uint32_t end) { return end < ARRAY_COUNT(ends) ? ends[end].code : NULL; }
const char *play_end_text(uint32_t end) { return end < ARRAY_COUNT(ends) ? ends[end].text : NULL; }

vlt_PlayEnd play_end_of_code(const char *code)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(ends); i++)
        if (ends[i].code != NULL && strcmp(ends[i].code, code) == 0)
            return (vlt_PlayEnd)i;
    return vlt_PlayEnd_END_NONE;
}
