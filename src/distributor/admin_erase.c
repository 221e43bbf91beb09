/* user erase: ends an account (erase.h). One thread. */
#include <unistd.h>

#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/billing.h"
#include "distributor/erase.h"

static bool confirm(const char *user)
{
    char answer[8];
    fprintf(stderr,
            "Everything about %s is erased; amounts stay under a pseudonym. The name is given to nobody again.\n"
            "This cannot be undone. Erase it? [y/N] ",
            user);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static int still_owed(struct admin *a, const char *user, bool forgive, const char *why)
{
    int64_t balance = 0;
    char pay_out[160] = "";
    if (forgive) /* a payment is under way */
        return admin_fail(a, REASON_STILL_OWED, "%s", why);
    int r = billing_balance(a->o, user, &balance);
    if (r != 0)
        return admin_error(a, r, "read the balance");
    if (balance > 0)
        snprintf(pay_out, sizeof(pay_out), " What was paid out is entered with: ledger pay-out %s --all.", user);
    return admin_fail(a, REASON_STILL_OWED, "%s%s To erase it all the same, when no payment is under way: --forgive",
                      why, pay_out);
}

static int erase(struct admin *a, const char *user, bool forgive)
{
    struct reply out;
    reply_init(&out);
    int r = erase_account(a->o, user, forgive, a->now_ms, &out);
    if (r == REASON_STILL_OWED)
        r = still_owed(a, user, forgive, out.detail);
    else if (r == REASON_NOT_FOUND)
        r = admin_absent(a, "user", user, "user list");
    else
        r = r == 0 ? admin_commit(a) : admin_error(a, r, "erase the account");
    reply_free(&out);
    return r;
}

int admin_erase(struct admin *a, const char *user, bool forgive, bool yes)
{
    if (!yes && (a->json || !isatty(STDIN_FILENO)))
        return admin_usage(a, "nobody is here to confirm it: give --yes");
    if (!yes && !confirm(user))
        return admin_fail(a, REASON_CANCELLED, "Nothing was changed.");
    int r = admin_begin(a);
    if (r == 0)
        r = erase(a, user, forgive);
    if (r != 0)
        return r;
    r = erase_scrub(a->o);
    if (r != 0 && r != -EBUSY) /* serve does it, too */
        return admin_error(a, r, "write the database anew, though the account is erased");
    const struct out_field fields[] = { OUT_T("user", user), OUT_F("erased", true) };
    out_object(a, fields, ARRAY_COUNT(fields));
    return ADMIN_DONE;
}
