/* SPDX-License-Identifier: MIT */
/* turns.h: drivers of queues beside bare loops, turn by turn, and what comes of it as JSON. */
#ifndef MADANG_TESTS_LOAD_JOBS_TURNS_H
#define MADANG_TESTS_LOAD_JOBS_TURNS_H

#include "backplane/queue/queue.h"

#define TURNS_MAX 64

double now_s(void); /* on a clock that does not jump */

/* Ends the program unless it is fine. */
void need(bool fine, const char *what);

/* For drivers whose jobs nobody waits for. */
extern const struct queue_events no_news;

/* Puts, then takes with acks, through a driver and bare. Each goes through all jobs once, and says
 * how many a second. */
#define TURNS_RUNS 4
typedef double (*turns_run)(void);

/* Medians over the turns: of the runs, and the driver's as a part of the bare ones. */
struct turns {
    double per_s[TURNS_RUNS], put_ratio, take_ack_ratio;
};

/* So many turns, at most TURNS_MAX. The order of the runs: puts, bare puts, takes, bare takes. */
void turns_measure(struct turns *t, size_t turns, const turns_run runs[TURNS_RUNS]);

/* As members of a JSON object, each behind a comma. */
void turns_print(const struct turns *t);

#endif
