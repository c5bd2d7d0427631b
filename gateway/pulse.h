/* SPDX-License-Identifier: MIT */
/* pulse.h: whether the threads of a gateway still turn.
 *
 * Every loop notes the time at least once a second; one that has not for a long time is stuck. Any
 * thread may ask.
 */
#ifndef MADANG_GATEWAY_PULSE_H
#define MADANG_GATEWAY_PULSE_H

#include "gateway/gateway.h"

#define PULSES_MAX     (HUBS_MAX + 2) /* main, sequencer, hubs */
#define PULSE_STUCK_MS 10000

struct pulse {
    char thread[16]; /* "main", "sequencer", "hub 0" */
    uint64_t age_ms; /* since its last turn */
};

/* One per thread, main first; returns how many. With one hub the sequencer has no thread. */
size_t pulses(const struct gateway *g, struct pulse out[PULSES_MAX]);

/* True while no thread is stuck. */
bool pulses_beat(const struct gateway *g);

#endif
