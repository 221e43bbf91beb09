/* Addresses as people and records write them: "host:port", "[v6]:port", "[fe80::1%eth0]:port". Any thread. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/outcome.h"

#define ADDRESS_HOST_BYTES 254
#define ADDRESS_TEXT_BYTES 264 /* [host]:port */

/* Splits text into host (without brackets) and port (1..65535). ADDRESS_MALFORMED: anything else. */
#define ADDRESS_MALFORMED 1
int address_parse(const char *text, char host[ADDRESS_HOST_BYTES], uint16_t *port) MUST_USE;
/* As address_parse, of an address to listen on: port 0 takes a free one. */
int address_parse_listen(const char *text, char host[ADDRESS_HOST_BYTES], uint16_t *port) MUST_USE;
/* A numeric host into a socket address. ADDRESS_IS_NAME: it must be resolved. */
#define ADDRESS_IS_NAME 2
int address_numeric(const char *host, uint16_t port, struct sockaddr_storage *out) MUST_USE;
/* An IPv4 address inside IPv6 is written as IPv4. Not an Internet address: "unix". */
void address_text(const struct sockaddr *sa, char out[ADDRESS_TEXT_BYTES]);
socklen_t address_len(const struct sockaddr_storage *sa);

#endif
