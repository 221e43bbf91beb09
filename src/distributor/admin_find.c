/* Finding what a word of the operator means, for several commands. One thread. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/admin_money.h"
#include "distributor/holders.h"

int admin_absent(struct admin *a, const char *what, const char *name, const char *list)
{
    return admin_fail(a, REASON_NOT_FOUND, "There is no %s %s; see: hearth-distributor %s", what, name, list);
}

int admin_absent_number(struct admin *a, const char *what, uint64_t number, const char *list)
{
    char name[24];
    snprintf(name, sizeof(name), "%" PRIu64, number);
    return admin_absent(a, what, name, list);
}

int admin_need_user(struct admin *a, const char *user)
{
    struct account account;
    int r = accounts_find(a->o, user, &account);
    if (r == OPERATIONS_ABSENT)
        return admin_absent(a, "user", user, "user list");
    return r == 0 ? 0 : admin_error(a, r, "look for the user");
}

int admin_list_end(struct admin *a, struct out_list *l, const char *user)
{
    int r = l->rows == 0 && user != NULL && user[0] != '\0' ? admin_need_user(a, user) : 0;
    if (r == 0)
        out_list_end(l);
    else
        out_list_drop(l);
    return r;
}

int admin_find_partner(struct admin *a, const char *word, struct partner *out)
{
    struct partner p = { 0 }, fits = { 0 };
    int named = 0, found = 0, r; /* a name in force goes before an ID, and before those that were withdrawn */
    while ((r = delegations_partner_next(a->o, p.number, &p)) == 0) {
        bool is_name = strcmp(p.name, word) == 0;
        if (!is_name && !id_has_prefix(&p.id, word))
            continue;
        found++;
        if (named > 0 && (!is_name || p.withdrawn))
            continue;
        named += is_name && !p.withdrawn;
        fits = p;
    }
    if (r != OPERATIONS_ABSENT)
        return admin_error(a, r, "look for the partner");
    if (named > 1 || (named == 0 && found > 1))
        return admin_fail(a, REASON_AMBIGUOUS, "%s fits %d partners; say the beginning of its ID: partner list.", word,
                          found);
    if (found == 0)
        return admin_absent(a, "partner", word, "partner list");
    *out = fits;
    return 0;
}

/* "user:alice", "holder:x" and the like say which one is meant. Returns the word behind it, or NULL. */
static const char *after(const char *word, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(word, prefix, len) == 0 ? word + len : NULL;
}

struct meant {
    int count;
    char account[LEDGER_ACCOUNT_BYTES];
};

static int try_user(struct admin *a, const char *name, struct meant *m)
{
    struct account found;
    int r = accounts_find(a->o, name, &found);
    if (r == 0 && m->count++ == 0)
        ledger_account_user(found.user, m->account);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int try_holder(struct admin *a, const char *name, struct meant *m)
{
    struct holder found;
    int r = holders_find(a->o, name, &found);
    if (r == 0 && m->count++ == 0)
        ledger_account_holder(found.name, m->account);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int try_partner(struct admin *a, const char *word, struct meant *m)
{
    struct partner p = { 0 };
    int r;
    while ((r = delegations_partner_next(a->o, p.number, &p)) == 0)
        if ((strcmp(p.name, word) == 0 || (strlen(word) >= 8 && id_has_prefix(&p.id, word))) && m->count++ == 0)
            ledger_account_partner(&p.id, m->account);
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int admin_find_account(struct admin *a, const char *word, char out[LEDGER_ACCOUNT_BYTES])
{
    static const struct {
        const char *prefix;
        int (*find)(struct admin *a, const char *name, struct meant *m);
    } kinds[] = { { "user:", try_user }, { "holder:", try_holder }, { "partner:", try_partner } };
    struct meant m = { 0 };
    const char *name = NULL;
    int r = 0;
    if (strcmp(word, LEDGER_REVENUE) == 0 || strcmp(word, LEDGER_PAYMENTS) == 0) {
        snprintf(out, LEDGER_ACCOUNT_BYTES, "%s", word);
        return 0;
    }
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(kinds); i++)
        if ((name = after(word, kinds[i].prefix)) != NULL) {
            r = kinds[i].find(a, name, &m);
            break;
        }
    for (size_t i = 0; r == 0 && name == NULL && i < ARRAY_COUNT(kinds); i++)
        r = kinds[i].find(a, word, &m);
    if (r != 0)
        return admin_error(a, r, "look for the account");
    if (m.count > 1)
        return admin_fail(a, REASON_AMBIGUOUS, "%s fits several; say user:NAME, holder:NAME or partner:NAME.", word);
    if (m.count == 0)
        return admin_absent(a, "user, rights holder or partner", word, "user list, holder list, partner list");
    snprintf(out, LEDGER_ACCOUNT_BYTES, "%s", m.account);
    return 0;
}

int admin_parse_number(const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0' || n == 0 || n > INT64_MAX)
        return -EINVAL;
    *out = n;
    return 0;
}
