/* SPDX-License-Identifier: MIT */
#include "gateway/store_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".sock"

bool store_socket_path(const char *store, char out[PATH_MAX])
{
    const char *slash = strrchr(store, '/');
    const char *name = slash ? slash + 1 : store;
    char folder[PATH_MAX], resolved[PATH_MAX];
    size_t n = slash ? (size_t)(name - store) : 0;
    if (n >= sizeof(folder))
        return false;
    memcpy(folder, store, n);
    folder[n] = '\0';
    if (!realpath(n ? folder : ".", resolved))
        return false;
    const char *between = strcmp(resolved, "/") == 0 ? "" : "/";
    int length = snprintf(out, PATH_MAX, "%s%s%s" SUFFIX, resolved, between, name);
    return length > 0 && length < PATH_MAX;
}
