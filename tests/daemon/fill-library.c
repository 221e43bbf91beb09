/* Gives a device that is not running a library of many tracks, for measuring: fill-library STATE-DIR COUNT.
 *
 * Nothing is written past the programs: licenses with their headers are stored by the real vault, which judges each as in a purchase; content
 * information by hearthd's own statements; bodies (a few bytes each) lie where a download would leave them, without its syncs. The distributor is one
 * of the tests' own, which nobody reaches: the device is offline. The state directory is made; the process works in it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"
#include "crypto/merkle.h"
#include "daemon/db.h"
#include "net/bodies.h"
#include "rig.h"

#define WINDOW 64
#define ADDRESS "127.0.0.1:9" /* discard: nobody answers */

struct filling {
    struct rig rig;
    struct maker shop;
    struct db *db;
    unsigned count;
    uint32_t ids[WINDOW];
};

/* A title as people have them, each different; in no order of time. */
static void content_make(const struct filling *f, unsigned i, struct content *c)
{
    static const char *const words[] = { "Night", "River", "Glass", "Summer", "Paper", "Iron", "Garden", "Winter" };
    uint8_t plain[16] = { 0 };
    put_be32(plain, i);
    content_init(c, &f->shop, (uint8_t)i, "audio/flac", SLICE_ARRAY(plain), BLOCK_PLAIN_MIN);
    put_be32(c->license_id, i);
    put_be32(c->info.nonce, i); /* another content with the same keys: nobody plays it */
    (void)snprintf(c->info.title, sizeof(c->info.title), "%s %s No. %u", words[i * 5 % 8], words[i / 8 % 8], i);
    c->info.has_creator = c->info.has_album = true;
    (void)snprintf(c->info.creator, sizeof(c->info.creator), "The %s Players %u", words[i / 64 % 8], i / 100);
    (void)snprintf(c->info.album, sizeof(c->info.album), "Volume %u", i / 10);
    buf_clear(&c->info_bytes);
    check(CODEC_ENCODE(doc_ContentInfo, &c->info_bytes, &c->info) == 0);
    check(body_shape_init(c->shape, c->info.plain_bytes, c->info.block_bytes, c->info_bytes.len) == 0);
    body_content_id(buf_slice(&c->info_bytes), c->list_root, &c->id);
}

/* As src/crypto/body.h has it. */
static void write_body(const struct content *c)
{
    char path[BODIES_PATH_BYTES];
    struct buf bytes CLEANUP(buf_free) = buf(1 << 16);
    uint8_t len[4];
    put_be32(len, (uint32_t)c->info_bytes.len);
    check(buf_append(&bytes, slice_str(BODY_MAGIC)) == 0 && buf_append(&bytes, SLICE_ARRAY(len)) == 0);
    check(buf_append(&bytes, buf_slice(&c->info_bytes)) == 0 && buf_append(&bytes, buf_slice(&c->hashes)) == 0);
    check(buf_append(&bytes, buf_slice(&c->blocks)) == 0 && bytes.len == body_file_bytes(c->shape));
    check(bodies_path("bodies", &c->id, BODIES_BODY, path) == 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    check(fd >= 0 && file_pwrite_all(fd, bytes.data, bytes.len, 0) == 0);
    close(fd);
}

static void put_content(struct store *store, const struct content *c)
{
    struct query q CLEANUP(query_end) = query(store, DB_CONTENT_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(c->id.bytes));
    query_bind_blob(&q, 2, buf_slice(&c->info_bytes));
    query_bind_blob(&q, 3, SLICE_ARRAY(c->list_root));
    check(query_run(&q) == 0);
}

static void put_account(struct store *store, const struct maker *m)
{
    struct query q CLEANUP(query_end) = query(store, DB_ACCOUNT_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(m->id.bytes));
    query_bind_text(&q, 2, ADDRESS);
    query_bind_text(&q, 3, m->keyset.name);
    query_bind_text(&q, 4, "alice");
    check(query_run(&q) == 0);
}

/* The answer to whoever asked in this place before. */
static void await(struct filling *f, unsigned i)
{
    if (i >= WINDOW)
        check(rig_receive(&f->rig, f->ids[i % WINDOW], vlt_Type_DONE, NULL, 0, NULL, 0) == 0);
}

static void give(struct filling *f, unsigned i, const struct content *c)
{
    doc_License license;
    doc_Header header;
    vlt_LicenseStore ask = { .has_header = true };
    struct buf bytes CLEANUP(buf_free) = buf(2048);
    maker_license(&f->shop, &f->shop, &f->rig.self, c, 1, &license);
    sign_into(&bytes, DOCUMENT_LICENSE, &license, &f->shop.license);
    check(CODEC_SET_BYTES(ask.license, buf_slice(&bytes)) == 0);
    maker_header(&f->shop, c, &header);
    encode_header(&header, &bytes);
    check(CODEC_SET_BYTES(ask.header, buf_slice(&bytes)) == 0);
    await(f, i);
    f->ids[i % WINDOW] = rig_send(&f->rig, vlt_Type_LICENSE_STORE, vlt_LicenseStore_fields, &ask, slice(NULL, 0), -1);
}

static void fill(struct filling *f)
{
    struct store *store = db_store(f->db);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    check(transaction_begin(&t, store) == 0);
    put_account(store, &f->shop);
    for (unsigned i = 0; i < f->count; i++) {
        struct content c;
        content_make(f, i, &c);
        write_body(&c);
        put_content(store, &c);
        give(f, i, &c);
        content_deinit(&c);
    }
    for (unsigned i = f->count; i < f->count + WINDOW; i++)
        if (i - WINDOW < f->count)
            await(f, i);
    check(transaction_commit(&t) == 0);
}

int main(int argc, char **argv)
{
    static struct filling f;
    uv_loop_t loop;
    if (argc != 3 || atoi(argv[2]) < 1) {
        (void)fprintf(stderr, "usage: fill-library STATE-DIR COUNT (HEARTH_VAULT names the vault's program)\n");
        return 2;
    }
    f.count = (unsigned)atoi(argv[2]);
    check(secret_init() == 0 && uv_loop_init(&loop) == 0);
    check(file_make_dirs(argv[1], 0700) == 0 && chdir(argv[1]) == 0 && mkdir("bodies", 0700) == 0);
    maker_init(&f.shop, 1, "Shop");
    strcpy(f.rig.dir, "vault");
    f.rig.tail = buf(1 << 20);
    rig_start(&f.rig);
    check(rig_register(&f.rig, &f.shop) == 0);
    check(db_open(&f.db, &loop, ".") == 0);
    fill(&f);
    db_close(f.db);
    rig_stop(&f.rig);
    buf_free(&f.rig.tail);
    maker_deinit(&f.shop);
    check(uv_loop_close(&loop) == 0);
    return 0;
}
