/* SPDX-License-Identifier: MIT */
#include "gateway/crowd.h"

#include "backplane/base/log.h"
#include "backplane/base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct group {
    struct address key;
    uint32_t count;
    UT_hash_handle hh;
};

struct crowd {
    pthread_mutex_t lock;
    struct group *groups;
};

struct crowd *crowd_new(void)
{
    struct crowd *c = calloc(1, sizeof(*c));

    if (c && pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return NULL;
    }
    return c;
}

void crowd_free(struct crowd *c)
{
    if (!c)
        return;
    assert(!c->groups);
    (void)pthread_mutex_destroy(&c->lock); /* only fails if it is in use */
    free(c);
}

/* A plain mutex, not locked by us already: neither can fail. */
static void lock(struct crowd *c)
{
    (void)pthread_mutex_lock(&c->lock);
}

static void unlock(struct crowd *c)
{
    (void)pthread_mutex_unlock(&c->lock);
}

static struct group *find(struct crowd *c, const struct address *key)
{
    struct group *g;

    HASH_FIND(hh, c->groups, key, sizeof(*key), g);
    return g;
}

static struct group *add(struct crowd *c, const struct address *key)
{
    struct group *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->key = *key;
    HASH_ADD(hh, c->groups, key, sizeof(g->key), g);
    if (g->hh.tbl)
        return g;
    free(g);
    return NULL;
}

bool crowd_enter(struct crowd *c, const struct address *a, uint32_t most, struct crowd **in)
{
    struct address key = address_key(a);

    *in = NULL;
    if (most == 0 || address_is_nobody(a) || address_is_loopback(a))
        return true;
    lock(c);
    struct group *g = find(c, &key);
    if (!g)
        g = add(c, &key);
    if (g && g->count < most) {
        g->count++;
        *in = c;
    }
    unlock(c);
    return *in != NULL;
}

void crowd_refused(const struct address *a)
{
    struct buf text = {0};

    address_write(a, &text);
    log_warn("%.*s has as many connections as max_connections_per_address allows: one more is "
             "refused",
             (int)text.n, text.p ? text.p : "");
    buf_deinit(&text);
}

void crowd_leave(struct crowd **in, const struct address *a)
{
    struct address key = address_key(a);
    struct crowd *c = *in;

    *in = NULL;
    if (!c)
        return;
    lock(c);
    struct group *g = find(c, &key);
    assert(g && g->count > 0);
    if (--g->count == 0) {
        HASH_DELETE(hh, c->groups, g);
        free(g);
    }
    unlock(c);
}
