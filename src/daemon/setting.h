/* Choices that hearthd remembers, in hearthd.db (table setting): a name, a value. Loop thread. */
#ifndef DAEMON_SETTING_H
#define DAEMON_SETTING_H

#include "daemon/daemon.h"

#define SETTING_VALUE_BYTES 32
/* false: not set. Reads the database: at start only. */
bool setting_read(struct daemon *d, const char *name, char value[SETTING_VALUE_BYTES]);
/* Durable with the next batch of the database. */
void setting_put(struct daemon *d, const char *name, const char *value);

#endif
