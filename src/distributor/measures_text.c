/* Families in a fixed order. One thread. */
#include "distributor/measures_text.h"

#include <stdio.h>

#include "base/util.h"

#define LABELS_BYTES 160

static const char *const purpose_names[] = { "other", "tls", "license", "roster", "sealing" };

static void put_ends(struct openmetrics *m, const struct measures *from)
{
    char labels[LABELS_BYTES], name[2 * OPERATIONS_NAME_BYTES];
    openmetrics_family(m, "hearth_keyset_end_time_seconds", OPENMETRICS_GAUGE, "seconds",
                       "When our keyset ends, since 1970.");
    openmetrics_seconds(m, "", from->keyset_ends_ms);
    openmetrics_family(m, "hearth_key_end_time_seconds", OPENMETRICS_GAUGE, "seconds",
                       "When a key of our keyset ends, since 1970: the latest of each purpose.");
    for (uint32_t purpose = 0; purpose < ARRAY_COUNT(purpose_names); purpose++) {
        int64_t latest = 0;
        for (size_t i = 0; i < from->key_count; i++) {
            uint32_t of = from->keys[i].purpose < ARRAY_COUNT(purpose_names) ? from->keys[i].purpose : 0;
            if (of == purpose && from->keys[i].ends_ms > latest)
                latest = from->keys[i].ends_ms;
        }
        snprintf(labels, sizeof(labels), "purpose=\"%s\"", purpose_names[purpose]);
        if (latest > 0)
            openmetrics_seconds(m, labels, latest);
    }
    for (int of_grants = 0; of_grants < 2; of_grants++) {
        openmetrics_family(m, of_grants ? "hearth_grant_end_time_seconds" : "hearth_delegation_end_time_seconds",
                           OPENMETRICS_GAUGE, "seconds",
                           of_grants
                               ? "When the newest key grant of a partner ends, since 1970; 0: it has given none."
                               : "When what a partner delegated to us ends, since 1970; 0: it has delegated nothing.");
        for (size_t i = 0; i < from->partner_count; i++) {
            const struct measures_partner *p = &from->partners[i];
            snprintf(labels, sizeof(labels), "partner=\"%s\"", openmetrics_label(p->name, name, sizeof(name)));
            openmetrics_seconds(m, labels, of_grants ? p->grant_ends_ms : p->delegation_ends_ms);
        }
    }
}

void measures_text(struct openmetrics *m, const struct measures *from)
{
    char labels[LABELS_BYTES], name[2 * OPERATIONS_NAME_BYTES];
    snprintf(labels, sizeof(labels), "name=\"%s\"", openmetrics_label(from->name, name, sizeof(name)));
    openmetrics_family(m, "hearth_distributor", OPENMETRICS_INFO, "", "Whose figures these are.");
    openmetrics_info(m, labels);
    const struct {
        const char *name, *help;
        enum openmetrics_type type;
        uint64_t value;
    } figures[] = {
        { "hearth_licenses_issued", "Licenses signed, new editions included.", OPENMETRICS_COUNTER, from->licenses },
        { "hearth_certificates_issued", "Copy certificates signed.", OPENMETRICS_COUNTER, from->certificates },
        { "hearth_ledger_postings", "Postings in the ledger.", OPENMETRICS_COUNTER, from->postings },
        { "hearth_ledger_entries", "Entries of those postings.", OPENMETRICS_COUNTER, from->ledger_entries },
        { "hearth_certificates_open", "Copy certificates that are neither used nor ended.", OPENMETRICS_GAUGE,
          from->certificates_open },
        { "hearth_payments_open", "Payments asked of customers that are not decided.", OPENMETRICS_GAUGE,
          from->payments_open },
        { "hearth_findings_open",
          "What the directory or a partner did that cannot be right, and still is so: directory check.",
          OPENMETRICS_GAUGE, from->findings_open },
        { "hearth_outbox_rows", "Shared rows that we have signed.", OPENMETRICS_COUNTER, from->outbox },
        { "hearth_outbox_waiting", "Of those, what the directory has not confirmed; 0 without a directory.",
          OPENMETRICS_GAUGE,
          from->has_directory && from->outbox > from->outbox_confirmed ? from->outbox - from->outbox_confirmed : 0 },
        { "hearth_directory_position", "How far we have read in the order of the directory.", OPENMETRICS_GAUGE,
          from->directory_cursor },
        { "hearth_keyset_sequence", "Number of our keyset.", OPENMETRICS_GAUGE, from->keyset_sequence },
        { "hearth_keyset_due",
          "1 while another keyset is to be signed, which happens by itself where the root key is: keys list says why.",
          OPENMETRICS_GAUGE, from->keyset_due != 0 },
        { "hearth_keys_former",
          "0: keys/ here has the keys in use. 1: another machine has, ours count for an hour. 2: nothing is served with ours.",
          OPENMETRICS_GAUGE, (uint64_t)from->ages.of[0] },
        { "hearth_key_block_version", "Number of our enabling key block.", OPENMETRICS_GAUGE, from->key_block_version },
        { "hearth_restores", "Times that this database was restored from a backup.", OPENMETRICS_COUNTER, from->epoch },
    };
    for (size_t i = 0; i < ARRAY_COUNT(figures); i++) {
        openmetrics_family(m, figures[i].name, figures[i].type, "", figures[i].help);
        openmetrics_count(m, "", figures[i].value);
    }
    put_ends(m, from);
}
