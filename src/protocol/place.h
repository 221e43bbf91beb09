/* A place: where bodies lie beside the distributor itself, as it tells its devices. Without I/O, any thread.
 *
 *   http://HOST[:PORT][/PATH], https://...   a directory of any static HTTP server: PATH/<content-id>.body
 *   hearth://HOST:PORT#ID                    a contents server; ID is the hash of its key
 *
 * A place is not trusted: what comes from there is verified by its hash, as from anywhere. Source: seed Fig. 4 (contents server), S24. */
#ifndef PROTOCOL_PLACE_H
#define PROTOCOL_PLACE_H

#include "base/outcome.h"
#include "crypto/id.h"

#define PLACE_TEXT_MAX 255
#define PLACE_ADDRESS_BYTES 128
#define PLACE_URL_BYTES 384

enum place_kind { PLACE_HTTP = 1, PLACE_SERVER };
struct place {
    enum place_kind kind;
    char text[PLACE_TEXT_MAX + 1];
    char address[PLACE_ADDRESS_BYTES]; /* SERVER: "host:port" */
    struct id server;                  /* SERVER */
};
/* PLACE_MALFORMED: also what has a user, a query, a fragment, or anything but printable ASCII. */
#define PLACE_MALFORMED 1
int place_parse(const char *text, struct place *out) MUST_USE;
/* HTTP: where the body of a content is. */
void place_body_url(const struct place *p, const struct id *content, char out[PLACE_URL_BYTES]);

#endif
