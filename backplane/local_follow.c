/* SPDX-License-Identifier: MIT */
/* Followers of the driver in memory. */
#include "backplane/local_private.h"

void local_follow_room(struct local *l, struct span name, struct local_room *room)
{
    struct roll *r = followers_roll(&l->followers, ROLL_ROOM, name);
    if (r)
        r->stream = room;
}

/* Whoever had read all that was there has read what it says itself. */
void local_follow_publication(struct local *l, struct commit *c)
{
    struct follower *one =
        c->sender.n ? followers_find(&l->followers, c->sender, c->room->name) : NULL;
    struct position before = c->at;
    before.offset--;
    c->marked = one && marker_in(&one->marker, &before) == before.offset;
    if (c->marked)
        one->marker = c->at;
}

enum err local_follow_at(struct local *l, struct follow *f)
{
    if (!follow_needs_stream(f->verb))
        return OK;
    if (!f->limits.count)
        return ERR_NOT_AVAILABLE;
    struct local_room *room = local_room(l, f->room, &f->limits);
    if (!room)
        return ERR_INTERNAL;
    struct position top = stream_top(room->stream);
    if (!f->at.epoch[0])
        memcpy(f->at.epoch, top.epoch, EPOCH_MAX);
    f->at.offset = f->verb == FOLLOW_BEGIN ? top.offset : marker_in(&f->at, &top);
    memcpy(f->at.epoch, top.epoch, EPOCH_MAX);
    return OK;
}

static enum err begin(struct local *l, struct follow *f)
{
    struct follower *one;
    enum err e = followers_add(&l->followers, f, &one);
    if (e)
        return e;
    one->ends[ROLL_ROOM]->stream = f->room->state;
    f->changed = !one->marker.epoch[0];
    if (f->changed)
        one->marker = f->at;
    f->at.offset = marker_in(&one->marker, &f->at); /* which was the top */
    return OK;
}

static enum err end(struct local *l, struct follow *f)
{
    struct follower *one = followers_find(&l->followers, f->user, f->room->name);
    f->changed = one != NULL;
    if (one)
        followers_remove(&l->followers, one);
    return OK;
}

static enum err read_on(struct local *l, struct follow *f)
{
    struct follower *one = followers_find(&l->followers, f->user, f->room->name);
    const struct local_room *room = f->room->state;
    if (!one)
        return ERR_NOT_AVAILABLE;
    struct position top = stream_top(room->stream);
    uint64_t from = marker_in(&one->marker, &top);
    f->changed = f->at.offset > from;
    if (f->changed)
        one->marker = f->at;
    else
        f->at.offset = from;
    return OK;
}

static enum err tell_of(struct local *l, struct follow *f)
{
    for (size_t i = 0; i < f->user_count; i++) {
        struct follower *one = followers_find(&l->followers, f->users[i], f->room->name);
        if (!one || f->at.offset <= marker_in(&one->told, &f->at))
            continue;
        one->told = f->at;
        f->changed = true;
    }
    return OK;
}

static bool describe(struct follow *f, const struct follower *one, struct span name)
{
    const struct local_room *room = one->ends[ROLL_ROOM]->stream;
    struct followed *line = followed_add(&f->found, name);
    if (!line)
        return false;
    line->marker = one->marker;
    if (!room)
        return true;
    line->top = stream_top(room->stream);
    line->marker = line->top;
    line->marker.offset = marker_in(&one->marker, &line->top);
    line->unread = stream_unread(room->stream, line->marker.offset);
    if (f->verb == FOLLOW_ROOMS)
        return true;
    line->told = line->top;
    line->told.offset = marker_in(&one->told, &line->top);
    line->untold = line->told.offset > line->marker.offset
                       ? stream_unread(room->stream, line->told.offset)
                       : line->unread;
    return true;
}

static enum err tell(struct follow *f, const struct roll *r, enum roll_side side)
{
    uint32_t at = r ? roll_rank(r, side, f->after) : 0;
    uint32_t end = r ? r->count : 0;
    f->more = end - at > f->max_count;
    for (end = f->more ? at + f->max_count : end; at < end; at++) {
        const struct follower *one = r->list[at];
        if (!describe(f, one, roll_name(one->ends[!side])))
            return ERR_INTERNAL;
    }
    return OK;
}

static enum err rooms(struct local *l, struct follow *f)
{
    return tell(f, followers_roll(&l->followers, ROLL_USER, f->user), ROLL_USER);
}

static enum err users(struct local *l, struct follow *f)
{
    return tell(f, followers_roll(&l->followers, ROLL_ROOM, f->room->name), ROLL_ROOM);
}

void local_do_follow(struct local *l, struct follow *f)
{
    static enum err (*const verbs[FOLLOW_VERBS])(struct local *, struct follow *) = {
        [FOLLOW_BEGIN] = begin,  [FOLLOW_END] = end,     [FOLLOW_READ] = read_on,
        [FOLLOW_TOLD] = tell_of, [FOLLOW_ROOMS] = rooms, [FOLLOW_USERS] = users,
    };
    follow_clear(f);
    f->operation.kind = OPERATION_FOLLOW;
    enum err e = local_follow_at(l, f);
    if (!e)
        e = verbs[f->verb](l, f);
    if (e)
        operation_fail(&f->operation, e);
}
