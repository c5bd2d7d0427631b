/* SPDX-License-Identifier: MIT */
#include "load/swarm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load/insist.h"
#include "load/memory.h"
#include "load/stats.h"

#define SECOND 1000000000u

enum {
    EVENTS = 512,
    SPARE_FDS = 32,
    READ_SIZE = 1 << 18,
    SIPS = 20,           /* per second, of a slow reader */
    AGAIN_NS = 20000000, /* between attempts to come back */
    AGAIN_PER_TURN = 64,
};

/* Raises the limit as far as it may be raised. */
static bool enough_descriptors(uint32_t clients)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < clients + SPARE_FDS) {
        fprintf(stderr, "%u connections need %u descriptors, the limit is %llu (ulimit -Hn)\n",
                clients, clients + SPARE_FDS, (unsigned long long)limit.rlim_cur);
        return false;
    }
    return true;
}

bool swarm_init(struct swarm *swarm, const struct options *opt, struct check *check)
{
    memset(swarm, 0, sizeof *swarm);
    swarm->opt = opt;
    swarm->check = check;
    swarm->count = (uint32_t)(opt->sessions + opt->publishers);
    swarm->epoll = -1;
    swarm->random = (uint32_t)stats_now() | 1;
    const char *publish_port = opt->publish_port ? opt->publish_port : opt->port;
    if (!targets_parse(&swarm->targets, opt->host, opt->port) ||
        !targets_parse(&swarm->publish_targets, opt->host, publish_port))
        return false;
    if (!enough_descriptors(swarm->count))
        return false;
    swarm->buffer_size = READ_SIZE;
    swarm->buffer = memory_zeroed(swarm->buffer_size);
    swarm->scratch = memory_zeroed(2 * SWARM_SCRATCH);
    swarm->clients = memory_zeroed(swarm->count * sizeof swarm->clients[0]);
    swarm->again = memory_zeroed(swarm->count * sizeof swarm->again[0]);
    for (uint32_t i = 0; i < swarm->count; i++)
        swarm->clients[i] = (struct client){.fd = -1, .number = i};
    swarm->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (swarm->epoll < 0)
        perror("epoll_create1");
    return swarm->epoll >= 0;
}

void swarm_deinit(struct swarm *swarm)
{
    for (uint32_t i = 0; swarm->clients && i < swarm->count; i++)
        client_deinit(&swarm->clients[i]);
    free(swarm->clients);
    free(swarm->again);
    free(swarm->buffer);
    free(swarm->scratch);
    if (swarm->epoll >= 0)
        close(swarm->epoll);
    swarm->clients = NULL;
}

/* ---- what a turn does besides sockets ------------------------------------------------------- */

static void open_next(struct swarm *swarm, uint64_t now)
{
    uint64_t rate = swarm->opt->connect_rate;
    while (swarm->next < swarm->count && swarm->opening < swarm->opt->burst && !swarm->failed) {
        if (rate && swarm->next_open > now)
            return;
        if (rate)
            swarm->next_open = (swarm->next_open ? swarm->next_open : now) + SECOND / rate;
        client_open(swarm, &swarm->clients[swarm->next++]);
    }
}

/* A batch of those that lost their connection, a while after the loss. */
static void open_again(struct swarm *swarm, uint64_t now)
{
    if (swarm->again_count == 0 || now < swarm->next_open || swarm->failed || swarm->leaving)
        return;
    swarm->next_open = now + AGAIN_NS;
    for (unsigned i = 0; i < AGAIN_PER_TURN && swarm->again_count; i++) {
        struct client *client = &swarm->clients[swarm->again[--swarm->again_count]];
        swarm->check->counters.reconnects++;
        client_open(swarm, client);
    }
}

static void cut_some(struct swarm *swarm, uint64_t now)
{
    if (swarm->opt->cut <= 0 || swarm->next_cut == 0 || swarm->leaving)
        return;
    while (swarm->next_cut <= now) {
        struct client *client = &swarm->clients[swarm_random(swarm) % swarm->count];
        swarm->next_cut += (uint64_t)(SECOND / swarm->opt->cut);
        if (client->state == CLIENT_LIVE && !client->slow)
            client_cut(swarm, client);
    }
}

static void sip(struct swarm *swarm, uint64_t now)
{
    if (swarm->opt->slow_rate == 0 || swarm->opt->slow == 0 || now < swarm->next_sip)
        return;
    swarm->next_sip = now + SECOND / SIPS;
    for (uint32_t i = 0; i < swarm->count; i++) {
        if (swarm->clients[i].slow)
            client_sip(swarm, &swarm->clients[i], swarm->opt->slow_rate / SIPS + 1);
    }
}

void swarm_turn(struct swarm *swarm, uint64_t wait)
{
    struct epoll_event events[EVENTS];
    uint64_t now = stats_now();
    open_next(swarm, now);
    open_again(swarm, now);
    cut_some(swarm, now);
    sip(swarm, now);
    insist_turn(swarm, now);
    struct timespec timeout = {(time_t)(wait / SECOND), (long)(wait % SECOND)};
    int n = epoll_pwait2(swarm->epoll, events, EVENTS, &timeout, NULL);
    if (n < 0 && errno != EINTR) {
        verdict_add(&swarm->check->verdict, VERDICT_STUCK, "epoll: %s", strerrordesc_np(errno));
        swarm->failed = true;
    }
    for (int i = 0; i < n; i++)
        client_event(swarm, &swarm->clients[events[i].data.u32], events[i].events);
}

void swarm_pause_slow(struct swarm *swarm)
{
    for (uint32_t i = 0; swarm->opt->slow && i < swarm->count; i++) {
        if (swarm->clients[i].slow)
            client_pause(swarm, &swarm->clients[i]);
    }
}

void swarm_resume_slow(struct swarm *swarm)
{
    for (uint32_t i = 0; swarm->opt->slow && i < swarm->count; i++)
        client_resume(swarm, &swarm->clients[i]);
}

void swarm_bye(struct swarm *swarm)
{
    swarm->leaving = true;
    for (uint32_t i = 0; i < swarm->count; i++)
        client_bye(swarm, &swarm->clients[i]);
}

const struct sockaddr_in *swarm_target(const struct swarm *swarm, const struct client *client)
{
    bool listed = client->number < swarm->opt->sessions;
    const struct targets *targets = listed ? &swarm->targets : &swarm->publish_targets;
    uint32_t times = swarm->opt->roam ? client->attempts - 1 : 0;
    return &targets->list[(client->number + times) % targets->count];
}

uint32_t swarm_random(struct swarm *swarm)
{
    swarm->random ^= swarm->random << 13;
    swarm->random ^= swarm->random >> 17;
    swarm->random ^= swarm->random << 5;
    return swarm->random;
}

void swarm_count_close(struct swarm *swarm, uint32_t code)
{
    for (unsigned i = 0; i < SWARM_CODES; i++) {
        struct close_count *row = &swarm->closes[i];
        if (row->count == 0)
            row->code = code;
        if (row->code == code) {
            row->count++;
            return;
        }
    }
}

void swarm_open_again(struct swarm *swarm, struct client *client)
{
    swarm->again[swarm->again_count++] = client->number;
}
