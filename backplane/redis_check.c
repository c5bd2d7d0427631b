/* SPDX-License-Identifier: MIT */
/* Comparing rooms with the server: after anything may have been missed, and now and then. Many
 * rooms at a time, so that 100 000 are no burst, and few calls at a time, so that commits go
 * between. */
#include "backplane/redis_private.h"

#include "backplane/base/log.h"

#include <stdlib.h>

#define CHECK_ROOMS 100
#define CHECKS_MAX  4

/* A room as it was when it was asked for. */
struct checked {
    struct redis_room *room; /* held */
    uint64_t seq;
    uint32_t era;
};

struct check {
    struct redis_call call;
    struct redis_shard *shard;
    size_t count;
    struct checked rooms[CHECK_ROOMS];
};

/* The server knows more of the room than came here, or another story. What comes in while the
 * answer travels makes the room look ahead of it. */
static bool differs(const struct checked *c, struct span epoch, uint64_t seq)
{
    const struct feed *f = &c->room->feed;
    return !span_eq(epoch, position_epoch(&f->at)) || seq > f->seq || seq < c->seq;
}

static void compare(const struct checked *c, const struct redis_reply *r, size_t i)
{
    struct redis_room *room = c->room;
    struct span epoch = redis_reply_text(redis_reply_item(r, i));
    int64_t seq = redis_reply_integer(redis_reply_item(r, i + 2));
    if (!room->watched || room->era != c->era || !room->feed.started)
        return;
    if (!differs(c, epoch, seq > 0 ? (uint64_t)seq : 0))
        return;
    if (feed_doubt(&room->feed) == FEED_READ)
        redis_room_fill(room);
}

static void end_repair(struct redis_shard *s)
{
    struct redis_server_load load;
    if (!s->repairing || s->checks || s->fills || !list_empty(&s->unchecked) ||
        !list_empty(&s->failed) || !list_empty(&s->gaps) || !redis_server_hears(s->server))
        return;
    redis_server_load(s->server, &load);
    if (load.unconfirmed)
        return;
    s->repairing = false;
    counter_add(&counters_of(s)->repairs, 1);
    log_info("%s: all rooms were compared with their streams", s->label);
    const struct driver_config *c = &s->driver->base.config;
    if (c->events->hearing)
        c->events->hearing(c->owner);
}

static void check_done(struct redis_call *call)
{
    struct check *k = container_of(call, struct check, call);
    struct redis_shard *s = k->shard;
    bool well = call->outcome == CALL_ANSWERED && call->reply->type == REPLY_ARRAY &&
                call->reply->count == 3 * k->count;
    if (call->outcome == CALL_ANSWERED && !well)
        log_warn("%s: rooms could not be compared: %s", s->label,
                 call->reply->type == REPLY_ERROR ? call->reply->text.p : "unexpected answer");
    s->checks--;
    for (size_t i = 0; i < k->count; i++) {
        if (well)
            compare(&k->rooms[i], call->reply, 3 * i);
        else if (k->rooms[i].room->ref && !s->driver->closing)
            redis_room_doubt_later(k->rooms[i].room);
        redis_room_release(k->rooms[i].room);
    }
    free(k);
    if (well)
        redis_check_some(s);
}

/* Takes rooms from the list into the call. */
static size_t choose(struct redis_shard *s, struct check *k, size_t *bytes)
{
    *bytes = redis_key_max(s->driver, (struct span){0});
    while (k->count < CHECK_ROOMS && !list_empty(&s->unchecked)) {
        struct redis_room *room =
            container_of(list_shift(&s->unchecked), struct redis_room, unchecked);
        redis_room_looked(room);
        if (!room->feed.started && !feed_reading(&room->feed))
            continue; /* its first read is still to be sent, and will tell */
        redis_room_hold(room);
        k->rooms[k->count++] = (struct checked){room, room->feed.seq, room->era};
        *bytes += redis_key_max(s->driver, room->ref->name);
    }
    return k->count;
}

static bool check_slice(struct redis_shard *s)
{
    struct span words[1 + CHECK_ROOMS + 2];
    struct redis *d = s->driver;
    size_t bytes;
    struct check *k = calloc(1, sizeof(*k));
    if (!k)
        return false; /* the rooms stay unchecked; the tick tries again */
    k->shard = s;
    k->call.done = check_done;
    buf_clear(&d->scratch);
    if (!choose(s, k, &bytes) || !buf_reserve(&d->scratch, bytes)) {
        for (size_t i = 0; i < k->count; i++) {
            redis_room_doubt(k->rooms[i].room);
            redis_room_release(k->rooms[i].room);
        }
        free(k);
        return false;
    }
    words[0] = redis_key(d, "generation", (struct span){0});
    for (size_t i = 0; i < k->count; i++)
        words[1 + i] = redis_key(d, "room", k->rooms[i].room->ref->name);
    words[1 + k->count] = span_str(d->settings->prefix);
    words[2 + k->count] = span_str(d->settings->node);
    s->checks++;
    redis_link_eval(redis_server_commands(s->server), &k->call, redis_script(SCRIPT_CHECK), words,
                    1 + k->count, 3 + k->count);
    return true;
}

void redis_check_again(struct redis_shard *s)
{
    list_splice(&s->unchecked, &s->failed);
}

void redis_check_some(struct redis_shard *s)
{
    if (!redis_shard_able(s))
        return;
    while (s->fills < FILLS_MAX && !list_empty(&s->gaps)) {
        struct redis_room *room = container_of(list_shift(&s->gaps), struct redis_room, gap);
        if (!feed_reading(&room->feed) || room->feed.wanting)
            redis_room_fill(room);
        if (list_linked(&room->gap))
            break; /* no memory now */
    }
    while (s->checks < CHECKS_MAX && !list_empty(&s->unchecked) && check_slice(s))
        ;
    end_repair(s);
}
