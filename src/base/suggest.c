/* Distance by dynamic programming over two words that are short. */
#include "base/suggest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"

/* Letters left out, added, changed, or two neighbours that changed places, each for one. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    uint8_t d[SUGGEST_BYTES_MAX + 1][SUGGEST_BYTES_MAX + 1];
    for (size_t i = 0; i <= a_len; i++)
        d[i][0] = (uint8_t)i;
    for (size_t j = 0; j <= b_len; j++)
        d[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a_len; i++)
        for (size_t j = 1; j <= b_len; j++) {
            size_t least = size_min(d[i - 1][j] + 1u, d[i][j - 1] + 1u);
            least = size_min(least, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                least = size_min(least, d[i - 2][j - 2] + 1u);
            d[i][j] = (uint8_t)least;
        }
    return d[a_len][b_len];
}

struct suggest suggest(const char *word) { return (struct suggest){ word, NULL, SIZE_MAX }; }

void suggest_try(struct suggest *s, const char *name)
{
    size_t word_len = strlen(s->word), name_len = strlen(name);
    if (word_len == 0 || word_len > SUGGEST_BYTES_MAX || name_len > SUGGEST_BYTES_MAX)
        return;
    size_t far = distance(s->word, word_len, name, name_len);
    size_t most = (word_len + 2) / 3;
    bool begins = word_len >= 2 && strncmp(name, s->word, word_len) == 0;
    if (begins) /* nearer than any that is misspelt by more than a letter */
        far = size_min(far, 1);
    if ((far > most && !begins) || far >= s->distance)
        return;
    s->found = name;
    s->distance = far;
}
