/* SPDX-License-Identifier: MIT */
#include "backplane/base/backoff.h"

#include <stddef.h>
#include <sys/random.h>

static uint64_t from_kernel(void)
{
    uint64_t r;

    /* Up to 256 bytes are never cut short once the kernel's pool is set up. */
    while (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
        continue;
    return r;
}

uint32_t backoff_next(struct backoff *b)
{
    uint64_t ceiling = b->base_ms;

    for (uint32_t i = 0; i < b->failures && i < 32 && ceiling < b->cap_ms; i++)
        ceiling *= 2;
    if (ceiling > b->cap_ms)
        ceiling = b->cap_ms;
    if (b->failures < UINT32_MAX)
        b->failures++;
    return (uint32_t)((b->random ? b->random() : from_kernel()) % (ceiling + 1));
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
