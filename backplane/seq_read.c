/* SPDX-License-Identifier: MIT */
/* What is asked of a room without being in it: history, presence, removal, redaction; and of all
 * rooms. */
#include "backplane/base/glob.h"
#include "backplane/seq_private.h"
#include "backplane/tally.h"

/* Rooms that a listing looks at per turn. */
#define LISTED_PER_TURN 1000

void seq_on_history(struct sequencer *s, struct request *r)
{
    struct request_history *h = (struct request_history *)r;
    enum err e = seq_refuse_entry(s, h->who, h->room, NULL);
    struct seq_room *room = e ? NULL : seq_rooms_hold(&s->rooms, h->room);
    if (!room) {
        seq_answer(s, r, e ? e : ERR_LIMIT);
        return;
    }
    h->read.purpose = FOR_HISTORY;
    seq_begin_read(s, &h->read, room);
}

void seq_history_read(struct sequencer *s, struct stream_read *r)
{
    struct request_history *h = container_of(r, struct request_history, read);
    struct seq_room *room = seq_room_of(r->room);
    enum err e = r->error;
    if (!e && h->since.epoch[0] && memcmp(h->since.epoch, r->top.epoch, EPOCH_MAX) != 0) {
        stream_read_deinit(r);
        e = ERR_UNRECOVERABLE;
    }
    seq_answer(s, &h->request, e);
    seq_room_release(&s->rooms, room);
}

/* A client that asks right behind its own subscribe is to find itself there, so what a hub asks
 * waits for what it asked before. */
void seq_on_presence(struct sequencer *s, struct request *r)
{
    struct request_presence *p = (struct request_presence *)r;
    enum err e = seq_refuse_entry(s, p->who, p->room, NULL);
    if (e) {
        seq_answer(s, r, e);
        return;
    }
    struct seq_room *room = seq_rooms_find(&s->rooms, p->room);
    struct interest *in = room ? &room->hubs[r->hub] : NULL;
    if (!in || in->served == in->tickets) {
        seq_tell_presence(s, room, p);
        return;
    }
    p->ticket = in->tickets;
    p->asked = s->asked++;
    list_push(&in->asking, &p->link);
}

void seq_answer_presence(struct sequencer *s, struct interest *in, uint32_t before)
{
    while (!list_empty(&in->asking)) {
        struct request_presence *p = container_of(in->asking.next, struct request_presence, link);
        if ((int32_t)(p->ticket - in->served) > 0 || (int32_t)(p->asked - before) >= 0)
            return;
        list_del(&p->link);
        seq_tell_presence(s, in->room, p);
    }
}

/* The publications go; epoch and offset stay, so that nobody takes it for another stream. */
void seq_on_remove(struct sequencer *s, struct request *r)
{
    struct request_remove *q = (struct request_remove *)r;
    struct seq_room *room = seq_rooms_hold(&s->rooms, q->room);
    if (!room) {
        seq_answer(s, r, ERR_LIMIT);
        return;
    }
    q->removal.room = &room->ref;
    s->driver->ops->remove(s->driver, &q->removal);
}

void seq_removed(void *owner, struct stream_removal *removal)
{
    struct sequencer *s = owner;
    struct request_remove *q = container_of(removal, struct request_remove, removal);
    struct seq_room *room = seq_room_of(removal->room);
    seq_answer(s, &q->request, removal->error);
    seq_room_release(&s->rooms, room);
}

/* One publication's text goes. Who has seen it is told by whoever asks. */
void seq_on_redact(struct sequencer *s, struct request *r)
{
    struct request_redact *q = (struct request_redact *)r;
    struct seq_room *room = seq_rooms_hold(&s->rooms, q->room);
    if (!room) {
        seq_answer(s, r, ERR_LIMIT);
        return;
    }
    q->redaction.room = &room->ref;
    s->driver->ops->redact(s->driver, &q->redaction);
}

void seq_redacted(void *owner, struct stream_redaction *redaction)
{
    struct sequencer *s = owner;
    struct request_redact *q = container_of(redaction, struct request_redact, redaction);
    struct seq_room *room = seq_room_of(redaction->room);
    seq_answer(s, &q->request, redaction->error);
    seq_room_release(&s->rooms, room);
}

/* ---- all rooms ----------------------------------------------------------------------------- */

void seq_on_rooms(struct sequencer *s, struct request *r)
{
    struct request_rooms *q = (struct request_rooms *)r;
    if (s->driver->ops->shared)
        seq_survey_ask(s, q);
    else
        seq_rooms_surveyed(s, q, OK);
}

void seq_rooms_surveyed(struct sequencer *s, struct request_rooms *q, enum err e)
{
    if (e) {
        seq_answer(s, &q->request, e);
        return;
    }
    buf_char(&q->json, '{');
    seq_walk_begin(&s->rooms, &q->walk);
    list_push(&s->listings, &q->link);
    loop_again(s->loop);
}

bool seq_room_is_listed(const struct seq_room *room, struct span pattern)
{
    return room->members && (!pattern.n || glob_matches(pattern, room->ref.name));
}

static void list_one(struct request_rooms *q, struct span name, uint64_t here)
{
    if (q->json.n > 1)
        buf_char(&q->json, ',');
    buf_json(&q->json, name);
    buf_lit(&q->json, ":{\"num_clients\":");
    buf_u64(&q->json, here + tally_take(q->others, name));
    buf_char(&q->json, '}');
}

/* A room of this gateway, or, behind these, of others; false: there is none left. */
static bool list_next(struct request_rooms *q)
{
    const struct seq_room *room = seq_walk_next(&q->walk);
    struct span name;
    if (room && seq_room_is_listed(room, q->pattern))
        list_one(q, room->ref.name, room->members);
    else if (!room && tally_any(q->others, &name))
        list_one(q, name, 0);
    else
        return room != NULL;
    return true;
}

static void end_listing(struct sequencer *s, struct request_rooms *q, enum err e)
{
    list_del(&q->link);
    seq_walk_end(&q->walk);
    tally_free(q->others);
    if (e)
        buf_deinit(&q->json);
    seq_answer(s, &q->request, e);
}

bool seq_list_rooms(struct sequencer *s)
{
    if (list_empty(&s->listings))
        return false;
    struct request_rooms *q = container_of(s->listings.next, struct request_rooms, link);
    bool more = true;
    enum err e = OK;
    for (int i = 0; !e && i < LISTED_PER_TURN && (more = list_next(q)); i++)
        e = q->json.failed ? ERR_INTERNAL : q->json.n >= q->max_bytes ? ERR_LIMIT : OK;
    if (!e && !more)
        buf_char(&q->json, '}');
    if (e || !more)
        end_listing(s, q, q->json.failed ? ERR_INTERNAL : e);
    return !list_empty(&s->listings);
}
