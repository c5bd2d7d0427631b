/* SPDX-License-Identifier: MIT */
/*
 * Publishers that do not give up (--insist): what failed for now, or lost its answer with its
 * connection, is sent again with the same idempotency key, until it is acknowledged. It must then
 * have been published once.
 */
#ifndef LOAD_INSIST_H
#define LOAD_INSIST_H

#include <stdint.h>

struct swarm;

/* A publication was answered with a temporary error. */
void insist_failed(struct swarm *swarm, uint32_t flight);

/* The connection of this client ended: what has no reply is sent again once it is back. */
void insist_doubt(struct swarm *swarm, uint32_t client);

/* Now and then: sends what is due. */
void insist_turn(struct swarm *swarm, uint64_t now);

#endif
