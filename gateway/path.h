/* SPDX-License-Identifier: MIT */
/* path.h: a file's path that is good in any folder. Any thread. */
#ifndef MADANG_GATEWAY_PATH_H
#define MADANG_GATEWAY_PATH_H

#include <limits.h>
#include <stdbool.h>

/* The absolute path of a file, there or not, with the suffix behind it; false: there is no such
 * folder, the path names a folder, or it is too long. */
bool path_absolute(const char *path, const char *suffix, char out[PATH_MAX]);

#endif
