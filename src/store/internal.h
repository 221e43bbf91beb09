/* Shared by the files of this layer only: what an implementation of the store gives (store_sqlite.c, store_pg.c), and what is
 * the same over each (store.c, query.c, transaction.c). */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store/store.h"

enum own_statement {
    OWN_BEGIN,
    OWN_BEGIN_BATCH,
    OWN_BEGIN_READ,
    OWN_COMMIT,
    OWN_ROLLBACK,
    OWN_SAVE,
    OWN_RELEASE,
    OWN_UNDO,
    OWN_COUNT
};

#define KEPT_BYTES 64
struct kept {
    unsigned depth; /* of the savepoint in which it was kept */
    void *at;
    size_t len;
    uint8_t before[KEPT_BYTES];
};

enum value_kind { VALUE_NULL, VALUE_I64, VALUE_TEXT, VALUE_BLOB };
struct value {
    enum value_kind kind;
    int64_t number;
    struct slice bytes; /* of a text or blob; not terminated */
};

/* statement: index into the schema's table. Outcomes as in store.h. */
struct store_driver {
    void (*close)(struct store *s);                                                         /* frees s */
    int (*bind)(struct store *s, unsigned statement, int parameter, const struct value *v); /* copies */
    int (*step)(struct store *s, unsigned statement);
    int (*later)(struct store *s, unsigned statement);   /* to its end, perhaps later; NULL: as stepping */
    void (*ahead)(struct store *s, unsigned statement);  /* NULL: it makes no difference */
    void (*rewind)(struct store *s, unsigned statement); /* forgets rows and values */
    int (*parameter_count)(const struct store *s, unsigned statement);
    int (*column_count)(const struct store *s, unsigned statement);
    /* Of the row that step gave. What it writes is valid until the next step or rewind. */
    int (*column)(struct store *s, unsigned statement, int column, struct value *out);
    int (*run_own)(struct store *s, enum own_statement which);
    bool (*in_transaction)(const struct store *s);
    int (*checkpoint)(struct store *s, uint64_t *log_pages); /* zeroed */
    int (*backup)(struct store *s, const char *path);
    int (*scrub)(struct store *s);
    int (*verify)(struct store *s);
    int (*outside_version)(struct store *s, uint64_t *version);
    int64_t (*changed_count)(const struct store *s);
    int64_t (*last_id)(const struct store *s);
    int (*seal)(struct store *s); /* before each commit: the sum that is followed; NULL: there is none */
};

/* First member of an implementation's own struct. */
struct store {
    const struct store_driver *driver;
    const struct store_schema *schema;
    bool *in_use; /* by a query; statement_count of them; freed by store_close */
    struct kept *
        kept; /* memory that goes with the database, oldest first; freed by store_close, as the next ones (transaction.c) */
    size_t kept_count, kept_cap;
    unsigned depth; /* savepoints that are open */
    bool begun;     /* a transaction was, and has not ended */
    int undone_by; /* the failure with which the database undid it by itself (no memory, no room, a disk's error); until its end nothing more is done */
};
/* What came of a statement: remembers it, when there is no transaction any more. Returns it. */
int store_came(struct store *s, int outcome);

#endif
