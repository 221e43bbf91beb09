/* What more of a license costs, told to the device that has it: copies, moves, a renewal, and how many copies were made of it. On the connection's thread. */
#define LOG_MODULE "license"
#include <string.h>

#include "base/util.h"
#include "distributor/conditions.h"
#include "distributor/handlers.h"
#include "distributor/licenses.h"
#include "distributor/reply.h"

/* As copy_judge.c charges it. */
static int find_move_price(struct operations *o, const struct product *p, int64_t *price)
{
    char charged[8] = "";
    int r = operations_setting(o, "move-charged", charged, sizeof(charged));
    *price = strcmp(charged, "yes") == 0 ? p->copy_price : 0;
    return r;
}

int terms_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
              struct reply *out)
{
    (void)tail;
    msg_TermsGet m;
    msg_Terms answer = msg_Terms_init_zero;
    struct license l;
    struct product p;
    int r = REQUEST_DECODE(message, msg_TermsGet, &m);
    if (r != 0)
        return r;
    struct id content = id_from(m.content);
    r = licenses_find_content(o, &content, &who->client, &l);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_NO_LICENSE : r;
    r = products_get(o, l.product, &p);
    if (r == 0)
        r = find_move_price(o, &p, &answer.move_price);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    answer.copy_price = p.copy_price;
    answer.copies = l.copies;
    answer.removables = l.removables;
    answer.checkouts = l.checkouts;
    answer.has_renew_price =
        p.has_renew_price && (l.conditions.has_usage_until_ms || conditions_are_counted(&l.conditions));
    answer.renew_price = p.renew_price;
    CODEC_SET_TEXT(answer.currency, o->currency);
    return REPLY(out, TERMS, msg_Terms, &answer);
}
