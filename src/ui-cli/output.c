/* What people and programs read. Single thread. */
#include "ui-cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/standard.h"
#include "base/text.h"
#include "base/util.h"
#include "base/width.h"
#include "crypto/id.h"
#include "protocol/metadata.h"

void output_init(struct output *o, bool json)
{
    *o = (struct output){ .json = json, .progress = !json && width_moves(STDERR_FILENO) };
}

#define RED "\033[31m"
#define PLAIN "\033[m"

void output_line(struct output *o, const char *format, ...)
{
    if (o->json)
        return;
    output_progress_end(o); /* else the line begins behind it */
    char line[2048], safe[3072];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    /* newlines are ours; everything between them may hold a stranger's title */
    for (char *rest = line, *end; rest != NULL; rest = end) {
        end = strchr(rest, '\n');
        if (end != NULL)
            *end++ = '\0';
        puts(text_safe(rest, safe, sizeof(safe)));
    }
}

void output_json(struct output *o, json_t *value)
{
    output_progress_end(o);
    char *text CLEANUP(freep) = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    if (text == NULL) {
        fputs("hearth: out of memory\n", stderr);
        exit(1);
    }
    puts(text);
    json_decref(value);
    output_flush();
}

void output_flush(void)
{
    int status = standard_end("hearth", 0);
    if (status != 0)
        exit(status);
}

void output_error(struct output *o, const char *code, const char *message, const char *remedy)
{
    output_progress_end(o);
    if (o->json) {
        json_t *error = json_pack("{s:s, s:s}", "code", code, "message", message);
        if (remedy != NULL)
            json_object_set_new(error, "remedy", json_string(remedy));
        output_json(o, json_pack("{s:o}", "error", error));
        return;
    }
    char safe[1024];
    const bool red = width_colours(STDERR_FILENO);
    fprintf(stderr, "%shearth:%s %s", red ? RED : "", red ? PLAIN : "", text_safe(message, safe, sizeof(safe)));
    fprintf(stderr, " (%s)\n", text_safe(code, safe, sizeof(safe)));
    if (remedy != NULL)
        fprintf(stderr, "  %s\n", text_safe(remedy, safe, sizeof(safe)));
}

void output_status(struct output *o, const char *line)
{
    char safe[1024], cut[1024];
    if (!o->progress)
        return;
    /* written over whatever line was there; one wider than the window would begin a new row each time */
    (void)width_cut(text_safe(line, safe, sizeof(safe)), width_of_terminal(STDERR_FILENO) - 1, cut, sizeof(cut));
    fprintf(stderr, "\r\033[K%s", cut);
    fflush(stderr);
    o->progress_shown = true;
}

#define FORMS 4

/* What stands behind the text: how much is done, how fast, how long it still takes; whole, and with less and less of it. Returns how many forms there are. */
static size_t progress_figures(const struct output *o, const ctl_Progress *p, int64_t spent_ms, char forms[FORMS][160])
{
    char done[24], total[24], rate_text[32] = "", time[24], left[32] = "", percent[16];
    if (p->total == 0) {
        (void)snprintf(forms[0], sizeof(forms[0]), "%s%s", p->done > 0 ? "  " : "",
                       p->done > 0 ? output_bytes(p->done, done) : "");
        return 1;
    }
    (void)snprintf(percent, sizeof(percent), "  %3u%%", (unsigned)(p->done * 100 / p->total));
    if (spent_ms > 500 && p->done > o->progress_first) {
        uint64_t rate = (p->done - o->progress_first) * 1000 / (uint64_t)spent_ms;
        (void)snprintf(rate_text, sizeof(rate_text), "  %s/s", output_bytes(rate, done));
        if (rate > 0 && p->done < p->total)
            (void)snprintf(left, sizeof(left), "  %s left", output_duration((p->total - p->done) * 1000 / rate, time));
    }
    (void)snprintf(forms[0], sizeof(forms[0]), "%s  %s of %s%s%s", percent, output_bytes(p->done, done),
                   output_bytes(p->total, total), rate_text, left);
    (void)snprintf(forms[1], sizeof(forms[1]), "%s%s%s", percent, rate_text, left);
    (void)snprintf(forms[2], sizeof(forms[2]), "%s%s", percent, left);
    (void)snprintf(forms[3], sizeof(forms[3]), "%s", percent);
    return FORMS;
}

/* The text is whole as long as a form is left that fits beside it. Then, while nothing has come, it is all that is said; else its end is cut. */
static void put_progress(struct output *o, const ctl_Progress *p, int64_t spent_ms)
{
    char forms[FORMS][160], safe[256], cut[256], line[512];
    size_t columns = width_of_terminal(STDERR_FILENO) - 1, i = 0;
    size_t count = progress_figures(o, p, spent_ms, forms);
    (void)text_safe(p->text, safe, sizeof(safe));
    while (i < count && width_of(safe) + strlen(forms[i]) > columns)
        i++;
    const char *figures = i < count ? forms[i] : p->done > 0 ? forms[count - 1] : "";
    const size_t taken = strlen(figures);
    (void)width_cut(safe, columns > taken ? columns - taken : 0, cut, sizeof(cut));
    snprintf(line, sizeof(line), "%s%s", cut, figures);
    output_status(o, line);
}

void output_progress(struct output *o, const ctl_Progress *p)
{
    char waiting[256];
    if (!o->progress) {
        /* Nobody watches a bar, but whoever reads the log should know why nothing happens. */
        if (!o->json && strncmp(p->text, "waiting", 7) == 0 && strcmp(o->progress_text, p->text) != 0) {
            snprintf(o->progress_text, sizeof(o->progress_text), "%s", p->text);
            fprintf(stderr, "hearth: %s\n", text_safe(p->text, waiting, sizeof(waiting)));
        }
        return;
    }
    int64_t now = clock_mono_ms(clock_system());
    if (!o->progress_shown || strcmp(o->progress_text, p->text) != 0) {
        output_progress_end(o);
        o->progress_began_ms = now;
        o->progress_first = p->done;
        snprintf(o->progress_text, sizeof(o->progress_text), "%s", p->text);
    }
    put_progress(o, p, now - o->progress_began_ms);
}

void output_progress_end(struct output *o)
{
    if (!o->progress_shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    o->progress_shown = false;
}

const char *output_bytes(uint64_t bytes, char out[24])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit + 1 < ARRAY_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 24, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

const char *output_duration(uint64_t ms, char out[24])
{
    uint64_t s = (ms + 500) / 1000;
    if (ms == 0)
        snprintf(out, 24, "-");
    else if (s >= 3600)
        snprintf(out, 24, "%u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    else
        snprintf(out, 24, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
    return out;
}

const char *output_number(uint32_t number, char out[16])
{
    snprintf(out, 16, number == 0 ? "-" : "%u", (unsigned)number);
    return out;
}

const char *output_money(int64_t minor, const char *currency, char out[40])
{
    uint64_t magnitude = minor < 0 ? 0 - (uint64_t)minor : (uint64_t)minor;
    snprintf(out, 40, "%s%llu.%02u%s%s", minor < 0 ? "-" : "", (unsigned long long)(magnitude / 100),
             (unsigned)(magnitude % 100), *currency ? " " : "", currency);
    return out;
}

const char *output_time(uint64_t ms, char out[32])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    if (localtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
        snprintf(out, 32, "-");
    return out;
}

const char *output_id(const void *id, char out[56])
{
    id_short(id, out);
    return out;
}

const char *output_span(uint64_t ms, char out[24])
{
    static const struct {
        uint64_t ms;
        const char *word;
    } units[] = { { 86400000, "day" }, { 3600000, "hour" }, { 60000, "minute" }, { 1000, "second" } };
    size_t i = 0;
    while (i + 1 < ARRAY_COUNT(units) && (ms < units[i].ms || ms % units[i].ms != 0))
        i++;
    uint64_t n = ms / units[i].ms;
    snprintf(out, 24, "%llu %s%s", (unsigned long long)n, units[i].word, n == 1 ? "" : "s");
    return out;
}

/* Parts of a sentence, with commas between them. */
struct phrase {
    char *out;
    size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void say(struct phrase *p, const char *format, ...)
{
    va_list args;
    if (p->len > 0 && p->len + 2 < p->cap)
        p->len += (size_t)snprintf(p->out + p->len, p->cap - p->len, ", ");
    va_start(args, format);
    int n = vsnprintf(p->out + p->len, p->cap - p->len, format, args);
    va_end(args);
    p->len = n > 0 ? size_min(p->len + (size_t)n, p->cap - 1) : p->len;
}

static void say_times(struct phrase *p, const char *what, uint32_t count)
{
    if (count == UINT32_MAX)
        say(p, "%s", what);
    else
        say(p, "%s %u time%s", what, (unsigned)count, count == 1 ? "" : "s");
}

static void say_copies(struct phrase *p, const doc_Conditions *c)
{
    if (c->copy_depth == 0 || c->max_copies == 0)
        say(p, "not to be copied");
    else
        say_times(p, "may be copied", c->max_copies);
    if (c->copy_depth > 1 && c->max_copies > 0)
        say(p, "copies may be copied on");
    if (c->has_max_checkouts && c->max_checkouts > 0)
        say_times(p, "may be checked out", c->max_checkouts);
    if (c->has_record && c->record)
        say(p, "may be recorded on CD-R");
}

static const char *signers_words(uint32_t range)
{
    static const char *const words[RANGE_KINDS] = { [RANGE_NOBODY] = "nobody",
                                                    [RANGE_PUBLISHER] = "the publisher only",
                                                    [RANGE_KEYS] = "the publisher and named providers only",
                                                    [RANGE_VOUCHED] = "the publisher and its providers only",
                                                    [RANGE_ANYBODY] = "anybody the content permits" };
    return range >= RANGE_NOBODY && range < RANGE_KINDS ? words[range] : words[RANGE_NOBODY];
}

static void say_use(struct phrase *p, const doc_Conditions *c)
{
    char time[32];
    if (c->has_usage_from_ms)
        say(p, "usable from %s", output_time(c->usage_from_ms, time));
    if (c->has_usage_until_ms)
        say(p, "usable until %s", output_time(c->usage_until_ms, time));
    if (c->has_max_plays)
        say(p, "%u play%s in all", (unsigned)c->max_plays, c->max_plays == 1 ? "" : "s");
    if (c->has_max_play_ms)
        say(p, "%s of playing in all", output_duration(c->max_play_ms, time));
    if (c->has_download_until_ms)
        say(p, "to be downloaded by %s", output_time(c->download_until_ms, time));
    if (c->has_use_log && c->use_log)
        say(p, "its use is logged for the distributor");
    if (c->has_metadata_signers)
        say(p, "metadata by %s", signers_words(c->metadata_signers.kind));
    if (c->has_max_recoveries && c->max_recoveries > 0)
        say(p, "a play that a failure cuts off does not count, up to %u time%s", (unsigned)c->max_recoveries,
            c->max_recoveries == 1 ? "" : "s");
    if (c->has_charge_from_ms && c->charge_from_ms > 0)
        say(p, "a play counts from %s on", output_duration(c->charge_from_ms, time));
}

const char *output_conditions(const doc_Conditions *c, const char *currency, char out[512])
{
    struct phrase p = { .out = out, .cap = 512 };
    char money[40];
    out[0] = '\0';
    say_copies(&p, c);
    say_use(&p, c);
    if (c->has_own_price)
        say(&p, "can become yours for %s", output_money(c->own_price, currency, money));
    return out;
}

json_t *json_id(const void *id)
{
    char text[ID_TEXT_BYTES];
    id_text(id, text);
    return json_string(text);
}

json_t *json_conditions(const doc_Conditions *c)
{
    json_t *o = json_object();
    if (c->max_copies == UINT32_MAX)
        json_object_set_new(o, "max_copies", json_null()); /* no limit */
    else
        json_object_set_new(o, "max_copies", json_integer(c->max_copies));
    json_object_set_new(o, "copy_depth", json_integer(c->copy_depth));
    json_object_set_new(o, "max_removable",
                        c->max_removable == UINT32_MAX ? json_null() : json_integer(c->max_removable));
    if (c->has_usage_from_ms)
        json_object_set_new(o, "usage_from_ms", json_integer((json_int_t)c->usage_from_ms));
    if (c->has_usage_until_ms)
        json_object_set_new(o, "usage_until_ms", json_integer((json_int_t)c->usage_until_ms));
    if (c->has_download_from_ms)
        json_object_set_new(o, "download_from_ms", json_integer((json_int_t)c->download_from_ms));
    if (c->has_download_until_ms)
        json_object_set_new(o, "download_until_ms", json_integer((json_int_t)c->download_until_ms));
    if (c->has_max_plays)
        json_object_set_new(o, "max_plays", json_integer(c->max_plays));
    if (c->has_max_play_ms)
        json_object_set_new(o, "max_play_ms", json_integer((json_int_t)c->max_play_ms));
    if (c->has_max_checkouts)
        json_object_set_new(o, "max_checkouts",
                            c->max_checkouts == UINT32_MAX ? json_null() : json_integer(c->max_checkouts));
    if (c->has_own_price)
        json_object_set_new(o, "own_price", json_integer(c->own_price));
    json_object_set_new(o, "record", json_boolean(c->has_record && c->record));
    json_object_set_new(o, "use_log", json_boolean(c->has_use_log && c->use_log));
    if (c->has_metadata_signers)
        json_object_set_new(o, "metadata_signers", json_string(metadata_range_text(c->metadata_signers.kind)));
    json_object_set_new(o, "max_recoveries", json_integer(c->has_max_recoveries ? c->max_recoveries : 0));
    json_object_set_new(o, "charge_from_ms", json_integer((json_int_t)(c->has_charge_from_ms ? c->charge_from_ms : 0)));
    return o;
}

void json_put_text(json_t *object, const char *key, bool present, const char *text)
{
    if (present)
        json_object_set_new(object, key, json_string(text));
}
