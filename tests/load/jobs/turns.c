/* SPDX-License-Identifier: MIT */
#include "tests/load/jobs/turns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void need(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "%s: %s failed\n", program_invocation_short_name, what);
    exit(1); /* NOLINT(concurrency-mt-unsafe): nothing is to be put right */
}

static void on_ready(void *owner, struct span queue, size_t count)
{
    (void)owner;
    (void)queue;
    (void)count;
}

const struct queue_events no_news = {on_ready};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_size);
    return v[n / 2];
}

void turns_measure(struct turns *t, size_t turns, const turns_run runs[TURNS_RUNS])
{
    double per_s[TURNS_RUNS][TURNS_MAX], put_ratio[TURNS_MAX], take_ack_ratio[TURNS_MAX];
    for (size_t n = 0; n < turns; n++) {
        for (size_t i = 0; i < TURNS_RUNS; i++)
            per_s[i][n] = runs[i]();
        put_ratio[n] = per_s[0][n] / per_s[1][n];
        take_ack_ratio[n] = per_s[2][n] / per_s[3][n];
    }
    for (size_t i = 0; i < TURNS_RUNS; i++)
        t->per_s[i] = median(per_s[i], turns);
    t->put_ratio = median(put_ratio, turns);
    t->take_ack_ratio = median(take_ack_ratio, turns);
}

void turns_print(const struct turns *t)
{
    static const char *const names[TURNS_RUNS] = {"put_per_s", "bare_put_per_s", "take_ack_per_s",
                                                  "bare_take_ack_per_s"};
    for (size_t i = 0; i < TURNS_RUNS; i++)
        printf(",\"%s\":%.0f", names[i], t->per_s[i]);
    printf(",\"put_ratio\":%.3f,\"take_ack_ratio\":%.3f", t->put_ratio, t->take_ack_ratio);
}
