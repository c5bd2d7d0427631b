/* SPDX-License-Identifier: MIT */
/* replay.c: main() of a fuzzer that is built without libFuzzer.
 *
 * Gives every file of the folders on the command line to the fuzzer once. Fails
 * if there is none, so that a corpus cannot get lost unnoticed.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void die(const char *what, const char *path)
{
    fprintf(stderr, "%s %s: %s\n", what, path, strerrordesc_np(errno));
    exit(1);
}

/* A buffer of exactly the right size, so that the sanitizer sees the first byte read past it. */
static void replay(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size);

    if (!file || (!data && size > 0))
        die("cannot open", path);
    if (fread(data, 1, size, file) != size)
        die("cannot read", path);
    if (fclose(file) != 0)
        die("cannot close", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;

    if (!dir)
        die("cannot list", folder);
    while ((entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): one thread */
        char path[4096];
        struct stat st;

        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &st) != 0)
            die("cannot read", path);
        if (!S_ISREG(st.st_mode))
            continue;
        replay(path, (size_t)st.st_size);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++)
        count += replay_folder(argv[i]);
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
