/* SPDX-License-Identifier: MIT */
#include "load/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(3);
    }
    return p;
}

void *memory_zeroed(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *memory_resize(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1));
}

void *memory_copy(const void *from, size_t size)
{
    void *p = checked(malloc(size ? size : 1));
    if (size)
        memcpy(p, from, size);
    return p;
}
