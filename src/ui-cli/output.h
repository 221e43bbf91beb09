/* Output: the one module that prints, with table.h. Sentences for people, JSON for programs, progress on a terminal.
 * Whatever came from outside goes through text_safe before it reaches a terminal. */
#ifndef UI_CLI_OUTPUT_H
#define UI_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control.pb.h"
#include "ui-cli/table.h"

struct output {
    bool json;
    bool progress;       /* standard error is a terminal that can show it, and --json is off */
    bool progress_shown; /* a progress line is on the screen */
    int64_t progress_began_ms;
    uint64_t progress_first;
    char progress_text[128];
};
void output_init(struct output *o, bool json);

void output_line(struct output *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));         /* a sentence; nothing with --json */
void output_json(struct output *o, json_t *value); /* takes value; prints one compact line */
void output_flush(void); /* what was printed so far is seen now; where it cannot be written, the program ends */
void output_error(struct output *o, const char *code, const char *message, const char *remedy);
void output_progress(struct output *o, const ctl_Progress *p);
void output_status(struct output *o,
                   const char *line); /* in the progress line's place; nothing where there is no terminal */
void output_progress_end(struct output *o);

/* Text for people, into a caller's buffer, returned. */
const char *output_bytes(uint64_t bytes, char out[24]);
const char *output_duration(uint64_t ms, char out[24]);
const char *output_number(uint32_t number, char out[16]); /* of a listing; 0: "-", it has none */
const char *output_money(int64_t minor, const char *currency, char out[40]);
const char *output_time(uint64_t ms, char out[32]);
const char *output_id(const void *id, char out[56]); /* short form */
const char *output_span(uint64_t ms, char out[24]);  /* "7 days", "12 hours" */
const char *output_conditions(const doc_Conditions *c, const char *currency,
                              char out[512]); /* currency: "" when not known */
/* Values for programs. */
json_t *json_id(const void *id);
json_t *json_conditions(const doc_Conditions *c);
void json_put_text(json_t *object, const char *key, bool present, const char *text); /* absent: nothing */

#endif
