/* SPDX-License-Identifier: MIT */
#include "backplane/seq_room.h"

#include <assert.h>
#include <stdlib.h>

void seq_rooms_init(struct seq_rooms *rs, struct driver *driver, uint32_t max)
{
    *rs = (struct seq_rooms){.driver = driver, .max = max};
    list_init(&rs->idle);
    list_init(&rs->empty);
    list_init(&rs->walks);
}

/* A walk that would meet this room next meets the one after it. */
static void step_aside(struct seq_rooms *rs, const struct seq_room *room)
{
    for (struct list *n = rs->walks.next; n != &rs->walks; n = n->next) {
        struct seq_walk *w = container_of(n, struct seq_walk, link);
        if (w->next == room)
            w->next = room->hh.next;
    }
}

static void forget(struct seq_rooms *rs, struct seq_room *room)
{
    rs->driver->ops->forget(rs->driver, &room->ref);
    list_del(&room->idle);
    list_del(&room->unsure);
    list_del(&room->stale);
    roster_free(room->roster);
    step_aside(rs, room);
    HASH_DEL(rs->map, room);
    rs->count--;
    free(room);
}

void seq_rooms_deinit(struct seq_rooms *rs)
{
    struct seq_room *room, *tmp;
    HASH_ITER (hh, rs->map, room, tmp) {
        assert(!room->busy && !room->watchers);
        forget(rs, room);
    }
}

struct seq_room *seq_rooms_find(const struct seq_rooms *rs, struct span name)
{
    struct seq_room *room = NULL;
    HASH_FIND(hh, rs->map, name.p, name.n, room);
    return room;
}

static bool in_use(const struct seq_room *room)
{
    return room->busy || room->watchers || list_linked(&room->unsure);
}

/* Forgets the room that is missed least; false: all are in use. */
static bool make_space(struct seq_rooms *rs)
{
    struct list *from = list_empty(&rs->empty) ? &rs->idle : &rs->empty;
    if (list_empty(from))
        return false;
    if (from == &rs->empty)
        rs->empty_count--;
    forget(rs, container_of(from->next, struct seq_room, idle));
    return true;
}

static struct seq_room *make(struct seq_rooms *rs, struct span name)
{
    if (rs->count >= rs->max && !make_space(rs))
        return NULL;
    size_t interests = rs->hubs * sizeof(struct interest);
    struct seq_room *room = calloc(1, sizeof(*room) + interests + name.n);
    if (!room)
        return NULL;
    char *copy = (char *)room->hubs + interests;
    memcpy(copy, name.p, name.n);
    room->ref.name = (struct span){copy, name.n};
    presence_init(&room->presence);
    list_init(&room->idle);
    list_init(&room->unsure);
    list_init(&room->stale);
    for (uint32_t i = 0; i < rs->hubs; i++) {
        room->hubs[i].room = room;
        list_init(&room->hubs[i].missed);
        list_init(&room->hubs[i].waiting);
        list_init(&room->hubs[i].asking);
    }
    HASH_ADD_KEYPTR(hh, rs->map, room->ref.name.p, name.n, room);
    if (!room->hh.tbl) {
        free(room);
        return NULL;
    }
    rs->count++;
    return room;
}

struct seq_room *seq_rooms_hold(struct seq_rooms *rs, struct span name)
{
    struct seq_room *room = seq_rooms_find(rs, name);
    if (!room && !(room = make(rs, name)))
        return NULL;
    if (list_linked(&room->idle)) {
        if (!room->top.offset)
            rs->empty_count--;
        list_del(&room->idle);
    }
    room->busy++;
    return room;
}

void seq_room_release(struct seq_rooms *rs, struct seq_room *room)
{
    room->busy--;
    if (in_use(room))
        return;
    if (!room->ref.state) {
        forget(rs, room);
    } else if (room->top.offset) {
        list_push(&rs->idle, &room->idle);
    } else {
        list_push(&rs->empty, &room->idle);
        if (++rs->empty_count > rs->max / 10)
            make_space(rs);
    }
}

/* The table keeps its rooms in the order in which they were made. */
void seq_walk_begin(struct seq_rooms *rs, struct seq_walk *w)
{
    w->next = rs->map;
    list_push(&rs->walks, &w->link);
}

struct seq_room *seq_walk_next(struct seq_walk *w)
{
    struct seq_room *room = w->next;
    if (room)
        w->next = room->hh.next;
    return room;
}

void seq_walk_end(struct seq_walk *w)
{
    list_del(&w->link);
}

enum err seq_room_presence(const struct seq_room *room, struct request_presence *p)
{
    enum err e = OK;
    if (room) {
        p->num_clients = room->presence.num_clients;
        p->num_users = room->presence.num_users;
        if (!p->stats_only)
            e = presence_json(&room->presence, p->max_bytes, &p->json);
    } else if (!p->stats_only) {
        buf_lit(&p->json, "{}");
    }
    if (e)
        buf_deinit(&p->json);
    return e;
}

bool interest_joins_up(const struct interest *in, const struct stream_read *r)
{
    if (r->error || memcmp(in->sent.epoch, r->top.epoch, EPOCH_MAX) != 0)
        return false;
    return r->count ? r->pubs[0]->offset == in->sent.offset + 1 : in->sent.offset == r->top.offset;
}
