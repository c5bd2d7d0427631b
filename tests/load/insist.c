/* SPDX-License-Identifier: MIT */
#include "load/insist.h"

#include "load/dialogue.h"
#include "load/swarm.h"

enum { AGAIN_NS = 20000000 };

static void doubt(struct check *check, struct flight *flight)
{
    check->unsent += !flight->unsent;
    flight->unsent = true;
}

static uint32_t publisher_of(const struct check *check, const struct flight *flight)
{
    return check->rooms[flight->room].sources[flight->source].client;
}

void insist_failed(struct swarm *swarm, uint32_t flight)
{
    struct check *check = swarm->check;
    if (flight < check->flight_count && check->flights[flight].open) {
        check->counters.failed_for_now++;
        doubt(check, &check->flights[flight]);
    }
}

void insist_doubt(struct swarm *swarm, uint32_t client)
{
    struct check *check = swarm->check;
    for (uint32_t i = 0; i < check->flight_count; i++) {
        struct flight *flight = &check->flights[i];
        if (flight->open && !flight->replied && publisher_of(check, flight) == client)
            doubt(check, flight);
    }
}

void insist_turn(struct swarm *swarm, uint64_t now)
{
    struct check *check = swarm->check;
    if (check->unsent == 0 || now < swarm->next_insist)
        return;
    swarm->next_insist = now + AGAIN_NS;
    for (uint32_t i = 0; i < check->flight_count; i++) {
        struct flight *flight = &check->flights[i];
        struct client *client;
        if (!flight->open || !flight->unsent)
            continue;
        client = &swarm->clients[publisher_of(check, flight)];
        if (client->state != CLIENT_LIVE)
            continue;
        flight->unsent = false;
        check->unsent--;
        check->counters.sent_again++;
        dialogue_publish(swarm, client, i);
    }
}
