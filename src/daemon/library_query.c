/* Of a library of 100,000 tracks a search is all the time there is: no function is called for most places. */
#include "daemon/library_query.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void library_query_init(struct library_query *q, const char *text)
{
    (void)snprintf(q->text, sizeof(q->text), "%s", text != NULL ? text : "");
    q->len = strlen(q->text);
    unsigned char first = (unsigned char)q->text[0];
    q->other = (char)(islower(first) ? toupper(first) : tolower(first));
}

static bool has_text(const char *in, const struct library_query *q)
{
    for (; in != NULL && *in != '\0'; in++)
        if ((*in == q->text[0] || *in == q->other) && strncasecmp(in, q->text, q->len) == 0)
            return true;
    return false;
}

bool library_query_fits(const struct library_query *q, const struct track *t)
{
    return t->listed && (q->len == 0 || has_text(t->title, q) || has_text(t->creator, q) || has_text(t->album, q));
}
