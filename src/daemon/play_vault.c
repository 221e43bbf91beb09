/* May it be played? The plug-in is found, the vault judges the license and keeps the content key for the player's channel (S42-S46).
 *
 * Callbacks, in order: on_programs (with a plug-in), on_opened. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/play_internal.h"
#include "daemon/programs.h"
#include "daemon/vault_client.h"

#define EARLIER_REGISTRATION "Its license is of an earlier registration of this device."
#define PLAYED_ALREADY \
    "It is being played already, and its license is for one play at a time: hearth stop ends that one."
#define NOT_YET "Its usage period has not begun: hearth show TRACK says when it does."
#define NO_RECORD \
    "Its license does not give the right to record it on a disc. `hearth get TRACK` shows, before anything is bought, which product or option does."

/* The vault opens none of its licenses: those that seem valid are for a leaf that this device had before. They are of no use, and nothing
 * stands in the way of buying or restoring. */
static void void_licenses(struct daemon *d, struct track *t)
{
    for (size_t i = 0; i < t->license_count; i++)
        if (t->licenses[i].state == LICENSE_VALID)
            t->licenses[i].state = LICENSE_SURRENDERED;
    library_changed(d, t);
}

static bool may_record(const struct track *t)
{
    bool may = false;
    for (size_t i = 0; t != NULL && i < t->license_count; i++)
        may = may || (t->licenses[i].state == LICENSE_VALID && t->licenses[i].conditions->has_record &&
                      t->licenses[i].conditions->record);
    return may;
}

/* What was bought elsewhere, or is lent, is not renewed here. True: *out says what is to be done. */
static bool explain_license(struct play *p, enum reason why, msg_Refusal *out)
{
    const struct track *t = library_find(p->daemon, p->content.bytes);
    const struct track_license *l = t != NULL && t->license_count > 0 ? track_license(t) : NULL;
    if (l == NULL)
        return false;
    if ((why == REASON_IN_USE || why == REASON_NO_LICENSE) && library_away(p->daemon, l, out) != REASON_NONE)
        return true;
    if ((why != REASON_USE_EXHAUSTED && why != REASON_LICENSE_EXPIRED) || !l->has_lender)
        return false;
    reason_refusal(out, why, NULL);
    CODEC_SET_TEXT(out->remedy, "It is lent. Give it back, then renew it there: hearth checkin TRACK");
    return true;
}

/* What the vault's reason means here. NULL: no more than it says. */
static const char *explain(struct play *p, enum reason why)
{
    struct track *t = library_find(p->daemon, p->content.bytes);
    const struct track_license *l = t != NULL && t->license_count > 0 ? track_license(t) : NULL;
    if (l != NULL && why == REASON_NO_LICENSE && l->state == LICENSE_VALID) {
        void_licenses(p->daemon, t);
        return EARLIER_REGISTRATION;
    }
    if (l != NULL && why == REASON_IN_USE && plays_lock(p->daemon, l->issuer.bytes, l->license_id))
        return PLAYED_ALREADY;
    if (why == REASON_NOT_PERMITTED && p->record && !may_record(t))
        return NO_RECORD;
    if (why == REASON_USE_EXHAUSTED && p->record)
        return "What is left of its plays or playing time is less than a recording takes: hearth renew TRACK";
    if (l != NULL && why == REASON_NOT_PERMITTED && l->conditions->has_usage_from_ms)
        return NOT_YET;
    return NULL;
}

static void on_opened(const struct answer *answer, void *ctx)
{
    struct play *p = ctx;
    vlt_PlayOpened opened;
    p->under_way = false;
    if (answer->why == REASON_NONE && CODEC_DECODE(vlt_PlayOpened, answer->frame->message, &opened) == 0) {
        p->number = opened.play;
        p->vault_open = true;
        p->opened = opened;
        p->locked = opened.locked;
        p->end.licensed = true;
        p->end.issuer = id_from(opened.issuer);
        memcpy(p->end.license_id, opened.license_id, sizeof(p->end.license_id));
    }
    if (p->ended) { /* stopped meanwhile */
        play_settle(p);
        return;
    }
    msg_Refusal refusal;
    bool explained = answer->why != REASON_NONE && explain_license(p, answer->why, &refusal);
    const char *text = answer->why != REASON_NONE && !explained ? explain(p, answer->why) : NULL;
    if (explained)
        play_end_as(p, vlt_PlayEnd_END_UNREADABLE, answer->why, &refusal);
    else if (text != NULL)
        play_end(p, vlt_PlayEnd_END_UNREADABLE, answer->why, text);
    else if (answer->why != REASON_NONE)
        play_end_as(p, vlt_PlayEnd_END_UNREADABLE, answer->why, answer->refusal);
    else if (p->vault_open && p->awaits_cover)
        p->ready = true;
    else if (!p->vault_open || play_start_player(p) != 0)
        play_end(p, vlt_PlayEnd_END_CRASHED, REASON_INTERNAL, NULL);
}

static int ask_vault(struct play *p, const vlt_ProgramName *plugin)
{
    vlt_PlayOpen open_play = vlt_PlayOpen_init_zero;
    int pair[2];
    open_play.has_plugin = plugin != NULL;
    open_play.has_record = open_play.record = p->record;
    if (plugin != NULL)
        open_play.plugin = *plugin;
    if (CODEC_SET_BYTES(open_play.info, buf_slice(&p->file.info)) != 0)
        return -EPROTO;
    memcpy(open_play.content, p->content.bytes, ID_BYTES);
    memcpy(open_play.list_root, p->file.list_root, sizeof(open_play.list_root));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    p->player_fd = pair[0];
    return vault_call_fd(p->daemon->vault, &ASK(vlt_Type_PLAY_OPEN, vlt_Type_PLAY_OPENED, vlt_PlayOpen, &open_play),
                         pair[1], on_opened, p);
}

/* The plug-in as it lies there, sealed; the player has the vault open it. */
static int open_plugin(struct play *p, const vlt_Program *plugin, const char **text)
{
    char path[PROGRAMS_PATH_BYTES];
    int r = programs_path(p->daemon, plugin, path);
    if (r != 0)
        return r;
    r = file_open_regular(path, O_NOFOLLOW, &p->plugin_fd);
    if (r == 0)
        return ask_vault(p, &plugin->name);
    *text = "The plug-in's file is gone: hearth programs get NAME";
    return r == -ENOENT || r == FILE_NOT_REGULAR ? REASON_BLOCK_CORRUPT : r;
}

static void on_programs(const vlt_Program *all, size_t count, const msg_Refusal *refusal, void *ctx)
{
    struct play *p = ctx;
    const vlt_Program *plugin = NULL;
    p->under_way = false;
    if (p->ended) {
        play_settle(p);
        return;
    }
    if (refusal != NULL) {
        play_end_as(p, vlt_PlayEnd_END_UNREADABLE, reason_of_code(refusal->code), refusal);
        return;
    }
    int r = p->daemon->stopping ? REASON_CANCELLED
                                : programs_choose(p->daemon, all, count, p->plugin, p->plugin_distributor, &plugin);
    const char *text = r == REASON_UNKNOWN_PROGRAM ? "There is no such plug-in on this device: hearth programs get NAME"
                       : r == REASON_AMBIGUOUS     ? "Several distributors gave one of this name: NAME@DISTRIBUTOR."
                                                   : NULL;
    if (r == 0)
        r = open_plugin(p, plugin, &text);
    p->under_way = r == 0;
    if (r != 0)
        play_end(p, vlt_PlayEnd_END_UNREADABLE, reason_of_error(r), text);
}

int play_ask_vault(struct play *p)
{
    return p->plugin[0] != '\0' ? programs_collect(p->daemon, on_programs, p) : ask_vault(p, NULL);
}
