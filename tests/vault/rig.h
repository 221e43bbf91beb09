/* The real hearth-vault as a child, driven over its channels. */
#ifndef TEST_VAULT_RIG_H
#define TEST_VAULT_RIG_H

#include <sys/types.h>

#include "maker.h"
#include "net/channel.h"
#include "vault.pb.h"

struct rig {
    char dir[64]; /* state directory, removed by rig_deinit */
    pid_t pid;
    struct channel requests, tls;
    uint32_t next;
    struct device self;
    uint64_t generation;
    /* of the last reply */
    uint16_t type;
    struct buf tail;
    msg_Refusal refusal;
};
/* A new directory and a vault on it. The binary is what HEARTH_VAULT names. */
void rig_init(struct rig *r);
void rig_deinit(struct rig *r);
void rig_start(struct rig *r);      /* again on the same directory */
int rig_start_fails(struct rig *r); /* the exit status of one that ends by itself */
void rig_spawn(struct rig *r);      /* the same without asking it who it is */
void rig_identify(struct rig *r);   /* asks who it is: self, generation */
void rig_stop(struct rig *r);       /* closes its channels and waits: asserts that it ends well */
void rig_kill(struct rig *r);       /* kill -9 */
/* The path of the program, with arguments before it (strace). NULL: none. */
extern const char *const *rig_wrapper;

/* Sends without waiting. Returns the request ID. */
uint32_t rig_send(struct rig *r, uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail,
                  int fd);
/* Receives the answer to it: 0 with the message decoded into out (fields NULL: DONE is expected), or the refusal's reason; -EPIPE when the
 * vault is gone. */
int rig_receive(struct rig *r, uint32_t request, uint16_t expected, const pb_msgdesc_t *fields, size_t wire_max,
                void *out, size_t size);

/* One function for each request; outcomes as rig_receive. */
int rig_keyset(struct rig *r, struct maker *m, bool with_tls_key);
int rig_keyset_bytes(struct rig *r, const struct maker *m, const uint8_t *tls_key, struct slice envelope);
int rig_service(struct rig *r, const struct maker *m, struct slice certificate, struct slice set);
int rig_register(struct rig *r, struct maker *m); /* keyset and service data */
int rig_drop(struct rig *r, const struct maker *m);
int rig_login(struct rig *r, const struct maker *m, const uint8_t sealed[80]);
int rig_prove(struct rig *r, const struct maker *m, const uint8_t challenge[32], vlt_LoginProof *out);
int rig_logout(struct rig *r, const struct maker *m);
int rig_roster(struct rig *r, const struct maker *m, struct slice envelope);
int rig_time(struct rig *r, const struct maker *m, struct slice envelope);
int rig_no_time(struct rig *r, const struct maker *m); /* its WELCOME had none */
/* m's license for c, signed, with its header. */
int rig_give(struct rig *r, const struct maker *m, const struct content *c, const doc_License *l);
int rig_license(struct rig *r, struct slice license, struct slice header);
int rig_header(struct rig *r, struct slice header);
int rig_licenses(struct rig *r, vlt_Licenses *out);
int rig_distributors(struct rig *r, vlt_Distributors *out);
struct offer { /* what a CERTIFICATE_CHECK carries */
    struct buf certificate, delegation;
    const struct content *content;
    const struct device *presenter; /* NULL: a medium */
};
int rig_check(struct rig *r, const struct offer *o, vlt_CertificateState *out);
int rig_commit(struct rig *r, const vlt_CertificateName *name, vlt_CertificateState *out);
int rig_refuse(struct rig *r, const struct offer *o, vlt_CertificateState *out);
int rig_release(struct rig *r, const vlt_CertificateName *name);
int rig_move_release(struct rig *r, struct slice sealed, vlt_MoveReleased *out);
/* What the vault says of a license's use. */
int rig_use_sign(struct rig *r, const struct maker *issuer, const struct content *c, bool give_back, doc_Use *out);
int rig_move_finish(struct rig *r, struct slice receipt, vlt_MoveFinished *out);
int rig_move_cancel(struct rig *r, struct slice receipt);
/* *player: our end of the channel. In two parts, for a player that does not wait; the request's ID. */
uint32_t rig_play_ask(struct rig *r, const struct content *c, int *player);
int rig_play_opened(struct rig *r, uint32_t id, vlt_PlayOpened *out);
int rig_play(struct rig *r, const struct content *c, int *player, uint64_t *play);
int rig_record(struct rig *r, const struct content *c, int *player, uint64_t *play); /* a play for recording */
/* 0 with *closed, or the refusal. */
int rig_play_end(struct rig *r, uint64_t play, vlt_PlayEnd end, vlt_PlayClosed *closed);
int rig_play_close(struct rig *r, uint64_t play);
/* What a player asks: 0, or the refusal. */
int rig_give_window(struct channel *player, int fd);
int rig_ask_block(struct channel *player, uint32_t index);
/* Both, with a window of its own: the block is laid in, its plaintext appended to plain. Of one that is refused nothing may be in the window. */
int rig_open_block(struct channel *player, uint32_t index, struct slice block, struct buf *plain);
int rig_tls(struct rig *r, struct slice input, uint8_t signature[64]);

/* A license with its header, bought: both stored. */
int rig_buy(struct rig *r, const struct maker *m, const struct content *c, uint64_t sequence);
/* SHA-256 over every row of every table except what names no fact. */
void rig_dump(const struct rig *r, uint8_t digest[32]);

/* The device's own keys, by way of the storage key: what only the vault should know. */
void rig_secrets(const struct rig *r, struct key32 *seed, struct key32 *sealing);
/* Runs SQL on the stopped vault's database, as whoever holds the device could. */
void rig_alter(const struct rig *r, const char *sql);
/* The same, and then it is a database from before its rows had a sum, which is taken as it is: for what else a row is guarded by. */
void rig_alter_and_seal(const struct rig *r, const char *sql);

#endif
