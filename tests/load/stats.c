/* SPDX-License-Identifier: MIT */
#include "load/stats.h"

#include <math.h>
#include <time.h>

static unsigned bucket_of(uint64_t ns)
{
    if (ns < HIST_STEPS)
        return (unsigned)ns;
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    unsigned shift = power - HIST_STEP_BITS;
    return ((shift + 1) << HIST_STEP_BITS) + (unsigned)((ns >> shift) & (HIST_STEPS - 1));
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(unsigned bucket)
{
    if (bucket < HIST_STEPS)
        return bucket;
    unsigned shift = (bucket >> HIST_STEP_BITS) - 1;
    uint64_t step = HIST_STEPS + (bucket & (HIST_STEPS - 1));
    return ((step + 1) << shift) - 1;
}

uint64_t stats_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void hist_add(struct hist *hist, uint64_t ns)
{
    hist->count++;
    hist->buckets[bucket_of(ns)]++;
    if (ns > hist->max)
        hist->max = ns;
}

uint64_t hist_percentile(const struct hist *hist, double percent)
{
    uint64_t wanted = (uint64_t)ceil((double)hist->count * percent / 100.0);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen >= wanted && seen > 0) {
            uint64_t top = bucket_top(i);
            return top < hist->max ? top : hist->max;
        }
    }
    return 0;
}
