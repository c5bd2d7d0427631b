/* SPDX-License-Identifier: MIT */
#include "gateway/told.h"

#include "backplane/base/log.h"
#include "backplane/caused.h"
#include "gateway/arrival.h"
#include "gateway/session.h"
#include "gateway/socket.h"
#include "gateway/tcp.h"
#include "gateway/tickets.h"

#include <stdlib.h>

/* A drain closes at least so many sessions per tick, and all within half of the time it has. */
#define DRAIN_PER_TICK 100
#define DRAIN_TICK_MS  50

/* When room is to be made, who has said nothing for so long goes. */
#define SHED_AFTER_MS 1000

void told_socket(struct hub *h, struct entry *e)
{
    struct arrival *a = container_of(e, struct arrival, entry);
    counter_add(&h->counters.sockets_opened, 1);
    tcp_be_patient(a->fd, h->options->queue_ms);
    socket_adopt(h->sockets, a);
}

/* Whether it has had its time, for which it was silent. */
static bool is_late(const struct hub *h, uint64_t since_ms)
{
    return since_ms + SHED_AFTER_MS <= loop_now_ms(h->loop);
}

static void shed_arrivals(struct hub *h)
{
    while (!list_empty(&h->lobby.arrivals)) {
        struct arrival *a = container_of(h->lobby.arrivals.next, struct arrival, link);
        if (!is_late(h, a->since_ms))
            return;
        counter_add(&h->counters.handshakes_cut, 1);
        lobby_leave(&h->lobby, a); /* it may take a turn until it is gone */
        socket_kill(a->wsi);
    }
}

void told_shed(struct hub *h, struct entry *e)
{
    struct list *n, *tmp;
    free(e);
    shed_arrivals(h);
    list_for_each_safe (n, tmp, &h->sessions[SESSION_WAITING].head) {
        struct session *s = container_of(n, struct session, link);
        if (!s->wsi || s->in_flight || !is_late(h, s->since_ms))
            continue;
        counter_add(&h->counters.handshakes_cut, 1);
        socket_kill(s->wsi);
    }
}

/* Closes so many of a list; the reasons tell the client that it may come back. */
static int close_some(struct session_list *l, int most, enum close_reason reason)
{
    struct list *n, *tmp;
    int done = 0;
    list_for_each_safe (n, tmp, &l->head) {
        struct session *s = container_of(n, struct session, link);
        if (done == most)
            break;
        if (s->closing)
            continue;
        session_close(s, reason);
        done++;
    }
    return done;
}

/* Paced, so that a thousand clients do not come back in one moment to the gateway next door. */
static void drain_some(struct timer *t)
{
    struct hub *h = container_of(t, struct hub, drain_timer);
    int waiting = close_some(&h->sessions[SESSION_WAITING], h->drain_per_tick, CLOSE_SHUTDOWN);
    close_some(&h->sessions[SESSION_OPEN], h->drain_per_tick - waiting, CLOSE_SHUTDOWN);
    loop_arm(h->loop, t, DRAIN_TICK_MS, drain_some); /* until the last has gone */
}

static void recall_some(struct timer *t)
{
    struct hub *h = container_of(t, struct hub, recall_timer);
    int most = h->recalled < DRAIN_PER_TICK ? (int)h->recalled : DRAIN_PER_TICK;
    h->recalled -= (uint32_t)most;
    if (close_some(&h->sessions[SESSION_OPEN], most, CLOSE_RECALLED) && h->recalled)
        loop_arm(h->loop, t, DRAIN_TICK_MS, recall_some);
}

/* Those that come meanwhile stand behind the ones that are meant. */
void told_recall(struct hub *h)
{
    h->recalled = h->sessions[SESSION_OPEN].count;
    recall_some(&h->recall_timer);
}

void told_drain(struct hub *h, struct entry *e)
{
    free(e);
    h->draining = true;
    queue_end_waits(&h->queues);
    uint64_t left = h->options->shutdown_timeout_ms - h->options->drain_delay_ms;
    uint64_t needed = hub_sessions(h) / (left / 2 / DRAIN_TICK_MS + 1) + 1;
    h->drain_per_tick = needed > DRAIN_PER_TICK ? (int)needed : DRAIN_PER_TICK;
    drain_some(&h->drain_timer);
}

static void cut_all(struct session_list *l)
{
    struct list *n, *tmp;
    list_for_each_safe (n, tmp, &l->head) {
        struct session *s = container_of(n, struct session, link);
        if (s->wsi)
            socket_kill(s->wsi);
    }
}

void told_cut(struct hub *h, struct entry *e)
{
    free(e);
    h->draining = h->cut = true;
    queue_end_waits(&h->queues);
    for (int state = SESSION_WAITING; state <= SESSION_CLOSING; state++)
        cut_all(&h->sessions[state]);
}

void renewal_free(struct renewal *r)
{
    settings_unref(r->settings);
    keys_unref(r->keys);
    tickets_unref(r->tickets);
    free(r);
}

/* Nothing keeps a pointer into the settings before from one turn to the next. */
static void renew_settings(struct hub *h, struct renewal *r)
{
    settings_unref(h->settings);
    h->settings = r->settings;
    h->options = r->settings->options;
    h->rooms.max_ms = h->options->queue_ms;
    queue_end_waits(&h->queues); /* they go by the rules from before; who asks again does not */
    r->settings = NULL;
}

static void free_rules(struct hub *h, struct request *r)
{
    (void)h;
    free(r);
}

/* The sequencer puts jobs for those who are away, and has no settings. */
static void renew_rules(struct hub *h)
{
    if (hub_index(h) != 0 || !*h->options->notify_url)
        return;
    struct request_rules *q = calloc(1, sizeof(*q));
    if (!q) {
        log_error("no memory for the new [queue " NOTIFY_QUEUE "]: the one before holds");
        return;
    }
    q->notify = *options_queue_rules(h->options, SPAN(NOTIFY_QUEUE));
    hub_ask(h, &q->request, REQUEST_RULES, free_rules);
}

static void renew_keys(struct hub *h, struct renewal *r)
{
    keys_unref(h->keys);
    h->keys = r->keys;
    h->keys_wanted = false;
    r->keys = NULL;
}

void told_renewal(struct hub *h, struct entry *e)
{
    struct renewal *r = container_of(e, struct renewal, entry);
    if (r->settings && !hub_fit(h, r->settings->options)) {
        log_error("hub %u: no memory for the new configuration: going on with the one before",
                  hub_index(h));
    } else {
        if (r->settings) {
            renew_settings(h, r);
            renew_rules(h);
        }
        if (r->has_keys)
            renew_keys(h, r);
        socket_secure(h->sockets, h->settings->certificate, r->tickets);
    }
    if (h->renewed)
        h->renewed(h->owner, r);
    else
        renewal_free(r);
}

bool renewals_new(struct renewals *all, uint32_t count)
{
    all->count = 0;
    while (all->count < count) {
        struct renewal *r = calloc(1, sizeof(*r));
        if (!r) {
            while (all->count)
                free(all->list[--all->count]);
            return false;
        }
        r->entry.kind = HUB_RENEW;
        all->list[all->count++] = r;
    }
    return true;
}
