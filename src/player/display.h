/* Whether a display can be used. */
#ifndef PLAYER_DISPLAY_H
#define PLAYER_DISPLAY_H

#include <stdbool.h>

#define DISPLAY_ANSWER_MS 3000

/* libmpv gives a film up when it cannot open its window, and with it the sound. So whether the X server of $DISPLAY, or the compositor of $WAYLAND_DISPLAY, lets
 * this process in is asked first, by the library that libmpv uses itself. True: it did within DISPLAY_ANSWER_MS, or libmpv here has no such library. */
bool display_x11_answers(
    void); /* its connection stays to the process's end: a server whose last client leaves starts anew, and would do so just when the window
                                 * is to be opened */
bool display_wayland_answers(void);

#endif
