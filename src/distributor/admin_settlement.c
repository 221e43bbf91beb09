/* Commands that settle with partners: partner terms, settlement. One thread. */
#include <inttypes.h>

#include "base/file.h"
#include "base/text.h"
#include "base/util.h"
#include "distributor/admin_money.h"
#include "distributor/settlements.h"
#include "distributor/shares.h"

/* --- partner terms --------------------------------------------------------------------------------------------------- */

enum { PAYS_FEE, PAYS_SHARE, GETS_FEE, GETS_SHARE, CHARGES, ACCEPTS, TERMS };

static int show_terms(struct admin *a, const struct partner *p, const struct terms *t)
{
    const struct out_field fields[] = { OUT_T("partner", p->name),           OUT_M("pays-fee", t->pays_fixed),
                                        OUT_N("pays-share", t->pays_points), OUT_M("gets-fee", t->gets_fixed),
                                        OUT_N("gets-share", t->gets_points), OUT_M("charges", t->charges),
                                        OUT_M("accepts-charges", t->accepts) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* What is not given stays as it was. */
int admin_partner_terms(struct admin *a, int argc, char **argv)
{
    struct admin_option options[TERMS] = { [PAYS_FEE] = { .name = "pays-fee", .kind = ADMIN_MONEY },
                                           [PAYS_SHARE] = { .name = "pays-share", .kind = ADMIN_COUNT },
                                           [GETS_FEE] = { .name = "gets-fee", .kind = ADMIN_MONEY },
                                           [GETS_SHARE] = { .name = "gets-share", .kind = ADMIN_COUNT },
                                           [CHARGES] = { .name = "charges", .kind = ADMIN_MONEY },
                                           [ACCEPTS] = { .name = "accepts-charges", .kind = ADMIN_MONEY } };
    struct partner p;
    struct terms t;
    int r = admin_options(a, options, TERMS, &argc, argv);
    if (r != 0)
        return r;
    if (argc != 1 || options[PAYS_SHARE].number > SHARES_WHOLE || options[GETS_SHARE].number > SHARES_WHOLE)
        return admin_usage(a, "partner terms NAME [--pays-fee AMOUNT] [--pays-share BASIS-POINTS] [--gets-fee AMOUNT]"
                              " [--gets-share BASIS-POINTS] [--charges AMOUNT] [--accepts-charges AMOUNT]");
    r = admin_begin(a);
    if (r == 0)
        r = admin_find_partner(a, argv[0], &p);
    if (r != 0)
        return r;
    r = settlements_terms(a->o, p.number, &t);
    int64_t *const amounts[TERMS] = {
        [PAYS_FEE] = &t.pays_fixed, [GETS_FEE] = &t.gets_fixed, [CHARGES] = &t.charges, [ACCEPTS] = &t.accepts
    };
    for (int i = 0; i < TERMS; i++)
        if (options[i].given && amounts[i])
            *amounts[i] = options[i].number;
    if (options[PAYS_SHARE].given)
        t.pays_points = (uint32_t)options[PAYS_SHARE].number;
    if (options[GETS_SHARE].given)
        t.gets_points = (uint32_t)options[GETS_SHARE].number;
    if (r == 0)
        r = settlements_set_terms(a->o, p.number, &t, a->now_ms);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "set the terms");
    return r == 0 ? show_terms(a, &p, &t) : r;
}

/* --- The issuer's side ------------------------------------------------------------------------------------------------ */

static int write_statement(struct admin *a, uint64_t number, const char *path)
{
    struct buf file CLEANUP(buf_free) = buf(SETTLEMENTS_FILE_MAX);
    int r = settlements_file(a->o, number, &file);
    if (r == OPERATIONS_ABSENT)
        return admin_absent_number(a, "statement", number, "settlement list");
    if (r == 0)
        r = file_replace(path, buf_slice(&file), 0600);
    return r == 0 ? 0 : admin_error_at(a, r, "write the statement", path);
}

static void name_of(struct admin *a, int64_t partner, char name[OPERATIONS_NAME_BYTES])
{
    struct id id;
    if (operations_distributor_get(a->o, partner, &id, name, OPERATIONS_NAME_BYTES) != 0)
        name[0] = '\0';
}

static void put_statement(struct admin *a, struct out_list *l, const struct settlement_made *s)
{
    char name[OPERATIONS_NAME_BYTES];
    name_of(a, s->partner, name);
    const struct out_field fields[] = { OUT_N("statement", s->number), OUT_T("partner", name),
                                        OUT_MS("from", s->from_ms),    OUT_MS("until", s->until_ms),
                                        OUT_N("rows", s->row_count),   OUT_M("net", s->net) };
    out_list_row(l, fields, ARRAY_COUNT(fields));
}

static int settlement_list(struct admin *a)
{
    struct settlement_made s = { 0 };
    struct out_list l;
    int r = admin_open(a);
    if (r != 0)
        return r;
    out_list_begin(&l, a, "statements");
    while ((r = settlements_next(a->o, s.number, &s)) == 0)
        put_statement(a, &l, &s);
    out_list_end(&l);
    return r == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r, "list the statements");
}

static int settlement_make(struct admin *a, const char *word, const char *path)
{
    struct partner p;
    struct settlement_made s;
    struct out_list l;
    int r = admin_begin(a);
    if (r == 0)
        r = admin_find_partner(a, word, &p);
    if (r != 0)
        return r;
    r = settlements_make(a->o, &p, a->now_ms, &s);
    if (r == OPERATIONS_ABSENT)
        return admin_fail(a, REASON_ALREADY, "Nothing is new with %s since the last statement.", p.name);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "make the statement");
    if (r == 0 && path)
        r = write_statement(a, s.number, path); /* stored: `settlement export` writes it again */
    if (r != 0)
        return r;
    out_list_begin(&l, a, "statements");
    put_statement(a, &l, &s);
    out_list_end(&l);
    return ADMIN_DONE;
}

static int settlement_export(struct admin *a, const char *word, const char *path)
{
    uint64_t number;
    if (admin_parse_number(word, &number) != 0)
        return admin_usage(a, "settlement export NUMBER FILE");
    int r = admin_open(a);
    return r == 0 ? write_statement(a, number, path) : r;
}

/* --- The partner's side ----------------------------------------------------------------------------------------------- */

struct judged {
    struct out_list list;
    bool fees_differ, charge_refused; /* from our terms */
    int64_t fee;                      /* of each row whose fee differs; 0: of these not the same */
};

static void put_finding(void *ctx, const struct settlement_finding *f)
{
    struct judged *j = ctx;
    if (f->trouble && strcmp(f->trouble, "other-amount") == 0 && f->row->kind == ROW_FEE) {
        j->fee = !j->fees_differ || j->fee == f->row->amount ? f->row->amount : 0;
        j->fees_differ = true;
    }
    j->charge_refused = j->charge_refused || (f->trouble && strcmp(f->trouble, "not-agreed") == 0);
    static const char *const kinds[] = { "", "fee", "charge", "fee-back", "charge-back" };
    char serial[HEX_TEXT_BYTES(16)];
    hex_encode(SLICE_ARRAY(f->row->serial), serial);
    const struct out_field fields[] = {
        OUT_N("entry", f->row->entry),   OUT_T("kind", kinds[f->row->kind <= ROW_CHARGE_BACK ? f->row->kind : 0]),
        OUT_T("serial", serial),         OUT_T("user", f->row->user),
        OUT_M("price", f->row->price),   OUT_M("amount", f->row->amount),
        OUT_MS("time", f->row->time_ms), OUT_T("finding", f->trouble ? f->trouble : f->before ? "before" : "agreed")
    };
    out_list_row(&j->list, fields, ARRAY_COUNT(fields));
}

#define NEEDED_BYTES 400

/* Both sides set what was agreed, and one may have forgotten it. */
static void say_needed(const struct judged *j, const char *partner, char out[NEEDED_BYTES])
{
    char fee[64] = "AMOUNT [--gets-share N]";
    if (j->fee > 0)
        snprintf(fee, sizeof(fee), "%" PRId64 ".%02d, or less and --gets-share N", j->fee / 100, (int)(j->fee % 100));
    out[0] = '\0';
    if (j->fees_differ)
        snprintf(
            out, NEEDED_BYTES,
            "a fee is not the one that our terms say; if it was agreed: hearth-distributor partner terms %s --gets-fee %s",
            partner, fee);
    if (j->charge_refused)
        snprintf(
            out + strlen(out), NEEDED_BYTES - strlen(out),
            "%sa charge is above what our terms accept; if it was agreed: hearth-distributor partner terms %s --accepts-charges AMOUNT",
            out[0] != '\0' ? "; " : "", partner);
}

static int fail_file(struct admin *a, int r)
{
    switch (r) {
    case REASON_UNKNOWN_DISTRIBUTOR:
        return admin_fail(a, REASON_UNKNOWN_DISTRIBUTOR, "The statement is of no partner whose keys are known here.");
    case REASON_WRONG_DESTINATION:
        return admin_fail(a, REASON_WRONG_DESTINATION, "The statement is for another distributor.");
    case REASON_NOT_PERMITTED:
        return admin_fail(a, REASON_NOT_PERMITTED, "The statement is in another currency.");
    default:
        return admin_error(a, r, "read the statement");
    }
}

/* accept: keep what is agreed; all: only when all is. Without accept everything is undone again. */
static int settlement_judge_file(struct admin *a, const char *path, bool accept, bool all)
{
    struct buf file CLEANUP(buf_free) = buf(SETTLEMENTS_FILE_MAX);
    struct settlement_check c;
    struct judged j = { 0 };
    struct out_list *l = &j.list;
    char needed[NEEDED_BYTES];
    int r = admin_read_file(path, &file);
    if (r != 0)
        return admin_error_at(a, r > 0 ? -EMSGSIZE : r, "read the statement", path);
    r = admin_begin(a);
    if (r != 0)
        return r;
    out_list_begin(l, a, "rows");
    r = settlement_check_file(a->o, buf_slice(&file), a->now_ms, put_finding, &j, &c);
    say_needed(&j, r == 0 ? c.issuer.name : "", needed);
    const bool troubled = c.disagreed + c.missing > 0, keep = accept && !(troubled && all);
    const struct out_field head[] = { OUT_T("partner", c.issuer.name),   OUT_N("statement", c.statement.number),
                                      OUT_M("net", c.statement.net),     OUT_N("agreed", c.agreed),
                                      OUT_N("disagreed", c.disagreed),   OUT_N("missing", c.missing),
                                      OUT_N("settled-before", c.before), OUT_M("posted", keep ? c.posted : 0),
                                      OUT_F("accepted", keep),           OUT_T("needed", needed) };
    if (r == 0)
        out_list_head(l, head, ARRAY_COUNT(head));
    if (r != 0) {
        out_list_drop(l);
        return fail_file(a, r);
    }
    r = keep ? admin_commit(a) : 0;
    out_list_end(l);
    return r != 0 ? r : troubled && !keep ? ADMIN_FAILED : ADMIN_DONE;
}

/* --- Paying ------------------------------------------------------------------------------------------------------------ */

static int settlement_pay(struct admin *a, char **argv, const char *text, const char *reference)
{
    const bool received = strcmp(argv[0], "received") == 0;
    struct partner p;
    int64_t amount, balance = 0;
    char account[LEDGER_ACCOUNT_BYTES];
    if (text_money(argv[2], &amount) != 0 || amount == 0)
        return admin_usage(a, "settlement paid|received PARTNER AMOUNT");
    int r = admin_begin(a);
    if (r == 0)
        r = admin_find_partner(a, argv[1], &p);
    if (r != 0)
        return r;
    if (!text)
        text = received ? "Received from a partner" : "Paid to a partner";
    ledger_account_partner(&p.id, account);
    r = settlements_pay(a->o, &p, received ? -amount : amount, reference, a->now_ms, text);
    const bool known = r == REASON_ALREADY;
    if (r == 0 || known)
        r = ledger_balance(a->o, account, &balance);
    r = r == 0 ? admin_commit(a) : admin_error(a, r, "enter the payment");
    if (r != 0)
        return r;
    const struct out_field fields[] = { OUT_T("partner", p.name), OUT_M("balance", balance),
                                        OUT_F("known-before", known) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}

/* Above zero: we owe it. */
static int settlement_position(struct admin *a)
{
    struct partner p = { 0 };
    struct out_list l;
    int r = admin_open(a), found;
    if (r != 0)
        return r;
    out_list_begin(&l, a, "positions");
    while ((found = delegations_partner_next(a->o, p.number, &p)) == 0) {
        char account[LEDGER_ACCOUNT_BYTES];
        int64_t balance;
        ledger_account_partner(&p.id, account);
        r = ledger_balance(a->o, account, &balance);
        if (r != 0)
            break;
        const struct out_field fields[] = { OUT_T("partner", p.name), OUT_M("balance", balance),
                                            OUT_T("account", account) };
        out_list_row(&l, fields, ARRAY_COUNT(fields));
    }
    out_list_end(&l);
    return r == 0 && found == OPERATIONS_ABSENT ? ADMIN_DONE : admin_error(a, r != 0 ? r : found, "read the ledger");
}

int admin_settlement(struct admin *a, int argc, char **argv)
{
    enum { TEXT, REFERENCE, AGREED_ONLY, COUNT };
    struct admin_option options[COUNT] = { [TEXT] = { .name = "text" },
                                           [REFERENCE] = { .name = "reference" },
                                           [AGREED_ONLY] = { .name = "agreed-only", .kind = ADMIN_FLAG } };
    int r = admin_options(a, options, COUNT, &argc, argv);
    if (r != 0)
        return r;
    const char *verb = argc > 0 ? argv[0] : "";
    if (argc == 1 && strcmp(verb, "list") == 0)
        return settlement_list(a);
    if (argc == 1 && strcmp(verb, "position") == 0)
        return settlement_position(a);
    if ((argc == 2 || argc == 3) && strcmp(verb, "make") == 0)
        return settlement_make(a, argv[1], argc == 3 ? argv[2] : NULL);
    if (argc == 3 && strcmp(verb, "export") == 0)
        return settlement_export(a, argv[1], argv[2]);
    if (argc == 2 && strcmp(verb, "check") == 0)
        return settlement_judge_file(a, argv[1], false, true);
    if (argc == 2 && strcmp(verb, "accept") == 0)
        return settlement_judge_file(a, argv[1], true, !options[AGREED_ONLY].given);
    if (argc == 3 && (strcmp(verb, "paid") == 0 || strcmp(verb, "received") == 0))
        return settlement_pay(a, argv, options[TEXT].text, options[REFERENCE].text);
    return admin_usage(
        a, "settlement list|position, settlement make PARTNER [FILE], settlement export NUMBER FILE, settlement"
           " check|accept FILE, or settlement paid|received PARTNER AMOUNT");
}
