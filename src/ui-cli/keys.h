/* Single keys from the terminal: no line is waited for and nothing is echoed, until keys_stop - or until this program ends or sleeps, in
 * whatever way that can be noticed. Single thread; one at a time. */
#ifndef UI_CLI_KEYS_H
#define UI_CLI_KEYS_H

#include <stdbool.h>

enum key {
    KEY_NONE = 0, /* nothing more at the moment */
    KEY_END = -1, /* the terminal has gone */
    KEY_LEFT = 256,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_INTERRUPT, /* Ctrl-C, or what this terminal has for it */
    KEY_OTHER      /* a sequence that means nothing here */
};
bool keys_start(void); /* false: standard input or standard error is no terminal */
void keys_stop(void);  /* as it was before; idempotent */
int keys_next(void);   /* without waiting: a character, or enum key */

#endif
