/* Every message of the project, by number. */
#include "messages.h"

#include "base/util.h"
#include "control.pb.h"
#include "documents.pb.h"
#include "messages.pb.h"
#include "player.pb.h"
#include "share.pb.h"
#include "vault.pb.h"

#define MESSAGE(T) { #T, T##_fields, T##_size, sizeof(T) },

static const struct message messages[] = {
#include "../protocol/messages.inc"
#include "more.inc"
};

/* FNV-1a, folded to 16 bits: stays the same when messages are added. */
uint16_t message_number(const struct message *m)
{
    uint32_t hash = 2166136261u;
    for (const char *p = m->name; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    return (uint16_t)(hash ^ hash >> 16);
}

const struct message *message_of(uint16_t number)
{
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++)
        if (message_number(&messages[i]) == number)
            return &messages[i];
    return &messages[number % ARRAY_COUNT(messages)];
}

size_t message_count(void) { return ARRAY_COUNT(messages); }

const struct message *message_at(size_t index) { return &messages[index]; }

const struct message *message_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++)
        if (strcmp(messages[i].name, name) == 0)
            return &messages[i];
    return NULL;
}
