/* Writes the seed inputs of every harness: the same bytes in every run. Argument: the corpus directory.
 * After a schema has changed: ninja fuzz-corpus. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/util.h"
#include "control.pb.h"
#include "fuzz.h"
#include "messages.h"
#include "seeds.h"
#include "vault.pb.h"
#include "world.h"

static const char *corpus;

/* corpus/HARNESS/seed-NAME.bin */
static void put(const char *harness, const char *name, struct slice content)
{
    char directory[4096], path[8192];
    snprintf(directory, sizeof(directory), "%s/%s", corpus, harness);
    snprintf(path, sizeof(path), "%s/seed-%s.bin", directory, name);
    if (file_make_dirs(directory, 0755) != 0 || file_replace(path, content, 0644) != 0) {
        perror(path);
        exit(1);
    }
}

void put_parts(const char *harness, const char *name, const struct slice *parts, size_t count)
{
    struct buf all CLEANUP(buf_free) = buf(1 << 20);
    for (size_t i = 0; i < count; i++)
        CHECK(buf_append(&all, parts[i]) == 0);
    put(harness, name, buf_slice(&all));
}

/* ---- frames and messages ------------------------------------------------------------------------------------- */

static void seed_frames(void)
{
    struct buf stream CLEANUP(buf_free) = buf(1 << 16), list CLEANUP(buf_free) = buf(1 << 10);
    msg_Ping ping = { 0 };
    msg_Hello hello = { .role = 1, .generation = 300 };
    CHECK(codec_list_put(&list, slice("one", 3)) == 0 && codec_list_put(&list, slice("", 0)) == 0);
    CHECK(codec_frame(&stream, msg_Type_PING, 1, msg_Ping_fields, &ping, slice(NULL, 0)) == 0);
    CHECK(codec_frame(&stream, msg_Type_HELLO, 3, msg_Hello_fields, &hello, slice(NULL, 0)) == 0);
    CHECK(codec_frame(&stream, msg_Type_TRANSACT, 5, msg_Hello_fields, &hello, buf_slice(&list)) == 0);
    PUT("frame", "stream", BYTES(0, 1, 0, 0, 255, 0, 8), buf_slice(&stream));
    PUT("frame", "byte-by-byte", BYTES(0, 1, 0, 0, 0, 0, 8), buf_slice(&stream));
    PUT("frame", "tail-beyond-bound", BYTES(0, 0, 0, 4, 255, 0, 8), buf_slice(&stream));
    PUT("frame", "item-beyond-bound", BYTES(0, 1, 0, 0, 255, 0, 2), buf_slice(&stream));
    PUT("frame", "item-beyond-tail", BYTES(0, 1, 0, 0, 3, 0, 8, 0, 0, 0, 14, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5));
    PUT("frame", "length-4-gib", BYTES(0, 1, 0, 0, 3, 0, 8, 255, 255, 255, 255, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0));
    PUT("frame", "length-short", BYTES(0, 1, 0, 0, 3, 0, 8, 0, 0, 0, 9, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0));
    PUT("frame", "message-beyond-frame", BYTES(0, 1, 0, 0, 3, 0, 8, 0, 0, 0, 12, 0, 3, 0, 0, 0, 1, 0, 0, 0, 3, 8, 1));
}

static void put_message_bytes(const struct message *m, const char *name, struct slice bytes)
{
    uint8_t number[2];
    put_be16(number, message_number(m));
    PUT("codec", name, SLICE_ARRAY(number), bytes);
}

static void put_message(const struct message *m, const char *name, const void *message)
{
    struct buf bytes CLEANUP(buf_free) = buf(1 << 16);
    CHECK(m && codec_encode(&bytes, m->fields, message) == 0);
    put_message_bytes(m, name, buf_slice(&bytes));
}

static void seed_messages(const struct world *w)
{
    static const char *const types[DOCUMENT_COUNT] = {
        "doc_Keyset",          "doc_DeviceCertificate", "doc_Roster",     "doc_License",
        "doc_CopyCertificate", "doc_Delegation",        "doc_Ekb",        "doc_KeyGrant",
        "doc_Quote",           "doc_Receipt",           "doc_Surrender",  "doc_SignedTime",
        "doc_Share",           "doc_Settlement",        "doc_Use",        "doc_UseLog",
        "doc_UseLogTaken",     "doc_Standing",          "doc_Generation", "doc_CatchUp",
        "doc_Program",         "doc_ProgramGrant",      "doc_Metadata",   "doc_MetadataVouch",
    };
    for (int d = 0; d < DOCUMENT_COUNT; d++)
        put_message(message_named(types[d]), types[d], w->documents[d]);
    put_message(message_named("doc_ContentInfo"), "doc_ContentInfo", &w->content_info);
    for (size_t i = 0; i < message_count(); i++) { /* all zero: text "", numbers 0; every message once */
        const struct message *m = message_at(i);
        void *zero CLEANUP(freep) = calloc(1, m->struct_bytes);
        char name[80];
        CHECK(zero);
        snprintf(name, sizeof(name), "zero-%s", m->name);
        put_message(m, name, zero);
    }
    put_message_bytes(message_named("msg_Hello"), "long-number", BYTES(8, 0x81, 0, 16, 2));
    put_message_bytes(message_named("msg_Hello"), "twice", BYTES(8, 1, 8, 1, 16, 2));
    put_message_bytes(message_named("msg_Hello"), "order", BYTES(16, 2, 8, 1));
    put_message_bytes(message_named("msg_Hello"), "unknown-field", BYTES(8, 1, 16, 2, 24, 0));
    put_message_bytes(message_named("msg_Hello"), "absent", BYTES(8, 1));
    put_message_bytes(message_named("ctl_Progress"), "escape-in-text", BYTES(10, 2, 27, '[', 16, 0, 24, 0));
    put_message_bytes(message_named("ctl_Progress"), "zero-in-text", BYTES(10, 2, 'a', 0, 16, 0, 24, 0));
    put_message_bytes(message_named("msg_RosterGet"), "group", BYTES(11, 12));
}

/* ---- certificates ------------------------------------------------------------------------------------------- */

/* One choice each, so that mutation can join them (fuzz-certificate.c says what the numbers are). */
static void seed_certificates(void)
{
    PUT("certificate", "good", slice(NULL, 0));
    PUT("certificate", "own-issuer", BYTES(7));
    PUT("certificate", "own-issuer-old-key", BYTES(7, 6, 0, WHO_OWN_LICENSE_OLD, 6, 1, WHO_OWN_LICENSE_OLD));
    PUT("certificate", "medium", BYTES(8, 3, 0, 0, 4, 1));
    PUT("certificate", "medium-not-removable", BYTES(8, 3, 0));
    PUT("certificate", "other-copy-key", BYTES(6, 0, WHO_PARTNER_COPY_OTHER, 6, 1, WHO_PARTNER_COPY_OTHER));
    PUT("certificate", "other-license-key", BYTES(6, 1, WHO_PARTNER_COPY_OTHER));
    PUT("certificate", "delegation-by-partner", BYTES(6, 2, WHO_PARTNER_LICENSE));
    PUT("certificate", "delegation-old-key", BYTES(6, 2, WHO_OWN_LICENSE_OLD));
    PUT("certificate", "block-by-partner", BYTES(6, 3, WHO_PARTNER_LICENSE));
    PUT("certificate", "other-publisher", BYTES(4, 4, WHO_OWN_ROOT));
    PUT("certificate", "other-destination", BYTES(0, 2, WHO_STRANGER));
    PUT("certificate", "other-source", BYTES(0, 1, WHO_STRANGER));
    PUT("certificate", "ended", BYTES(0, 6, 3, 0));
    PUT("certificate", "ends-at-skew", BYTES(0, 6, 2, 65));
    PUT("certificate", "ends-beyond-skew", BYTES(0, 6, 2, 66));
    PUT("certificate", "longest-life", BYTES(0, 6, 9, 0));
    PUT("certificate", "life-too-long", BYTES(0, 6, 9, 160));
    PUT("certificate", "beyond-delegation", BYTES(2, 4, 1, 11, 0, 0, 6, 6, 160));
    PUT("certificate", "below-floor", BYTES(2, 3, 2));
    PUT("certificate", "at-floor", BYTES(2, 3, 3));
    PUT("certificate", "block-older", BYTES(3, 3, 6));
    PUT("certificate", "block-newer", BYTES(3, 3, 8));
    PUT("certificate", "other-category", BYTES(1, 3, 2));
    PUT("certificate", "index-beyond", BYTES(0, 7, 11));
    PUT("certificate", "other-content", BYTES(9, 1, WHO_COUNT));
    PUT("certificate", "no-delegation", BYTES(8, 5, 0));
    PUT("certificate", "not-yet", BYTES(0, 5, 2, 162));
    PUT("certificate", "blocks-do-not-fit", BYTES(4, 3, 0, 0, 0, 5));
    PUT("certificate", "block-of-unknown-kind", BYTES(3, 2, 3));
    PUT("certificate", "edit-payload", BYTES(10, 0, 0, 4, 0, 0, 50, 1));
    PUT("certificate", "edit-envelope", BYTES(10, 0, 1, 4, 0, 0, 50, 1));
    PUT("certificate", "edit-license", BYTES(10, 1, 0, 4, 0, 0, 50, 1));
}

/* ---- the others ---------------------------------------------------------------------------------------------- */

static void seed_blocks(const struct world *w)
{
    static const uint8_t zeros[256];
    struct slice entries = slice(w->block.entries, (size_t)w->block.count * EKB_ENTRY_BYTES);
    PUT("ekb", "entries", BYTES(0), entries);
    PUT("ekb", "one-entry", BYTES(0), slice_sub(entries, 0, EKB_ENTRY_BYTES));
    PUT("ekb", "entry-twice", BYTES(0), slice_sub(entries, 0, EKB_ENTRY_BYTES), slice_sub(entries, 0, EKB_ENTRY_BYTES));
    PUT("ekb", "cut", BYTES(0), slice_sub(entries, 0, entries.len - 1));
    PUT("ekb", "edited", BYTES(1, 0, 0, 3, 1));
    PUT("ekb", "opened", BYTES(2));
    PUT("ekb", "opened-edited-entry", BYTES(2, 0, 0, 0, 9, 1));
    PUT("ekb", "opened-other-version", BYTES(2, 5, 0, 0, 0, 0, 0, 0, 0, 13));
    PUT("ekb", "opened-other-index", BYTES(2, 6, 0, 1));
    PUT("ekb", "opened-more-entries", BYTES(2, 7, 0, 129));
    PUT("parts", "whole", BYTES(1));
    PUT("parts", "top-entry-edited", BYTES(1, 0, 0, 3, 1));
    PUT("parts", "padding-not-zero", BYTES(1, 0, 0, 80, 1));
    PUT("parts", "of-zeros", BYTES(0), slice_sub(SLICE_ARRAY(zeros), 0, 3 * EKB_ENTRY_BYTES));
    PUT("parts", "opened", BYTES(2));
    PUT("parts", "opened-edited-part", BYTES(2, 0, 0, 0, 30, 1));
    PUT("parts", "opened-edited-proof", BYTES(2, 1, 0, 0, 3, 1));
    PUT("parts", "opened-edited-top", BYTES(2, 3, 9, 1));
    PUT("parts", "opened-other-index", BYTES(2, 4, 0, 1));
    PUT("parts", "opened-other-version", BYTES(2, 5, 0, 0, 0, 0, 0, 0, 0, 13));
    PUT("parts", "place", BYTES(3), slice_sub(SLICE_ARRAY(zeros), 0, 73 + 64));
    PUT("parts", "place-cut", BYTES(3), slice_sub(SLICE_ARRAY(zeros), 0, 72));
    PUT("ekb", "proof", BYTES(3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2), entries);
}

static void put_info(const char *name, const doc_ContentInfo *i)
{
    struct buf info CLEANUP(buf_free) = buf(1 << 12);
    CHECK(CODEC_ENCODE(doc_ContentInfo, &info, i) == 0);
    PUT("info", name, BYTES(0, 0x44), buf_slice(&info));
}

static void seed_info(const struct world *w)
{
    PUT("info", "good", BYTES(0, 0x44), buf_slice(&w->info));
    PUT("info", "edited", BYTES(1, 0x44, 0, 0, 60, 1));
    PUT("info", "shape", BYTES(2, 0, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 0, 4, 0, 0, 0, 200));
    doc_ContentInfo other = w->content_info;
    other.has_metadata_signers = true;
    put_info("signers-unknown", &other);
    other = w->content_info;
    other.block_count++;
    put_info("blocks-do-not-fit", &other);
    other.block_bytes++;
    put_info("no-power-of-two", &other);
    PUT("info", "cut", BYTES(1, 0x44, 4, 0, 20, 0));
    PUT("info", "shape-without-info", BYTES(2, 0, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 0, 4, 0, 0, 0, 0));
    PUT("info", "shape-largest", BYTES(2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 8, 0));
    PUT("info", "shape-beyond", BYTES(2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0x10, 0, 0, 8, 0));
}

static void seed_text(void)
{
    PUT("text", "plain", BYTES(40), slice_str("Nocturne in E-flat major, Op. 9 No. 2"));
    PUT("text", "hex", BYTES(40), slice_str("00ff7F80"));
    PUT("text", "base32", BYTES(40), slice_str("mfrggzdf"));
    PUT("text", "id", BYTES(60), slice_str("liicjrgaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    PUT("text", "path", BYTES(20), slice_str("../../etc/passwd"));
    PUT("text", "option", BYTES(20), slice_str("-rf ."));
    PUT("text", "bidi", BYTES(20),
        slice_str("a\xe2\x80\xae"
                  "cod.exe"));
    PUT("text", "escape", BYTES(20),
        slice_str("\x1b[2Jx\xc2\x9b"
                  "1m"));
    PUT("text", "overlong", BYTES(20), BYTES(0xc0, 0xaf, 0xe0, 0x80, 0xaf, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80));
    PUT("text", "kind-of-program", BYTES(40), slice_str("plug-in"));
    PUT("text", "version", BYTES(40), slice_str("1.20.3"));
    PUT("text", "version-zero", BYTES(40), slice_str("0.0.0"));
    PUT("text", "version-large", BYTES(40), slice_str("1.65536"));
    PUT("text", "cut-character", BYTES(3), slice_str("ab\xe2\x82\xac\xf0\x9f\x8e\xb5"));
}

static void seed_addresses(void)
{
    static const char *const texts[] = {
        "127.0.0.1:4711",
        "[::1]:65535",
        "[fe80::1%lo]:1",
        "kitchen.local:443",
        "host:0",
        "host:65536",
        "::1:80",
        "[::ffff:10.0.0.1]:9",
        "[]:1",
        "[a:1",
        "a b:1",
        "host:",
        "[::1%9]:1",
        "http://example.org/a//",
        "http://[::1]:8/",
        "https://h:65536/",
        "https://h:1a/",
        "https://h:123456/",
        "http://[::1",
        "http://[::1]x",
        "http://u@h/",
        "http://h/\x7f",
        "http://h(/",
        "a b:0",
        "hearth://h:1",
        "hearth://h#a",
        "gopher://h/",
        "hearth://example.org:7700#liicjrgaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        char name[32];
        snprintf(name, sizeof(name), "text-%02zu", i);
        PUT("address", name, slice_str(texts[i]));
    }
    char far[300] = "http://";
    memset(far + 7, 'a', sizeof(far) - 8);
    far[sizeof(far) - 1] = '\0';
    PUT("address", "far", slice_str(far));
    PUT("address", "unix", BYTES(0, 1, 0, '/', 'x'));
    PUT("address", "v4", BYTES(0, 2, 0, 0x12, 0x67, 127, 0, 0, 1));
    PUT("address", "v6",
        BYTES(0, 10, 0, 0x12, 0x67, 0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0));
}

static void seed_transactions(void)
{
    PUT("txn", "smooth", BYTES(0, 2, 0, 6, 6, 0, 6, 6, 1, 6));
    PUT("txn", "answer-lost", BYTES(0, 2, 0, 6, 4, 0, 6, 6));
    PUT("txn", "crash-and-repeat", BYTES(0, 2, 0, 6, 3, 2, 0, 6, 6, 6));
    PUT("txn", "old-connection", BYTES(0, 2, 0, 3, 2, 0, 0x16, 0x16, 6, 6));
    PUT("txn", "asked-twice", BYTES(0, 2, 0, 0, 6, 6, 6, 6, 0, 6, 6));
    PUT("txn", "restored", BYTES(1, 2, 0, 6, 6, 0, 6, 6));
    PUT("txn", "restored-under-way", BYTES(3, 2, 0, 6, 6, 0, 6, 6, 0, 6));
}

/* Steps of fuzz-requests.c: a quote, a purchase, copies, receipts. */
static void seed_requests(void)
{
    PUT("requests", "nothing", slice(NULL, 0));
    PUT("requests", "quote", BYTES(1, 0));
    PUT("requests", "purchase", BYTES(1, 0, 2, 0, 1));
    PUT("requests", "purchase-and-copy", BYTES(1, 0, 2, 0, 1, 2, 0, 0));
    PUT("requests", "move", BYTES(1, 0, 2, 0, 1, 2, 0, 0x40));
    PUT("requests", "removable", BYTES(1, 0, 2, 0, 1, 2, 0, 0x80));
    PUT("requests", "copy-redeemed", BYTES(1, 0, 2, 0, 1, 2, 0, 0, 5, 1, 4, 1, 0, 0));
    PUT("requests", "copy-refused", BYTES(1, 0, 2, 0, 1, 2, 0, 0x40, 5, 1, 4, 0x51, 0, 0));
    PUT("requests", "repeated", BYTES(1, 0, 2, 0, 1, 2, 0xc0, 1, 1));
    PUT("requests", "three-items", BYTES(1, 0, 2, 2, 1, 0, 1));
    PUT("requests", "count-beyond", BYTES(1, 0, 2, 0x20, 1, 255, 255, 255, 255));
    for (uint8_t i = 0; i < 23; i++) {
        char name[32];
        snprintf(name, sizeof(name), "any-%02u", i);
        PUT("requests", name, BYTES(0, i, 0, 0, 0, 5, 3, 0, i, 0, 0, 0));
    }
}

/* Rows of fuzz-share.c: each table, given and taken back; keysets. */
static void seed_shares(void)
{
    for (uint8_t i = 0; i < 13; i++) {
        char name[32];
        snprintf(name, sizeof(name), "table-%02u", i);
        PUT("share", name, BYTES(1, i, 2, 0, 1, i, 0, 0, 1, i, 10, 0));
    }
    PUT("share", "link-taken-apart", BYTES(1, 7, 6, 0, 1, 7, 14, 0));
    PUT("share", "gap", BYTES(1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 9));
    PUT("share", "another-signer", BYTES(1, 0, 32, 0, WHO_PARTNER_ROOT));
    PUT("share", "in-our-name", BYTES(1, 0, 96, 0));
    PUT("share", "keyset-newer", BYTES(0, 8));
    PUT("share", "keyset-beyond-numbers",
        BYTES(0, 1, 255, 255, 255, 255, 255, 255, 255, 255)); /* stopped every row behind it */
    PUT("share", "keyset-ends-beyond-numbers",
        BYTES(0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 255, 255, 255, 255, 255, 255, 255, 255));
}

static void seed_medium(void)
{
    PUT("medium", "certificate", BYTES(1));
    PUT("medium", "certificate-edited", BYTES(1, 0, 0, 60, 1));
    PUT("medium", "certificate-cut", BYTES(1, 4, 0, 40, 0));
    PUT("medium", "certificate-longer", BYTES(1, 2, 7, 208, 1, 0));
    PUT("medium", "package", BYTES(3));
    PUT("medium", "package-list-edited", BYTES(3, 0, 0, 170, 1));
    PUT("medium", "package-cut", BYTES(3, 4, 4, 0, 0));
    PUT("medium", "head-alone", BYTES(2), slice_str("HEARTHP1"));
    PUT("medium", "length-4-gib", BYTES(2), slice_str("HEARTHP1\xff\xff\xff\xff"));
    for (uint8_t i = 0; i < 64; i += i < 16 ? 1 : 16) { /* fuzz-medium.c says what the bits are */
        char name[32];
        snprintf(name, sizeof(name), "written-%02u", i);
        PUT("medium", name, BYTES(4, i, i == 0 ? ENOSPC : i == 1 ? EROFS : 0));
    }
    PUT("medium", "written-edited", BYTES(4, 12, 0, 0, 0, 60, 1));
    PUT("medium", "written-both-elsewhere", BYTES(4, 33));
    PUT("medium", "written-both-over-directories", BYTES(4, 35));
}

static void seed_receive(void)
{
    PUT("receive", "smooth", BYTES(3, 0, 99, 7));
    PUT("receive", "all-by-hand", BYTES(1, 0, 99, 7, 0, 0x82, 0x83, 5, 5, 7, 7, 10));
    PUT("receive", "wrong-blocks", BYTES(2, 0, 99, 0, 0, 0x82, 0x83, 5, 8, 5, 8, 5, 8, 5, 8, 5, 8));
    PUT("receive", "wrong-list", BYTES(2, 0, 99, 0, 0, 0x82, 3, 1));
    PUT("receive", "unasked", BYTES(5, 0, 99, 0, 0, 0x82, 0x83, 6, 4, 16, 44, 0, 5, 1, 0, 5));
    PUT("receive", "stalled", BYTES(5, 0, 99, 0, 0, 9, 255, 255, 0, 0x82));
}

/* Requests of fuzz-vault.c, each handed over by itself. */
#define VAULT_CHECK 130, 0, 0, 0, 0, 1
#define VAULT_COMMIT 132, 0
#define VAULT_REFUSE 131, 0, 0, 0, 0, 1
#define VAULT_RELEASE 133, 0
#define VAULT_LICENSE 134, 0, 0, 0, 1
#define VAULT_MOVE 135, 0, 0, 0
#define VAULT_MOVED 136, 0, 0
#define VAULT_MOVE_OFF 137, 0, 0
#define VAULT_LIST 141
static void seed_vault(void)
{
    PUT("vault", "copy", BYTES(VAULT_CHECK, VAULT_COMMIT, VAULT_CHECK, VAULT_COMMIT, VAULT_REFUSE));
    PUT("vault", "refused", BYTES(VAULT_CHECK, VAULT_REFUSE, VAULT_COMMIT, VAULT_CHECK));
    PUT("vault", "released", BYTES(VAULT_CHECK, VAULT_RELEASE, VAULT_COMMIT, VAULT_CHECK, VAULT_COMMIT));
    PUT("vault", "move",
        BYTES(VAULT_LICENSE, VAULT_MOVE, VAULT_LIST, VAULT_MOVED, VAULT_LIST, VAULT_MOVE, VAULT_MOVE_OFF, VAULT_LIST));
    PUT("vault", "move-off", BYTES(VAULT_LICENSE, VAULT_MOVE, VAULT_MOVE_OFF, VAULT_LIST, VAULT_MOVED, VAULT_MOVE));
    PUT("vault", "moved-and-given-again", BYTES(VAULT_LICENSE, VAULT_MOVE, VAULT_MOVED, VAULT_LICENSE, VAULT_LIST));
    PUT("vault", "papers", BYTES(138, 1, 0, 0, 9, 0, 138, 0, 1, 0, 138, 0, 2, 0, 0, 0, 0, 9, 0));
    PUT("vault", "at-once", BYTES(0, 0, 0, 0, 0, 1, 2, 0, 4, 0, 0, 0, 1, 5, 0, 0, 0, 11));
    PUT("vault", "programs",
        BYTES(138, 0, 3, 0, 0, 0, 0, 138, 0, 3, 1, 0, 0, 0, 140, 15, 0, 0, 140, 16, 0, 0, 140, 17, 0, 0));
    PUT("vault", "vouches", BYTES(138, 4, 9, 0, 0, 0, 0, 138, 4, 3, 0, 0, 0, 0, 140, 20, 0, 0, 140, 21, 0, 0));
    PUT("vault", "play", BYTES(VAULT_CHECK, VAULT_COMMIT, 140, 1, 0, 0));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: fuzz-seeds CORPUS\n");
        return 2;
    }
    corpus = argv[1];
    const struct world *w = world_get();
    seed_frames();
    seed_messages(w);
    seed_documents(w);
    seed_certificates();
    seed_blocks(w);
    seed_info(w);
    seed_text();
    seed_addresses();
    seed_transactions();
    seed_requests();
    seed_shares();
    seed_medium();
    seed_metadata();
    seed_receive();
    seed_vault();
    seed_siblings();
    return 0;
}
