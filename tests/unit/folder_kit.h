/* SPDX-License-Identifier: MIT */
/* folder_kit.h: the folder of a test, at its end. */
#ifndef MADANG_TESTS_UNIT_FOLDER_KIT_H
#define MADANG_TESTS_UNIT_FOLDER_KIT_H

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

/* With all files that lie in it; as rmdir(). The name has at most 90 bytes. */
static inline int folder_remove(const char *dir)
{
    glob_t files;
    char pattern[96];
    (void)snprintf(pattern, sizeof(pattern), "%s/*", dir);
    if (glob(pattern, 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc; i++)
            (void)unlink(files.gl_pathv[i]); /* the folder stays if one does, and that fails */
        globfree(&files);
    }
    return rmdir(dir);
}

#endif
