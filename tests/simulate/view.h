/* What the databases of vaults and shops say, for those who judge it (promises.c, promises_end.c). One thread. */
#ifndef TESTS_SIMULATE_VIEW_H
#define TESTS_SIMULATE_VIEW_H

#include <sqlite3.h>

#include "world.h"

#define ROWS_MAX 128

struct license { /* of a vault, or of a shop for a client */
    uint8_t issuer[32], license_id[16], client[32];
    int64_t sequence, issued_ms;
    int state;
};
struct certificate { /* of a shop */
    uint8_t serial[16], license_id[16], source[32], destination[32];
    bool move;
    int state;
    int64_t charge, edition, issued_ms;
};
struct serial { /* of a vault, as destination */
    uint8_t issuer[32], serial[16];
    int state;
    bool move;
};
struct move { /* of a vault, as source */
    uint8_t issuer[32], serial[16], license_id[16];
    int64_t sequence;
    int state;
};
enum { OF_LICENSES, OF_SERIALS, OF_MOVES, OF_CERTIFICATES = OF_SERIALS, OF_MONEY = OF_MOVES, OF_COUNT };
struct view {
    sqlite3 *db;
    sqlite3_stmt *statements[OF_COUNT];
    struct license licenses[ROWS_MAX];
    struct certificate certificates[ROWS_MAX];
    struct serial serials[ROWS_MAX];
    struct move moves[ROWS_MAX];
    int license_count, certificate_count, serial_count, move_count;
    int64_t sold, copies_sold, refunded, renewed, uneven, owed;
};
struct known { /* was acknowledged */
    int device;
    uint8_t issuer[32], license_id[16];
    int64_t sequence;
};
struct promises {
    struct view views[DIRECTORY_NODE];
    struct known known[ROWS_MAX];
    int known_count;
};

/* Reads the rows of this node, which is up, anew. */
void view_read(struct world *w, int node);
/* Of rows that were read; NULL: there is none. */
const struct view *view_of_issuer(const struct world *w, const uint8_t *issuer);
const struct certificate *view_certificate(const struct view *v, const uint8_t serial[16]);
const struct license *view_license(const struct view *v, const uint8_t *issuer, const uint8_t *license_id,
                                   const uint8_t *client);
/* The household has removed this device, or is about to. */
bool view_is_removed(const struct world *w, const uint8_t *client);

#endif
