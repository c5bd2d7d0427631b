/* SPDX-License-Identifier: MIT */
#include "backplane/ledger.h"

#include "backplane/base/map.h"

#include <stdlib.h>

#define SWEEP      4  /* accounts looked at with each report, so that full ones go */
#define CANDIDATES 16 /* among which the one is chosen that is given up */

struct account {
    UT_hash_handle hh;
    struct list link;
    uint64_t key[2]; /* two hashes of the party: 128 bits under a secret seed do not collide */
    struct bucket done[RATES];
};

void ledger_init(struct ledger *l, uint32_t max)
{
    *l = (struct ledger){.max = max};
    list_init(&l->touched);
}

static struct account *account_of(struct list *n)
{
    return container_of(n, struct account, link);
}

/* It is in the list no more. */
static void forget(struct ledger *l, struct account *a)
{
    HASH_DEL(l->map, a);
    free(a);
    l->count--;
}

void ledger_deinit(struct ledger *l)
{
    for (struct list *n; (n = list_shift(&l->touched));)
        forget(l, account_of(n));
}

/* When all of it is full again. */
static uint64_t settled_ns(const struct account *a)
{
    uint64_t latest = 0;
    for (int i = 0; i < RATES; i++)
        if (a->done[i].full_ns > latest)
            latest = a->done[i].full_ns;
    return latest;
}

static void sweep(struct ledger *l, uint64_t now_ms)
{
    for (int i = 0; i < SWEEP && !list_empty(&l->touched); i++) {
        if (settled_ns(account_of(l->touched.next)) > now_ms * 1000000)
            return;
        forget(l, account_of(list_shift(&l->touched)));
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
    memcpy(a->key, key, sizeof(key));
    HASH_ADD(hh, l->map, key, sizeof(a->key), a);
    if (!a->hh.tbl) {
        free(a);
        return NULL;
    }
    list_push(&l->touched, &a->link);
    l->count++;
    return a;
}

void ledger_spend(struct ledger *l, struct request_spend *q, uint64_t now_ms)
{
    sweep(l, now_ms);
    struct account *a = hold(l, q->scope, q->party);
    for (int i = 0; i < RATES; i++) {
        q->wait_ms[i] = 0;
        if (!a)
            continue;
        if (q->spent[i])
            (void)bucket_charge(&a->done[i], q->allowed[i], q->spent[i], now_ms);
        q->wait_ms[i] = bucket_wait_ms(&a->done[i], q->allowed[i], 1, now_ms);
    }
}
