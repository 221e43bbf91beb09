/* Settings for a person: those of the household, the same on every device, and this device's own. Loop thread.
 *
 * Callbacks, in order: plan_setting, on_set. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/deck_internal.h"
#include "daemon/state.h"

static const char *const household[] = { "volume", "repeat", "window" };

struct set {
    struct state_edit edit;
    struct daemon *daemon;
    struct call *call;
    bool has_value;
    char name[STATE_SETTING_NAME_BYTES], value[STATE_SETTING_BYTES];
};

static void send_household(struct daemon *d, struct call *c, const char *name)
{
    const struct replica_item *i = state_setting(state_replica(d), name);
    ctl_SettingRow row = { .household = true, .has_device = i != NULL };
    char short_id[ID_SHORT_BYTES];
    CODEC_SET_TEXT(row.name, name);
    state_setting_value(d, name, row.value);
    if (i != NULL)
        CODEC_SET_TEXT(row.device, state_author(d, &i->dot, short_id));
    CALL_ROW(c, SETTING_ROW, SettingRow, &row);
}

static void send_own(struct call *c, const char *name, const char *value)
{
    ctl_SettingRow row = ctl_SettingRow_init_zero;
    CODEC_SET_TEXT(row.name, name);
    CODEC_SET_TEXT(row.value, value);
    CALL_ROW(c, SETTING_ROW, SettingRow, &row);
}

static void send_limit(struct call *c, const char *name, uint64_t rate)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, rate);
    send_own(c, name, rate == 0 ? "none" : text);
}

void settings_handle(struct daemon *d, struct call *c, const void *message)
{
    (void)message;
    for (size_t i = 0; i < ARRAY_COUNT(household); i++)
        send_household(d, c, household[i]);
    send_limit(c, "receive-limit", d->receiving.rate);
    send_limit(c, "send-limit", d->sending.rate);
    send_own(c, "name", d->config.name);
    call_finish(c);
}

static int plan_setting(struct state_edit *edit, const struct replica *r, struct replica_change *c)
{
    const struct set *s = container_of(edit, struct set, edit);
    return replica_put(r, c, STATE_SETTING, slice_str(s->name), s->has_value ? slice_str(s->value) : slice(NULL, 0),
                       NULL);
}

static void on_set(struct state_edit *edit, int outcome)
{
    struct set *s = container_of(edit, struct set, edit);
    if (outcome != 0) {
        char detail[256];
        state_say_full(s->daemon, detail, sizeof(detail));
        call_refuse(s->call, reason_of_error(outcome), outcome == REASON_TOO_LARGE ? detail : NULL);
    } else {
        send_household(s->daemon, s->call, s->name);
        call_finish(s->call);
    }
    free(s);
}

void setting_set_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_SettingSet *m = message;
    struct deck *k = deck_in_time(d);
    if (!state_setting_is_known(m->name)) {
        call_refuse(c, REASON_NOT_FOUND, "There is no setting of the household of this name: hearth settings");
        return;
    }
    if (m->has_value && !state_setting_is_valid(m->name, m->value)) {
        call_refuse(c, REASON_MALFORMED,
                    "volume: 0 to 100; repeat: off, all, one; window: automatic, fullscreen, WIDTHxHEIGHT");
        return;
    }
    struct set *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    s->edit = (struct state_edit){ .plan = plan_setting, .done = on_set };
    s->daemon = d;
    s->call = c;
    s->has_value = m->has_value;
    CODEC_SET_TEXT(s->name, m->name);
    CODEC_SET_TEXT(s->value, m->value);
    if (k != NULL && m->has_value && strcmp(m->name, "volume") == 0)
        deck_volume(k, (uint32_t)strtoul(m->value, NULL, 10)); /* what plays here is meant, too */
    state_edit(d, &s->edit);
}
