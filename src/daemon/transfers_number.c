/* The numbers of transfers: none is ever that of another one, also after a restart. Reserved ahead, since nobody waits for the disk. Loop thread. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/setting.h"
#include "daemon/transfers_internal.h"

#define RESERVED 16
#define NAME "transfer-number"

static void put_next(struct transfers *s, uint32_t next)
{
    char value[SETTING_VALUE_BYTES];
    (void)snprintf(value, sizeof(value), "%u", next);
    setting_put(s->daemon, NAME, value);
    s->reserved_number = next;
}

void transfers_numbers_start(struct transfers *s)
{
    char value[SETTING_VALUE_BYTES];
    uint64_t next = setting_read(s->daemon, NAME, value) ? strtoull(value, NULL, 10) : 1;
    s->next_number = next >= 1 && next < UINT32_MAX / 2 ? (uint32_t)next : 1;
    put_next(s, s->next_number + RESERVED);
}

uint32_t transfers_number_take(struct transfers *s)
{
    if (s->next_number + RESERVED / 2 >= s->reserved_number)
        put_next(s, s->next_number + RESERVED);
    return s->next_number++;
}

void transfers_numbers_stop(struct transfers *s) { put_next(s, s->next_number); }
