/* SPDX-License-Identifier: MIT */
/* Who follows which room. The driver keeps it; who is banned does not begin and does not read. */
#include "backplane/seq_private.h"

#include <stdlib.h>

static struct request_follow *request_of(struct follow *f)
{
    return container_of(f, struct request_follow, follow);
}

static enum err refuse(const struct sequencer *s, struct request_follow *q)
{
    bool ends = q->follow.verb == FOLLOW_END || q->follow.verb == FOLLOW_ROOMS;
    return ends || !q->who.n ? OK : seq_refuse_entry(s, q->who, q->room, &q->why);
}

void seq_on_follow(struct sequencer *s, struct request *r)
{
    struct request_follow *q = (struct request_follow *)r;
    enum err e = refuse(s, q);
    struct seq_room *room = e || !q->room.n ? NULL : seq_rooms_hold(&s->rooms, q->room);
    if (!e && q->room.n && !room)
        e = ERR_LIMIT;
    follow_clear(&q->follow);
    if (e) {
        seq_answer(s, r, e);
        return;
    }
    q->follow.room = room ? &room->ref : NULL;
    s->driver->ops->follow(s->driver, &q->follow);
}

/* ---- who of them is here -------------------------------------------------------------------- */

/* Asks the others about those who are not here, and may be there. */
struct looking {
    struct share share;
    struct request_follow *request;
};

static struct span name_of(const struct followed *line)
{
    return (struct span){line->name, line->name_len};
}

static bool is_sought(const struct followed *line)
{
    return line->untold && !line->here && !line->barred;
}

/* Whoever is on the way in counts as here. */
static void look_here(struct sequencer *s, struct request_follow *q)
{
    struct list *found = &q->follow.found;
    for (struct list *n = found->next; n != found; n = n->next) {
        struct followed *line = container_of(n, struct followed, link);
        struct user *user = line->untold ? users_find(&s->users, name_of(line)) : NULL;
        line->here = user && (user->count || !list_empty(&user->arrivals));
        line->barred = line->untold && seq_refuse_entry(s, name_of(line), q->room, NULL);
    }
}

static void looked(void *owner, struct share *share)
{
    struct looking *k = container_of(share, struct looking, share);
    struct request_follow *q = k->request;
    struct list *found = &q->follow.found;
    struct span there = {0};
    bool well = true;
    size_t i = 0;
    if (!share->error && share->answers)
        there = share->answer[0];
    for (struct list *n = found->next; n != found; n = n->next) {
        struct followed *line = container_of(n, struct followed, link);
        if (!is_sought(line))
            continue;
        well &= i < there.n;
        line->here = i < there.n && there.p[i] == '1';
        i++;
    }
    free(k);
    seq_answer(owner, &q->request, well ? OK : ERR_INTERNAL);
}

/* The names of those that are sought, as SHARE_CONNECTED wants them. */
static void write_names(const struct follow *f, struct buf *names)
{
    for (const struct list *n = f->found.next; n != &f->found; n = n->next) {
        const struct followed *line = container_of(n, struct followed, link);
        if (!is_sought(line))
            continue;
        buf_span(names, name_of(line));
        buf_char(names, '\n');
    }
}

/* Ends with the answer to the request. */
static void look(struct sequencer *s, struct request_follow *q)
{
    struct buf names = {0};
    look_here(s, q);
    if (s->driver->ops->shared)
        write_names(&q->follow, &names);
    struct looking *k = names.n && !names.failed ? calloc(1, sizeof(*k)) : NULL;
    if (k) {
        k->request = q;
        k->share.verb = SHARE_CONNECTED;
        k->share.room = SPAN(CONTROL_STREAM);
        k->share.done = looked;
        share_add(&k->share, (struct span){names.p, names.n});
        s->driver->ops->share(s->driver, &k->share);
    } else {
        seq_answer(s, &q->request, names.n || names.failed ? ERR_INTERNAL : OK);
    }
    buf_deinit(&names);
}

void seq_followed(void *owner, struct follow *f)
{
    struct sequencer *s = owner;
    struct request_follow *q = request_of(f);
    struct stream_ref *ref = f->room;
    if (q->look && !f->error)
        look(s, q);
    else
        seq_answer(s, &q->request, f->error);
    if (ref)
        seq_room_release(&s->rooms, seq_room_of(ref));
}
