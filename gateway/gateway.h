/* SPDX-License-Identifier: MIT */
/* gateway.h: one running gateway: what all its threads may read.
 *
 * Filled by serve.c before any thread starts and constant from then on, but for
 * `phase` (written by main, read by all) and counters.
 */
#ifndef MADANG_GATEWAY_GATEWAY_H
#define MADANG_GATEWAY_GATEWAY_H

#include "backplane/base/counter.h"
#include "backplane/base/loop.h"
#include "backplane/sequencer.h"
#include "gateway/options.h"

enum phase { PHASE_STARTING, PHASE_READY, PHASE_DRAINING };

struct hub;
struct acceptor;
struct api_keys;
struct keys;

struct gateway {
    const struct options *options;
    const struct api_keys *api_keys; /* NULL: nobody may use the server API */
    struct hub *hubs[HUBS_MAX];
    uint32_t hub_count;
    struct sequencer *sequencer;
    struct loop *sequencer_loop; /* a hub's, with one hub */
    struct loop *main_loop;
    struct acceptor *acceptor;
    struct keys *keys;   /* those of the start; hubs are handed newer ones. NULL: there are none */
    _Atomic int phase;   /* enum phase */
    uint64_t started_ms; /* wall clock */
    char node[37];       /* UUID of this process */
};

#endif
