/* What more of a license costs, told to the device that has it: copies, moves, a renewal, and how many copies were made of it. On the connection's thread. */
#define LOG_MODULE "license"
#include <string.h>

#include "base/util.h"
#include "distributor/conditions.h"
#include "distributor/handlers.h"
#include "distributor/licenses.h"
#include "distributor/reply.h"

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
        r = products_copy_price(o, &p, false, &answer.copy_price);
    if (r == 0)
        r = products_copy_price(o, &p, true, &answer.move_price);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    answer.copies = l.copies;
    answer.removables = l.removables;
    answer.checkouts = l.checkouts;
    answer.has_renew_price = products_renews(&p, &l.conditions);
    answer.renew_price = p.renew_price;
    CODEC_SET_TEXT(answer.currency, o->currency);
    return REPLY(out, TERMS, msg_Terms, &answer);
}
