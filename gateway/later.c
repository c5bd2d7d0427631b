/* SPDX-License-Identifier: MIT */
#include "gateway/later.h"

#include "gateway/session.h"
#include "gateway/subscribing.h"

#define TICK_MS       50
#define PER_TICK      100
#define PROBES        4 /* as long as it fails; of different servers, by chance */
#define WAIT_BASE_MS  100
#define WAIT_LIMIT_MS 2000

void later_init(struct later *l)
{
    list_init(&l->waiting);
    l->backoff = (struct backoff){.base_ms = WAIT_BASE_MS, .cap_ms = WAIT_LIMIT_MS};
}

static void try_some(struct timer *t);

static void arm(struct hub *h)
{
    struct later *l = &h->later;
    uint32_t wait = l->failing ? TICK_MS + backoff_next(&l->backoff) : TICK_MS;
    if (!list_empty(&l->waiting))
        loop_arm(h->loop, &l->timer, wait, try_some);
}

/* One whose session is still connecting stays: the reply to connect comes first. */
static void try_one(struct hub *h)
{
    struct subscription *sub =
        container_of(list_shift(&h->later.waiting), struct subscription, told);
    if (sub->session->state == SESSION_OPEN && hub_has_credit(h))
        subscribe_again(sub);
    else
        list_push(&h->later.waiting, &sub->told);
}

static void try_some(struct timer *t)
{
    struct later *l = container_of(t, struct later, timer);
    struct hub *h = container_of(l, struct hub, later);
    int most = l->failing ? PROBES : PER_TICK;
    for (int i = 0; i < most && !list_empty(&l->waiting); i++)
        try_one(h);
    arm(h);
}

void later_wait(struct hub *h, struct subscription *sub)
{
    h->later.failing = true;
    list_push(&h->later.waiting, &sub->told);
    if (!timer_armed(&h->later.timer))
        arm(h);
}

/* The pause that was to be made is over. */
void later_served(struct hub *h)
{
    struct later *l = &h->later;
    if (!l->failing)
        return;
    l->failing = false;
    backoff_reset(&l->backoff);
    loop_cancel(h->loop, &l->timer);
    arm(h);
}
