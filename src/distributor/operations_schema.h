/* Tables of the operations database and the statements over them. For operations.c and who opens the database for backups. */
#ifndef DISTRIBUTOR_OPERATIONS_SCHEMA_H
#define DISTRIBUTOR_OPERATIONS_SCHEMA_H

#include "store/store.h"

extern const struct store_schema operations_schema; /* flags 0; copy it to set others */

/* Values of license.state and certificate.state; also in shared rows: never renumber. */
enum license_state {
    LICENSE_LIVE = 1,
    LICENSE_MOVING = 2,   /* given to a move that is not settled */
    LICENSE_GONE = 3,     /* moved away */
    LICENSE_REVOKED = 4,  /* its device was removed */
    LICENSE_REFUNDED = 5, /* its price was given back, and with it copies and renewal */
    LICENSE_RETURNED = 6, /* a lease that was given back: its account may have it again, on any device */
    LICENSE_LENT = 7,     /* checked out: it comes back */
};
enum certificate_state {
    CERTIFICATE_ISSUED = 1,
    CERTIFICATE_REDEEMED = 2,
    CERTIFICATE_REFUSED = 3,    /* the destination will never accept it: count and price were given back */
    CERTIFICATE_ENDED = 4,      /* ended without a receipt: count and price stay, until it is refused */
    CERTIFICATE_GIVEN_BACK = 5, /* ended, and the operator gave count and price back by hand */
};
/* Values of payment.state (payments.h). */
enum payment_state {
    PAYMENT_PREPARED = 1, /* to be handed to the command */
    PAYMENT_HANDED = 2,   /* was handed at least once; what became of it is not known */
    PAYMENT_PAID = 3,
    PAYMENT_DECLINED = 4,
};

#endif
