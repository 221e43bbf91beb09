/* Replays committed inputs through a harness. Arguments: files, or directories of files. Last line: how many. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/util.h"
#include "fuzz.h"

#define INPUT_MAX (1u << 20)

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static size_t replay_file(const char *path)
{
    struct buf content CLEANUP(buf_free) = buf(INPUT_MAX);
    if (file_read(path, &content) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    if (getenv("FUZZ_VERBOSE"))
        fprintf(stderr, "%s\n", path);
    uint8_t *exact CLEANUP(freep) = input_copy(buf_slice(&content));
    LLVMFuzzerTestOneInput(exact, content.len);
    return 1;
}

static size_t replay_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, visible, by_name);
    size_t replayed = 0;
    if (count < 0) {
        perror(path);
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        char name[4096];
        if (file_join(name, sizeof(name), path, entries[i]->d_name) != 0)
            exit(1);
        replayed += replay_file(name);
        free(entries[i]);
    }
    free(entries);
    return replayed;
}

int main(int argc, char **argv)
{
    size_t replayed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) != 0) {
            perror(argv[i]);
            return 1;
        }
        replayed += S_ISDIR(status.st_mode) ? replay_directory(argv[i]) : replay_file(argv[i]);
    }
    printf("%zu inputs\n", replayed);
    return replayed > 0 ? 0 : 1;
}
