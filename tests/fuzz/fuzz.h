/* What the harnesses share: promises that are checked, input read piece by piece, edits of bytes. One thread.
 *
 * A harness is one file with LLVMFuzzerTestOneInput. With -Dfuzz=true it becomes a libFuzzer program (fuzz-NAME); always, a
 * program that replays the committed inputs (replay-NAME, replay.c). An input is a little program: the harness reads choices
 * from it, so that mutations reach what lies behind signatures. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test. Unlike assert it is never compiled away, and it says what was found. */
#define CHECK(promise)                                 \
    do {                                               \
        if (!(promise))                                \
            fuzz_broken(#promise, __FILE__, __LINE__); \
    } while (0)
_Noreturn void fuzz_broken(const char *promise, const char *file, int line);
/* Does what the compiler cannot leave out: reads every byte, so that a sanitizer sees what is not there. */
void fuzz_touch(const void *data, size_t len);
static inline void fuzz_touch_slice(struct slice s) { fuzz_touch(s.data, s.len); }

/* Choices from the front of an input. What is missing is zero; nothing fails. */
struct input {
    struct slice rest;
};
static inline struct input input(const uint8_t *data, size_t size) { return (struct input){ slice(data, size) }; }
uint8_t input_u8(struct input *in);
uint16_t input_u16(struct input *in);
uint32_t input_u32(struct input *in);
uint64_t input_u64(struct input *in);
struct slice input_bytes(struct input *in, size_t len); /* as many as there are */
struct slice input_rest(struct input *in);
/* A copy of its own in exactly as much memory, so that reading beyond it is seen; freep. NULL only for nothing. */
uint8_t *input_copy(struct slice s);

/* One edit of bytes, as the input says: change, insert, delete, cut, repeat. Stays within target's bound. */
void input_edit(struct input *in, struct buf *target);

#endif
