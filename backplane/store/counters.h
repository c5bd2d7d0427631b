/* SPDX-License-Identifier: MIT */
/* counters.h: what a store tells of itself. */
#ifndef MADANG_BACKPLANE_STORE_COUNTERS_H
#define MADANG_BACKPLANE_STORE_COUNTERS_H

#include "backplane/base/counter.h"

/* Any thread may read them; the store's thread writes. */
struct store_counters {
    counter commits, tasks;    /* transactions, and what was in them */
    counter commit_us;         /* spent in making them durable, in all */
    counter slowest_commit_us; /* of all */
    counter merges, failures;  /* failures: times the file had to be opened anew */
    counter unmerged_bytes;    /* in the file beside the file */
    counter full;              /* 1 while the disk is full */
    counter broken;            /* 1 while the file cannot be opened again */
    counter damaged;           /* 1 once something was not as it was written */
    counter generation;        /* see file_generation */
    counter waiting;           /* tasks that no transaction has taken up yet */
};

#endif
