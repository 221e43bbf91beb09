/* Media types and tags. TagLib's C interface counts in whole seconds. One thread. */
#include "distributor/tags.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <taglib/tag_c.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"

#define HEAD_BYTES 4096

/* --- Media type -------------------------------------------------------------------------------------------------- */

static bool has(struct slice head, size_t at, const char *bytes, size_t len)
{
    return slice_has(head, at, len) && memcmp(head.data + at, bytes, len) == 0;
}
#define HAS(head, at, literal) has((head), (at), (literal), sizeof(literal) - 1)

static bool contains(struct slice head, const char *bytes, size_t len)
{
    return head.len > 0 && memmem(head.data, head.len, bytes, len) != NULL;
}

static const struct {
    const char *ending, *type;
} endings[] = {
    { "flac", "audio/flac" },     { "mp3", "audio/mpeg" },       { "ogg", "audio/ogg" },
    { "oga", "audio/ogg" },       { "opus", "audio/ogg" },       { "m4a", "audio/mp4" },
    { "mp4", "video/mp4" },       { "m4v", "video/mp4" },        { "aac", "audio/aac" },
    { "wav", "audio/wav" },       { "aiff", "audio/aiff" },      { "aif", "audio/aiff" },
    { "wv", "audio/x-wavpack" },  { "ape", "audio/x-ape" },      { "mpc", "audio/x-musepack" },
    { "tta", "audio/x-tta" },     { "mka", "audio/x-matroska" }, { "mkv", "video/x-matroska" },
    { "webm", "video/webm" },     { "ogv", "video/ogg" },        { "avi", "video/x-msvideo" },
    { "mov", "video/quicktime" }, { "mpg", "video/mpeg" },       { "ts", "video/mp2t" },
    { "png", "image/png" },       { "jpg", "image/jpeg" },       { "jpeg", "image/jpeg" },
    { "webp", "image/webp" },     { "bmp", "image/bmp" },        { "tif", "image/tiff" },
    { "wma", "audio/x-ms-wma" },  { "wmv", "video/x-ms-wmv" },   { "mid", "audio/midi" },
};

static const char *type_of_ending(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < ARRAY_COUNT(endings); i++)
        if (strcasecmp(dot + 1, endings[i].ending) == 0)
            return endings[i].type;
    return NULL;
}

static const char *type_of_ogg(struct slice head)
{
    if (contains(head, "\x80theora", 7))
        return "video/ogg";
    return "audio/ogg";
}

static const char *type_of_mp4(struct slice head, const char *ending)
{
    if (HAS(head, 8, "M4A ") || HAS(head, 8, "M4B "))
        return "audio/mp4";
    if (HAS(head, 8, "qt  "))
        return "video/quicktime";
    return ending && strcmp(ending, "audio/mp4") == 0 ? ending : "video/mp4";
}

static const char *type_of_matroska(struct slice head, const char *ending)
{
    if (contains(slice_sub(head, 0, size_min(head.len, 64)), "webm", 4))
        return "video/webm";
    return ending && strcmp(ending, "audio/x-matroska") == 0 ? ending : "video/x-matroska";
}

static const char *type_of_content(struct slice head, const char *ending)
{
    if (HAS(head, 0, "fLaC"))
        return "audio/flac";
    if (HAS(head, 0, "OggS"))
        return type_of_ogg(head);
    if (HAS(head, 0, "RIFF") && HAS(head, 8, "WAVE"))
        return "audio/wav";
    if (HAS(head, 0, "RIFF") && HAS(head, 8, "AVI "))
        return "video/x-msvideo";
    if (HAS(head, 0, "FORM") && (HAS(head, 8, "AIFF") || HAS(head, 8, "AIFC")))
        return "audio/aiff";
    if (HAS(head, 4, "ftyp"))
        return type_of_mp4(head, ending);
    if (HAS(head, 0, "\x1a\x45\xdf\xa3"))
        return type_of_matroska(head, ending);
    if (HAS(head, 0, "wvpk"))
        return "audio/x-wavpack";
    if (HAS(head, 0, "MThd"))
        return "audio/midi";
    if (HAS(head, 0, "\x89PNG\r\n\x1a\n"))
        return "image/png";
    if (HAS(head, 0, "\xff\xd8\xff"))
        return "image/jpeg";
    if (HAS(head, 0, "RIFF") && HAS(head, 8, "WEBP"))
        return "image/webp";
    /* MPEG audio has no magic number: a tag, or a frame's sync bits and an ending that agrees. */
    if (HAS(head, 0, "ID3"))
        return ending ? ending : "audio/mpeg";
    if (head.len > 1 && head.data[0] == 0xff && (head.data[1] & 0xf6) == 0xf0)
        return "audio/aac";
    if (head.len > 1 && head.data[0] == 0xff && (head.data[1] & 0xe0) == 0xe0 && (head.data[1] & 0x06) != 0)
        return "audio/mpeg";
    return NULL;
}

/* Kinds that are told by their ending, and begin like this. */
static bool begins_as_media(struct slice head)
{
    return HAS(head, 0, "\0\0\1\xba") || HAS(head, 0, "\0\0\1\xb3") || HAS(head, 0, "\x47") || HAS(head, 4, "\x47") ||
           HAS(head, 0, "\x30\x26\xb2\x75") || HAS(head, 0, "MAC ") || HAS(head, 0, "MPCK") || HAS(head, 0, "MP+") ||
           HAS(head, 0, "TTA1") || HAS(head, 0, "BM") || HAS(head, 0, "II*\0") || HAS(head, 0, "MM\0*") ||
           HAS(head, 0, "ADIF") || HAS(head, 4, "moov") || HAS(head, 4, "mdat") || HAS(head, 4, "wide");
}

bool tags_is_media(struct slice head) { return type_of_content(head, NULL) != NULL || begins_as_media(head); }

void tags_media_type(struct slice head, const char *path, char out[64])
{
    const char *ending = type_of_ending(path), *type = type_of_content(head, ending);
    snprintf(out, 64, "%s", type ? type : ending ? ending : "application/octet-stream");
}

/* --- Tags -------------------------------------------------------------------------------------------------------- */

static void close_file(TagLib_File **f)
{
    if (*f)
        taglib_file_free(*f);
}

static void take_text(char *from, char *out, size_t cap, bool *cut)
{
    if (from) {
        text_safe(from, out, cap);
        *cut |= strlen(from) >= cap;
    }
    taglib_free(from);
}

static void read_with_taglib(const char *path, struct tags *out)
{
    taglib_set_strings_unicode(1);
    taglib_set_string_management_enabled(0);
    TagLib_File *f CLEANUP(close_file) = taglib_file_new(path);
    if (!f || !taglib_file_is_valid(f))
        return;
    TagLib_Tag *tag = taglib_file_tag(f);
    if (tag) {
        take_text(taglib_tag_title(tag), out->title, sizeof(out->title), &out->cut);
        take_text(taglib_tag_artist(tag), out->creator, sizeof(out->creator), &out->cut);
        take_text(taglib_tag_album(tag), out->album, sizeof(out->album), &out->cut);
    }
    const TagLib_AudioProperties *audio = taglib_file_audioproperties(f);
    int seconds = audio ? taglib_audioproperties_length(audio) : 0;
    out->duration_ms = seconds > 0 ? (uint64_t)seconds * 1000 : 0;
}

static void title_of_name(const char *path, char *out, size_t cap)
{
    char name[256];
    const char *slash = strrchr(path, '/');
    snprintf(name, sizeof(name), "%s", slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    text_safe(name, out, cap);
}

int tags_read(const char *path, struct tags *out)
{
    uint8_t bytes[HEAD_BYTES];
    int fd CLEANUP(closep) = -1;
    int r = file_open_regular(path, 0, &fd);
    if (r != 0)
        return r == FILE_NOT_REGULAR ? -EINVAL : r;
    ssize_t got = pread(fd, bytes, sizeof(bytes), 0);
    if (got < 0)
        return -errno;
    *out = (struct tags){ 0 };
    tags_media_type(slice(bytes, (size_t)got), path, out->media_type);
    out->is_media = tags_is_media(slice(bytes, (size_t)got));
    read_with_taglib(path, out);
    if (out->title[0] == '\0')
        title_of_name(path, out->title, sizeof(out->title));
    return 0;
}
