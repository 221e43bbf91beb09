/* Against who asks a sibling what it has (`hearth library --on`): one that tells without an end, one that tells late. They play until they are ended; of each question they
 * hear they say so on standard output, and what came of it is seen at the device. */
#include <stdio.h>

#include "base/util.h"
#include "protocol/shelf.h"
#include "stage.h"

/* So many that it says it has, from the one that is asked for on. */
static void tell(struct line *l, uint32_t request, const msg_ShelfGet *asked, uint32_t count, bool has_next)
{
    msg_Shelf answer = { .has_next = has_next, .next = asked->at + count, .items_count = (pb_size_t)count };
    for (uint32_t i = 0; i < count; i++) {
        put_be32(answer.items[i].content, 1 + asked->at + i);
        (void)snprintf(answer.items[i].title, sizeof(answer.items[i].title), "Bait %u", (unsigned)(asked->at + i));
        CODEC_SET_TEXT(answer.items[i].media_type, "audio/flac");
    }
    LINE_SAY(l, msg_Type_SHELF, request, msg_Shelf, &answer);
}

/* The next question; its request. 0: none, the line is closed. */
static uint32_t asked(struct line *l, msg_ShelfGet *out)
{
    for (;;) {
        struct heard *h CLEANUP(freep) = line_hear(l, 4 * (int64_t)WIRE_WAIT_MS);
        if (h == NULL)
            return 0;
        if (h->type != msg_Type_SHELF_GET || CODEC_DECODE(msg_ShelfGet, h->message, out) != 0)
            continue;
        if (out->at == 0) {
            puts("asked");
            (void)fflush(stdout);
        }
        return h->request;
    }
}

static const char *tells_without_an_end(struct stage *s)
{
    struct line *l = stage_meet_as_member(s);
    msg_ShelfGet m;
    if (l == NULL)
        return s->complaint;
    for (uint32_t request; (request = asked(l, &m)) != 0;)
        tell(l, request, &m, size_min(m.count, SHELF_ITEMS_MAX), true);
    line_free(l);
    return stage_complain(s, "it is asked no more");
}

/* A question is answered when a line comes on standard input. */
static const char *tells_late(struct stage *s)
{
    struct line *l = stage_meet_as_member(s);
    msg_ShelfGet m;
    if (l == NULL)
        return s->complaint;
    for (uint32_t request; (request = asked(l, &m)) != 0 && getchar() != EOF;)
        tell(l, request, &m, 1, false);
    line_free(l);
    return stage_complain(s, "it is asked no more");
}

static const struct hostile_case members[] = {
    { "tells_without_an_end", tells_without_an_end, true },
    { "tells_late", tells_late, true },
};
const struct hostile_cases against_shelf = { "shelf", members, ARRAY_COUNT(members) };
