/* What play.c (file, player, end) and play_vault.c (the license) share. */
#ifndef DAEMON_PLAY_INTERNAL_H
#define DAEMON_PLAY_INTERNAL_H

#include "daemon/library.h"
#include "daemon/play.h"
#include "net/serve.h"
#include "vault.pb.h"

struct play {
    struct daemon *daemon;
    struct play *next;
    const struct play_callbacks *callbacks;
    void *ctx;
    struct id content;
    char path[CONFIG_PATH_BYTES + 80];
    ply_Start start;
    uv_work_t work;
    struct later_item later;
    struct serve_file file;
    int outcome;
    int body_fd, player_fd, plugin_fd; /* -1 once they are gone */
    int disc_fd;                       /* the same; -1: nothing is recorded */
    int cover_fd;                      /* the same */
    bool awaits_cover, ready;          /* ready: all but the cover is here */
    bool record;
    char plugin[32], plugin_distributor[64]; /* plugin "": none */
    bool vault_open;                         /* the vault plays number */
    uint64_t number;
    bool locked; /* the license opened says is in use */
    vlt_PlayOpened opened;
    vlt_PlayEnd how;       /* it ended */
    struct player *player; /* NULL: gone */
    bool started;          /* the player has its START */
    bool pause_first;      /* it begins with a pause */
    bool under_way;        /* the pool or the vault will call back */
    bool ended, told;      /* end is known; on_end has fired */
    struct play_end end;
};

/* play_vault.c. Asks for the plug-in first, when there is to be one. Nothing or on_opened follows, then play_start_player or an end. 0, a reason, -errno. */
int play_ask_vault(struct play *p) MUST_USE;

/* play.c */
void play_settle(struct play *p); /* it has ended: what it was charged is settled, then on_end */
void play_end_as(struct play *p, vlt_PlayEnd how, enum reason why, const msg_Refusal *refusal);
void play_end(struct play *p, vlt_PlayEnd how, enum reason why, const char *detail); /* detail may be NULL */
int play_start_player(struct play *p) MUST_USE;

#endif
