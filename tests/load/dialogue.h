/* SPDX-License-Identifier: MIT */
/*
 * What a client and the gateway say to each other: commands out, replies and pushes in. Bytes and
 * connections are client.c's business, right and wrong are check.c's.
 */
#ifndef LOAD_DIALOGUE_H
#define LOAD_DIALOGUE_H

#include <stdint.h>

#include "load/client.h"
#include "load/json.h"

/* Sends connect and all subscribes in one frame, as the official clients do. */
void dialogue_greet(struct swarm *swarm, struct client *client);

/* One line from the gateway. The client may be closed when this returns. */
void dialogue_line(struct swarm *swarm, struct client *client, struct span line);

/* Sends the publish command of a flight. */
void dialogue_publish(struct swarm *swarm, struct client *client, uint32_t flight);

#endif
