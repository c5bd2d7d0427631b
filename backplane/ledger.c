/* SPDX-License-Identifier: MIT */
#include "backplane/ledger.h"

#include "backplane/base/map.h"

#include <stdlib.h>

#define SWEEP      4  /* accounts looked at with each report, so that full ones go */
#define CANDIDATES 16 /* among which the one is chosen that is given up */
#define PORTIONS   32 /* see ledger.h */
#define NAME_LANE  16 /* names of gateways' accounts are hashed in lanes of their own */

struct account {
    UT_hash_handle hh;
    struct list link;
    struct list to_state;
    uint64_t key[2]; /* two hashes of the party: 128 bits under a secret seed do not collide */
    struct bucket done[RATES];
    /* Where it is shared: */
    uint64_t name[2];
    uint64_t unstated[RATES];
    uint64_t unstated_ns; /* until then that is of interest */
    struct allowance allowed[RATES];
};

void ledger_init(struct ledger *l, uint32_t max, bool shared)
{
    *l = (struct ledger){.max = max, .shared = shared};
    list_init(&l->touched);
    list_init(&l->to_state);
}

static struct account *account_of(struct list *n)
{
    return container_of(n, struct account, link);
}

/* It is in the list no more. */
static void forget(struct ledger *l, struct account *a)
{
    list_del(&a->to_state);
    HASH_DEL(l->map, a);
    free(a);
    l->count--;
}

void ledger_deinit(struct ledger *l)
{
    for (struct list *n; (n = list_shift(&l->touched));)
        forget(l, account_of(n));
}

/* When all of it is full again, and nothing of it is to be stated. */
static uint64_t settled_ns(const struct account *a)
{
    uint64_t latest = a->unstated_ns;
    for (int i = 0; i < RATES; i++)
        if (a->done[i].full_ns > latest)
            latest = a->done[i].full_ns;
    return latest;
}

static void sweep(struct ledger *l, uint64_t now_ms)
{
    for (int i = 0; i < SWEEP && !list_empty(&l->touched); i++) {
        struct account *a = account_of(list_shift(&l->touched));
        if (settled_ns(a) > now_ms * 1000000)
            list_push(&l->touched, &a->link); /* spans differ: others behind it may be settled */
        else
            forget(l, a);
    }
}

static void make_room(struct ledger *l)
{
    struct account *least = NULL;
    struct list *n = l->touched.next;
    if (l->count < l->max)
        return;
    for (int i = 0; i < CANDIDATES && n != &l->touched; i++, n = n->next)
        if (!least || settled_ns(account_of(n)) < settled_ns(least))
            least = account_of(n);
    if (!least)
        return;
    list_del(&least->link);
    forget(l, least);
}

static struct account *hold(struct ledger *l, enum scope scope, struct span name)
{
    uint64_t key[2] = {map_hash(name.p, name.n, 2 * scope),
                       map_hash(name.p, name.n, 2 * scope + 1)};
    struct account *a = NULL;
    HASH_FIND(hh, l->map, key, sizeof(key), a);
    if (a) {
        list_del(&a->link);
        list_push(&l->touched, &a->link);
        return a;
    }
    make_room(l);
    if (!(a = calloc(1, sizeof(*a))))
        return NULL;
    list_init(&a->to_state);
    memcpy(a->key, key, sizeof(key));
    a->name[0] = common_hash(name.p, name.n, NAME_LANE + 2 * scope);
    a->name[1] = common_hash(name.p, name.n, NAME_LANE + 2 * scope + 1);
    HASH_ADD(hh, l->map, key, sizeof(a->key), a);
    if (!a->hh.tbl) {
        free(a);
        return NULL;
    }
    list_push(&l->touched, &a->link);
    l->count++;
    return a;
}

/* So much more was done that nobody else knows of. */
static void add(struct ledger *l, struct account *a, const struct request_spend *q, uint64_t now_ms)
{
    for (int i = 0; i < RATES; i++) {
        struct allowance most = q->allowed[i];
        a->allowed[i] = most;
        a->unstated[i] += most.amount ? q->spent[i] : 0;
        if (!a->unstated[i])
            continue;
        a->unstated_ns = (now_ms + most.period_ms) * 1000000;
        if (a->unstated[i] >= most.amount / PORTIONS && !list_linked(&a->to_state))
            list_push(&l->to_state, &a->to_state);
    }
}

void ledger_spend(struct ledger *l, struct request_spend *q, uint64_t now_ms)
{
    sweep(l, now_ms);
    struct account *a = hold(l, q->scope, q->party);
    if (a && l->shared)
        add(l, a, q, now_ms);
    for (int i = 0; i < RATES; i++) {
        q->wait_ms[i] = 0;
        if (!a)
            continue;
        if (q->spent[i])
            (void)bucket_charge(&a->done[i], q->allowed[i], q->spent[i], now_ms);
        q->wait_ms[i] = bucket_wait_ms(&a->done[i], q->allowed[i], 1, now_ms);
    }
}

bool ledger_state(struct ledger *l, struct statement *out)
{
    struct list *n = list_shift(&l->to_state);
    if (!n)
        return false;
    struct account *a = container_of(n, struct account, to_state);
    memcpy(out->name, a->name, sizeof(out->name));
    memcpy(out->key, a->key, sizeof(out->key));
    memcpy(out->allowed, a->allowed, sizeof(out->allowed));
    memcpy(out->spent, a->unstated, sizeof(out->spent));
    memset(a->unstated, 0, sizeof(a->unstated));
    a->unstated_ns = 0;
    return true;
}

void ledger_learn(struct ledger *l, const struct statement *of, const uint64_t full_in_ns[RATES],
                  uint64_t now_ms)
{
    struct account *a = NULL;
    HASH_FIND(hh, l->map, of->key, sizeof(of->key), a);
    for (int i = 0; a && i < RATES; i++) {
        struct bucket all = {now_ms * 1000000 + full_in_ns[i]};
        if (a->unstated[i]) /* was done since */
            (void)bucket_charge(&all, a->allowed[i], a->unstated[i], now_ms);
        if (all.full_ns > a->done[i].full_ns)
            a->done[i] = all;
    }
}
