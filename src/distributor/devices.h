/* Devices: the seed's tables (1) to (3), ours and others'. */
#ifndef DISTRIBUTOR_DEVICES_H
#define DISTRIBUTOR_DEVICES_H

#include "crypto/password.h"
#include "distributor/requests.h"

#define DEVICES_PER_HOUSEHOLD 32 /* what a roster holds */

struct device {
    struct id client;
    int64_t distributor; /* whose customer it is */
    char user[OPERATIONS_NAME_BYTES], name[OPERATIONS_NAME_BYTES];
    int64_t registered_ms;
    bool revoked;
};
/* Registered with us. 0 (also a revoked one), OPERATIONS_ABSENT, -errno. */
int devices_find_own(struct operations *o, const struct id *client, struct device *out) MUST_USE;
/* Registered with that distributor. As above. */
int devices_find_at(struct operations *o, int64_t distributor, const struct id *client, struct device *out) MUST_USE;
/* Registered with anyone: ours first. As above. */
int devices_find(struct operations *o, const struct id *client, struct device *out) MUST_USE;
/* In the household of (distributor, user). As above. */
int devices_find_in_household(struct operations *o, int64_t distributor, const char *user, const struct id *client,
                              struct device *out) MUST_USE;
/* The asking device as a registered one of ours: 0, REASON_NOT_REGISTERED, REASON_DEVICE_REVOKED, -errno.
 * Source: seed S73-S75, S123-S125 by device authentication (the TLS key is the device's). */
int devices_caller(struct operations *o, const struct caller *who, struct device *out) MUST_USE;

/* The same, or another distributor's device whose rows we have: a guest. */
int devices_caller_or_guest(struct operations *o, const struct caller *who, struct device *out) MUST_USE;

/* Writes and shares. */
int devices_set(struct operations *o, const struct device *d) MUST_USE; /* ours: table (3) */
int devices_set_leaf(struct operations *o, const struct id *client, uint32_t leaf) MUST_USE;
/* Signs and stores a certificate for a device key and leaf of ours. */
int devices_certify(struct operations *o, const uint8_t device_key[32], const uint8_t sealing_key[32], uint32_t leaf,
                    int64_t now_ms, struct buf *envelope) MUST_USE;
int devices_leaf(struct operations *o, int64_t distributor, const struct id *client, uint32_t *category, uint32_t *leaf)
    MUST_USE; /* 0, OPERATIONS_ABSENT */
/* The stored certificate, verified under its distributor's kept keyset; it must name the client and its leaf.
 * 0, REASON_NOT_REGISTERED (none is known), REASON_SIGNATURE_INVALID, REASON_CERTIFICATE_EXPIRED, -errno. */
int devices_certificate(struct operations *o, const struct device *d, int64_t now_ms, doc_DeviceCertificate *out)
    MUST_USE;
int devices_certificate_bytes(struct operations *o, int64_t distributor, const struct id *client, struct buf *envelope)
    MUST_USE; /* 0, OPERATIONS_ABSENT */
/* Takes a device out for good: marked, its leaf in the next key block's revoked ones, its licenses too. Writes. */
int devices_revoke(struct operations *o, struct device *d, int64_t now_ms) MUST_USE;

#endif
