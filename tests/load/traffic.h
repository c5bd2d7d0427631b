/* SPDX-License-Identifier: MIT */
/*
 * Who publishes when. Closed loop: a number of publications is kept under way; what completed
 * during a turn of the loop is replaced at its end. Open loop: publications have due times, and
 * latency counts from the due time, so a gateway that stalls cannot hide it by delaying us.
 *
 * Rooms take turns, and within a room its publishers.
 */
#ifndef LOAD_TRAFFIC_H
#define LOAD_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "load/swarm.h"

struct traffic {
    struct swarm *swarm;
    uint64_t interval; /* ns between publications, 0: closed loop */
    uint64_t next_due; /* ns */
    uint64_t left;     /* publications that may still be sent */
    uint32_t next_room;
};

/* messages 0: no limit. */
void traffic_begin(struct traffic *traffic, struct swarm *swarm, uint64_t messages);

/* Publishes what is due; returns for how many ns there is nothing to do (at most 20 ms). */
uint64_t traffic_turn(struct traffic *traffic);

#endif
