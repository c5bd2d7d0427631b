/* SPDX-License-Identifier: MIT */
/* Followers, which are in the file and nowhere else. */
#include "backplane/kept_private.h"
#include "backplane/store/follows.h"

#include <stdlib.h>

/* ---- on the store's thread ------------------------------------------------------------------- */

static struct follow_key key_of(const struct follow *f)
{
    return (struct follow_key){f->user, f->room ? f->room->name : (struct span){0}};
}

static struct follow_marker marker_of(const struct position *at)
{
    return (struct follow_marker){position_epoch(at), at->offset};
}

static void take_position(struct position *to, struct span epoch, uint64_t offset)
{
    memset(to, 0, sizeof(*to));
    if (epoch.n && epoch.n < EPOCH_MAX)
        memcpy(to->epoch, epoch.p, epoch.n);
    to->offset = offset;
}

static enum err begin(struct follow *f, struct file *file)
{
    struct follow_key key = key_of(f);
    struct follow_marker at = marker_of(&f->at);
    struct follow_bounds most = {f->max_rooms, f->max_users};
    bool refused;
    enum err e = follows_begin(file, &key, &at, &most, &f->changed, &refused);
    if (!e && !refused)
        (void)follows_find(file, &key, at.epoch, &f->at.offset, &e);
    if (!e && refused)
        f->error = ERR_LIMIT;
    return e;
}

static enum err end(struct follow *f, struct file *file)
{
    struct follow_key key = key_of(f);
    return follows_end(file, &key, &f->changed);
}

static enum err read_on(struct follow *f, struct file *file)
{
    struct follow_key key = key_of(f);
    struct follow_marker to = marker_of(&f->at);
    enum err e = follows_read(file, &key, &to, &f->changed);
    if (!e && !follows_find(file, &key, to.epoch, &f->at.offset, &e) && !e)
        f->error = ERR_NOT_AVAILABLE;
    return e;
}

static enum err tell_of(struct follow *f, struct file *file)
{
    struct follow_key key = key_of(f);
    struct follow_marker at = marker_of(&f->at);
    enum err e = OK;
    for (size_t i = 0; !e && i < f->user_count; i++) {
        bool moved;
        key.user = f->users[i];
        e = follows_told(file, &key, &at, &moved);
        f->changed |= moved;
    }
    return e;
}

struct listing {
    struct follow *follow;
    uint32_t count;
    bool failed;
};

static bool on_line(void *owner, const struct follow_line *line)
{
    struct listing *l = owner;
    l->follow->more = l->count++ == l->follow->max_count;
    if (l->follow->more)
        return false;
    struct followed *to = followed_add(&l->follow->found, line->name);
    l->failed = !to;
    if (!to)
        return false;
    take_position(&to->marker, line->marker.epoch, line->marker.offset);
    if (line->top.epoch.n || line->top.offset) {
        take_position(&to->top, line->top.epoch, line->top.offset);
        take_position(&to->marker, line->top.epoch, line->read);
        take_position(&to->told, line->top.epoch, line->told);
    }
    to->unread = line->unread;
    to->untold = line->untold;
    return true;
}

static enum err list(struct follow *f, struct file *file)
{
    struct follow_key key = key_of(f);
    struct listing l = {.follow = f};
    enum err e = follows_each(file, &key, f->after, wall_ms(), on_line, &l);
    return l.failed ? ERR_INTERNAL : e;
}

enum err kept_follow_run(struct follow *f, struct file *file)
{
    static enum err (*const verbs[FOLLOW_VERBS])(struct follow *, struct file *) = {
        [FOLLOW_BEGIN] = begin,  [FOLLOW_END] = end,    [FOLLOW_READ] = read_on,
        [FOLLOW_TOLD] = tell_of, [FOLLOW_ROOMS] = list, [FOLLOW_USERS] = list,
    };
    return verbs[f->verb](f, file);
}

enum err kept_follow_publication(struct commit *c, struct file *file)
{
    struct follow_key key = {c->sender, c->room->name};
    struct follow_marker at = marker_of(&c->at);
    return follows_publish(file, &key, &at, &c->marked);
}

/* ---- a user's rooms: on the driver's loop ---------------------------------------------------- */

struct kept_listing {
    struct store_task task;
    struct kept *kept;
    struct follow *follow;
};

static enum err run_rooms(struct store_task *t, struct file *file)
{
    return kept_follow_run(container_of(t, struct kept_listing, task)->follow, file);
}

static void rooms_done(struct store_task *t)
{
    struct kept_listing *l = container_of(t, struct kept_listing, task);
    if (t->error)
        operation_fail(&l->follow->operation, ERR_INTERNAL);
    list_push(&l->kept->local.told_next, &l->follow->operation.link);
    free(l);
}

void kept_follow_rooms(struct kept *k, struct follow *f)
{
    struct kept_listing *l = k->stopping ? NULL : calloc(1, sizeof(*l));
    counter_add(&k->local.base.counters.pending, 1);
    if (!l) {
        operation_fail(&f->operation, ERR_INTERNAL);
        list_push(&k->local.told_next, &f->operation.link);
        return;
    }
    l->kept = k;
    l->follow = f;
    l->task.class = STORE_CHAT;
    l->task.many = true;
    l->task.run = run_rooms;
    l->task.done = rooms_done;
    store_submit(k->store, &l->task);
}
