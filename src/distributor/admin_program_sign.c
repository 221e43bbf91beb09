/* program sign: what a provider does, with a key of its own and without a distributor's state. One thread. */
#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "distributor/admin_programs.h"
#include "distributor/admin_provider.h"

#define SIGNATURE ".program"

int admin_program_read(struct admin *a, const char *path, struct buf *bytes)
{
    int r = admin_read_file(path, bytes);
    if (r == BUF_FULL)
        return admin_fail(a, REASON_TOO_LARGE, "%s is larger than a program may be: %u MiB.", path,
                          PROGRAM_BYTES_MAX >> 20);
    if (r == 0 && bytes->len == 0)
        return admin_fail(a, REASON_MALFORMED, "%s is empty.", path);
    return r == 0 ? 0 : admin_fail(a, admin_reason(r), "Cannot read %s: %s.", path, strerror(-r));
}

static int describe(struct admin *a, const struct admin_option *options, struct slice bytes, doc_Program *p)
{
    const char *name = options[PROGRAM_NAME].text, *version = options[PROGRAM_VERSION].text;
    *p = (doc_Program){ .program_bytes = bytes.len, .signed_ms = (uint64_t)a->now_ms };
    if (!program_name_is_valid(name))
        return admin_usage(a, "--name cannot be %s: it is 1 to 31 small letters, digits and dashes", name);
    if (program_version_parse(version, &p->version) != 0)
        return admin_usage(a, "--version cannot be %s: it is 1.2.3, each up to 65535", version);
    if (program_kind_parse(options[PROGRAM_KIND].text, &p->kind) != 0)
        return admin_usage(a, "--kind is plug-in or update");
    CODEC_SET_TEXT(p->name, name);
    sha256(bytes, p->digest);
    return 0;
}

int admin_program_sign_bytes(struct admin *a, const struct admin_option *options, struct slice bytes,
                             struct buf *document)
{
    struct key32 seed CLEANUP(key32_wipe);
    struct signer signer;
    doc_Program p;
    if (!options[PROGRAM_KEY].given || !options[PROGRAM_NAME].given || !options[PROGRAM_VERSION].given ||
        !options[PROGRAM_KIND].given)
        return admin_usage(a, "signing needs --key, --name, --version and --kind");
    int r = describe(a, options, bytes, &p);
    if (r == 0)
        r = admin_provider_load(a, options[PROGRAM_KEY].text, &seed);
    if (r != 0)
        return r;
    signer_from_seed(&signer, &seed);
    const struct id id = id_of_key(signer.public_key);
    memcpy(p.provider, id.bytes, ID_BYTES);
    r = document_sign(document, DOCUMENT_PROGRAM, &p, &signer);
    return r == 0 ? 0 : admin_error(a, r > 0 ? -EMSGSIZE : r, "sign the program");
}

int admin_program_sign(struct admin *a, const char *path, const struct admin_option *options)
{
    char beside[4096];
    doc_Program p;
    struct buf bytes CLEANUP(buf_free) = buf(PROGRAM_BYTES_MAX), document CLEANUP(buf_free) = buf(1024);
    int n = snprintf(beside, sizeof(beside), "%s%s",
                     options[PROGRAM_SIGNATURE].given ? options[PROGRAM_SIGNATURE].text : path,
                     options[PROGRAM_SIGNATURE].given ? "" : SIGNATURE);
    if (n < 0 || n >= (int)sizeof(beside))
        return admin_error_at(a, -ENAMETOOLONG, "name the signature of", path);
    int r = admin_program_read(a, path, &bytes);
    if (r == 0)
        r = admin_program_sign_bytes(a, options, buf_slice(&bytes), &document);
    if (r != 0)
        return r;
    r = file_replace(beside, buf_slice(&document), 0644);
    if (r == 0)
        r = program_judge(buf_slice(&document), &p);
    if (r != 0)
        return admin_error_at(a, r, "write the signature", beside);
    char version[PROGRAM_VERSION_BYTES];
    const struct id provider = id_from(p.provider);
    char digest[HEX_TEXT_BYTES(sizeof(p.digest))];
    hex_encode(SLICE_ARRAY(p.digest), digest); /* as sha256sum prints it */
    const struct out_field fields[] = { OUT_T("name", p.name),
                                        OUT_T("version", program_version_text(p.version, version)),
                                        OUT_T("kind", program_kind_text(p.kind)),
                                        OUT_I("provider", &provider),
                                        OUT_T("digest", digest),
                                        OUT_T("file", beside) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}
