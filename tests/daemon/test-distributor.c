/* A device and its distributor: who is spoken to, registering, and buying exactly once whatever breaks in between. */
#include "base/util.h"
#include "cm.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "daemon_rig.h"
#include "shop.h"

static struct hearthd h;
static struct shop shop;

static int setup(void **state)
{
    (void)state;
    check(secret_init() == 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    shop_start(&shop, 1);
    hearthd_init(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hearthd_deinit(&h);
    shop_stop(&shop);
    shop_deinit(&shop);
    return 0;
}

static enum reason register_with(const struct id *distributor, const char *password)
{
    ctl_Register ask = ctl_Register_init_zero;
    static union {
        ctl_Confirm confirm;
        ctl_DistributorRow row;
    } answer;
    strcpy(ask.address, shop.address);
    strcpy(ask.user, "anna");
    strcpy(ask.password, password);
    ask.has_distributor = distributor != NULL;
    if (distributor == NULL)
        return CALL(&h, REGISTER, Register, &ask, CONFIRM, Confirm, &answer.confirm);
    memcpy(ask.distributor, distributor->bytes, 32);
    return CALL(&h, REGISTER, Register, &ask, DISTRIBUTOR_ROW, DistributorRow, &answer.row);
}

static enum reason status(ctl_Status *out)
{
    ctl_StatusGet get = ctl_StatusGet_init_zero;
    return CALL(&h, STATUS_GET, StatusGet, &get, STATUS, Status, out);
}

static bool is_online(void *ctx)
{
    ctl_Status s;
    (void)ctx;
    return status(&s) == REASON_NONE && s.distributors_online == 1;
}

static bool is_offline(void *ctx) { return !is_online(ctx); }

static bool nothing_waits(void *ctx)
{
    ctl_Status s;
    (void)ctx;
    return status(&s) == REASON_NONE && s.waiting == 0;
}

/* --- Whom the device speaks to --- */

static void asks_for_confirmation_without_id(void **state)
{
    (void)state;
    assert_int_equal(register_with(NULL, "right"), REASON_CONFIRM_DISTRIBUTOR);
    assert_int_equal(h.rows, 1);
    assert_int_equal(shop.registrations, 0);
    assert_int_equal(shop.early, 0);
}

static void says_nothing_to_wrong_keyset(void **state)
{
    static const struct {
        enum shop_greeting greeting;
        enum reason reason;
    } cases[] = {
        { GREET_OTHER_ROOT, REASON_KEYSET_INVALID },
        { GREET_OTHER_TLS, REASON_KEYSET_INVALID },
        { GREET_GARBAGE, REASON_MALFORMED },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shop_stop(&shop);
        shop.greeting = cases[i].greeting;
        shop_again(&shop);
        assert_int_equal(register_with(&shop.maker.id, "right"), cases[i].reason);
    }
    shop_stop(&shop);
    shop.greeting = GREET_RIGHT;
    shop_again(&shop);
    assert_int_equal(register_with(&shop.other.id, "right"), REASON_KEYSET_INVALID);
    assert_int_equal(shop.early, 0);
    assert_int_equal(shop.registrations, 0);
}

static void registers(void **state)
{
    ctl_Status s;
    (void)state;
    assert_int_equal(register_with(&shop.maker.id, "wrong"), REASON_BAD_CREDENTIALS);
    assert_int_equal(status(&s), REASON_NONE);
    assert_int_equal(s.distributors, 0);
    assert_int_equal(register_with(&shop.maker.id, "right"), REASON_NONE);
    assert_int_equal(h.rows, 1);
    assert_int_equal(register_with(&shop.maker.id, "right"), REASON_NONE); /* harmless */
    assert_int_equal(status(&s), REASON_NONE);
    assert_int_equal(s.distributors, 1);
    assert_int_equal(s.distributors_online, 1);
}

static void comes_back_by_itself(void **state)
{
    (void)state;
    shop_stop(&shop);
    wait_until(is_offline, NULL, "offline");
    ctl_Browse browse = ctl_Browse_init_zero;
    ctl_CatalogueRow item;
    assert_int_equal(CALL(&h, BROWSE, Browse, &browse, CATALOGUE_ROW, CatalogueRow, &item), REASON_OFFLINE);
    shop_again(&shop);
    wait_until(is_online, NULL, "online again");
    assert_int_equal(hearthd_stop(&h), 0);
    hearthd_start(&h);
    wait_until(is_online, NULL, "online after a restart");
    hearthd_kill(&h);
    hearthd_start(&h);
    wait_until(is_online, NULL, "online after a kill");
}

static void refuses_older_keyset(void **state)
{
    unsigned early = shop.early;
    (void)state;
    shop_stop(&shop);
    shop.greeting = GREET_OLD;
    shop_again(&shop);
    ctl_Browse browse = ctl_Browse_init_zero;
    ctl_CatalogueRow item;
    assert_int_equal(CALL(&h, BROWSE, Browse, &browse, CATALOGUE_ROW, CatalogueRow, &item), REASON_KEYSET_INVALID);
    assert_int_equal(shop.early, early);
    shop.greeting = GREET_RIGHT;
    wait_until(is_online, NULL, "the right keyset again");
}

/* --- Buying --- */

static enum reason get_quote(ctl_QuoteRow *row)
{
    ctl_QuoteGet ask = ctl_QuoteGet_init_zero;
    strcpy(ask.track, shop.song.info.title);
    return CALL(&h, QUOTE_GET, QuoteGet, &ask, QUOTE_ROW, QuoteRow, row);
}

static enum reason buy(const ctl_QuoteRow *quote)
{
    ctl_Get get = { .has_quote_hash = true, .license = true };
    ctl_TrackRow row;
    memcpy(get.quote_hash, quote->hash, sizeof(get.quote_hash));
    id_text(quote->content, get.track);
    return CALL(&h, GET, Get, &get, TRACK_ROW, TrackRow, &row);
}

static uint32_t license_state(void)
{
    ctl_LibraryGet get = ctl_LibraryGet_init_zero;
    ctl_TrackRow row = ctl_TrackRow_init_zero;
    check(CALL(&h, LIBRARY_GET, LibraryGet, &get, TRACK_ROW, TrackRow, &row) == REASON_NONE);
    return h.rows == 0 ? 0 : row.license_state;
}

static bool has_license(void *ctx)
{
    (void)ctx;
    return license_state() == 1;
}

static void browses_and_names(void **state)
{
    ctl_Browse browse = ctl_Browse_init_zero;
    ctl_CatalogueRow item;
    (void)state;
    assert_int_equal(CALL(&h, BROWSE, Browse, &browse, CATALOGUE_ROW, CatalogueRow, &item), REASON_NONE);
    assert_int_equal(h.rows, 1);
    assert_int_equal(item.number, 1);
    ctl_QuoteGet ask = ctl_QuoteGet_init_zero;
    ctl_QuoteRow row;
    char id[ID_TEXT_BYTES];
    id_text(shop.song.id.bytes, id);
    const char *names[] = { "1", shop.song.info.title, id };
    for (size_t i = 0; i < 3; i++) {
        strcpy(ask.track, names[i]);
        assert_int_equal(CALL(&h, QUOTE_GET, QuoteGet, &ask, QUOTE_ROW, QuoteRow, &row), REASON_NONE);
        assert_memory_equal(row.content, shop.song.id.bytes, 32);
        assert_int_equal(row.price, 99);
    }
    strcpy(ask.track, "2");
    assert_int_equal(CALL(&h, QUOTE_GET, QuoteGet, &ask, QUOTE_ROW, QuoteRow, &row), REASON_NOT_FOUND);
    strcpy(ask.track, "no such song");
    assert_int_equal(CALL(&h, QUOTE_GET, QuoteGet, &ask, QUOTE_ROW, QuoteRow, &row), REASON_NOT_FOUND);
}

static void keeps_nothing_of_refusals(void **state)
{
    ctl_QuoteRow quote;
    (void)state;
    shop.transact = TRANSACT_REFUSE;
    assert_int_equal(get_quote(&quote), REASON_NONE);
    assert_int_equal(buy(&quote), REASON_CREDIT_REFUSED);
    shop.transact = TRANSACT_FORGED;
    assert_int_equal(buy(&quote), REASON_SIGNATURE_INVALID);
    shop.transact = TRANSACT_ANSWER;
    assert_int_equal(license_state(), 0);
    ctl_QuoteRow unknown = quote;
    unknown.hash[0] ^= 1;
    assert_int_equal(buy(&unknown), REASON_QUOTE_CHANGED);
    wait_until(nothing_waits, NULL, "refused transactions are finished, too");
}

/* The connection ends before the distributor has executed it: it is sent again and executed once. */
static void survives_lost_request(void **state)
{
    ctl_QuoteRow quote;
    unsigned executed = shop.executed;
    (void)state;
    assert_int_equal(get_quote(&quote), REASON_NONE);
    shop.transact = TRANSACT_DROP_BEFORE;
    assert_int_equal(buy(&quote), REASON_OFFLINE);
    assert_int_equal(license_state(), 0);
    assert_int_equal(shop.executed, executed);
    shop.transact = TRANSACT_ANSWER;
    wait_until(has_license, NULL, "the license arrives by itself");
    wait_until(nothing_waits, NULL, "finished");
    assert_int_equal(shop.executed, executed + 1);
    /* asked for again: nothing to buy */
    assert_int_equal(get_quote(&quote), REASON_ALREADY);
}

struct lost {
    enum shop_transact how;
    bool kill; /* hearthd as well */
};

static bool is_executed(void *ctx) { return shop.executed > *(unsigned *)ctx; }

/* A purchase that is under way. A quote is only given without a license: the old one is taken away by starting anew. */
static void send_get(enum shop_transact how)
{
    ctl_Get get = { .has_quote_hash = true, .license = true };
    ctl_QuoteRow quote;
    hearthd_deinit(&h);
    hearthd_init(&h);
    assert_int_equal(register_with(&shop.maker.id, "right"), REASON_NONE);
    assert_int_equal(get_quote(&quote), REASON_NONE);
    shop.transact = how;
    memcpy(get.quote_hash, quote.hash, sizeof(get.quote_hash));
    id_text(quote.content, get.track);
    assert_int_equal(channel_send(&h.control, ctl_Type_GET, ++h.next, ctl_Get_fields, &get, slice(NULL, 0)), 0);
}

static void expect_refusal(void)
{
    struct frame f;
    do
        assert_int_equal(channel_read(&h.control, true, &f), 0);
    while (f.type == ctl_Type_PROGRESS);
    assert_int_equal(f.type, msg_Type_REFUSAL);
}

static void arrives_once(unsigned executed, unsigned repeated)
{
    wait_until(has_license, NULL, "the license arrives by itself");
    wait_until(nothing_waits, NULL, "finished");
    assert_int_equal(shop.executed, executed + 1);
    assert_true(shop.repeated > repeated);
}

/* For these the shop's license replaces the one before: the sequence rises. */
static void once(const struct lost *lost)
{
    unsigned executed = shop.executed, repeated = shop.repeated;
    send_get(lost->how);
    wait_until(is_executed, &executed, "executed, and no answer has left");
    if (lost->kill) {
        hearthd_kill(&h);
        shop.transact = TRANSACT_ANSWER;
        hearthd_start(&h);
    } else {
        expect_refusal();
    }
    shop.transact = TRANSACT_ANSWER;
    arrives_once(executed, repeated);
}

static void survives_lost_answer(void **state)
{
    (void)state;
    once(&(struct lost){ TRANSACT_DROP_AFTER, false });
}

static void survives_kill_in_the_middle(void **state)
{
    (void)state;
    once(&(struct lost){ TRANSACT_HOLD, true });
}

static void takes_no_answer_to_another(void **state)
{
    (void)state;
    once(&(struct lost){ TRANSACT_OTHER, false });
}

static void limit_files(pid_t pid, rlim_t bytes)
{
    struct rlimit limit;
    check(prlimit(pid, RLIMIT_FSIZE, NULL, &limit) == 0);
    limit.rlim_cur = bytes;
    check(prlimit(pid, RLIMIT_FSIZE, &limit, NULL) == 0);
}

/* The next vault inherits it from what starts it. */
static void limit_files_of_the_next(rlim_t bytes)
{
    pid_t helpers[4];
    size_t count = hearthd_helpers(&h, helpers, ARRAY_COUNT(helpers));
    check(count > 0);
    for (size_t i = 0; i < count; i++)
        limit_files(helpers[i], bytes);
}

static bool is_another_vault(void *ctx)
{
    pid_t now = hearthd_vault(&h);
    return now > 0 && now != *(pid_t *)ctx;
}

/* Neither this vault can write nor the next that hearthd starts: what was granted is asked for again until it is kept. */
static void finishes_when_the_vault_has_it(void **state)
{
    unsigned executed = shop.executed, repeated = shop.repeated;
    (void)state;
    send_get(TRANSACT_WAIT);
    wait_until(is_executed, &executed, "executed, and no answer has left");
    pid_t first = hearthd_vault(&h);
    limit_files(first, 0);
    limit_files_of_the_next(0);
    shop.transact = TRANSACT_ANSWER;
    wait_until(is_another_vault, &first, "the next vault");
    limit_files_of_the_next(RLIM_INFINITY);
    expect_refusal();
    arrives_once(executed, repeated);
}

/* Put back with a request that was executed since: what was granted is kept, and it is not asked for under a new name. */
static void sets_aside_what_it_finds_outstanding(void **state)
{
    unsigned executed = shop.executed;
    (void)state;
    send_get(TRANSACT_HOLD);
    wait_until(is_executed, &executed, "executed, and no answer has left");
    hearthd_kill(&h);
    shop.transact = TRANSACT_ANSWER;
    shop.drop_bit = true;
    hearthd_start(&h);
    wait_until(has_license, NULL, "the license of the pending response");
    wait_until(nothing_waits, NULL, "set aside");
    assert_int_equal(shop.executed, executed + 1);
}

static void follows_when_out_of_step(void **state)
{
    ctl_QuoteRow quote;
    unsigned executed;
    (void)state;
    hearthd_deinit(&h);
    hearthd_init(&h);
    assert_int_equal(register_with(&shop.maker.id, "right"), REASON_NONE);
    assert_int_equal(get_quote(&quote), REASON_NONE);
    executed = shop.executed;
    shop.drop_bit = true;
    assert_int_equal(buy(&quote), REASON_NONE);
    assert_int_equal(shop.executed, executed + 1);
    assert_true(shop.out_of_step > 0);
    wait_until(has_license, NULL, "the license");
}

static bool is_committed(void *ctx) { return shop.committed > *(unsigned *)ctx; }

static void commits_the_last(void **state)
{
    unsigned committed = 0;
    (void)state;
    wait_until(is_committed, &committed, "a commit");
}

static void shows_account(void **state)
{
    ctl_AccountsGet get = ctl_AccountsGet_init_zero;
    ctl_DistributorRow row;
    (void)state;
    assert_int_equal(CALL(&h, ACCOUNTS_GET, AccountsGet, &get, DISTRIBUTOR_ROW, DistributorRow, &row), REASON_NONE);
    assert_int_equal(h.rows, 1);
    assert_true(row.has_balance && row.balance == -99);
    assert_string_equal(row.name, "Shop");
}

static void leaves(void **state)
{
    ctl_Unregister leave = { .distributor = "shop" };
    ctl_TrackRow row;
    ctl_Status s;
    (void)state;
    assert_int_equal(CALL(&h, UNREGISTER, Unregister, &leave, TRACK_ROW, TrackRow, &row), REASON_NONE);
    assert_int_equal(status(&s), REASON_NONE);
    assert_int_equal(s.distributors, 0);
    assert_int_equal(CALL(&h, UNREGISTER, Unregister, &leave, TRACK_ROW, TrackRow, &row), REASON_NOT_REGISTERED);
    assert_int_equal(register_with(&shop.maker.id, "right"), REASON_NONE);
    wait_until(is_online, NULL, "registered again");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_confirmation_without_id),
        cmocka_unit_test(says_nothing_to_wrong_keyset),
        cmocka_unit_test(registers),
        cmocka_unit_test(shows_account),
        cmocka_unit_test(comes_back_by_itself),
        cmocka_unit_test(refuses_older_keyset),
        cmocka_unit_test(browses_and_names),
        cmocka_unit_test(keeps_nothing_of_refusals),
        cmocka_unit_test(survives_lost_request),
        cmocka_unit_test(commits_the_last),
        cmocka_unit_test(survives_lost_answer),
        cmocka_unit_test(survives_kill_in_the_middle),
        cmocka_unit_test(takes_no_answer_to_another),
        cmocka_unit_test(finishes_when_the_vault_has_it),
        cmocka_unit_test(sets_aside_what_it_finds_outstanding),
        cmocka_unit_test(follows_when_out_of_step),
        cmocka_unit_test(leaves),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
