/* SPDX-License-Identifier: MIT */
/* Who follows which room. The driver keeps it; who is banned does not begin and does not read. */
#include "backplane/seq_private.h"

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

void seq_followed(void *owner, struct follow *f)
{
    struct sequencer *s = owner;
    struct stream_ref *ref = f->room;
    seq_answer(s, &request_of(f)->request, f->error);
    if (ref)
        seq_room_release(&s->rooms, seq_room_of(ref));
}
