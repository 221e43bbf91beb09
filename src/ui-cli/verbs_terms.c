/* What copies, moves and fetches cost: asked before, told afterwards, shown. */
#include <stdio.h>
#include <string.h>

#include "ui-cli/prompt.h"
#include "ui-cli/verbs.h"

static int on_terms(const struct frame *f, void *ctx)
{
    return f->type == ctl_Type_TERMS_ROW && CODEC_DECODE(ctl_TermsRow, f->message, ctx) == 0 ? 0 : -EPROTO;
}

/* ---- before -------------------------------------------------------------------------------------------------- */

bool verb_asks(const struct cli *cli, bool yes) { return !yes && !cli->output.json && prompt_possible(); }

/* When its price cannot be learned now there is nothing to ask: what follows says why it cannot be done, or what it has cost. */
int verb_weigh(struct cli *cli, const ctl_TermsGet *m, const char *what, bool *costs)
{
    ctl_TermsRow row = ctl_TermsRow_init_zero;
    char money[40];
    int code = cli_call_quietly(cli, ctl_Type_TERMS_GET, ctl_TermsGet_fields, m, on_terms, &row);
    if (code > 0)
        return code;
    if (code < 0)
        return -1;
    if (row.has_merges && row.merges) {
        *costs = true;
        output_line(&cli->output, "%s: %s was given a copy before; if it still has it, the two become one license.",
                    row.title, m->copy.device);
    }
    if (row.price == 0)
        return -1;
    *costs = true;
    output_line(&cli->output, "%s: %s costs %s.", row.title[0] != '\0' ? row.title : m->track, what,
                output_money(row.price, row.terms.currency, money));
    return -1;
}

int verb_confirm_cost(struct cli *cli, bool costs)
{
    return !costs || prompt_yes("Go on? [y/N] ") ? -1 : cli_fail(cli, "cancelled", "nothing was done", NULL);
}

/* ---- afterwards ---------------------------------------------------------------------------------------------- */

bool verb_on_charged(const struct frame *f, ctl_Charged *charged)
{
    return f->type == ctl_Type_CHARGED && CODEC_DECODE(ctl_Charged, f->message, charged) == 0;
}

void verb_put_charged(json_t *o, const ctl_Charged *charged)
{
    json_object_set_new(o, "charged", json_integer((json_int_t)charged->amount));
    json_put_text(o, "currency", charged->amount > 0, charged->currency);
}

const char *verb_charged_text(const ctl_Charged *charged, char out[VERB_CHARGED_BYTES])
{
    char money[40];
    out[0] = '\0';
    if (charged->amount > 0)
        (void)snprintf(out, VERB_CHARGED_BYTES, "; %s was charged",
                       output_money(charged->amount, charged->currency, money));
    return out;
}

/* ---- of what is here ----------------------------------------------------------------------------------------- */

static bool is_here(const ctl_TrackRow *t)
{
    return t->has_conditions && (t->license_state == 1 || (t->license_state >= 4 && t->license_state <= 6));
}

/* EXIT_DONE; -1: they are not known now; another exit code. */
static int read_terms(struct cli *cli, const ctl_TrackRow *t, ctl_TermsRow *row)
{
    ctl_TermsGet m = ctl_TermsGet_init_zero;
    json_t *id = json_id(t->content);
    (void)snprintf(m.track, sizeof(m.track), "%s", json_string_value(id));
    json_decref(id);
    return is_here(t) ? cli_call_quietly(cli, ctl_Type_TERMS_GET, ctl_TermsGet_fields, &m, on_terms, row) : -1;
}

static uint32_t left_of(uint32_t limit, uint32_t made) { return made < limit ? limit - made : 0; }

static void say_copies(struct cli *cli, const doc_Conditions *c, const msg_Terms *terms)
{
    char money[40], each[64] = "";
    if (c->copy_depth == 0 || c->max_copies == 0)
        return;
    if (terms->copy_price > 0)
        (void)snprintf(each, sizeof(each), "; each costs %s", output_money(terms->copy_price, terms->currency, money));
    if (c->max_copies == UINT32_MAX)
        output_line(&cli->output, "copies      %u made%s", (unsigned)terms->copies, each);
    else
        output_line(&cli->output, "copies      %u of %u left%s", (unsigned)left_of(c->max_copies, terms->copies),
                    (unsigned)c->max_copies, each);
}

int verb_say_terms(struct cli *cli, const ctl_TrackRow *t)
{
    ctl_TermsRow row = ctl_TermsRow_init_zero;
    const doc_Conditions *c = &t->conditions;
    char money[40];
    int code = read_terms(cli, t, &row);
    if (code > 0)
        return code;
    if (code < 0) {
        if (is_here(t) && c->copy_depth > 0 && c->max_copies > 0)
            output_line(&cli->output, "copies      how many are left is known to %s, which cannot be asked now",
                        t->issuer_name);
        return EXIT_DONE;
    }
    say_copies(cli, c, &row.terms);
    if (c->has_max_checkouts && c->max_checkouts > 0 && c->max_checkouts != UINT32_MAX)
        output_line(&cli->output, "checkouts   %u of %u left", (unsigned)left_of(c->max_checkouts, row.terms.checkouts),
                    (unsigned)c->max_checkouts);
    if (row.terms.move_price > 0)
        output_line(&cli->output, "moving it   costs %s",
                    output_money(row.terms.move_price, row.terms.currency, money));
    if (row.terms.has_renew_price)
        output_line(&cli->output, "renewal     costs %s: hearth renew TRACK",
                    output_money(row.terms.renew_price, row.terms.currency, money));
    return EXIT_DONE;
}

int verb_put_terms(struct cli *cli, const ctl_TrackRow *t, json_t *o)
{
    ctl_TermsRow row = ctl_TermsRow_init_zero;
    const doc_Conditions *c = &t->conditions;
    const msg_Terms *m = &row.terms;
    int code = read_terms(cli, t, &row);
    if (code != EXIT_DONE)
        return code > 0 ? code : EXIT_DONE;
    json_t *terms =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "currency", m->currency, "copy_price", (json_int_t)m->copy_price,
                  "move_price", (json_int_t)m->move_price, "copies", (json_int_t)m->copies, "removables",
                  (json_int_t)m->removables, "checkouts", (json_int_t)m->checkouts);
    json_object_set_new(terms, "copies_left",
                        c->copy_depth == 0            ? json_integer(0)
                        : c->max_copies == UINT32_MAX ? json_null()
                                                      : json_integer(left_of(c->max_copies, m->copies)));
    if (m->has_renew_price)
        json_object_set_new(terms, "renew_price", json_integer((json_int_t)m->renew_price));
    json_object_set_new(o, "terms", terms);
    return EXIT_DONE;
}
