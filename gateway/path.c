/* SPDX-License-Identifier: MIT */
#include "gateway/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool path_absolute(const char *path, const char *suffix, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char folder[PATH_MAX], resolved[PATH_MAX];
    size_t n = slash ? (size_t)(name - path) : 0;
    if (n >= sizeof(folder) || !*name)
        return false;
    memcpy(folder, path, n);
    folder[n] = '\0';
    if (!realpath(n ? folder : ".", resolved))
        return false;
    const char *between = strcmp(resolved, "/") == 0 ? "" : "/";
    int length = snprintf(out, PATH_MAX, "%s%s%s%s", resolved, between, name, suffix);
    return length > 0 && length < PATH_MAX;
}
