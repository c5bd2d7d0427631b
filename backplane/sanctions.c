/* SPDX-License-Identifier: MIT */
#include "backplane/sanctions.h"

#include "backplane/base/map.h"

#include <stdlib.h>

struct given {
    struct list link; /* in offender.entries */
    struct list end;  /* in sanctions.ends */
    struct offender *offender;
    struct sanction what; /* its user is the offender's name */
    char text[];          /* room, reason */
};

/* What a user has been given. Exists while there is something. */
struct offender {
    UT_hash_handle hh;
    struct list entries;
    uint32_t name_len;
    char name[];
};

void sanctions_init(struct sanctions *s, uint32_t max)
{
    *s = (struct sanctions){.max = max};
    list_init(&s->ends);
}

static struct offender *offender_of(const struct sanctions *s, struct span user)
{
    struct offender *o = NULL;
    HASH_FIND(hh, s->offenders, user.p, user.n, o);
    return o;
}

static struct offender *hold(struct sanctions *s, struct span user)
{
    struct offender *o = offender_of(s, user);
    if (o || !(o = calloc(1, sizeof(*o) + user.n)))
        return o;
    list_init(&o->entries);
    o->name_len = (uint32_t)user.n;
    memcpy(o->name, user.p, user.n);
    HASH_ADD_KEYPTR(hh, s->offenders, o->name, o->name_len, o);
    if (o->hh.tbl)
        return o;
    free(o);
    return NULL;
}

static void release(struct sanctions *s, struct offender *o)
{
    if (!list_empty(&o->entries))
        return;
    HASH_DEL(s->offenders, o);
    free(o);
}

static bool is_everywhere(const struct sanction *what)
{
    return what->kind == SANCTION_BAN && !what->room.n;
}

static void drop(struct sanctions *s, struct given *e)
{
    struct offender *o = e->offender;
    list_del(&e->link);
    list_del(&e->end);
    s->count--;
    s->everywhere -= is_everywhere(&e->what);
    free(e);
    release(s, o);
}

void sanctions_deinit(struct sanctions *s)
{
    struct offender *o, *tmp;
    HASH_ITER (hh, s->offenders, o, tmp) {
        struct list *n, *next;
        uint32_t left = 0;
        for (n = o->entries.next; n != &o->entries; n = n->next)
            left++;
        for (n = o->entries.next; left--; n = next) { /* the last one takes the offender along */
            next = n->next;
            drop(s, container_of(n, struct given, link));
        }
    }
}

static struct given *entry_for(const struct offender *o, enum sanction_kind kind, struct span room)
{
    for (struct list *n = o->entries.next; n != &o->entries; n = n->next) {
        struct given *e = container_of(n, struct given, link);
        if (e->what.kind == kind && span_eq(e->what.room, room))
            return e;
    }
    return NULL;
}

/* Most come in the order in which they end, so the place is looked for from the back. */
static void note_end(struct sanctions *s, struct given *e)
{
    struct list *before = s->ends.prev;
    if (!e->what.until_ms)
        return;
    while (before != &s->ends &&
           container_of(before, struct given, end)->what.until_ms > e->what.until_ms)
        before = before->prev;
    list_push(before->next, &e->end);
}

enum err sanctions_put(struct sanctions *s, const struct sanction *what)
{
    struct offender *o = offender_of(s, what->user);
    struct given *old = o ? entry_for(o, what->kind, what->room) : NULL;
    if (!old && s->count >= s->max)
        return ERR_LIMIT;
    struct given *e = calloc(1, sizeof(*e) + what->room.n + what->reason.n);
    o = e ? hold(s, what->user) : NULL;
    if (!o) {
        free(e);
        return ERR_INTERNAL;
    }
    char *at = e->text;
    e->offender = o;
    e->what = (struct sanction){what->kind,
                                {o->name, o->name_len},
                                span_copy(&at, what->room),
                                span_copy(&at, what->reason),
                                what->until_ms};
    list_init(&e->end);
    list_push(&o->entries, &e->link);
    note_end(s, e);
    s->count++;
    s->everywhere += is_everywhere(&e->what);
    if (old)
        drop(s, old);
    return OK;
}

void sanctions_lift(struct sanctions *s, enum sanction_kind kind, struct span user,
                    struct span room)
{
    const struct offender *o = offender_of(s, user);
    struct given *e = o ? entry_for(o, kind, room) : NULL;
    if (e)
        drop(s, e);
}

static bool holds(const struct sanction *what, struct span room, uint64_t now_ms)
{
    return (!what->room.n || span_eq(what->room, room)) &&
           (!what->until_ms || what->until_ms > now_ms);
}

const struct sanction *sanctions_find(const struct sanctions *s, enum sanction_kind kind,
                                      struct span user, struct span room, uint64_t now_ms)
{
    const struct offender *o = s->count && user.n ? offender_of(s, user) : NULL;
    if (!o)
        return NULL;
    for (struct list *n = o->entries.next; n != &o->entries; n = n->next) {
        const struct given *e = container_of(n, struct given, link);
        if (e->what.kind == kind && holds(&e->what, room, now_ms))
            return &e->what;
    }
    return NULL;
}

void sanctions_expire(struct sanctions *s, uint64_t now_ms)
{
    struct list *n, *tmp;
    list_for_each_safe (n, tmp, &s->ends) {
        struct given *g = container_of(n, struct given, end);
        if (g->what.until_ms > now_ms)
            return;
        drop(s, g);
    }
}

void sanctions_each(const struct sanctions *s, enum sanction_kind kind, struct span user,
                    struct span room, bool (*each)(void *owner, const struct sanction *what),
                    void *owner)
{
    struct offender *o, *tmp;
    HASH_ITER (hh, s->offenders, o, tmp) {
        if (user.n && !span_eq(user, (struct span){o->name, o->name_len}))
            continue;
        for (struct list *n = o->entries.next; n != &o->entries; n = n->next) {
            const struct given *e = container_of(n, struct given, link);
            if (e->what.kind != kind || (room.n && !span_eq(room, e->what.room)))
                continue;
            if (!each(owner, &e->what))
                return;
        }
    }
}
