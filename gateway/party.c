/* SPDX-License-Identifier: MIT */
#include "gateway/party.h"

#include "backplane/base/map.h"
#include "gateway/hub.h"
#include "gateway/throttle.h"

#include <stdlib.h>

#define PORTIONS 64
#define SWEEP_MS 500

struct party {
    UT_hash_handle hh;
    struct list link;         /* in parties.waiting */
    uint64_t done[RATES];     /* and not reported */
    uint64_t until_ms[RATES]; /* nothing more is allowed before */
    uint32_t sessions, rooms;
    enum scope scope;
    bool reporting;
    uint32_t name_len;
    char name[];
};

static uint64_t now_ms(const struct hub *h)
{
    return loop_now_ms(h->loop);
}

static struct allowance allowance(const struct hub *h, const struct party *p, enum rate rate)
{
    return throttle_allowance(h->options, p->scope, rate);
}

/* ---- who is there --------------------------------------------------------------------------- */

static struct party *find(struct hub *h, enum scope scope, struct span name)
{
    struct party *p = NULL;
    HASH_FIND(hh, h->parties.map[scope], name.p, name.n, p);
    return p;
}

static struct party *add(struct hub *h, enum scope scope, struct span name)
{
    struct party *p = calloc(1, sizeof(*p) + name.n);
    if (!p)
        return NULL;
    list_init(&p->link);
    p->scope = scope;
    p->name_len = (uint32_t)name.n;
    memcpy(p->name, name.p, name.n);
    HASH_ADD_KEYPTR(hh, h->parties.map[scope], p->name, p->name_len, p);
    if (p->hh.tbl)
        return p;
    free(p);
    return NULL;
}

static void wait_no_more(struct parties *ps, struct party *p)
{
    if (list_linked(&p->link))
        ps->waiting_count--;
    list_del(&p->link);
}

static void drop(struct parties *ps, struct party *p)
{
    wait_no_more(ps, p);
    HASH_DEL(ps->map[p->scope], p);
    free(p);
}

static bool must_wait(const struct party *p, uint64_t now)
{
    for (int i = 0; i < RATES; i++)
        if (p->until_ms[i] > now)
            return true;
    return false;
}

static void sweep(struct timer *t)
{
    struct parties *ps = container_of(t, struct parties, sweep);
    struct hub *h = container_of(ps, struct hub, parties);
    struct list *n, *tmp;
    list_for_each_safe (n, tmp, &ps->waiting) {
        struct party *p = container_of(n, struct party, link);
        if (!must_wait(p, now_ms(h)))
            drop(ps, p);
    }
    if (!list_empty(&ps->waiting))
        loop_arm(h->loop, t, SWEEP_MS, sweep);
}

/* It has no sessions any more. */
static void retire(struct hub *h, struct party *p)
{
    struct parties *ps = &h->parties;
    if (!must_wait(p, now_ms(h))) {
        drop(ps, p);
        return;
    }
    list_push(&ps->waiting, &p->link);
    if (++ps->waiting_count > PARTIES_WAITING)
        drop(ps, container_of(ps->waiting.next, struct party, link));
    if (!timer_armed(&ps->sweep))
        loop_arm(h->loop, &ps->sweep, SWEEP_MS, sweep);
}

/* ---- reports -------------------------------------------------------------------------------- */

static bool has_portion(const struct hub *h, const struct party *p)
{
    for (int i = 0; i < RATES; i++) {
        uint64_t most = allowance(h, p, (enum rate)i).amount;
        if (p->done[i] && p->done[i] >= most / PORTIONS)
            return true;
    }
    return false;
}

static bool has_done(const struct party *p)
{
    for (int i = 0; i < RATES; i++)
        if (p->done[i])
            return true;
    return false;
}

static void report(struct hub *h, struct party *p);

static void answered_spend(struct hub *h, struct request *r)
{
    struct request_spend *q = (struct request_spend *)r;
    struct party *p = r->owner;
    for (int i = 0; i < RATES; i++)
        p->until_ms[i] = q->wait_ms[i] ? now_ms(h) + q->wait_ms[i] : 0;
    free(q);
    p->reporting = false;
    h->parties.reports--;
    if (p->sessions ? has_portion(h, p) : has_done(p))
        report(h, p);
    if (!p->sessions && !p->reporting)
        retire(h, p);
}

/* Out of memory, it is tried again with the next deed. */
static void report(struct hub *h, struct party *p)
{
    struct request_spend *q = h->draining ? NULL : calloc(1, sizeof(*q));
    if (!q)
        return;
    for (int i = 0; i < RATES; i++) {
        q->allowed[i] = allowance(h, p, (enum rate)i);
        q->spent[i] = p->done[i];
        p->done[i] = 0;
    }
    q->scope = p->scope;
    q->party = (struct span){p->name, p->name_len};
    q->request.owner = p;
    p->reporting = true;
    h->parties.reports++;
    hub_ask(h, &q->request, REQUEST_SPEND, answered_spend);
}

/* ---- what parties do ------------------------------------------------------------------------ */

struct party *party_hold(struct hub *h, enum scope scope, struct span name)
{
    struct party *p = find(h, scope, name);
    if (!p)
        p = add(h, scope, name);
    if (!p)
        return NULL;
    wait_no_more(&h->parties, p);
    p->sessions++;
    return p;
}

void party_release(struct hub *h, struct party *p)
{
    if (!p || --p->sessions || p->reporting)
        return;
    if (has_done(p))
        report(h, p);
    if (!p->reporting)
        retire(h, p);
}

void party_did(struct hub *h, struct party *p, enum rate rate, uint64_t n)
{
    uint64_t most = p ? allowance(h, p, rate).amount : 0;
    if (!most)
        return;
    p->done[rate] += n;
    if (!p->reporting && p->done[rate] >= most / PORTIONS)
        report(h, p);
}

bool party_does(struct hub *h, struct party *p, enum rate rate, uint64_t n)
{
    if (p && p->until_ms[rate] > now_ms(h))
        return false;
    party_did(h, p, rate, n);
    return true;
}

void party_enters(struct party *p)
{
    if (p)
        p->rooms++;
}

void party_leaves(struct party *p)
{
    if (p)
        p->rooms--;
}

uint32_t party_rooms(const struct party *p)
{
    return p ? p->rooms : 0;
}

bool party_must_wait(struct hub *h, enum scope scope, struct span name, enum rate rate)
{
    const struct party *p = find(h, scope, name);
    return p && p->until_ms[rate] > now_ms(h);
}

/* ---- life ----------------------------------------------------------------------------------- */

void parties_init(struct parties *ps)
{
    list_init(&ps->waiting);
}

void parties_deinit(struct parties *ps)
{
    struct party *p, *tmp;
    for (int scope = 0; scope < SCOPES; scope++)
        HASH_ITER (hh, ps->map[scope], p, tmp) {
            drop(ps, p);
        }
}
