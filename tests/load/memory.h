/* SPDX-License-Identifier: MIT */
/*
 * Allocation for programs that have nothing better to do than to stop when memory runs out:
 * these never return NULL. Freed with free().
 */
#ifndef LOAD_MEMORY_H
#define LOAD_MEMORY_H

#include <stddef.h>

void *memory_zeroed(size_t size);
void *memory_resize(void *old, size_t size);
void *memory_copy(const void *from, size_t size);

#endif
