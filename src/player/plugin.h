/* A plug-in for the sound: opened by the vault in this process's memory, sealed there, compared with the digest that its provider signed, and only then
 * loaded. Main thread. Source: related system R4. */
#ifndef PLAYER_PLUGIN_H
#define PLAYER_PLUGIN_H

#include "net/channel.h"

struct plugin;

/* program_fd: the file as hearthd has it, sealed for this device; taken. vault_fd: the player's channel, borrowed. Within the sandbox.
 * 0; what the vault refused with; REASON_BLOCK_CORRUPT; REASON_PROGRAM_UNUSABLE: it lacks what hearth-plugin.h asks for, or declines; -errno. *detail: a
 * sentence, or as it was. */
int plugin_open(struct plugin **out, int program_fd, int vault_fd, const char **detail) MUST_USE;
const char *plugin_filter(const struct plugin *p);   /* for libmpv's option `af`; valid until plugin_close */
unsigned long plugin_frames(const struct plugin *p); /* that went through it; any thread may be adding to them */
void plugin_close(struct plugin *p);                 /* accepts NULL; after whatever uses it has ended */

#endif
