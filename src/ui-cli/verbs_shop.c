/* browse, get: the catalogue, the quote, the purchase, the download. */
#include "ui-cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "crypto/id.h"
#include "ui-cli/prompt.h"

struct rows {
    struct cli *cli;
    json_t *list;
    struct table table;
};

static json_t *product_json(const msg_Product *p)
{
    return json_pack("{s:i, s:s, s:I, s:s, s:I, s:o}", "product", (int)p->product, "name", p->name, "price",
                     (json_int_t)p->price, "currency", p->currency, "copy_price", (json_int_t)p->copy_price,
                     "conditions", json_conditions(&p->conditions));
}

static json_t *catalogue_json(const ctl_CatalogueRow *row)
{
    const msg_CatalogueItem *i = &row->item;
    json_t *o = json_pack("{s:i, s:o, s:s, s:s, s:s, s:I, s:I, s:b}", "number", (int)row->number, "content",
                          json_id(i->content), "title", i->title, "distributor_name", row->distributor_name,
                          "media_type", i->media_type, "duration_ms", (json_int_t)i->duration_ms, "plain_bytes",
                          (json_int_t)i->plain_bytes, "owned", i->owned);
    json_put_text(o, "creator", i->has_creator, i->creator);
    json_put_text(o, "album", i->has_album, i->album);
    json_t *products = json_array();
    for (pb_size_t n = 0; n < i->products_count; n++)
        json_array_append_new(products, product_json(&i->products[n]));
    json_object_set_new(o, "products", products);
    return o;
}

/* Of the cheapest of them. */
static int64_t lowest_price(const msg_CatalogueItem *i)
{
    int64_t lowest = i->products[0].price;
    for (pb_size_t n = 1; n < i->products_count; n++)
        if (i->products[n].price < lowest)
            lowest = i->products[n].price;
    return lowest;
}

/* What a copy of the cheapest costs, when its license allows any. */
static const char *copy_price(const msg_CatalogueItem *i, char out[40])
{
    const msg_Product *p = NULL;
    for (pb_size_t n = 0; n < i->products_count; n++)
        if (p == NULL || i->products[n].price < p->price)
            p = &i->products[n];
    if (p == NULL || p->conditions.copy_depth == 0 || p->conditions.max_copies == 0)
        return "-";
    return p->copy_price > 0 ? output_money(p->copy_price, p->currency, out) : "free";
}

static int on_catalogue(const struct frame *f, void *ctx)
{
    struct rows *rows = ctx;
    ctl_CatalogueRow row;
    if (f->type != ctl_Type_CATALOGUE_ROW || CODEC_DECODE(ctl_CatalogueRow, f->message, &row) != 0)
        return -EPROTO;
    if (rows->list != NULL)
        return json_array_append_new(rows->list, catalogue_json(&row));
    const msg_CatalogueItem *i = &row.item;
    char number[16], price[56] = "-", copy[40], money[40], duration[24], id[56];
    if (i->products_count >
        0) /* owned: some device of the account has a license; this one may still need a copy or its own */
        snprintf(price, sizeof(price), "%s%s%s", i->products_count > 1 ? "from " : "",
                 output_money(lowest_price(i), i->products[0].currency, money), i->owned ? ", owned" : "");
    else if (i->owned)
        snprintf(price, sizeof(price), "owned");
    table_row(&rows->table, output_number(row.number, number), i->title, i->has_creator ? i->creator : "-",
              output_duration(i->duration_ms, duration), i->media_type, price, copy_price(i, copy),
              row.distributor_name, output_id(i->content, id));
    return 0;
}

static int run_browse(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Browse m = ctl_Browse_init_zero;
    if (count == 1 && !cli_text(cli, m.query, sizeof(m.query), args[0], "the query"))
        return EXIT_USAGE;
    struct rows rows = { cli, cli->output.json ? json_array() : NULL, { 0 } };
    table_init(&rows.table, 9,
               (const char *[]){ "#", "TITLE", "CREATOR", "LENGTH", "TYPE", "PRICE", "COPY", "DISTRIBUTOR", "ID" });
    code = CLI_CALL(cli, BROWSE, ctl_Browse, &m, on_catalogue, &rows);
    if (code == EXIT_DONE && rows.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "catalogue", rows.list));
    if (code == EXIT_DONE && rows.list == NULL) {
        if (rows.table.rows == 1)
            output_line(&cli->output, count == 1 ? "Nothing in the catalogues fits." : "The catalogues are empty.");
        table_print(&rows.table);
    }
    json_decref(rows.list);
    table_deinit(&rows.table);
    return code;
}
const struct verb verb_browse = {
    "browse", "[QUERY]", "Searches the distributors' catalogues.",
    "QUERY is looked for in title, creator and album. COPY: the price of a copy to another device. What a device of the account has a license for is marked as owned:\n"
    "hearth copy and hearth fetch bring it to the others.",
    run_browse
};

/* ---- get: quote (S61), confirmation, purchase (S63-S65), download (S21-S25) ---- */

int verb_on_got(const struct frame *f, void *ctx)
{
    struct verb_got *g = ctx;
    ctl_Progress p;
    if (f->type == ctl_Type_PROGRESS && CODEC_DECODE(ctl_Progress, f->message, &p) == 0) {
        output_progress(&g->cli->output, &p);
        return 0;
    }
    return f->type == ctl_Type_TRACK_ROW && CODEC_DECODE(ctl_TrackRow, f->message, &g->track) == 0 ? 0 : -EPROTO;
}

/* What the account has already is not paid again unless that was said: --yes alone confirms a price, not a second license. -1: go on. */
static int judge_owned(struct cli *cli, const ctl_QuoteRow *q, bool yes, bool again)
{
    char said[192], remedy[192];
    bool lost = q->has_restorable && q->restorable;
    if (again || q->price == 0 || (!lost && !q->has_owned_on))
        return -1;
    if (lost) {
        snprintf(said, sizeof(said), "the account has bought it: its license was lost or is free, and costs nothing");
        snprintf(remedy, sizeof(remedy), "Take it: hearth restore TRACK; to buy another: hearth get TRACK --again");
    } else {
        snprintf(said, sizeof(said), "the account has bought it: its license is on %s", q->owned_on);
        snprintf(remedy, sizeof(remedy),
                 "Copy it from there: hearth copy, hearth fetch; to buy another: hearth get TRACK --again");
    }
    if (yes || cli->output.json || !prompt_possible())
        return cli_fail(cli, reason_code(REASON_ALREADY), said, remedy);
    output_line(&cli->output, "Note: %s.\n%s", said, remedy);
    return -1;
}

/* Renewing is cheaper, as a rule, than what get does. */
static int judge_renewable(struct cli *cli, const ctl_QuoteRow *q, bool yes, bool again)
{
    char said[128], money[40];
    const bool expired = q->ended == 4;
    const char *over = expired ? "its license has ended" : "its license is used up";
    if (!q->has_renewal || again) {
        output_line(&cli->output, "Note: %s; this buys another.", over);
        return -1;
    }
    snprintf(said, sizeof(said), "%s, and can be renewed for %s", over, output_money(q->renewal, q->currency, money));
    const char *remedy = "Renew it: hearth renew TRACK; to buy another: hearth get TRACK --again";
    if (yes || cli->output.json || !prompt_possible())
        return cli_fail(cli, reason_code(expired ? REASON_LICENSE_EXPIRED : REASON_USE_EXHAUSTED), said, remedy);
    output_line(&cli->output, "Note: %s.\n%s", said, remedy);
    return -1;
}

int verb_on_quote(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_QUOTE_ROW && CODEC_DECODE(ctl_QuoteRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

/* "1,3": numbers of a product's options, rising. */
bool verb_options(struct cli *cli, const char *text, ctl_QuoteGet *ask)
{
    const size_t most = sizeof(ask->options) / sizeof(ask->options[0]);
    while (text != NULL && *text != '\0') {
        char *end;
        unsigned long n = strtoul(text, &end, 10);
        uint32_t last = ask->options_count > 0 ? ask->options[ask->options_count - 1] : 0;
        if (end == text || (*end != '\0' && *end != ',') || n <= last || n > UINT32_MAX || ask->options_count == most) {
            cli_usage(cli, "--with takes numbers of the product's options, rising, such as 1,3");
            return false;
        }
        ask->options[ask->options_count++] = (uint32_t)n;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

/* What it costs and grants, and what may be added; then the person's word. -1: go on. */
int verb_confirm_price(struct cli *cli, const ctl_QuoteRow *q, const char *question, bool yes)
{
    char money[40], conditions[512], lease[48] = "", span[24], copy[64] = "", renewal[64] = "";
    output_money(q->price, q->currency, money);
    if (q->has_lease_ms)
        snprintf(lease, sizeof(lease), "; in leases of %s", output_span(q->lease_ms, span));
    output_line(&cli->output, "%s from %s: %s (%s; %s%s)", q->title, q->distributor_name, money, q->product_name,
                output_conditions(&q->conditions, q->currency, conditions), lease);
    if (q->has_copy_price && q->copy_price > 0)
        snprintf(copy, sizeof(copy), " Each copy costs %s.", output_money(q->copy_price, q->currency, money));
    if (q->has_renew_price)
        snprintf(renewal, sizeof(renewal), " It can be renewed for %s.",
                 output_money(q->renew_price, q->currency, money));
    if (copy[0] != '\0' || renewal[0] != '\0')
        output_line(&cli->output, " %s%s", copy, renewal);
    for (pb_size_t i = 0; i < q->options_count; i++)
        output_line(&cli->output, "  --with %u: %s, %s", (unsigned)q->options[i].number, q->options[i].name,
                    output_money(q->options[i].price, q->currency, money));
    if (yes)
        return -1;
    if (cli->output.json || !prompt_possible())
        return cli_usage(cli, "nobody is here to confirm the price: give --yes");
    return prompt_yes(question) ? -1 : cli_fail(cli, "cancelled", "nothing was bought", NULL);
}

/* -1: go on. */
static int confirm_price(struct cli *cli, const ctl_QuoteRow *q, bool yes, bool again)
{
    int code = q->has_ended ? judge_renewable(cli, q, yes, again) : judge_owned(cli, q, yes, again);
    return code >= 0 ? code : verb_confirm_price(cli, q, "Buy it? [y/N] ", yes);
}

/* Each has its price, which is asked. */
static int one_at_a_time(struct cli *cli, const char *second)
{
    char problem[160];
    snprintf(problem, sizeof(problem), "one TRACK at a time; '%.64s' is another (a title with spaces is put in quotes)",
             second);
    return cli_usage(cli, problem);
}

static int run_get(struct cli *cli, int argc, char **argv)
{
    bool yes = false, again = false, download_only = false, license_only = false;
    const char *product = NULL, *pin_file = NULL, *with = NULL;
    const struct option_spec specs[] = { { "yes", NULL, &yes },
                                         { "with", &with, NULL },
                                         { "again", NULL, &again },
                                         { "download-only", NULL, &download_only },
                                         { "license-only", NULL, &license_only },
                                         { "product", &product, NULL },
                                         { "pin-file", &pin_file, NULL } };
    char **args;
    int count, code = cli_options(cli, argc, argv, specs, ARRAY_COUNT(specs), 1, -1, &args, &count);
    if (code >= 0)
        return code;
    if (count > 1)
        return one_at_a_time(cli, args[1]);
    if (download_only && license_only)
        return cli_usage(cli, "--download-only and --license-only exclude each other");
    ctl_Get m = { .download = !license_only, .license = !download_only };
    if (!cli_text(cli, m.track, sizeof(m.track), args[0], "TRACK"))
        return EXIT_USAGE;
    struct verb_got g = { .cli = cli };
    char seller[64] = "";
    if (m.license) {
        ctl_QuoteGet ask = { .has_unseen = yes, .unseen = yes };
        snprintf(ask.track, sizeof(ask.track), "%s", m.track);
        if (!cli_number(cli, &ask.product, product, "product") || !verb_options(cli, with, &ask))
            return EXIT_USAGE;
        ctl_QuoteRow quote = ctl_QuoteRow_init_zero;
        code =
            cli_call_except(cli, ctl_Type_QUOTE_GET, ctl_QuoteGet_fields, &ask, verb_on_quote, &quote, REASON_ALREADY);
        if (code > 0)
            return code;
        if (code == EXIT_DONE) {
            if ((code = confirm_price(cli, &quote, yes, again)) >= 0)
                return code;
            m.has_quote_hash = true;
            snprintf(seller, sizeof(seller), "%s", quote.distributor_name);
            memcpy(m.quote_hash, quote.hash, sizeof(m.quote_hash));
            id_text(quote.content, m.track); /* what was confirmed, whatever the listing says meanwhile */
        } else {
            m.license = false; /* bought before: what is left is the download */
            if (license_only)
                return cli_fail(cli, reason_code(REASON_ALREADY), "the license is here already", NULL);
        }
    }
    cli->when_lost =
        "start it: what was begun goes on by itself, and is bought once (hearth library, hearth transfers)";
    const struct paying paying = { ctl_Type_GET, ctl_Get_fields, &m, seller, m.track, pin_file };
    code = verb_call_paying(cli, &paying, verb_on_got, &g);
    if (code != EXIT_DONE)
        return code;
    if (cli->output.json)
        output_json(&cli->output, verb_track_json(&g.track));
    else
        output_line(&cli->output, "%s is in the library (%s, license %s).", g.track.title,
                    g.track.has_body ? "stored" : "not downloaded", verb_license_word(&g.track));
    return EXIT_DONE;
}
const struct verb verb_get = {
    "get", "TRACK [--yes] [--again] [--product N] [--with N,...] [--pin-file FILE] [--download-only | --license-only]",
    "Buys and downloads a track.",
    "The price is shown and confirmed first; --yes confirms it beforehand. --with adds what the product offers beside.\n"
    "Running it again finishes what was interrupted and never buys twice. A license that has ended or is used up is bought anew; when it\n"
    "can be renewed, that is told, and --again buys all the same. What another device of the account has, or the\n"
    "account has lost, is bought once more only with --again: hearth copy and hearth restore bring it.\n"
    "Beyond the household's spending limit (hearth limit) the PIN is asked for, or read from FILE.",
    run_get
};

/* ---- restore: what the account bought, after a device was lost ---- */

struct restored {
    struct cli *cli;
    json_t *list;
    uint32_t count;
};

static int on_restored(const struct frame *f, void *ctx)
{
    struct restored *r = ctx;
    ctl_Progress p;
    ctl_TrackRow row;
    if (f->type == ctl_Type_PROGRESS && CODEC_DECODE(ctl_Progress, f->message, &p) == 0) {
        output_progress(&r->cli->output, &p);
        return 0;
    }
    if (f->type != ctl_Type_TRACK_ROW || CODEC_DECODE(ctl_TrackRow, f->message, &row) != 0)
        return -EPROTO;
    r->count++;
    if (r->list != NULL)
        json_array_append_new(r->list, verb_track_json(&row));
    else
        output_line(&r->cli->output, "%s is back (%s, license %s).", row.title,
                    row.has_body ? "stored" : "not downloaded", verb_license_word(&row));
    return 0;
}

static int run_restore(struct cli *cli, int argc, char **argv)
{
    char **args;
    int count, code = cli_options(cli, argc, argv, NULL, 0, 0, 1, &args, &count);
    if (code >= 0)
        return code;
    ctl_Restore m = ctl_Restore_init_zero;
    m.has_track = count == 1;
    if (m.has_track && !cli_text(cli, m.track, sizeof(m.track), args[0], "TRACK"))
        return EXIT_USAGE;
    struct restored r = { .cli = cli, .list = cli->output.json ? json_array() : NULL };
    code = CLI_CALL(cli, RESTORE, ctl_Restore, &m, on_restored, &r);
    if (code == EXIT_DONE && r.list != NULL)
        output_json(&cli->output, json_pack("{s:O}", "tracks", r.list));
    else if (code == EXIT_DONE && r.count == 0)
        output_line(&cli->output, "Nothing is missing: no license of the accounts was lost.");
    json_decref(r.list);
    return code;
}
const struct verb verb_restore = {
    "restore", "[TRACK]", "Brings back what the accounts bought.",
    "For a replacement device: licenses of devices that were removed from the account (hearth devices remove) come to this one, each\n"
    "once, and their content is downloaded. Costs nothing; running it again finishes what was interrupted.\n"
    "A lease that was returned, or has ended elsewhere, is free: it is taken when TRACK names it.",
    run_restore
};
