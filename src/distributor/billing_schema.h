/* Tables of the billing server, as migrations of the operations database. */
#ifndef DISTRIBUTOR_BILLING_SCHEMA_H
#define DISTRIBUTOR_BILLING_SCHEMA_H

extern const char billing_schema_ledger[];
extern const char billing_schema_settlement[];
extern const char billing_schema_erase[]; /* pseudonyms (erase.h) */

#endif
