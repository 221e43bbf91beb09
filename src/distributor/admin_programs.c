/* program: providers that are vouched for, programs that are given out, and who got them. One thread. */
#include "distributor/admin_programs.h"

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_provider.h"
#include "distributor/devices.h"
#include "distributor/program_history.h"
#include "distributor/programs.h"

/* --- Providers --------------------------------------------------------------------------------------------------- */

static int provider_add(struct admin *a, const char *word, const struct admin_option *name)
{
    struct program_provider p = { .added_ms = a->now_ms };
    char safe[OPERATIONS_NAME_BYTES];
    if (!name->given || id_parse(word, &p.id) != 0)
        return admin_usage(a, "program provider add ID --name NAME (the ID that `program key` prints, whole)");
    if (strlen(name->text) == 0 || strlen(name->text) >= sizeof(p.name) ||
        strcmp(text_safe(name->text, safe, sizeof(safe)), name->text) != 0)
        return admin_usage(a, "--name is a printable text of up to 63 bytes");
    snprintf(p.name, sizeof(p.name), "%s", name->text);
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = program_providers_add(a->o, &p);
    if (r == -EEXIST)
        return admin_fail(a, REASON_ALREADY, "This provider or this name is there already: program provider list");
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "add the provider");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_I("provider", &p.id), OUT_T("name", p.name) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int provider_list(struct admin *a)
{
    struct program_provider p = { 0 };
    struct out_list l;
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "providers");
    while ((r = program_providers_next(a->o, &p)) == 0) {
        const struct out_field fields[] = { OUT_T("name", p.name), OUT_I("provider", &p.id),
                                            OUT_MS("added", p.added_ms), OUT_F("withdrawn", p.withdrawn) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the providers");
}

static int provider_withdraw(struct admin *a, const char *name, bool withdrawn)
{
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = program_providers_withdraw(a->o, name, withdrawn);
    if (r == OPERATIONS_ABSENT)
        return admin_absent(a, "provider", name, "program provider list");
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "withdraw the provider");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("name", name), OUT_F("withdrawn", withdrawn) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int provider(struct admin *a, int argc, char **argv, const struct admin_option *options)
{
    if (argc == 2 && strcmp(argv[0], "add") == 0)
        return provider_add(a, argv[1], &options[PROGRAM_NAME]);
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return provider_list(a);
    if (argc == 2 && strcmp(argv[0], "withdraw") == 0)
        return provider_withdraw(a, argv[1], !options[PROGRAM_UNDO].given);
    return admin_usage(a, "program provider add ID --name NAME, provider list, or provider withdraw NAME [--undo]");
}

/* --- Programs ---------------------------------------------------------------------------------------------------- */

/* What its provider signed: a file beside it, or signed now. */
static int get_document(struct admin *a, const struct admin_option *options, struct slice bytes, struct buf *document,
                        doc_Program *said)
{
    const char *path = options[PROGRAM_SIGNATURE].text;
    int r = 0;
    if (options[PROGRAM_KEY].given) {
        r = admin_program_sign_bytes(a, options, bytes, document);
    } else if (!path) {
        return admin_usage(
            a, "program publish FILE (--signature FILE.program | --key KEY --name NAME --version 1.2.3 --kind KIND)");
    } else {
        r = admin_read_file(path, document);
        if (r != 0)
            r = admin_fail(a, admin_reason(r > 0 ? -EMSGSIZE : r), "Cannot read the signature %s.", path);
    }
    if (r != 0)
        return r;
    r = program_judge(buf_slice(document), said);
    if (r > 0)
        return admin_fail(a, (enum reason)r, "%s is not what `program sign` writes, or was altered.",
                          path ? path : "It");
    return r == 0 ? 0 : admin_error(a, r, "read the signature");
}

static int refuse_publish(struct admin *a, int r, const doc_Program *said)
{
    char provider[ID_TEXT_BYTES], version[PROGRAM_VERSION_BYTES];
    id_text(said->provider, provider);
    switch (r) {
    case REASON_PROVIDER_UNKNOWN:
        return admin_fail(a, REASON_PROVIDER_UNKNOWN,
                          "It is signed by %s, which is not vouched for here, or the name %s is another provider's:"
                          " program provider list",
                          provider, said->name);
    case REASON_CONTENT_ID_MISMATCH:
        return admin_fail(a, REASON_CONTENT_ID_MISMATCH, "The file is not the one that was signed: sign it again.");
    case REASON_USER_EXISTS:
        return admin_fail(a, REASON_ALREADY,
                          "Another program %s has the version %s already: give this one a later version.", said->name,
                          program_version_text(said->version, version));
    default:
        return admin_error(a, r, "publish the program");
    }
}

static int publish(struct admin *a, const char *path, const struct admin_option *options)
{
    struct buf bytes CLEANUP(buf_free) = buf(PROGRAM_BYTES_MAX), document CLEANUP(buf_free) = buf(320);
    doc_Program said;
    char note[PROGRAMS_NOTE_BYTES] = "", version[PROGRAM_VERSION_BYTES];
    int r = admin_program_read(a, path, &bytes);
    if (r == 0)
        r = get_document(a, options, buf_slice(&bytes), &document, &said);
    if (r == 0)
        r = admin_begin(a);
    if (r != 0)
        return r;
    if (options[PROGRAM_NOTE].given)
        text_safe(options[PROGRAM_NOTE].text, note, sizeof(note));
    r = programs_add(a->o, &said, buf_slice(&document), buf_slice(&bytes), note, a->now_ms);
    bool known = r == REASON_ALREADY;
    if (r != 0 && !known)
        return refuse_publish(a, r, &said);
    r = admin_commit(a);
    if (r != 0)
        return r;
    const struct id by = id_from(said.provider);
    const struct out_field fields[] = { OUT_T("name", said.name),
                                        OUT_T("version", program_version_text(said.version, version)),
                                        OUT_T("kind", program_kind_text(said.kind)),
                                        OUT_I("provider", &by),
                                        OUT_N("bytes", said.program_bytes),
                                        OUT_F("known-before", known) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

static int list(struct admin *a)
{
    struct program p = { 0 };
    struct out_list l;
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "programs");
    while ((r = programs_next(a->o, &p)) == 0) {
        char version[PROGRAM_VERSION_BYTES];
        const struct out_field fields[] = { OUT_T("name", p.said.name),
                                            OUT_T("version", program_version_text(p.said.version, version)),
                                            OUT_T("kind", program_kind_text(p.said.kind)),
                                            OUT_T("provider", p.provider_name),
                                            OUT_N("bytes", p.said.program_bytes),
                                            OUT_MS("published", p.published_ms),
                                            OUT_F("withdrawn", p.withdrawn),
                                            OUT_T("note", p.note) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the programs");
}

/* Given out no more. Devices that have it keep it: what they hold is theirs to judge. */
static int withdraw(struct admin *a, const char *name, const struct admin_option *options)
{
    const bool withdrawn = !options[PROGRAM_UNDO].given;
    const char *text = options[PROGRAM_VERSION].given ? options[PROGRAM_VERSION].text : "all";
    uint64_t version = 0;
    if (options[PROGRAM_VERSION].given && program_version_parse(text, &version) != 0)
        return admin_usage(a, "--version cannot be %s: it is 1.2.3", text);
    int r = admin_begin(a);
    if (r != 0)
        return r;
    r = programs_withdraw(a->o, name, version, withdrawn);
    if (r == OPERATIONS_ABSENT)
        return admin_fail(a, REASON_UNKNOWN_PROGRAM,
                          "There is no program %s of version %s; see: hearth-distributor program list", name, text);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "withdraw the program");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("name", name), OUT_T("version", text), OUT_F("withdrawn", withdrawn) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* --- Who got what ------------------------------------------------------------------------------------------------ */

static void history_row(struct admin *a, struct out_list *l, const struct program_allotment *h)
{
    char version[PROGRAM_VERSION_BYTES], mark[HEX_TEXT_BYTES(PROGRAM_MARK_BYTES)];
    struct device d = { 0 };
    if (devices_find_own(a->o, &h->client, &d) != 0)
        d.user[0] = d.name[0] = '\0';
    hex_encode(SLICE_ARRAY(h->mark), mark);
    const struct out_field fields[] = {
        OUT_T("name", h->name),      OUT_T("version", h->version ? program_version_text(h->version, version) : ""),
        OUT_I("client", &h->client), OUT_T("device", d.name),
        OUT_T("user", d.user),       OUT_T("mark", mark),
        OUT_MS("given", h->given_ms)
    };
    out_list_row(l, fields, ARRAY_COUNT(fields));
}

static bool is_wanted(const struct program_allotment *h, const struct admin_option *options)
{
    char mark[HEX_TEXT_BYTES(PROGRAM_MARK_BYTES)];
    hex_encode(SLICE_ARRAY(h->mark), mark);
    return (!options[PROGRAM_NAME].given || strcmp(h->name, options[PROGRAM_NAME].text) == 0) &&
           (!options[PROGRAM_CLIENT].given || id_has_prefix(&h->client, options[PROGRAM_CLIENT].text)) &&
           (!options[PROGRAM_MARK].given || strcmp(mark, options[PROGRAM_MARK].text) == 0);
}

/* The mark of a copy that turned up somewhere leads to its device; the secret part is never shown. */
static int history(struct admin *a, const struct admin_option *options)
{
    struct program_allotment h = { 0 };
    struct out_list l;
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "history");
    while ((r = program_history_next(a->o, &h)) == 0)
        if (is_wanted(&h, options))
            history_row(a, &l, &h);
    if (r != OPERATIONS_ABSENT) {
        out_list_drop(&l);
        return admin_error(a, r, "read the confidential history");
    }
    out_list_end(&l);
    return ADMIN_DONE;
}

int admin_program(struct admin *a, int argc, char **argv)
{
    struct admin_option options[PROGRAM_OPTIONS] = {
        [PROGRAM_NAME] = { .name = "name" },
        [PROGRAM_VERSION] = { .name = "version" },
        [PROGRAM_KIND] = { .name = "kind" },
        [PROGRAM_KEY] = { .name = "key" },
        [PROGRAM_SIGNATURE] = { .name = "signature" },
        [PROGRAM_NOTE] = { .name = "note" },
        [PROGRAM_UNDO] = { .name = "undo", .kind = ADMIN_FLAG },
        [PROGRAM_CLIENT] = { .name = "client" },
        [PROGRAM_MARK] = { .name = "mark" },
    };
    int r = admin_options(a, options, PROGRAM_OPTIONS, &argc, argv);
    if (r != 0)
        return r;
    const char *word = argc > 0 ? argv[0] : "";
    if (strcmp(word, "provider") == 0)
        return provider(a, argc - 1, argv + 1, options);
    if (argc == 2 && strcmp(word, "key") == 0)
        return admin_provider_key(a, argv[1]);
    if (argc == 2 && strcmp(word, "sign") == 0)
        return admin_program_sign(a, argv[1], options);
    if (argc == 2 && strcmp(word, "publish") == 0)
        return publish(a, argv[1], options);
    if (argc == 1 && strcmp(word, "list") == 0)
        return list(a);
    if (argc == 2 && strcmp(word, "withdraw") == 0)
        return withdraw(a, argv[1], options);
    if (argc == 1 && strcmp(word, "history") == 0)
        return history(a, options);
    return admin_usage(
        a, "program publish|list|withdraw|history, program key|sign, or program provider add|list|withdraw");
}
