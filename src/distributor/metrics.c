/* The table of request kinds, and the text for a scraper: families in a fixed order, figures that are zero included, so that a rate is
 * known from the first scrape on. Loop thread. */
#include "distributor/metrics.h"

#include <stdio.h>

#include "base/util.h"
#include "distributor/directory_client.h"
#include "distributor/lobby.h"
#include "distributor/measures_text.h"
#include "distributor/openmetrics.h"
#include "distributor/quotas.h"
#include "distributor/starter.h"

#define LABELS_BYTES 160

static const struct {
    uint16_t type;
    const char *name;
} kinds[] = {
    { 0, "other" },
    { msg_Type_HELLO, "hello" },
    { msg_Type_PRESENT, "present" },
    { msg_Type_CATCH_UP_GET, "catch-up-get" },
    { msg_Type_REGISTER, "register" },
    { msg_Type_UNREGISTER, "unregister" },
    { msg_Type_LOGIN_PROVE, "login-prove" },
    { msg_Type_LOGIN, "login" },
    { msg_Type_LOGOUT, "logout" },
    { msg_Type_PASSWORD_SET, "password-set" },
    { msg_Type_LIMIT_SET, "limit-set" },
    { msg_Type_UNLOCK_SPENDING, "unlock-spending" },
    { msg_Type_DEVICE_RENAME, "device-rename" },
    { msg_Type_DEVICE_REMOVE, "device-remove" },
    { msg_Type_ROSTER_GET, "roster-get" },
    { msg_Type_LINK_CODE_GET, "link-code-get" },
    { msg_Type_LINK, "link" },
    { msg_Type_UNLINK, "unlink" },
    { msg_Type_ACCOUNT_GET, "account-get" },
    { msg_Type_ACCOUNT_EXPORT, "account-export" },
    { msg_Type_ACCOUNT_ERASE, "account-erase" },
    { msg_Type_BILLS_GET, "bills-get" },
    { msg_Type_CATALOGUE_GET, "catalogue-get" },
    { msg_Type_QUOTE_GET, "quote-get" },
    { msg_Type_TERMS_GET, "terms-get" },
    { msg_Type_HEADER_GET, "header-get" },
    { msg_Type_RESTORABLE_GET, "restorable-get" },
    { msg_Type_TRANSACT, "transact" },
    { msg_Type_COMMIT, "commit" },
    { msg_Type_REDEEM, "redeem" },
    { msg_Type_REDEEMS, "redeems" },
    { msg_Type_MOVE_DONE, "move-done" },
    { msg_Type_MOVE_CANCEL, "move-cancel" },
    { msg_Type_USE_LOG, "use-log" },
    { msg_Type_ADDRESS_GET, "address-get" },
    { msg_Type_DELEGATION_GET, "delegation-get" },
    { msg_Type_GRANT_GET, "grant-get" },
    { msg_Type_PARTNER_LINK, "partner-link" },
    { msg_Type_PARTNER_UNLINK, "partner-unlink" },
    { msg_Type_SHARE_PUSH, "share-push" },
};
static const char *const outcome_names[METRICS_OUTCOMES] = { "answered", "refused", "failed" };

/* --- Counting ---------------------------------------------------------------------------------------------------- */

static size_t kind_of(uint16_t type)
{
    _Static_assert(ARRAY_COUNT(kinds) <= METRICS_KINDS, "METRICS_KINDS");
    for (size_t i = 1; i < ARRAY_COUNT(kinds); i++)
        if (kinds[i].type == type)
            return i;
    return 0;
}

const char *metrics_kind_name(uint16_t type) { return kinds[kind_of(type)].name; }

void metrics_request(struct metrics *m, uint16_t type, enum metrics_outcome outcome, uint64_t took_us)
{
    struct metrics_kind *k = &m->kinds[kind_of(type)];
    k->outcomes[outcome]++;
    histogram_add(&k->latency, &histogram_latency, took_us);
}

void metrics_refusal(struct metrics *m, enum reason reason) { m->refusals[reason]++; }

void metrics_closed(struct metrics *m, enum reason reason) { m->closed[reason]++; }

/* --- What the server counts ---------------------------------------------------------------------------------------- */

static void put_requests(struct openmetrics *m, const struct metrics *from)
{
    char labels[LABELS_BYTES];
    openmetrics_family(m, "hearth_requests", OPENMETRICS_COUNTER, "", "Requests that ended, by kind and outcome.");
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        for (size_t j = 0; j < METRICS_OUTCOMES; j++) {
            snprintf(labels, sizeof(labels), "kind=\"%s\",outcome=\"%s\"", kinds[i].name, outcome_names[j]);
            openmetrics_count(m, labels, from->kinds[i].outcomes[j]);
        }
    openmetrics_family(m, "hearth_refusals", OPENMETRICS_COUNTER, "", "Refusals sent, by reason.");
    for (int i = 1; i < REASON_COUNT; i++) {
        snprintf(labels, sizeof(labels), "reason=\"%s\"", reason_code((enum reason)i));
        openmetrics_count(m, labels, from->refusals[i]);
    }
    openmetrics_family(m, "hearth_request_duration_seconds", OPENMETRICS_HISTOGRAM, "seconds",
                       "From a whole request to its answer, of kinds that were asked for.");
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (histogram_count(&from->kinds[i].latency, &histogram_latency) == 0)
            continue;
        snprintf(labels, sizeof(labels), "kind=\"%s\"", kinds[i].name);
        openmetrics_histogram(m, labels, &from->kinds[i].latency, &histogram_latency);
    }
}

static void put_connections(struct openmetrics *m, const struct server *server)
{
    const struct metrics *from = server->metrics;
    struct lobby_figures now;
    char labels[LABELS_BYTES];
    lobby_figures(server->lobby, &now);
    openmetrics_family(m, "hearth_connections", OPENMETRICS_GAUGE, "",
                       "Connections that others made to us, by who they are.");
    openmetrics_count(m, "peer=\"stranger\"", now.strangers);
    openmetrics_count(m, "peer=\"device\"", now.devices);
    openmetrics_count(m, "peer=\"distributor\"", now.distributors);
    openmetrics_family(m, "hearth_connections_accepted", OPENMETRICS_COUNTER, "", "Connections that were taken.");
    openmetrics_count(m, "", from->accepted);
    openmetrics_family(m, "hearth_connections_turned_away", OPENMETRICS_COUNTER, "",
                       "Connections that were not taken: too many of one address.");
    openmetrics_count(m, "", from->turned_away);
    openmetrics_family(m, "hearth_connections_closed", OPENMETRICS_COUNTER, "", "Connections that ended, by reason.");
    for (int i = 0; i < REASON_COUNT; i++) {
        if (from->closed[i] == 0)
            continue;
        snprintf(labels, sizeof(labels), "reason=\"%s\"", i == 0 ? "none" : reason_code((enum reason)i));
        openmetrics_count(m, labels, from->closed[i]);
    }
    openmetrics_family(m, "hearth_connections_paced", OPENMETRICS_COUNTER, "",
                       "Times that a connection was not read for a while because its requests came too fast.");
    openmetrics_count(m, "", from->paced);
    openmetrics_family(m, "hearth_over_quota", OPENMETRICS_COUNTER, "",
                       "Requests refused because a quota was used up, by whose.");
    openmetrics_count(m, "of=\"address\"", from->over_quota[QUOTAS_ADDRESS]);
    openmetrics_count(m, "of=\"account\"", from->over_quota[QUOTAS_ACCOUNT]);
    openmetrics_count(m, "of=\"partner\"", from->over_quota[QUOTAS_PARTNER]);
    openmetrics_count(m, "of=\"account-rows\"", from->over_quota[QUOTAS_ACCOUNT_ROWS]);
    openmetrics_count(m, "of=\"partner-rows\"", from->over_quota[QUOTAS_ORIGIN_ROWS]);
    openmetrics_family(m, "hearth_requests_running", OPENMETRICS_GAUGE, "", "Requests being worked on.");
    openmetrics_count(m, "", now.running);
    openmetrics_family(m, "hearth_requests_waiting", OPENMETRICS_GAUGE, "",
                       "Requests in the queues of their connections, behind another one of the same connection.");
    openmetrics_count(m, "", now.waiting);
}

/* One family after the other, each of the writer's, the reader's and the directory's thread. */
static void put_threads(struct openmetrics *m, const struct server *server)
{
    static const struct {
        const char *name, *unit, *help;
        enum openmetrics_type type;
    } families[] = {
        { "hearth_database_queue", "", "Jobs that wait for a thread that owns a database.", OPENMETRICS_GAUGE },
        { "hearth_database_jobs", "", "Jobs that were run.", OPENMETRICS_COUNTER },
        { "hearth_database_failed_batches", "", "Transactions that failed: nothing of them was kept.",
          OPENMETRICS_COUNTER },
        { "hearth_database_commit_duration_seconds", "seconds", "Commits, synced to disk.", OPENMETRICS_HISTOGRAM },
        { "hearth_database_batch_size", "", "Jobs of one transaction.", OPENMETRICS_HISTOGRAM },
    };
    static const char *const names[] = { "thread=\"writer\"", "thread=\"reader\"" };
    struct writer *threads[] = { server->writer, server->reader };
    struct writer_figures f[ARRAY_COUNT(threads)];
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        writer_figures(threads[i], &f[i]);
    for (size_t i = 0; i < ARRAY_COUNT(families); i++) {
        openmetrics_family(m, families[i].name, families[i].type, families[i].unit, families[i].help);
        for (size_t j = 0; j < ARRAY_COUNT(threads); j++) {
            bool commits = j == 0; /* a reader commits nothing */
            if (i < 2 || (i == 2 && commits))
                openmetrics_count(m, names[j], i == 0 ? f[j].waiting : i == 1 ? f[j].jobs : f[j].failed_batches);
            else if (i == 3 && commits)
                openmetrics_histogram(m, names[j], &f[j].commit_us, &histogram_latency);
            else if (i == 4)
                openmetrics_histogram(m, names[j], &f[j].batch_jobs, &histogram_sizes);
        }
    }
}

static void put_server(struct openmetrics *m, const struct server *server)
{
    struct directory_client_figures d;
    directory_client_figures(server->directory_client, &d);
    openmetrics_family(m, "hearth_up", OPENMETRICS_GAUGE, "", "1 when these are figures of a running server.");
    openmetrics_count(m, "", 1);
    openmetrics_family(m, "hearth_build", OPENMETRICS_INFO, "", "The program that serves.");
    openmetrics_info(m, "version=\"" HEARTH_VERSION "\"");
    openmetrics_family(m, "hearth_start_time_seconds", OPENMETRICS_GAUGE, "seconds",
                       "When the server was started, since 1970.");
    openmetrics_seconds(m, "", server->metrics->began_ms);
    openmetrics_family(m, "hearth_confined", OPENMETRICS_GAUGE, "",
                       "2 when the server has given up what it does not need, 1 when in part, 0 when not.");
    openmetrics_number(m, "", (int64_t)server->process->confined);
    openmetrics_family(m, "hearth_payment_command", OPENMETRICS_GAUGE, "",
                       "1 while payments can be handed to the payment command.");
    openmetrics_number(m, "", starter_is_there(server->process->starter));
    openmetrics_family(m, "hearth_reloads", OPENMETRICS_COUNTER, "",
                       "Times that the configuration was read again, by outcome.");
    openmetrics_count(m, "outcome=\"taken\"", server->metrics->reloads);
    openmetrics_count(m, "outcome=\"refused\"", server->metrics->reloads_refused);
    put_requests(m, server->metrics);
    put_connections(m, server);
    put_threads(m, server);
    openmetrics_family(m, "hearth_directory_connected", OPENMETRICS_GAUGE, "", "1 while the directory is reached.");
    openmetrics_count(m, "", d.connected);
    openmetrics_family(m, "hearth_directory_lag_seconds", OPENMETRICS_GAUGE, "seconds",
                       "Since the directory last said that we have all rows that it has; -1: not since the start.");
    openmetrics_seconds(m, "", d.caught_up_ms_ago);
}

int metrics_text(struct server *server, const struct measures *measures, struct buf *out)
{
    struct openmetrics m;
    openmetrics_begin(&m, out);
    put_server(&m, server);
    measures_text(&m, measures);
    return openmetrics_end(&m);
}
