/* metadata: signing it, for a content's provider, its distributor and third parties; vouching for providers, as the publisher. One thread.
 * Source: related system R1. */
#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/admin_provider.h"
#include "distributor/keyset.h"
#include "distributor/metadata_text.h"

#define DAY_MS INT64_C(86400000)
#define VOUCH_DAYS 730

enum {
    KEY,
    OWN,
    CONTENT,
    TAGS,
    CHAPTERS,
    LYRICS,
    COVER,
    LANGUAGE,
    SEQUENCE,
    UNTIL,
    VOUCH,
    OUT,
    DAYS,
    WITHDRAW,
    OPTIONS
};

/* --- What is said --------------------------------------------------------------------------------------------------- */

static int read_whole(struct admin *a, const char *path, struct buf *out)
{
    int r = admin_read_file(path, out);
    if (r == BUF_FULL)
        return admin_fail(a, REASON_TOO_LARGE, "%s is too large.", path);
    return r == 0 ? 0 : admin_fail(a, admin_reason(r), "Cannot read %s: %s.", path, strerror(-r));
}

static int fail_part(struct admin *a, int r, const char *path, const struct metadata_writer *w)
{
    if (r == REASON_TOO_LARGE)
        return admin_fail(a, REASON_TOO_LARGE, "Together this is more than metadata may be: %u KiB.",
                          METADATA_PARTS_MAX >> 10);
    if (r != REASON_MALFORMED)
        return admin_error(a, r, "read the metadata");
    if (w->line == 0)
        return admin_fail(
            a, REASON_MALFORMED,
            "%s is no JPEG or PNG picture of at most %u KiB and %u times %u pixels, with nothing behind it.", path,
            METADATA_COVER_MAX >> 10, METADATA_COVER_SIDE_MAX, METADATA_COVER_SIDE_MAX);
    return admin_fail(a, REASON_MALFORMED, "%s, line %u: %s.", path, w->line, w->cause);
}

static int add_text(struct admin *a, struct metadata_writer *w, const struct admin_option *option,
                    int (*write)(struct metadata_writer *w, char *text))
{
    struct buf text CLEANUP(buf_free) = buf(METADATA_TEXT_FILE_MAX);
    if (!option->given)
        return 0;
    int r = read_whole(a, option->text, &text);
    if (r == 0 && (buf_put_u8(&text, 0) != 0 || memchr(text.data, 0, text.len - 1)))
        r = admin_fail(a, REASON_MALFORMED, "%s is no text.", option->text);
    if (r != 0)
        return r;
    r = write(w, (char *)text.data);
    return r == 0 ? 0 : fail_part(a, r, option->text, w);
}

static int add_cover(struct admin *a, struct metadata_writer *w, const struct admin_option *option)
{
    struct buf picture CLEANUP(buf_free) = buf(METADATA_FILE_MAX);
    if (!option->given)
        return 0;
    int r = read_whole(a, option->text, &picture);
    if (r != 0)
        return r;
    r = metadata_write_cover(w, buf_slice(&picture));
    return r == 0 ? 0 : fail_part(a, r, option->text, w);
}

static int write_parts(struct admin *a, const struct admin_option *options, struct metadata_writer *w)
{
    int r = add_text(a, w, &options[TAGS], metadata_write_tags);
    if (r == 0)
        r = add_text(a, w, &options[CHAPTERS], metadata_write_chapters);
    if (r == 0)
        r = add_text(a, w, &options[LYRICS], metadata_write_lyrics);
    if (r == 0)
        r = add_cover(a, w, &options[COVER]);
    if (r == 0 && w->parts.len == 0)
        r = admin_usage(
            a, "metadata sign needs something to sign: --tags, --chapters, --lyrics or --cover, each with a file");
    return r;
}

/* --- sign ----------------------------------------------------------------------------------------------------------- */

struct signing {
    struct signer signer;
    struct key32 seed;
    doc_Metadata said;
    struct buf vouch, keyset;
};

static void signing_deinit(struct signing *s)
{
    key32_wipe(&s->seed);
    buf_free(&s->vouch);
    buf_free(&s->keyset);
}

static int sign_as_publisher(struct admin *a, struct signing *s)
{
    int r = admin_open(a);
    if (r != 0)
        return r;
    r = admin_judge_keys(a);
    if (r != 0)
        return r;
    signer_from_pair(&s->signer, &a->keys->license);
    s->said.kind = SIGNER_PUBLISHER;
    memcpy(s->said.signer, a->keys->self.bytes, ID_BYTES);
    r = keyset_current(a->o, &s->keyset);
    return r == 0 ? 0 : admin_error(a, r, "read the keyset");
}

static int take_vouch(struct admin *a, const char *path, struct signing *s)
{
    struct buf bytes CLEANUP(buf_free) = buf(METADATA_VOUCH_MAX + METADATA_KEYSET_MAX + 64);
    struct metadata_file file;
    int r = read_whole(a, path, &bytes);
    if (r != 0)
        return r;
    if (metadata_vouch_split(buf_slice(&bytes), &file) != 0)
        return admin_fail(a, REASON_MALFORMED, "%s is not what `metadata vouch` writes.", path);
    r = buf_append(&s->vouch, file.vouch);
    if (r == 0)
        r = buf_append(&s->keyset, file.keyset);
    return r == 0 ? 0 : admin_error(a, -ENOMEM, "read the vouch");
}

static int sign_as_provider(struct admin *a, const struct admin_option *options, struct signing *s)
{
    int r = admin_provider_load(a, options[KEY].text, &s->seed);
    if (r != 0)
        return r;
    signer_from_seed(&s->signer, &s->seed);
    const struct id id = id_of_key(s->signer.public_key);
    s->said.kind = SIGNER_PROVIDER;
    memcpy(s->said.signer, id.bytes, ID_BYTES);
    return options[VOUCH].given ? take_vouch(a, options[VOUCH].text, s) : 0;
}

static int describe(struct admin *a, const struct admin_option *options, doc_Metadata *m)
{
    struct id content;
    if (id_parse(options[CONTENT].text, &content) != 0)
        return admin_usage(a, "--content is the content's ID, whole");
    if (options[LANGUAGE].given && strlen(options[LANGUAGE].text) > METADATA_LANGUAGE_MAX)
        return admin_usage(a, "--language is a tag such as de or pt-BR");
    *m = (doc_Metadata){ .issued_ms = (uint64_t)a->now_ms };
    memcpy(m->content, content.bytes, ID_BYTES);
    CODEC_SET_TEXT(m->language, options[LANGUAGE].given ? options[LANGUAGE].text : "");
    m->sequence =
        options[SEQUENCE].given ? (uint64_t)options[SEQUENCE].number : (uint64_t)a->now_ms; /* rises by itself */
    m->has_ends_ms = options[UNTIL].given;
    m->ends_ms = options[UNTIL].given ? (uint64_t)options[UNTIL].number : 0;
    return 0;
}

static int write_file(struct admin *a, const char *path, struct signing *s, const struct metadata_writer *w)
{
    struct buf document CLEANUP(buf_free) = buf(METADATA_DOCUMENT_MAX), file CLEANUP(buf_free) = buf(METADATA_FILE_MAX);
    doc_Metadata again;
    doc_Keyset own;
    const struct id signer = id_from(s->said.signer);
    s->said.parts_bytes = (uint32_t)w->parts.len;
    sha256(buf_slice(&w->parts), s->said.parts_digest);
    int r = document_sign(&document, DOCUMENT_METADATA, &s->said, &s->signer);
    if (r == 0 && s->said.kind == SIGNER_PUBLISHER)
        r = keyset_own(a->o, &own);
    if (r == 0)
        r = metadata_judge(buf_slice(&document), &signer, s->said.kind == SIGNER_PUBLISHER ? &own : NULL, &again);
    if (r == REASON_MALFORMED)
        return admin_usage(a, "--language is a tag such as de or pt-BR, --sequence a number from 1");
    const struct metadata_file whole = { buf_slice(&document), buf_slice(&s->vouch), buf_slice(&s->keyset),
                                         buf_slice(&w->parts) };
    if (r == 0)
        r = metadata_file_put(&file, &whole);
    if (r == 0)
        r = file_replace(path, buf_slice(&file), 0644);
    return r == 0 ? 0 : admin_error_at(a, r > 0 ? -EMSGSIZE : r, "write the metadata", path);
}

static int sign_with(struct admin *a, const struct admin_option *options, struct signing *s, struct metadata_writer *w)
{
    int r = describe(a, options, &s->said);
    if (r == 0)
        r = write_parts(a, options, w);
    if (r == 0)
        r = options[OWN].given ? sign_as_publisher(a, s) : sign_as_provider(a, options, s);
    if (r == 0)
        r = write_file(a, options[OUT].text, s, w);
    if (r != 0)
        return r;
    const struct id signer = id_from(s->said.signer), content = id_from(s->said.content);
    const uint32_t *counts = w->so_far.counts;
    const struct out_field fields[] = { OUT_I("content", &content),
                                        OUT_I("signer", &signer),
                                        OUT_F("publisher", s->said.kind == SIGNER_PUBLISHER),
                                        OUT_N("sequence", s->said.sequence),
                                        OUT_N("tags", counts[METADATA_TAG]),
                                        OUT_N("chapters", counts[METADATA_CHAPTER]),
                                        OUT_N("lyrics", counts[METADATA_LYRIC]),
                                        OUT_F("cover", counts[METADATA_COVER] > 0),
                                        OUT_T("file", options[OUT].text) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int sign(struct admin *a, const struct admin_option *options)
{
    struct signing s CLEANUP(signing_deinit) = { .vouch = buf(METADATA_VOUCH_MAX), .keyset = buf(METADATA_KEYSET_MAX) };
    struct metadata_writer w CLEANUP(metadata_writer_deinit);
    metadata_writer_init(&w);
    if (options[KEY].given == options[OWN].given || !options[CONTENT].given || !options[OUT].given)
        return admin_usage(
            a, "metadata sign --content ID --out FILE, and --key KEY (a provider) or --own (the publisher)");
    return sign_with(a, options, &s, &w);
}

/* --- vouch ---------------------------------------------------------------------------------------------------------- */

static int vouch(struct admin *a, const char *word, const char *path, const struct admin_option *options)
{
    struct buf envelope CLEANUP(buf_free) = buf(METADATA_VOUCH_MAX),
                        keyset CLEANUP(buf_free) = buf(METADATA_KEYSET_MAX),
                        file CLEANUP(buf_free) = buf(METADATA_VOUCH_MAX + METADATA_KEYSET_MAX + 64);
    const int64_t days = options[DAYS].given ? options[DAYS].number : VOUCH_DAYS;
    const bool withdrawn = options[WITHDRAW].given;
    struct signer signer;
    struct id provider;
    if (id_parse(word, &provider) != 0)
        return admin_usage(a, "metadata vouch ID FILE (the ID that `metadata key` prints, whole)");
    int r = admin_open(a);
    if (r != 0)
        return r;
    if (r == 0)
        r = admin_judge_keys(a);
    if (r != 0)
        return r;
    doc_MetadataVouch v = { .sequence = (uint64_t)a->now_ms, .issued_ms = (uint64_t)a->now_ms };
    v.ends_ms = withdrawn ? (uint64_t)(a->now_ms - DAY_MS) : (uint64_t)(a->now_ms + days * DAY_MS);
    memcpy(v.distributor, a->keys->self.bytes, ID_BYTES);
    memcpy(v.provider, provider.bytes, ID_BYTES);
    signer_from_pair(&signer, &a->keys->license);
    r = document_sign(&envelope, DOCUMENT_METADATA_VOUCH, &v, &signer);
    if (r == 0)
        r = keyset_current(a->o, &keyset);
    if (r == 0)
        r = metadata_vouch_put(&file, buf_slice(&envelope), buf_slice(&keyset));
    if (r == 0)
        r = file_replace(path, buf_slice(&file), 0644);
    if (r != 0)
        return admin_error_at(a, r > 0 ? -EMSGSIZE : r, "write the vouch", path);
    const struct out_field fields[] = { OUT_I("provider", &provider), OUT_F("withdrawn", withdrawn),
                                        OUT_MS("ends", v.ends_ms), OUT_T("file", path) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

int admin_metadata(struct admin *a, int argc, char **argv)
{
    struct admin_option options[OPTIONS] = {
        [KEY] = { .name = "key" },
        [OWN] = { .name = "own", .kind = ADMIN_FLAG },
        [CONTENT] = { .name = "content" },
        [TAGS] = { .name = "tags" },
        [CHAPTERS] = { .name = "chapters" },
        [LYRICS] = { .name = "lyrics" },
        [COVER] = { .name = "cover" },
        [LANGUAGE] = { .name = "language" },
        [SEQUENCE] = { .name = "sequence", .kind = ADMIN_COUNT },
        [UNTIL] = { .name = "until", .kind = ADMIN_TIME },
        [VOUCH] = { .name = "vouch" },
        [OUT] = { .name = "out" },
        [DAYS] = { .name = "days", .kind = ADMIN_COUNT },
        [WITHDRAW] = { .name = "withdraw", .kind = ADMIN_FLAG },
    };
    int r = admin_options(a, options, OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    if (argc == 2 && strcmp(argv[0], "key") == 0)
        return admin_provider_key(a, argv[1]);
    if (argc == 1 && strcmp(argv[0], "sign") == 0)
        return sign(a, options);
    if (argc == 3 && strcmp(argv[0], "vouch") == 0)
        return vouch(a, argv[1], argv[2], options);
    return admin_usage(a, "metadata key, sign or vouch: metadata --help shows how");
}
