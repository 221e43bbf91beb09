/* Seed inputs of metadata files and their parts (fuzz-metadata.c). */
#include <string.h>

#include "fuzz.h"
#include "seeds.h"

#define TAG(len) 1, 0, 0, 0, (len)
#define CHAPTER(second) 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, (second)
#define LYRIC(second) 3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, (second)
#define COVER(len) 4, 0, 0, 0, (len)
#define JPEG 0xff, 0xd8
#define FRAME 0xff, 0xc0, 0, 8, 8, 0, 1, 0, 1, 0
#define PNG 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'

/* With one chunk of this name between head and end. */
static void put_png(const char *name, const char chunk[4])
{
    PUT("metadata", name,
        BYTES(4, COVER(59), PNG, 0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0, 0, 0, 0, 0,
              0, 0, 2),
        slice(chunk, 4), BYTES('a', 'b', 0, 0, 0, 0, 0, 0, 0, 0, 'I', 'E', 'N', 'D', 0, 0, 0, 0));
}

void seed_metadata(void)
{
    PUT("metadata", "file", BYTES(1));
    PUT("metadata", "file-edited", BYTES(1, 0, 0, 8, 1));
    PUT("metadata", "file-cut", BYTES(1, 4, 1, 44, 0));
    PUT("metadata", "file-alone", BYTES(0), slice_str("HEARTHM1\xff\xff\xff\xff"));
    PUT("metadata", "vouch", BYTES(3));
    PUT("metadata", "vouch-edited", BYTES(3, 0, 0, 8, 1));
    PUT("metadata", "parts", BYTES(5));
    PUT("metadata", "parts-edited", BYTES(5, 0, 0, 0, 1));
    PUT("metadata", "parts-cut", BYTES(5, 4, 0, 60, 0));
    PUT("metadata", "tag", BYTES(4, 1, 0, 0, 0, 3, 1, 'a', 'b'));
    PUT("metadata", "escape", BYTES(4, 1, 0, 0, 0, 6, 1, 'a', 27, '[', '2', 'J'));
    PUT("metadata", "picture",
        BYTES(4, 4, 0, 0, 0, 24, 0xff, 0xd8, 0xff, 0xc2, 0, 8, 8, 0, 1, 0, 1, 0, 0xff, 0xda, 0, 2, 7, 0xff, 0xd0, 0xff,
              0, 9, 0xff, 0xd9));
    PUT("metadata", "picture-png",
        BYTES(4, 4, 0, 0, 0, 45, 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0,
              0x10, 0, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'I', 'E', 'N', 'D', 0, 0, 0, 0));
    PUT("metadata", "length-4-gib", BYTES(4, 1, 0xff, 0xff, 0xff, 0xff, 1));
    PUT("metadata", "vouch-alone", BYTES(2), slice_str("HEARTHV"));
    PUT("metadata", "tag-of-capitals", BYTES(4, TAG(3), 1, 'A', 'b'));
    PUT("metadata", "tag-empty", BYTES(4, TAG(2), 1, 'a'));
    PUT("metadata", "tag-cut-character", BYTES(4, TAG(3), 1, 'a', 0xc3));
    PUT("metadata", "unknown-kind", BYTES(4, 9, 0, 0, 0, 1, 1));
    PUT("metadata", "kinds-go-back", BYTES(4, CHAPTER(1), 'a', TAG(3), 1, 'a', 'b'));
    PUT("metadata", "chapter-beyond", BYTES(4, 2, 0, 0, 0, 9, 255, 255, 255, 255, 255, 255, 255, 255, 'a'));
    PUT("metadata", "chapters-at-once", BYTES(4, CHAPTER(1), 'a', CHAPTER(1), 'b'));
    PUT("metadata", "lyrics", BYTES(4, LYRIC(5), 'a', LYRIC(5), 'b', LYRIC(4), 'c'));
    PUT("metadata", "jpeg-without-marker", BYTES(4, COVER(13), JPEG, FRAME, 7));
    PUT("metadata", "jpeg-unknown-marker", BYTES(4, COVER(5), JPEG, 0xff, 0x01, 0));
    PUT("metadata", "jpeg-two-frames", BYTES(4, COVER(22), JPEG, FRAME, FRAME));
    PUT("metadata", "jpeg-too-wide", BYTES(4, COVER(12), JPEG, 0xff, 0xc0, 0, 8, 8, 0, 1, 0xff, 0xff, 0));
    PUT("metadata", "no-picture", BYTES(4, COVER(3), 'G', 'I', 'F'));
    put_png("png", "tEXt");
    put_png("png-compressed-note", "zTXt");
    put_png("png-moves", "acTL");
    PUT("metadata", "png-without-head", BYTES(4, COVER(21), PNG, 0, 0, 0, 0, 'I', 'E', 'N', 'D', 0, 0, 0, 0, 7));
    PUT("metadata", "png-cut", BYTES(4, COVER(9), PNG, 0));
}
