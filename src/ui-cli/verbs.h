/* Every verb of the command line; one .c file per group. */
#ifndef UI_CLI_VERBS_H
#define UI_CLI_VERBS_H

#include "ui-cli/cli.h"

extern const struct verb verb_status, verb_doctor, verb_events; /* verbs_daemon.c */
extern const struct verb verb_register, verb_unregister, verb_login, verb_logout, verb_passwd, verb_link, verb_unlink,
    verb_accounts, verb_bills;                                                          /* verbs_accounts.c */
extern const struct verb verb_auto_copy;                                                /* verbs_auto_copy.c */
extern const struct verb verb_limit, verb_unlock;                                       /* verbs_limit.c */
extern const struct verb verb_devices;                                                  /* verbs_devices.c */
extern const struct verb verb_browse, verb_get, verb_restore;                           /* verbs_shop.c */
extern const struct verb verb_renew, verb_own, verb_refresh, verb_return, verb_use_log; /* verbs_rights.c */
extern const struct verb verb_library, verb_show, verb_remove;                          /* verbs_library.c */
extern const struct verb verb_play;                                                     /* verbs_play.c */
extern const struct verb verb_playlist;                                                 /* verbs_playlist.c */
extern const struct verb verb_wishlist, verb_settings;                                  /* verbs_state.c */
extern const struct verb verb_pause, verb_seek, verb_volume, verb_next, verb_previous, verb_stop, verb_now, verb_queue,
    verb_outputs;                                                                       /* verbs_deck.c */
extern const struct verb verb_transfers;                                                /* verbs_transfers.c */
extern const struct verb verb_copy, verb_move, verb_fetch, verb_checkout, verb_checkin; /* verbs_copy.c */
extern const struct verb verb_export, verb_import;                                      /* verbs_medium.c */
extern const struct verb verb_burn;                                                     /* verbs_burn.c */
extern const struct verb verb_metadata;                                                 /* verbs_metadata.c */
extern const struct verb verb_programs;                                                 /* verbs_programs.c */
extern const struct verb verb_completion;                                               /* verbs_completion.c */

/* verbs_account_data.c: `hearth accounts export|erase`, argv[0] being that word. */
int verb_account_export(struct cli *cli, int argc, char **argv);
int verb_account_erase(struct cli *cli, int argc, char **argv);

/* Rows several verbs print. */
json_t *verb_track_json(const ctl_TrackRow *t);
const char *verb_license_word(const ctl_TrackRow *t);
json_t *verb_transfer_json(const ctl_TransferRow *t);
int verb_on_track(const struct frame *f, void *ctx); /* a row handler: one ctl_TrackRow */

int verb_skip_row(const struct frame *f, void *ctx); /* a row handler that wants none; verbs_deck.c */
/* verbs_rights.c: `hearth renew` of this track, in the middle of something else. yes: the price is agreed to. An exit code. */
int verb_renew_track(struct cli *cli, const char *track, bool yes);

/* verbs_limit.c: as cli_call, for what may cost something. Beyond the household's spending limit the PIN is asked for (or read from pin_file),
 * the limit is lifted at the distributor, and the request made again. */
struct paying {
    uint16_t type;
    const pb_msgdesc_t *fields;
    const void *message;
    const char *distributor; /* who charges; NULL: the issuer of `track`'s license here */
    const char *track, *pin_file;
};
int verb_call_paying(struct cli *cli, const struct paying *p, client_row_fn on_row, void *ctx);

/* What copying costs (verbs_terms.c). */
bool verb_asks(const struct cli *cli, bool yes); /* a person is there, and has not agreed beforehand */
/* Prints what it would cost and sets *costs. what: "a copy". -1: go on; an exit code. */
int verb_weigh(struct cli *cli, const ctl_TermsGet *m, const char *what, bool *costs);
int verb_confirm_cost(struct cli *cli, bool costs); /* -1: go on */
#define VERB_CHARGED_BYTES 80
bool verb_on_charged(const struct frame *f, ctl_Charged *charged); /* is it a row CHARGED? */
void verb_put_charged(json_t *o, const ctl_Charged *charged);      /* amount 0: nothing was */
/* "", or "; 0.10 EUR was charged". */
const char *verb_charged_text(const ctl_Charged *charged, char out[VERB_CHARGED_BYTES]);
int verb_say_terms(struct cli *cli, const ctl_TrackRow *t); /* what is left of a license, and what more costs */
int verb_put_terms(struct cli *cli, const ctl_TrackRow *t, json_t *o); /* the same as "terms" */

/* What buying verbs share (verbs_shop.c). */
int verb_on_quote(const struct frame *f, void *ctx); /* ctx: ctl_QuoteRow */
struct verb_got {
    struct cli *cli;
    ctl_TrackRow track;
};
int verb_on_got(const struct frame *f, void *ctx);                       /* progress and ctx->track */
bool verb_options(struct cli *cli, const char *text, ctl_QuoteGet *ask); /* --with; false: usage error printed */
int verb_confirm_price(struct cli *cli, const ctl_QuoteRow *q, const char *question, bool yes); /* -1: go on */

#endif
