/* bills: what the household's accounts were charged, paid and given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui-cli/verbs.h"

#define ACCOUNTS_SHOWN 32

struct bills {
    struct cli *cli;
    json_t *list, *totals;
    struct table table;
    ctl_BillTotals sums[ACCOUNTS_SHOWN];
    size_t sum_count;
    char older[512]; /* where to read on, a line for each distributor that has more */
};

/* The distributor's words for msg.BillLine.kind. */
static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = { "other",     "license", "copy",   "renewal",
                                         "ownership", "payment", "refund", "settlement" };
    return names[kind < sizeof(names) / sizeof(names[0]) ? kind : 0];
}

static int add_totals(struct bills *b, const struct frame *f)
{
    ctl_BillTotals t;
    if (CODEC_DECODE(ctl_BillTotals, f->message, &t) != 0)
        return -EPROTO;
    if (b->sum_count < ACCOUNTS_SHOWN)
        b->sums[b->sum_count++] = t;
    if (b->totals == NULL)
        return 0;
    return json_array_append_new(b->totals,
                                 json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "distributor_name",
                                           t.distributor_name, "currency", t.currency, "balance", (json_int_t)t.balance,
                                           "credit_limit", (json_int_t)t.credit_limit, "charged", (json_int_t)t.charged,
                                           "paid", (json_int_t)t.paid, "refunded", (json_int_t)t.refunded));
}

static json_t *line_json(const ctl_BillRow *b)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:s}", "distributor_name", b->distributor_name, "number",
                          (json_int_t)b->line.number, "time_ms", (json_int_t)b->line.time_ms, "kind",
                          kind_name(b->line.kind), "text", b->line.text, "amount", (json_int_t)b->line.amount,
                          "balance", (json_int_t)b->line.balance, "currency", b->currency);
    if (b->line.refunds != 0)
        json_object_set_new(o, "refunds", json_integer((json_int_t)b->line.refunds));
    if (b->line.revoked)
        json_object_set_new(o, "license_revoked", json_true());
    if (b->more)
        json_object_set_new(o, "more", json_true());
    return o;
}

static int on_bill(const struct frame *f, void *ctx)
{
    struct bills *bills = ctx;
    ctl_BillRow b;
    if (f->type == ctl_Type_BILL_TOTALS)
        return add_totals(bills, f);
    if (f->type != ctl_Type_BILL_ROW || CODEC_DECODE(ctl_BillRow, f->message, &b) != 0)
        return -EPROTO;
    if (bills->list != NULL)
        return json_array_append_new(bills->list, line_json(&b));
    size_t used = strlen(bills->older);
    if (b.more)
        snprintf(bills->older + used, sizeof(bills->older) - used, "%sOlder ones: hearth bills %s --before %llu",
                 used > 0 ? "\n" : "", b.distributor_name, (unsigned long long)b.line.number);
    char when[32], amount[40], balance[40], number[24], text[256];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)b.line.number);
    if (b.line.refunds != 0)
        snprintf(text, sizeof(text), "%s (of %llu%s)", b.line.text, (unsigned long long)b.line.refunds,
                 b.line.revoked ? "; no more copies or renewal" : "");
    else
        snprintf(text, sizeof(text), "%s", b.line.text);
    table_row(&bills->table, number, output_time(b.line.time_ms, when), b.distributor_name, kind_name(b.line.kind),
              text, output_money(b.line.amount, b.currency, amount), output_money(b.line.balance, b.currency, balance));
    return 0;
}

static void print_totals(struct bills *b)
{
    for (size_t i = 0; i < b->sum_count; i++) {
        const ctl_BillTotals *t = &b->sums[i];
        char balance[40], charged[40], paid[40], refunded[40];
        output_line(&b->cli->output, "%s: charged %s, paid %s, given back %s, balance %s", t->distributor_name,
                    output_money(t->charged, t->currency, charged), output_money(t->paid, t->currency, paid),
                    output_money(t->refunded, t->currency, refunded), output_money(t->balance, t->currency, balance));
    }
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *out != 0;
}

static int run_bills(struct cli *cli, int argc, char **argv)
{
    char **args;
    const char *before = NULL, *limit = NULL;
    const struct option_spec specs[] = { { "before", &before, NULL }, { "limit", &limit, NULL } };
    int count, code = cli_options(cli, argc, argv, specs, 2, 0, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_BillsGet m = ctl_BillsGet_init_zero;
    uint64_t number = 0;
    if (before != NULL && (count == 0 || !read_number(before, &m.before)))
        return cli_usage(cli, "--before NUMBER continues the list of one DISTRIBUTOR");
    if (limit != NULL && (!read_number(limit, &number) || number > UINT32_MAX))
        return cli_usage(cli, "--limit is a number of lines");
    m.limit = (uint32_t)number;
    if (count == 1 && !cli_text(cli, m.distributor, sizeof(m.distributor), args[0], "the distributor"))
        return EXIT_USAGE;
    struct bills b = { .cli = cli };
    if (cli->output.json) {
        b.list = json_array();
        b.totals = json_array();
    }
    table_init(&b.table, 7, (const char *[]){ "NUMBER", "TIME", "DISTRIBUTOR", "KIND", "FOR", "AMOUNT", "BALANCE" });
    code = CLI_CALL(cli, BILLS_GET, ctl_BillsGet, &m, on_bill, &b);
    if (code == EXIT_DONE && b.list != NULL)
        output_json(&cli->output, json_pack("{s:O, s:O}", "bills", b.list, "totals", b.totals));
    if (code == EXIT_DONE && b.list == NULL) {
        if (b.table.rows == 1)
            output_line(&cli->output, "Nothing has been charged.");
        table_print(&b.table);
        print_totals(&b);
        if (b.older[0] != '\0')
            output_line(&cli->output, "%s", b.older);
    }
    json_decref(b.list);
    json_decref(b.totals);
    table_deinit(&b.table);
    return code;
}
const struct verb verb_bills = {
    "bills", "[DISTRIBUTOR [--before NUMBER]] [--limit N]",
    "Lists what the accounts were charged, paid and given back, newest first, and the sums.", NULL, run_bills
};
