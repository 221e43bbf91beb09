/* Metadata as people write it: what it becomes, and the line where it cannot be read. */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "distributor/metadata_text.h"

typedef int write_fn(struct metadata_writer *w, char *text);

/* "kind start text" a line. */
static void show(const struct metadata_writer *w, char *out, size_t cap)
{
    struct metadata_reader r = metadata_reader(buf_slice(&w->parts));
    struct metadata_part p;
    size_t n = 0;
    out[0] = '\0';
    while (metadata_next(&r, &p) == 0)
        n += (size_t)snprintf(out + n, cap - n, "%d %.*s%llu %.*s\n", p.kind, (int)p.key.len, (const char *)p.key.data,
                              (unsigned long long)p.start_ms, (int)p.text.len, (const char *)p.text.data);
}

/* shown: what it becomes; of what is refused a word of the cause, or NULL. */
static void check(write_fn *write, const char *text, int want, unsigned line, const char *shown)
{
    struct metadata_writer w CLEANUP(metadata_writer_deinit);
    char copy[512], out[1024];
    metadata_writer_init(&w);
    snprintf(copy, sizeof(copy), "%s", text);
    int r = write(&w, copy);
    if (r != want || (want != 0 && w.line != line))
        fail_msg("\"%s\": %d in line %u", text, r, w.line);
    if (want == REASON_MALFORMED && (w.cause == NULL || (shown != NULL && strstr(w.cause, shown) == NULL)))
        fail_msg("\"%s\": %s", text, w.cause != NULL ? w.cause : "no cause");
    if (want != 0)
        return;
    show(&w, out, sizeof(out));
    assert_string_equal(out, shown);
}

static void tags(void **state)
{
    (void)state;
    check(metadata_write_tags, "title=A b\r\n\n# not this\nartist=C = D\nartist=E", 0, 0,
          "1 title0 A b\n1 artist0 C = D\n1 artist0 E\n");
    check(metadata_write_tags, "\xef\xbb\xbftitle=A", 0, 0, "1 title0 A\n");
    check(metadata_write_tags, "title=A\nno equals sign", REASON_MALFORMED, 2, NULL);
    check(metadata_write_tags, "title=\n", REASON_MALFORMED, 1, NULL);
    check(metadata_write_tags, "Title=A", REASON_MALFORMED, 1, NULL);
    check(metadata_write_tags, "title=\033[2J", REASON_MALFORMED, 1, "control character");
}

static void chapters(void **state)
{
    (void)state;
    check(metadata_write_chapters, "00:00 One\n1:02.5 Two and\n00:02:00.005 Three\n1:00:00 Four", 0, 0,
          "2 0 One\n2 62500 Two and\n2 120005 Three\n2 3600000 Four\n");
    check(metadata_write_chapters, "00:00 One\n00:60 Two", REASON_MALFORMED, 2, NULL);
    check(metadata_write_chapters, "1:60:00 One", REASON_MALFORMED, 1, NULL);
    check(metadata_write_chapters, "00:10 One\n\n00:05 Two", REASON_MALFORMED, 3, "not later");
    check(metadata_write_chapters, "00:10 One\n00:20 a\033b", REASON_MALFORMED, 2, "control character");
    check(metadata_write_chapters, "00:10", REASON_MALFORMED, 1, NULL);
    check(metadata_write_chapters, "One", REASON_MALFORMED, 1, NULL);
    check(metadata_write_chapters, "10 One", REASON_MALFORMED, 1, NULL);
    check(metadata_write_chapters, "999999999999:00 One", REASON_MALFORMED, 1, NULL);
    check(metadata_write_chapters, "999999999:00:00 One", REASON_MALFORMED, 1, NULL); /* beyond all time */
}

static void lyrics(void **state)
{
    (void)state;
    check(metadata_write_lyrics, "[ar:Somebody]\n[00:12.34]first\n[00:15] second\n[00:20.0]", 0, 0,
          "3 12340 first\n3 15000 second\n3 20000 \n");
    check(metadata_write_lyrics, "[00:30.00][00:10.00]again\n[00:20.00]between\n[00:30.00]and this", 0, 0,
          "3 10000 again\n3 20000 between\n3 30000 again\n3 30000 and this\n");
    check(metadata_write_lyrics, "[offset:+500]\n[00:00.20]x\n[00:01.00]y", 0, 0, "3 0 x\n3 500 y\n");
    check(metadata_write_lyrics, "[00:01.00]x\nno time", REASON_MALFORMED, 2, "[MM:SS.xx]");
    check(metadata_write_lyrics, "[00:02.00]x\n[00:01.00]a\033b", REASON_MALFORMED, 2, "control character");
    check(metadata_write_lyrics, "[00:01.00]x\n[00:02.00", REASON_MALFORMED, 2, NULL);
    check(metadata_write_lyrics, "[00:61.00]x", REASON_MALFORMED, 1, NULL);
    check(metadata_write_lyrics, "[offset:999999999999999999999]\n[00:01]x", REASON_MALFORMED, 2, NULL);
    check(metadata_write_lyrics, "[00:01.00][ar:x]y", REASON_MALFORMED, 1, NULL);
}

static void cover(void **state)
{
    (void)state;
    struct metadata_writer w CLEANUP(metadata_writer_deinit);
    metadata_writer_init(&w);
    assert_int_equal(metadata_write_cover(&w, slice_str("GIF89a")), REASON_MALFORMED);
    assert_int_equal(metadata_write_cover(&w, slice_str("\x89PNG\r\n\x1a\n...")), REASON_MALFORMED);
    assert_int_equal(metadata_write_cover(&w, slice("\xff\xd8\xff\xc0\0\x08\x08\0\x01\0\x01\0\xff\xd9", 14)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags),
        cmocka_unit_test(chapters),
        cmocka_unit_test(lyrics),
        cmocka_unit_test(cover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
