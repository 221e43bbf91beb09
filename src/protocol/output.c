/* Which sound systems there are, and which of ALSA's names name a device: its plug-ins are named the same way, and some of them write files. */
#include "protocol/output.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/util.h"

#define PARAMETERS_MAX 3 /* card, device, subdevice */

/* What ALSA's own configuration gives every card; each takes the card's name or number, and no file. */
static const char *const of_cards[] = { "default",    "sysdefault", "hw",         "plughw",     "dmix",
                                        "front",      "rear",       "center_lfe", "side",       "surround21",
                                        "surround40", "surround41", "surround50", "surround51", "surround71",
                                        "iec958",     "hdmi",       "usbstream" };

/* Bytes of the word at the front of text. */
static size_t word(const char *text)
{
    size_t len = 0;
    while (isalnum((unsigned char)text[len]) || text[len] == '_' || text[len] == '-')
        len++;
    return len;
}

static bool is_one_of(const char *text, size_t len, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0)
            return true;
    return false;
}

/* "0", "0,3", "CARD=PCH,DEV=0" */
static bool names_a_card(const char *at)
{
    static const char *const keys[] = { "CARD", "DEV", "SUBDEV" };
    for (unsigned i = 0; i < PARAMETERS_MAX; i++) {
        size_t len = word(at);
        if (at[len] == '=') {
            if (!is_one_of(at, len, keys, ARRAY_COUNT(keys)))
                return false;
            at += len + 1;
            len = word(at);
        }
        if (len == 0 || at[len] == '\0')
            return len > 0;
        if (at[len] != ',')
            return false;
        at += len + 1;
    }
    return false;
}

static enum output_device judge_alsa(const char *name)
{
    size_t len = word(name);
    bool of_card = is_one_of(name, len, of_cards, ARRAY_COUNT(of_cards));
    if (len == 0)
        return OUTPUT_NO_DEVICE;
    if (name[len] == '\0')
        return of_card || strcmp(name, "null") == 0 ? OUTPUT_DEVICE : OUTPUT_DEVICE_IF_LISTED;
    return of_card && name[len] == ':' && names_a_card(name + len + 1) ? OUTPUT_DEVICE : OUTPUT_NO_DEVICE;
}

enum output_device output_judge(const char *name)
{
    static const char *const systems[] = { "alsa", "pulse", "pipewire", "jack" };
    size_t len = strcspn(name, "/");
    if (!is_one_of(name, len, systems, ARRAY_COUNT(systems)))
        return OUTPUT_NO_DEVICE;
    if (name[len] == '\0')
        return OUTPUT_DEVICE;
    if (name[len + 1] == '\0')
        return OUTPUT_NO_DEVICE;
    return strncmp(name, "alsa/", 5) == 0 ? judge_alsa(name + 5)
                                          : OUTPUT_DEVICE; /* others' names are looked up by a server */
}

bool output_is_device(const char *name) { return output_judge(name) != OUTPUT_NO_DEVICE; }
