/* SPDX-License-Identifier: MIT */
/* Publications on their way into the driver, and back. */
#include "backplane/seq_private.h"

#include "backplane/caused.h"

#include <stdlib.h>

/* The job by which who is away is told of it; false: no memory. */
static bool add_caused(const struct sequencer *s, struct request_publish *p)
{
    uint64_t delay = s->config.notify_delay_ms;
    if (!delay || !p->commit.limits.count || p->commit.msg->quiet)
        return true;
    p->caused = caused_notify(p->room, delay, &s->config.notify_rules);
    p->commit.caused = p->caused;
    return p->caused != NULL;
}

void seq_on_rules(struct sequencer *s, struct request *r)
{
    s->config.notify_rules = ((struct request_rules *)r)->notify;
    seq_answer(s, r, OK);
}

void seq_on_publish(struct sequencer *s, struct request *r)
{
    struct request_publish *p = (struct request_publish *)r;
    enum err e = seq_refuse_publication(s, p);
    if (!e && !add_caused(s, p))
        e = ERR_INTERNAL;
    struct seq_room *room = e ? NULL : seq_rooms_hold(&s->rooms, p->room);
    if (!e && !room)
        e = ERR_LIMIT;
    if (e) {
        free(p->caused);
        seq_answer(s, r, e);
        return;
    }
    if (p->commit.limits.count) /* else it is to leave no trace in the stream */
        room->limits = p->commit.limits;
    p->commit.room = &room->ref;
    p->commit.sender = p->who;
    s->driver->ops->commit(s->driver, &p->commit);
}

void seq_committed(void *owner, struct commit *c)
{
    struct sequencer *s = owner;
    if (seq_control_is(s, c->room)) {
        seq_control_committed(s, c);
        return;
    }
    struct request_publish *p = container_of(c, struct request_publish, commit);
    struct seq_room *room = seq_room_of(c->room);
    if (!c->error && !c->repeated)
        counter_add(&s->counters.commits, 1);
    if (c->error == ERR_TOO_MANY_REQUESTS)
        p->why = seq_words_for_wait(c->wait_ms);
    if (c->repeated)
        counter_add(&s->counters.repeats, 1);
    free(p->caused);
    seq_answer(s, &p->request, c->error);
    seq_room_release(&s->rooms, room);
}
