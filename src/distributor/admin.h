/* The operator's commands: `hearth-distributor COMMAND`. They work on the state directory, whether or not a server runs on
 * it. Common parts: opening, options, errors, output. One thread. Exit codes: 0 done, 1 refused or failed, 2 usage. */
#ifndef DISTRIBUTOR_ADMIN_H
#define DISTRIBUTOR_ADMIN_H

#include <limits.h>
#include <stdio.h>

#include <jansson.h>

#include "distributor/operations.h"
#include "distributor/products.h"
#include "protocol/reason.h"

enum { ADMIN_DONE = 0, ADMIN_FAILED = 1, ADMIN_USAGE = 2 };

struct admin {
    const char *state_dir, *config_path; /* config_path: NULL when not given */
    bool json, csv;                      /* csv: lists only */
    struct keys *keys;                   /* after admin_open */
    struct operations *o;
    struct transaction open; /* after admin_begin */
    int64_t now_ms;
    bool any_keys;  /* the command goes with keys that do not count (keys_age.h) */
    bool any_place; /* ... with a database that has moved (operations.h) */
};

struct admin_command {
    const char *name;
    const char *usage;                                  /* after the name; one line for each form */
    const char *summary;                                /* one line */
    int (*run)(struct admin *a, int argc, char **argv); /* argv[0]: first word after the command's name */
};

/* Opens keys and database. 0, or an exit code after saying why. */
int admin_open(struct admin *a) MUST_USE;
int admin_no_database(struct admin *a); /* keys without a database: says what to do, ADMIN_FAILED */
bool admin_lost_keys(struct admin *a);  /* is it a database without keys? Says what to do then. */
void admin_close(struct admin *a);
/* Do the keys that were opened count? Who signs without a transaction asks. 0, or an exit code after saying what to do. */
int admin_judge_keys(struct admin *a) MUST_USE;
/* admin_open, a write transaction, and admin_judge_keys unless any_keys; admin_commit ends it. Both: 0 or an exit code. */
int admin_begin(struct admin *a) MUST_USE;
int admin_commit(struct admin *a) MUST_USE;
/* After a command that opened: a line of standard error for each thing that ends soon (endings.h). */
void admin_warn(struct admin *a);
/* Say why, return the exit code. admin_error: r is a reason or -errno; doing: what failed, as in "publish %s". */
int admin_fail(struct admin *a, enum reason reason, const char *format, ...) PRINTF_LIKE(3, 4);
int admin_error(struct admin *a, int r, const char *doing);
int admin_error_at(struct admin *a, int r, const char *doing, const char *path); /* "doing PATH" */
enum reason admin_reason(int error); /* of a negative errno, for a person at this machine */
int admin_usage(struct admin *a, const char *format, ...) PRINTF_LIKE(2, 3);

/* --- What the operator named: admin_find.c ------------------------------------------------------------------------- */

/* "There is no user nobody; see: hearth-distributor user list". what: "user"; list: the command that says which there are. ADMIN_FAILED. */
int admin_absent(struct admin *a, const char *what, const char *name, const char *list);
int admin_absent_number(struct admin *a, const char *what, uint64_t number, const char *list);
/* Is there such a user? 0 or an exit code after saying that there is none. */
int admin_need_user(struct admin *a, const char *user) MUST_USE;
struct out_list;
/* out_list_end of what a user has (NULL, "": everybody), but that a user who is not there is told so instead. 0 or an exit code. */
int admin_list_end(struct admin *a, struct out_list *l, const char *user) MUST_USE;

/* --- The storage key: admin_storage.c ------------------------------------------------------------------------------ */

struct storage_place { /* of the next key; neither: where the one before is */
    bool here;         /* in a file */
    const struct token_place *token;
    bool only_prepare; /* copies of keys/ on other machines get it before it is used */
};
int admin_storage_rotate(struct admin *a, const struct storage_place *place);

/* --- The running server: admin_console.c --------------------------------------------------------------------------- */

/* Asks and reads to the end. *status: 200, ...; *body: where in answer it begins. 0; admin_runs_none; -errno. */
int admin_ask(const struct admin *a, const char *request, struct buf *answer, int *status, size_t *body) MUST_USE;
/* The first line of an answer of status 200; -EPROTO: of another one. */
int admin_ask_line(const struct admin *a, const char *request, char *line, size_t cap) MUST_USE;
bool admin_runs_none(int r); /* of these two: no server runs on the state directory */

/* --- Options: anywhere among the words --------------------------------------------------------------------------- */

enum admin_kind { ADMIN_TEXT, ADMIN_FLAG, ADMIN_COUNT, ADMIN_MONEY, ADMIN_TIME, ADMIN_DURATION };
struct admin_option {
    const char *name; /* without the dashes */
    enum admin_kind kind;
    bool given;
    const char *text; /* ADMIN_TEXT, and what was written for the others */
    int64_t number;   /* ADMIN_COUNT ("unlimited" is 4294967295), ADMIN_MONEY (minor units), ADMIN_TIME (ms),
                     ADMIN_DURATION (ms; "30d", "12h", "90m", "45s") */
};
/* Takes the options out of argv; the other words stay in order, *argc of them. 0 or an exit code. */
int admin_options(struct admin *a, struct admin_option *options, size_t count, int *argc, char **argv) MUST_USE;
/* "2026-05-01" or "2026-05-01T12:00": UTC. 0 or -EINVAL. */
int admin_parse_time(const char *text, int64_t *out_ms) MUST_USE;
/* hearth://HOST:PORT#ID. 0 or -EINVAL. */
int admin_parse_url(const char *url, char address[OPERATIONS_ADDRESS_BYTES], struct id *id) MUST_USE;
/* Appends a file that the operator named: a regular one, nobody waits for a pipe. 0; BUF_FULL; -EINVAL: of another kind; -errno. */
int admin_read_file(const char *path, struct buf *out) MUST_USE;
/* A password from a file (first line), or from the terminal without echo. 0 or an exit code. Wipe it. */
#define ADMIN_PASSWORD_BYTES 256
int admin_password(struct admin *a, const char *file, char out[ADMIN_PASSWORD_BYTES]) MUST_USE;
/* A token's PIN from the terminal, without echo; false without one (token_ask_with). */
bool admin_ask_pin(const char *label, char pin[TOKEN_PIN_BYTES]);

/* --- Output: JSON with --json, else text for a terminal ---------------------------------------------------------- */

enum out_kind { OUT_TEXT, OUT_NUMBER, OUT_FLAG, OUT_MONEY, OUT_TIME, OUT_ID };
struct out_field {
    const char *name; /* JSON member; the heading in text */
    enum out_kind kind;
    const char *text; /* OUT_TEXT; OUT_ID: 32 bytes */
    int64_t number;   /* the others */
};
#define OUT_T(name, value)           \
    {                                \
        (name), OUT_TEXT, (value), 0 \
    }
#define OUT_N(name, value)                         \
    {                                              \
        (name), OUT_NUMBER, NULL, (int64_t)(value) \
    }
#define OUT_F(name, value)              \
    {                                   \
        (name), OUT_FLAG, NULL, (value) \
    }
#define OUT_M(name, value)               \
    {                                    \
        (name), OUT_MONEY, NULL, (value) \
    }
#define OUT_MS(name, value)             \
    {                                   \
        (name), OUT_TIME, NULL, (value) \
    }
#define OUT_I(name, id)                              \
    {                                                \
        (name), OUT_ID, (const char *)(id)->bytes, 0 \
    }
/* One object: {"name": value, ...}, or a line each. */
void out_object(struct admin *a, const struct out_field *fields, size_t count);
void out_error(const struct out_field *fields, size_t count); /* {"error":{...}}, for programs */
/* A list: {"devices": [ {...}, ... ]}, or a table; on a terminal that is too narrow for it, each row over several lines. */
struct out_list {
    struct admin *a;
    const char *name;
    size_t rows, columns;
    char **cells; /* text only */
    size_t cell_count, cell_cap;
    json_t *objects, *head; /* JSON only */
};
void out_list_begin(struct out_list *l, struct admin *a, const char *name);
/* One object above the list: beside it in JSON, before it in text; not in CSV. */
void out_list_head(struct out_list *l, const struct out_field *fields, size_t count);
void out_list_row(struct out_list *l, const struct out_field *fields, size_t count);
void out_list_end(struct out_list *l);
void out_list_drop(struct out_list *l);                                     /* instead: prints nothing */
void out_csv_row(const struct out_field *fields, size_t count, bool first); /* admin_csv.c */

/* --- The commands ------------------------------------------------------------------------------------------------ */

int admin_init(struct admin *a, int argc, char **argv); /* admin_init.c */
int admin_id(struct admin *a, int argc, char **argv);
int admin_settings(struct admin *a, int argc, char **argv);
/* Is it a PostgreSQL database? option: what named it, for the message. 0 or an exit code. */
int admin_judge_database(struct admin *a, const char *option, const char *database) MUST_USE;
int admin_database(struct admin *a, int argc, char **argv); /* admin_database.c */
/* No server may run on the state directory while *fd, which is to be closed, is open. 0 or an exit code. */
int admin_lock_state(struct admin *a, int *fd) MUST_USE;
int admin_stats(struct admin *a, int argc, char **argv); /* admin_operate.c */
int admin_reload(struct admin *a, int argc, char **argv);
int admin_backup(struct admin *a, int argc, char **argv); /* admin_backup.c */
int admin_restore(struct admin *a, int argc, char **argv);
int admin_invite(struct admin *a, int argc, char **argv); /* admin_people.c */
int admin_user(struct admin *a, int argc, char **argv);
int admin_export(struct admin *a, const char *user);                        /* admin_export.c: user export */
int admin_erase(struct admin *a, const char *user, bool forgive, bool yes); /* admin_erase.c: user erase */
int admin_token(struct admin *a, int argc, char **argv);                    /* admin_token.c: user token */
int admin_metadata(struct admin *a, int argc, char **argv);
int admin_license(struct admin *a, int argc, char **argv); /* admin_licenses.c */
int admin_use_log(struct admin *a, int argc, char **argv);
int admin_device(struct admin *a, int argc, char **argv);
int admin_publish(struct admin *a, int argc, char **argv); /* admin_shop.c */
int admin_withdraw(struct admin *a, int argc, char **argv);
int admin_content(struct admin *a, int argc, char **argv);
int admin_product(struct admin *a, int argc, char **argv);   /* admin_products.c */
uint32_t admin_product_number(const char *word);             /* 0: it is no number */
int admin_contents(struct admin *a, int argc, char **argv);  /* admin_contents.c */
int admin_place(struct admin *a, int argc, char **argv);     /* admin_places.c */
int admin_partner(struct admin *a, int argc, char **argv);   /* admin_partners.c */
int admin_directory(struct admin *a, int argc, char **argv); /* admin_directory.c */
int admin_sync(struct admin *a, int argc, char **argv);      /* admin_sync.c */
int admin_ledger(struct admin *a, int argc, char **argv);    /* admin_money.c */
int admin_refund(struct admin *a, int argc, char **argv);    /* admin_refund.c */
int admin_certificate(struct admin *a, int argc, char **argv);
int admin_tariff(struct admin *a, int argc, char **argv);
int admin_payment(struct admin *a, int argc, char **argv);    /* admin_payment.c */
int admin_settlement(struct admin *a, int argc, char **argv); /* admin_settlement.c */
/* An option that names a file, which is kept and read later from elsewhere: its absolute path, in out. 0 or an exit code. admin_keys.c */
int admin_absolute(struct admin *a, struct admin_option *o, char out[PATH_MAX]) MUST_USE;
int admin_keys(struct admin *a, int argc, char **argv); /* admin_keys.c */
/* May keys of these purposes be rotated? 0, or the exit code of why not. admin_keys_room.c */
int admin_keys_room(struct admin *a, const bool wanted[KEYS_PURPOSES + 1]);
int admin_partner_terms(struct admin *a, int argc, char **argv);
int admin_holder(struct admin *a, int argc, char **argv);  /* admin_holders.c */
int admin_program(struct admin *a, int argc, char **argv); /* admin_programs.c */

#endif
