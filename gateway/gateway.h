/* SPDX-License-Identifier: MIT */
/* gateway.h: one running gateway: what all its threads may read.
 *
 * Filled by serve.c before any thread starts and constant from then on, but for what main goes on
 * writing: `settings`, which main alone reads then (each hub has its own reference), `phase` and
 * counters.
 */
#ifndef MADANG_GATEWAY_GATEWAY_H
#define MADANG_GATEWAY_GATEWAY_H

#include "backplane/base/counter.h"
#include "backplane/base/loop.h"
#include "backplane/sequencer.h"
#include "gateway/settings.h"

enum phase { PHASE_STARTING, PHASE_READY, PHASE_DRAINING };

struct hub;
struct acceptor;
struct crowd;
struct cron;
struct keys;
struct tickets;
struct notify_counters;
struct worker;

struct gateway {
    struct settings *settings; /* main's */
    counter max_connections;   /* the option, for those who only show it */
    struct hub *hubs[HUBS_MAX];
    uint32_t hub_count;
    struct sequencer *sequencer;
    struct loop *sequencer_loop; /* a hub's, with one hub */
    struct loop *main_loop;
    struct acceptor *acceptor;
    struct crowd *crowd; /* connections of each address */
    struct keys *keys;   /* those of the start; hubs are handed newer ones. NULL: there are none */
    struct tickets *tickets;              /* likewise */
    const struct worker *worker;          /* for its counters; NULL: there is none */
    const struct notify_counters *notify; /* NULL: nobody is told */
    const struct cron *cron;              /* likewise */
    _Atomic int phase;                    /* enum phase */
    uint64_t started_ms;                  /* wall clock */
    char node[37];                        /* UUID of this process */
};

#endif
