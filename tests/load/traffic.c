/* SPDX-License-Identifier: MIT */
#include "load/traffic.h"

#include "load/dialogue.h"
#include "load/stats.h"

enum { MOST_WAIT = 20000000 };

/* The next publisher of the room that is connected; false: there is none now. */
static bool pick_source(const struct swarm *swarm, struct room *room, uint32_t *source)
{
    for (uint32_t tries = 0; tries < room->source_count; tries++) {
        uint32_t i = room->next_source++ % room->source_count;
        if (swarm->clients[room->sources[i].client].state == CLIENT_LIVE) {
            *source = i;
            return true;
        }
    }
    return false;
}

static bool publish_one(struct traffic *traffic, uint64_t at)
{
    struct swarm *swarm = traffic->swarm;
    struct check *check = swarm->check;
    for (uint64_t tries = 0; tries < swarm->opt->rooms; tries++) {
        struct room *room = &check->rooms[traffic->next_room];
        uint32_t source;
        traffic->next_room = (uint32_t)((traffic->next_room + 1) % swarm->opt->rooms);
        if (!pick_source(swarm, room, &source))
            continue;
        uint32_t flight = check_send(check, room, source, at);
        dialogue_publish(swarm, &swarm->clients[room->sources[source].client], flight);
        traffic->left--;
        return true;
    }
    return false;
}

static uint64_t closed_loop(struct traffic *traffic)
{
    const struct check *check = traffic->swarm->check;
    while (traffic->left && check->waiting < traffic->swarm->opt->in_flight) {
        if (!publish_one(traffic, stats_now()))
            break;
    }
    return MOST_WAIT;
}

static uint64_t open_loop(struct traffic *traffic)
{
    uint64_t now = stats_now();
    while (traffic->left && traffic->next_due <= now) {
        publish_one(traffic, traffic->next_due);
        traffic->next_due += traffic->interval;
    }
    uint64_t wait = traffic->next_due > now ? traffic->next_due - now : 0;
    return wait < MOST_WAIT ? wait : MOST_WAIT;
}

void traffic_begin(struct traffic *traffic, struct swarm *swarm, uint64_t messages)
{
    *traffic = (struct traffic){.swarm = swarm, .left = messages ? messages : UINT64_MAX};
    traffic->next_due = stats_now();
    if (swarm->opt->rate > 0)
        traffic->interval = (uint64_t)(1e9 / swarm->opt->rate);
}

uint64_t traffic_turn(struct traffic *traffic)
{
    return traffic->interval ? open_loop(traffic) : closed_loop(traffic);
}
