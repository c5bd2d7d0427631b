/* SPDX-License-Identifier: MIT */
/* What is never stored: it reaches who is in the room now, on all gateways, or is let go. */
#include "backplane/base/json.h"
#include "backplane/base/log.h"
#include "backplane/seq_private.h"

#include <stdlib.h>

#define SIGNAL_PUSH "m" /* the text is a push */

static void to_hubs(struct sequencer *s, struct seq_room *room, struct msg *m)
{
    for (uint32_t i = 0; i < s->rooms.hubs; i++) {
        struct interest *in = &room->hubs[i];
        if (in->members && !interest_left_out(in))
            (void)seq_push(s, in, m); /* one that finds no room is worth nothing later */
    }
}

static void sent(void *owner, struct share *share)
{
    (void)owner;
    free(share);
}

static void to_others(struct sequencer *s, struct span room, const struct msg *m)
{
    struct share *share = calloc(1, sizeof(*share));
    if (!share)
        return;
    share->verb = SHARE_SIGNAL;
    share->room = room;
    share->words[share->count++] = SPAN(SIGNAL_PUSH);
    share->words[share->count++] = msg_text(m);
    share->done = sent;
    s->driver->ops->share(s->driver, share);
}

void seq_on_signal(struct sequencer *s, struct request *r)
{
    struct request_signal *sig = (struct request_signal *)r;
    enum err e = seq_refuse_words(s, sig->who, sig->room, NULL);
    struct seq_room *room = e ? NULL : seq_rooms_find(&s->rooms, sig->room);
    if (room)
        to_hubs(s, room, sig->msg);
    if (!e && s->driver->ops->shared)
        to_others(s, sig->room, sig->msg);
    seq_answer(s, r, e);
}

/* Anybody may have written it: it must be one line of JSON, or clients would stumble. */
static struct msg *msg_from(struct span text)
{
    struct span v;
    if (memchr(text.p, '\n', text.n) || memchr(text.p, '\r', text.n) ||
        !json_document(text, JSON_MAX_DEPTH, &v) || v.p[0] != '{')
        return NULL;
    struct msg *m = msg_new(v.n);
    if (!m)
        return NULL;
    msg_add(m, v.p, v.n);
    m->kind = MSG_OTHER;
    msg_seal(m);
    return m;
}

void seq_signalled(void *owner, struct stream_ref *ref, struct span what, struct span text)
{
    struct sequencer *s = owner;
    bool came = span_eq(what, SPAN(SIGNAL_JOIN));
    if (seq_control_is(s, ref) && span_eq(what, SPAN(SIGNAL_OUTNUMBERED))) {
        seq_claims_outnumbered(s, text);
        return;
    }
    if (seq_control_is(s, ref) || seq_survey_is(s, ref)) {
        seq_survey_signalled(s, what, text);
        return;
    }
    if (!text.n)
        return;
    if (came || span_eq(what, SPAN(SIGNAL_LEAVE)))
        seq_heard_of(s, seq_room_of(ref), text, came);
    if (!span_eq(what, SPAN(SIGNAL_PUSH)))
        return;
    struct msg *m = msg_from(text);
    if (m)
        to_hubs(s, seq_room_of(ref), m);
    else
        log_warn("a signal of another program is no push");
    msg_unref(m);
}
