/* SPDX-License-Identifier: MIT */
#include "gateway/assets.h"

#include <stdlib.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

static int compare(const void *key, const void *element)
{
    const struct span *want = key;
    const struct asset *asset = element;
    size_t len = strlen(asset->path);
    int order = memcmp(want->p, asset->path, want->n < len ? want->n : len);

    if (order != 0)
        return order;
    return (want->n > len) - (want->n < len);
}

const struct asset *asset_find(const char *path, size_t len)
{
    static const struct span index = {"/index.html", sizeof "/index.html" - 1};
    struct span want = {path, len};

    if (len == 1 && path[0] == '/')
        want = index;
    return bsearch(&want, asset_table, asset_count, sizeof asset_table[0], compare);
}
