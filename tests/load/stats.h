/* SPDX-License-Identifier: MIT */
/*
 * What is counted while a run goes on: a latency histogram and the clock that feeds it.
 *
 * The histogram is log-linear: 64 steps for each power of two, so a percentile is at most 1.6 %
 * too high, adding costs a few instructions and the memory is fixed. All values are nanoseconds
 * of CLOCK_MONOTONIC. Plain data, one thread.
 */
#ifndef LOAD_STATS_H
#define LOAD_STATS_H

#include <stdint.h>

enum {
    HIST_STEP_BITS = 6,
    HIST_STEPS = 1 << HIST_STEP_BITS,
    HIST_BUCKETS = (64 - HIST_STEP_BITS + 1) * HIST_STEPS,
};

struct hist {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HIST_BUCKETS];
};

/* What the sessions saw; only ever grows. */
struct counters {
    uint64_t deliveries; /* publications received, all sessions together */
    uint64_t bytes;      /* frame bytes received, headers included */
    uint64_t frames;
    uint64_t published; /* publish commands sent */
    uint64_t replies;   /* to publish commands */
    uint64_t joins;
    uint64_t leaves;
    uint64_t pings;
    uint64_t reconnects;
    uint64_t recovered;      /* subscriptions that were recovered without a gap */
    uint64_t told;           /* subscriptions that were told that they missed something */
    uint64_t cuts;           /* connections that the generator itself cut */
    uint64_t failed_for_now; /* publish commands that got a temporary error */
    uint64_t sent_again;     /* publish commands, see insist.h */
};

uint64_t stats_now(void);

void hist_add(struct hist *hist, uint64_t ns);

/* The value that `percent` of all values do not exceed; 0 when nothing was added. */
uint64_t hist_percentile(const struct hist *hist, double percent);

#endif
