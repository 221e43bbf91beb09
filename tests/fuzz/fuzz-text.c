/* Text from outside: hex, base32, IDs and prefixes, versions of programs, safe printing, file names.
 * Promises: one text for a value, a value for every text that is read; printed text holds nothing that acts on a terminal, stays
 * within its room and is well-formed; a file name has no way out of its directory. Input: room, bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "crypto/id.h"
#include "fuzz.h"
#include "protocol/program.h"

static void check_encodings(struct slice bytes)
{
    struct slice s = slice_sub(bytes, 0, size_min(bytes.len, 300));
    char *hex CLEANUP(freep) = malloc(HEX_TEXT_BYTES(s.len)), *base32 CLEANUP(freep) = malloc(BASE32_TEXT_BYTES(s.len));
    uint8_t *back CLEANUP(freep) = malloc(s.len + 1);
    CHECK(hex && base32 && back);
    hex_encode(s, hex);
    CHECK(strlen(hex) == 2 * s.len && hex_decode(hex, back, s.len) == 0 && slice_equal(slice(back, s.len), s));
    CHECK(hex_decode(hex, back, s.len + 1) == TEXT_MALFORMED);
    base32_encode(s, base32);
    CHECK(strlen(base32) == (s.len * 8 + 4) / 5);
    CHECK(base32_decode(base32, back, s.len) == 0 && slice_equal(slice(back, s.len), s));
    CHECK(base32_decode(base32, back, s.len + 1) == TEXT_MALFORMED);
}

/* Any text as an encoding: what is read encodes to the same text (hex: in lower case). */
static void check_decodings(const char *text)
{
    size_t len = strlen(text), out_len = len / 2;
    uint8_t *out CLEANUP(freep) = malloc(len + 1);
    char *again CLEANUP(freep) = malloc(2 * len + 16);
    CHECK(out && again);
    if (hex_decode(text, out, out_len) == 0) {
        hex_encode(slice(out, out_len), again);
        CHECK(strcasecmp(text, again) == 0);
    }
    out_len = len * 5 / 8;
    if (base32_decode(text, out, out_len) == 0) {
        base32_encode(slice(out, out_len), again);
        CHECK(strcmp(text, again) == 0);
    }
    struct id id;
    char id_again[ID_TEXT_BYTES];
    if (id_parse(text, &id) == 0) {
        id_text(&id, id_again);
        CHECK(strcmp(text, id_again) == 0 && id_has_prefix(&id, text));
        CHECK(len == 52);
    }
    struct id fixed = { { 0x5a, 0x11, 0xc4 } };
    id_text(&fixed, id_again);
    if (id_has_prefix(&fixed, text))
        CHECK(len >= 1 && len <= 52 && strncasecmp(id_again, text, len) == 0);
}

/* A version that is read is written as one that reads the same. */
static void check_version(const char *text)
{
    uint64_t version, again;
    uint32_t kind;
    char out[PROGRAM_VERSION_BYTES];
    if (program_version_parse(text, &version) == 0) {
        CHECK(program_version_is_valid(version) && strspn(text, "0123456789.") == strlen(text));
        CHECK(program_version_parse(program_version_text(version, out), &again) == 0 && again == version);
    }
    if (program_kind_parse(text, &kind) == 0)
        CHECK(strcmp(program_kind_text(kind), text) == 0);
    else
        CHECK(strcmp(program_kind_text(PROGRAM_PLUGIN), text) != 0);
}

/* Does this byte sequence hold something that a terminal would act on? A second opinion on text_safe, byte by byte. */
static bool acts(const char *s)
{
    static const char *const forbidden[] = {
        "\u061c",     "\u200e",     "\u200f",     "\u2028",       "\u2029",       "\u202a",     "\u202b",
        "\u202c",     "\u202d",     "\u202e",     "\u2066",       "\u2067",       "\u2068",     "\u2069",
        "\ufeff",     "\ufff9",     "\ufffa",     "\ufffb",       "\u200b",       "\u2060",     "\u2061",
        "\u2062",     "\u2063",     "\u2064",     "\xf3\xa0\x80", "\xf3\xa0\x81", /* tags, by how they begin */
        "\u00ad",     "\u034f",     "\u180e",     "\u115f",       "\u1160",       "\u3164",     "\uffa0",
        "\u17b4",     "\u17b5",     "\u2065",     "\u206a",       "\u206b",       "\u206c",     "\u206d",
        "\u206e",     "\u206f",     "\U0001d173", "\U0001d174",   "\U0001d175",   "\U0001d176", "\U0001d177",
        "\U0001d178", "\U0001d179", "\U0001d17a"
    };
    for (const char *p = s; *p; p++) {
        uint8_t byte = (uint8_t)*p;
        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && (uint8_t)p[1] >= 0x80 && (uint8_t)p[1] <= 0x9f))
            return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(forbidden); i++)
        if (strstr(s, forbidden[i]))
            return true;
    return false;
}

static void check_printing(const char *text, size_t cap)
{
    char *out CLEANUP(freep) = malloc(cap), *twice CLEANUP(freep) = malloc(cap);
    CHECK(out && twice);
    CHECK(text_safe(text, out, cap) == out && strlen(out) < cap);
    CHECK(text_is_utf8(slice_str(out)) && !acts(out));
    CHECK(strcmp(text_safe(out, twice, cap), out) == 0);
    if (cap > 3 * strlen(text) && text_is_utf8(slice_str(text)) && !acts(text))
        CHECK(strcmp(out, text) == 0);
}

static void check_file_name(const char *title, size_t cap)
{
    char *out CLEANUP(freep) = malloc(cap);
    CHECK(out);
    CHECK(text_file_name(title, out, cap) == out);
    size_t len = strlen(out);
    CHECK(len >= 1 && len < cap && text_is_utf8(slice_str(out)) && !acts(out));
    CHECK(!strpbrk(out, "/\\:*?\"<>|") && out[0] != '.' && out[0] != '-' && out[0] != ' ');
    CHECK(out[len - 1] != ' ' && out[len - 1] != '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    size_t cap = input_u8(&in) + 1u;
    struct slice rest = input_rest(&in);
    char *text CLEANUP(freep) = malloc(rest.len + 1);
    CHECK(text);
    if (rest.len > 0)
        memcpy(text, rest.data, rest.len);
    text[rest.len] = '\0';
    check_encodings(rest);
    check_decodings(text);
    check_version(text);
    check_printing(text, cap);
    check_printing(text, 4 * rest.len + 1);
    check_file_name(text, cap + 1);
    CHECK(!text_is_utf8(rest) || memchr(text, '\0', rest.len + 1) == text + rest.len);
    return 0;
}
