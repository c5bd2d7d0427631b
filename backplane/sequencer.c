/* SPDX-License-Identifier: MIT */
#include "backplane/sequencer.h"

#include "backplane/base/loop.h"
#include "backplane/push.h"
#include "backplane/recovery.h"
#include "backplane/seq_private.h"

#include <assert.h>
#include <stdlib.h>

/* A fill reads this much at a time, and a hub gets this many reads per turn, so that a hub that
 * fell behind in many rooms does not hold up the others. */
#define FILL_BYTES     (256 * 1024)
#define FILL_COUNT     1024
#define FILLS_PER_TURN 16

struct fill {
    struct stream_read read;
    struct interest *interest;
    uint8_t hub;
};

static uint8_t hub_of(const struct interest *in)
{
    return (uint8_t)(in - in->room->hubs);
}

/* ---- towards the hubs ---------------------------------------------------------------------- */

static void miss(struct sequencer *s, struct interest *in)
{
    if (!list_linked(&in->missed))
        list_push(&s->ports[hub_of(in)].missed, &in->missed);
}

bool seq_push(struct sequencer *s, struct interest *in, struct msg *m)
{
    struct port *p = &s->ports[hub_of(in)];
    bool was_behind = p->behind;
    bool sent = port_push(p, in->handle, m, s->config.hub_inbox_bytes);
    if (p->behind && !was_behind)
        counter_add(&s->counters.behind, 1);
    return sent;
}

/* Publications: what cannot be posted now is filled from the stream later, or told as lost. */
static void push_publication(struct sequencer *s, struct interest *in, struct msg *m,
                             const struct position *at)
{
    if (!interest_left_out(in) && seq_push(s, in, m)) {
        in->sent = *at;
        return;
    }
    if (!at->offset)
        in->lost = true;
    if (!in->filling)
        miss(s, in);
}

void seq_lose(struct sequencer *s, struct interest *in)
{
    in->lost = true;
    miss(s, in);
}

/* ---- subscriptions ------------------------------------------------------------------------- */

/* Who is in the room or on the way into it wants to hear of its publications. */
static bool watch(struct sequencer *s, struct seq_room *room)
{
    if (!room->watchers && !s->driver->ops->watch(s->driver, &room->ref))
        return false;
    room->watchers++;
    return true;
}

static void unwatch(struct sequencer *s, struct seq_room *room)
{
    if (!--room->watchers)
        s->driver->ops->unwatch(s->driver, &room->ref);
}

/* Subscribes that waited until the hub had caught up begin anew. */
static void resume_waiting(struct sequencer *s, struct interest *in)
{
    for (struct request_subscribe *sub; (sub = interest_resume(in));)
        s->driver->ops->read(s->driver, &sub->read);
}

static void on_subscribe(struct sequencer *s, struct request *r)
{
    struct request_subscribe *sub = (struct request_subscribe *)r;
    struct seq_room *room = seq_rooms_hold(&s->rooms, sub->room);
    if (!room) {
        seq_answer(s, r, ERR_LIMIT);
        return;
    }
    if (!watch(s, room)) {
        seq_answer(s, r, ERR_INTERNAL);
        seq_room_release(&s->rooms, room);
        return;
    }
    sub->member->subscribing = true; /* and watching: until it has failed or the member has left */
    sub->ticket = room->hubs[r->hub].tickets++;
    sub->read.purpose = FOR_SUBSCRIBE;
    sub->read.reverse = sub->newest_only;
    sub->read.since = sub->newest_only ? UINT64_MAX : sub->since.offset;
    sub->read.max_count = !sub->recover ? 0 : sub->newest_only ? 1 : UINT32_MAX;
    seq_begin_read(s, &sub->read, room);
}

static void join(struct sequencer *s, struct seq_room *room, struct request_subscribe *sub)
{
    struct member *m = sub->member;
    struct interest *in = &room->hubs[sub->request.hub];
    if (!in->members++) {
        in->handle = sub->handle;
        in->sent = sub->read.top;
        in->lost = false;
    }
    s->rooms.occupied += !room->members++;
    m->room = room;
    m->joined = true;
    m->announce = sub->announce;
    m->join_leave = sub->join_leave;
    in->listeners += m->join_leave;
    room->listeners += m->join_leave;
    if (m->join_leave)
        seq_roster_wanted(s, room, true);
}

static void leave(struct sequencer *s, struct member *m, uint8_t hub)
{
    struct seq_room *room = m->room;
    if (!m->joined)
        return;
    m->joined = false;
    struct interest *in = &room->hubs[hub];
    room->busy++; /* stays until everything below is done */
    in->listeners -= m->join_leave;
    room->listeners -= m->join_leave;
    seq_roster_wanted(s, room, room->listeners);
    s->rooms.occupied -= !--room->members;
    if (!--in->members) {
        in->handle = NULL;
        list_del(&in->missed);
        if (!in->filling)
            resume_waiting(s, in);
    }
    const struct client_info *client = m->present.client;
    presence_remove(&room->presence, &m->present);
    if (client)
        seq_left(s, room, client);
    if (client && m->announce)
        seq_announce(s, room, MSG_LEAVE, client);
    m->room = NULL;
    unwatch(s, room);
    seq_room_release(&s->rooms, room);
}

/* When the subscribe that is under way has been served. */
static void leave_later(struct sequencer *s, struct member *m, struct request *r)
{
    m->leaving = r;
    m->asked_before = s->asked;
}

static void end_one(struct sequencer *s, struct request_end *end, struct member *m)
{
    if (m->subscribing) {
        leave_later(s, m, &end->request);
        end->waiting++;
    } else {
        leave(s, m, end->request.hub);
    }
}

/* Carries out what had to wait for the subscribe. */
static void after_subscribe(struct sequencer *s, struct member *m)
{
    struct request *r = m->leaving;
    m->leaving = NULL;
    m->subscribing = false;
    if (!r)
        return;
    leave(s, m, r->hub);
    if (r->entry.kind == REQUEST_END && --((struct request_end *)r)->waiting)
        return;
    seq_answer(s, r, OK);
}

static enum err settle(struct sequencer *s, struct request_subscribe *sub, struct seq_room *room)
{
    enum err e = sub->read.error;
    if (e == ERR_NOT_AVAILABLE && !sub->read.limits.count)
        e = OK; /* no stream was asked for */
    if (e)
        return e;
    e = seq_refuse_entry(s, client_info_user(sub->client), sub->room, &sub->why);
    if (e)
        return e;
    sub->recovered = sub->recover && recovered(sub);
    if (!sub->recovered)
        stream_read_deinit(&sub->read);
    if (sub->recover && !sub->recovered && sub->refuse_unrecovered)
        return ERR_UNRECOVERABLE;
    if (sub->presence)
        e = presence_add(&room->presence, &sub->member->present, sub->client);
    if (!e)
        join(s, room, sub);
    if (!e && sub->presence)
        seq_entered(s, room, sub->client, sub->announce);
    return e;
}

/* True if a subscribe has to wait: while the hub is left out, because its position would lie ahead
 * of what the hub has seen; and behind those that came before it, because a client's leave must not
 * come after its next join. */
static bool postponed(struct interest *in, struct request_subscribe *sub)
{
    if (!interest_left_out(in) && sub->ticket == in->served)
        return false;
    stream_read_deinit(&sub->read);
    interest_postpone(in, sub);
    return true;
}

static void subscribe_read(struct sequencer *s, struct stream_read *r)
{
    struct request_subscribe *sub = container_of(r, struct request_subscribe, read);
    struct seq_room *room = seq_room_of(r->room);
    struct interest *in = &room->hubs[sub->request.hub];
    if (postponed(in, sub))
        return;
    in->served++;
    struct member *m = sub->member;
    const struct client_info *client = sub->client;
    enum err e = settle(s, sub, room);
    bool announce = !e && sub->presence && sub->announce;
    if (e) {
        stream_read_deinit(r);
        unwatch(s, room);
    }
    seq_answer(s, &sub->request, e);
    if (announce) /* the joiner hears of itself too, after the reply */
        seq_announce(s, room, MSG_JOIN, client);
    seq_answer_presence(s, in, m->leaving ? m->asked_before : s->asked);
    after_subscribe(s, m);
    seq_answer_presence(s, in, s->asked);
    if (!interest_left_out(in))
        resume_waiting(s, in);
    seq_room_release(&s->rooms, room);
}

static void on_unsubscribe(struct sequencer *s, struct request *r)
{
    struct member *m = ((struct request_unsubscribe *)r)->member;
    if (m->subscribing) {
        leave_later(s, m, r);
        return;
    }
    leave(s, m, r->hub);
    seq_answer(s, r, OK);
}

static void on_end(struct sequencer *s, struct request *r)
{
    struct request_end *end = (struct request_end *)r;
    end->waiting = 0;
    for (struct member *m = end->members; m; m = m->next)
        end_one(s, end, m);
    if (!end->waiting)
        seq_answer(s, r, OK);
}

/* ---- publications -------------------------------------------------------------------------- */

static void published(void *owner, struct stream_ref *ref, struct msg *m, const struct position *at)
{
    struct sequencer *s = owner;
    if (seq_control_is(s, ref)) {
        seq_control_published(s, m, at);
        return;
    }
    if (seq_survey_is(s, ref))
        return; /* nothing of ours */
    struct seq_room *room = seq_room_of(ref);
    counter_add(&s->counters.publications, 1);
    if (at->offset)
        room->top = *at;
    for (uint32_t i = 0; i < s->rooms.hubs; i++)
        if (room->hubs[i].members)
            push_publication(s, &room->hubs[i], m, at);
}

/* What no stream holds any more is told to every hub in its turn, as what a hub has missed. */
static void lost(void *owner, struct stream_ref *ref, const struct position *top)
{
    struct sequencer *s = owner;
    if (seq_control_is(s, ref)) {
        seq_control_lost(s, top);
        return;
    }
    if (seq_survey_is(s, ref))
        return;
    struct seq_room *room = seq_room_of(ref);
    room->top = *top;
    for (uint32_t i = 0; i < s->rooms.hubs; i++) {
        struct interest *in = &room->hubs[i];
        if (!in->members)
            continue;
        in->lost = true;
        if (!in->filling)
            miss(s, in);
    }
}

/* ---- filling hubs that were behind --------------------------------------------------------- */

static void on_drained(struct sequencer *s, struct request *r)
{
    s->ports[r->hub].behind = false; /* fill_some, at the end of the turn, does the rest */
}

static void tell_lost(struct sequencer *s, struct interest *in)
{
    if (!port_insufficient(&s->ports[hub_of(in)], in->handle)) {
        in->lost = true; /* no memory now: once more in a later turn */
        miss(s, in);
        return;
    }
    counter_add(&s->counters.insufficient, 1);
    in->lost = false;
    if (in->room->top.offset) /* else nothing was published since the hub's first member came */
        in->sent = in->room->top;
    resume_waiting(s, in);
}

static void start_fill(struct sequencer *s, struct interest *in)
{
    if (in->lost) {
        tell_lost(s, in);
        return;
    }
    struct fill *f = calloc(1, sizeof(*f));
    if (!f) {
        miss(s, in);
        return;
    }
    f->interest = in;
    f->hub = hub_of(in);
    f->read.purpose = FOR_FILL;
    f->read.limits = in->room->limits;
    f->read.since = in->sent.offset;
    f->read.max_count = FILL_COUNT;
    f->read.max_bytes = FILL_BYTES;
    in->filling = true;
    in->room->busy++;
    counter_add(&s->counters.fills, 1);
    f->read.room = &in->room->ref;
    s->driver->ops->read(s->driver, &f->read);
}

static void post_fill(struct sequencer *s, struct interest *in, const struct stream_read *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (!seq_push(s, in, r->pubs[i]))
            break;
        in->sent.offset = r->pubs[i]->offset;
    }
    if (in->sent.offset < in->room->top.offset || in->lost)
        miss(s, in);
    else
        resume_waiting(s, in);
}

static void fill_read(struct sequencer *s, struct stream_read *r)
{
    struct fill *f = container_of(r, struct fill, read);
    struct interest *in = f->interest;
    struct seq_room *room = in->room;
    in->filling = false;
    if (!in->members)
        resume_waiting(s, in);
    else if (interest_joins_up(in, r))
        post_fill(s, in, r);
    else
        tell_lost(s, in);
    stream_read_deinit(r);
    free(f);
    seq_room_release(&s->rooms, room);
}

/* True if anything was begun or is left: the driver tells in its next turn. */
static bool fill_some(struct sequencer *s)
{
    bool more = false;
    for (uint32_t i = 0; i < s->rooms.hubs; i++) {
        struct port *p = &s->ports[i];
        for (int n = 0; n < FILLS_PER_TURN && !p->behind && !list_empty(&p->missed); n++) {
            start_fill(s, container_of(list_shift(&p->missed), struct interest, missed));
            more = true;
        }
    }
    return more;
}

/* ---- the actor ----------------------------------------------------------------------------- */

static void read_done(void *owner, struct stream_read *r)
{
    static void (*const done[])(struct sequencer *, struct stream_read *) = {
        [FOR_SUBSCRIBE] = subscribe_read, [FOR_HISTORY] = seq_history_read, [FOR_FILL] = fill_read,
        [FOR_CONTROL] = seq_control_read, [FOR_SURVEY] = seq_survey_read,
    };
    bool of_room = r->purpose != FOR_CONTROL && r->purpose != FOR_SURVEY;
    if (!r->error && of_room)
        seq_room_of(r->room)->top = r->top;
    done[r->purpose](owner, r);
}

static void forgot(void *owner)
{
    seq_presence_doubt_all(owner, true); /* the rest asks anew each time it returns */
}

static void returned(void *owner)
{
    seq_control_returned(owner);
    seq_shared_returned(owner);
    seq_claims_doubt(owner, true);
}

static void hearing(void *owner)
{
    seq_presence_doubt_all(owner, false);
    seq_claims_doubt(owner, false);
}

static const struct driver_events events = {
    .forgot = forgot,
    .returned = returned,
    .recorded = seq_control_recorded,
    .hearing = hearing,
    .signalled = seq_signalled,
    .published = published,
    .lost = lost,
    .committed = seq_committed,
    .read_done = read_done,
    .removed = seq_removed,
    .redacted = seq_redacted,
    .followed = seq_followed,
};

static void (*const handlers[REQUEST_KINDS])(struct sequencer *, struct request *) = {
    [REQUEST_PUBLISH] = seq_on_publish,     [REQUEST_SUBSCRIBE] = on_subscribe,
    [REQUEST_UNSUBSCRIBE] = on_unsubscribe, [REQUEST_PRESENCE] = seq_on_presence,
    [REQUEST_HISTORY] = seq_on_history,     [REQUEST_REMOVE] = seq_on_remove,
    [REQUEST_ROOMS] = seq_on_rooms,         [REQUEST_SIGNAL] = seq_on_signal,
    [REQUEST_CONTROL] = seq_on_control,     [REQUEST_END] = on_end,
    [REQUEST_ARRIVE] = seq_on_arrive,       [REQUEST_DEPART] = seq_on_depart,
    [REQUEST_SPEND] = seq_on_spend,         [REQUEST_DRAINED] = on_drained,
    [REQUEST_REDACT] = seq_on_redact,       [REQUEST_SANCTION] = seq_on_sanction,
    [REQUEST_SANCTIONS] = seq_on_sanctions, [REQUEST_GATEWAYS] = seq_on_gateways,
    [REQUEST_PACE] = seq_on_pace,           [REQUEST_FOLLOW] = seq_on_follow,
    [REQUEST_BACKUP] = seq_on_backup,       [REQUEST_RULES] = seq_on_rules,
};

static bool turn(struct actor *a)
{
    struct sequencer *s = container_of(a, struct sequencer, actor);
    struct entry *e = inbox_take(&s->inbox);
    while (e) {
        struct entry *next = e->next;
        uint32_t kind = e->kind == HUB_BEHIND ? (uint32_t)REQUEST_DRAINED : e->kind;
        handlers[kind](s, container_of(e, struct request, entry));
        e = next;
    }
    seq_moderate_turn(s);
    bool more = s->driver->ops->turn(s->driver, loop_now_ms(s->loop));
    more |= fill_some(s);
    more |= seq_list_rooms(s);
    more |= seq_survey_turn(s);
    counter_set(&s->counters.rooms, s->rooms.count);
    counter_set(&s->counters.occupied, s->rooms.occupied);
    counter_set(&s->counters.stream_bytes, s->driver->ops->bytes(s->driver));
    return more;
}

static void flush(struct actor *a)
{
    struct sequencer *s = container_of(a, struct sequencer, actor);
    for (uint32_t i = 0; i < s->rooms.hubs; i++)
        outbox_flush(&s->ports[i].out);
}

enum err sequencer_new(struct sequencer **out, struct loop *loop,
                       const struct sequencer_config *config)
{
    struct sequencer *s = calloc(1, sizeof(*s));
    if (!s)
        return ERR_INTERNAL;
    s->loop = loop;
    s->config = *config;
    s->users.ports = s->ports;
    ledger_init(&s->ledger, LEDGER_MAX, config->driver->shared);
    sanctions_init(&s->sanctions, config->max_sanctions);
    pace_init(&s->pace, config->max_sanctions);
    struct driver_config dc = {
        .events = &events,
        .owner = s,
        .max_stream_bytes = config->max_stream_bytes,
        .loop = loop,
        .settings = config->driver_settings,
    };
    enum err e = config->driver->open(&s->driver, &dc);
    if (e) {
        sanctions_deinit(&s->sanctions);
        pace_deinit(&s->pace);
        free(s);
        return e;
    }
    (void)s->driver->ops->turn(s->driver, loop_now_ms(loop)); /* tells it the time */
    inbox_init(&s->inbox, loop);
    seq_rooms_init(&s->rooms, s->driver, config->max_rooms);
    list_init(&s->listings);
    list_init(&s->control.unheard);
    seq_survey_open(s);
    s->actor.turn = turn;
    s->actor.flush = flush;
    loop_add(loop, &s->actor);
    *out = s; /* config.describe may look at it before all is there */
    s->queues = queue_desk_new(loop, s->driver);
    seq_shared_open(s);
    seq_claims_open(s);
    e = s->queues ? seq_control_open(s) : ERR_INTERNAL;
    if (!e)
        return OK;
    *out = NULL;
    sequencer_free(s);
    return e;
}

uint8_t sequencer_add_hub(struct sequencer *s, struct inbox *hub)
{
    assert(s->rooms.hubs < HUBS_MAX && !s->rooms.count);
    uint8_t index = (uint8_t)s->rooms.hubs++;
    port_init(&s->ports[index], s->loop, hub, index);
    return index;
}

struct inbox *sequencer_inbox(struct sequencer *s)
{
    return &s->inbox;
}

const struct driver *sequencer_driver(const struct sequencer *s)
{
    return s->driver;
}

const struct sequencer_counters *sequencer_counters(const struct sequencer *s)
{
    return &s->counters;
}
