/* SPDX-License-Identifier: MIT */
/* counter.h: a number that one thread writes and any thread may read, for metrics.
 *
 * Relaxed loads and stores, no locked instruction: the writer is alone.
 */
#ifndef MADANG_BASE_COUNTER_H
#define MADANG_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

static inline uint64_t counter_get(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void counter_set(counter *c, uint64_t v)
{
    atomic_store_explicit(c, v, memory_order_relaxed);
}

static inline void counter_add(counter *c, uint64_t n)
{
    counter_set(c, counter_get(c) + n);
}

static inline void counter_sub(counter *c, uint64_t n)
{
    counter_set(c, counter_get(c) - n);
}

#endif
