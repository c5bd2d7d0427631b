/* SPDX-License-Identifier: MIT */
#include "gateway/hub.h"

#include "backplane/base/log.h"
#include "backplane/sequencer.h"
#include "gateway/arrival.h"
#include "gateway/credentials.h"
#include "gateway/errand.h"
#include "gateway/input.h"
#include "gateway/methods.h"
#include "gateway/order.h"
#include "gateway/session.h"
#include "gateway/socket.h"
#include "gateway/told.h"

#include <stdlib.h>
#include <unistd.h>

/* How long a flush may last before sockets and timers get their share again, and how many frames
 * are written between two looks at the clock: what a write costs depends on the machine. */
#define FLUSH_NS     1500000
#define FLUSH_WRITES 64
/* While so many requests are under way on other threads, a flush waits for what they bring, asleep
 * and hardly longer than a flush may last. */
#define AWAITED_REQUESTS 16
#define AWAITED_MS       2
/* Subscriptions told per tick that they lost publications: they all come back at once. */
#define TELL_PER_TICK            256
#define TELL_TICK_MS             50
#define SLOW_CHECK_MS            500
#define UNSUBSCRIBE_INSUFFICIENT 2500
/* Pushes taken from the inbox wait for their flush, at most so many inboxes full of them. */
#define PENDING_INBOXES   4
#define PENDING_BYTES_MIN (1024 * 1024)
/* Slow readers closed in one turn for the hub's bound: finding each looks at all of them. */
#define LARGEST_PER_TURN 64

/* ---- requests ------------------------------------------------------------------------------- */

bool hub_has_credit(const struct hub *h)
{
    return h->credits_used < h->options->hub_credits && h->awaited < h->options->hub_queue_bytes;
}

/* Of a room in a list, roughly. */
#define FOLLOW_LINE_BYTES 200

/* The bytes that an answer may have, of those that hold more than a line. */
static size_t answer_bytes(const struct request *r)
{
    switch (r->entry.kind) {
    case REQUEST_SUBSCRIBE: {
        const struct request_subscribe *sub = (const struct request_subscribe *)r;
        return sub->recover ? sub->read.max_bytes : 0;
    }
    case REQUEST_HISTORY: {
        const struct request_history *q = (const struct request_history *)r;
        return q->read.max_count ? q->read.max_bytes : 0;
    }
    case REQUEST_PRESENCE: {
        const struct request_presence *q = (const struct request_presence *)r;
        return q->stats_only ? 0 : q->max_bytes;
    }
    case REQUEST_FOLLOW: {
        const struct request_follow *q = (const struct request_follow *)r;
        return q->room.n ? 0 : q->follow.max_count * FOLLOW_LINE_BYTES;
    }
    default: return 0;
    }
}

void hub_ask(struct hub *h, struct request *r, enum request_kind kind,
             void (*answered)(struct hub *h, struct request *r))
{
    r->entry.kind = kind;
    r->entry.weight = 0;
    r->hub = h->port;
    r->answered = answered;
    h->credits_used++;
    outbox_post(&h->to_sequencer, &r->entry);
}

static void answered_end(struct hub *h, struct request *r)
{
    struct member *m = ((struct request_end *)r)->members;
    while (m) {
        struct member *next = m->next;
        subscription_free(h, container_of(m, struct subscription, member));
        m = next;
    }
}

/* What is done with the answers to sessions. */
static void (*const answered[REQUEST_KINDS])(struct hub *, struct request *) = {
    [REQUEST_PUBLISH] = answered_publish,         [REQUEST_SUBSCRIBE] = answered_subscribe,
    [REQUEST_UNSUBSCRIBE] = answered_unsubscribe, [REQUEST_PRESENCE] = answered_presence,
    [REQUEST_HISTORY] = answered_history,         [REQUEST_SIGNAL] = answered_signal,
    [REQUEST_FOLLOW] = answered_follow,           [REQUEST_ARRIVE] = answered_arrive,
    [REQUEST_DEPART] = answered_depart,           [REQUEST_END] = answered_end,
};

static void bury(struct session *s)
{
    if (session_over(s))
        session_free(s);
}

void hub_hold(struct session *s)
{
    s->in_flight++;
}

void hub_let_go(struct session *s)
{
    s->in_flight--;
    session_nudge(s);
    bury(s);
}

static void answered_session(struct hub *h, struct request *r)
{
    struct session *s = r->owner;
    s->awaited -= answer_bytes(r);
    h->awaited -= answer_bytes(r);
    answered[r->entry.kind](h, r); /* frees r, but for the one embedded in the session */
    hub_let_go(s);
}

void hub_request(struct hub *h, struct session *s, struct request *r, enum request_kind kind,
                 uint32_t id)
{
    r->id = id;
    r->owner = s;
    r->entry.kind = kind;
    hub_hold(s);
    s->awaited += answer_bytes(r);
    h->awaited += answer_bytes(r);
    hub_ask(h, r, kind, answered_session);
}

static void on_answer(struct hub *h, struct entry *e)
{
    struct request *r = container_of(e, struct request, entry);
    h->credits_used--;
    r->answered(h, r);
}

static void on_control(struct hub *h, struct entry *e)
{
    struct control *c = container_of(e, struct control_entry, entry)->control;
    order_carry_out(h, c);
    control_unref(c);
}

/* ---- pushes --------------------------------------------------------------------------------- */

static void on_push(struct hub *h, struct entry *e)
{
    struct push_entry *p = container_of(e, struct push_entry, entry);
    rooms_push(&h->rooms, p->handle, p->msg);
    msg_unref(p->msg);
    free(p);
}

static void tell_some(struct timer *t)
{
    struct hub *h = container_of(t, struct hub, tell_timer);
    for (int i = 0; i < TELL_PER_TICK && !list_empty(&h->told); i++) {
        struct subscription *sub = container_of(list_shift(&h->told), struct subscription, told);
        if (!session_alive(sub->session))
            continue;
        if (sub->server_side) /* the client has nothing to come back to by itself */
            session_close(sub->session, CLOSE_INSUFFICIENT);
        else
            unsubscribe_with(sub, UNSUBSCRIBE_INSUFFICIENT, SPAN("insufficient state"));
    }
    if (!list_empty(&h->told))
        loop_arm(h->loop, t, TELL_TICK_MS, tell_some);
}

static void will_tell(void *owner, struct sub *s)
{
    struct hub *h = owner;
    struct subscription *sub = container_of(s, struct subscription, sub);
    list_push(&h->told, &sub->told);
    if (!timer_armed(&h->tell_timer))
        loop_arm(h->loop, &h->tell_timer, TELL_TICK_MS, tell_some);
}

/* Publications of the room were lost. From now on its subscribers get nothing more, so that none
 * takes a later publication for the next one; they are told one after the other and come back. */
static void lost(void *owner, struct room *room)
{
    room_deactivate_all(room, will_tell, owner);
}

/* There are more pushes than can be sent. */
static void overrun(void *owner, struct room *room)
{
    struct hub *h = owner;
    counter_add(&h->counters.overruns, 1);
    lost(h, room);
}

static void on_insufficient(struct hub *h, struct entry *e)
{
    struct push_entry *p = container_of(e, struct push_entry, entry);
    lost(h, p->handle);
    free(p);
}

static void on_behind(struct hub *h, struct entry *e)
{
    h->behind = e;
}

/* What was taken from the inbox must have left too, or fills would only pile up here. */
static void tell_drained(struct hub *h)
{
    if (!h->behind || h->rooms.bytes > h->rooms.max_bytes / 2)
        return;
    outbox_post(&h->to_sequencer, h->behind);
    h->behind = NULL;
}

static void deliver(void *owner, struct sub *s, struct msg *frame)
{
    (void)owner;
    session_deliver(container_of(s, struct subscription, sub)->session, frame);
}

static const struct rooms_events events = {deliver, overrun};

/* ---- what the inbox brings ------------------------------------------------------------------ */

static void on_evict(struct hub *h, struct entry *e)
{
    (void)h;
    struct tenant *t = container_of(e, struct tenant, evict);
    session_close(container_of(t, struct credentials, tenant)->session, CLOSE_CONNECTION_LIMIT);
}

static void (*const handlers[HUB_ENTRY_KINDS])(struct hub *, struct entry *) = {
    [HUB_PUSH] = on_push,     [HUB_BEHIND] = on_behind,   [HUB_INSUFFICIENT] = on_insufficient,
    [HUB_SHED] = told_shed,   [HUB_CONTROL] = on_control, [HUB_SOCKET] = told_socket,
    [HUB_DRAIN] = told_drain, [HUB_CUT] = told_cut,       [HUB_RENEW] = told_renewal,
    [HUB_EVICT] = on_evict,   [HUB_ERRAND] = errand_run,
};

static void handle(struct hub *h, struct entry *e)
{
    if (e->kind < REQUEST_KINDS)
        on_answer(h, e);
    else
        handlers[e->kind](h, e);
}

/* ---- steps of a turn ------------------------------------------------------------------------ */

static void take_inbox(struct hub *h)
{
    struct entry *e = inbox_take(&h->inbox);
    while (e) {
        struct entry *next = e->next;
        handle(h, e);
        e = next;
    }
}

static void close_sessions(struct hub *h)
{
    struct list due;
    list_init(&due);
    list_splice(&due, &h->to_close);
    for (struct list *n; (n = list_shift(&due));) {
        struct session *s = container_of(n, struct session, todo);
        session_begin_close(s);
        bury(s);
    }
}

static void feed_starved(struct hub *h)
{
    struct list due;
    list_init(&due);
    list_splice(&due, &h->starved);
    while (hub_has_credit(h)) {
        struct list *n = list_shift(&due);
        if (!n)
            break;
        session_resume(container_of(n, struct session, todo));
    }
    list_splice(&h->starved, &due);
}

/* Of sessions that are not about to give them up anyway. */
static size_t waiting_bytes(const struct hub *h)
{
    size_t bytes = 0;
    for (struct list *n = h->backlogged.next; n != &h->backlogged; n = n->next) {
        const struct session *s = container_of(n, struct session, backlog_link);
        bytes += s->closing ? 0 : s->out->bytes;
    }
    return bytes;
}

/* Over the hub's bound the sessions with most bytes waiting go first. */
static void shed_load(struct hub *h)
{
    size_t over = h->queued_bytes > h->options->hub_queue_bytes ? waiting_bytes(h) : 0;
    for (int i = 0; over > h->options->hub_queue_bytes && i < LARGEST_PER_TURN; i++) {
        struct session *largest = NULL;
        for (struct list *n = h->backlogged.next; n != &h->backlogged; n = n->next) {
            struct session *s = container_of(n, struct session, backlog_link);
            if (!s->closing && (!largest || s->out->bytes > largest->out->bytes))
                largest = s;
        }
        if (!largest)
            return;
        over -= largest->out->bytes;
        session_close(largest, CLOSE_SLOW);
    }
}

static void flush_replies(struct hub *h)
{
    while (!list_empty(&h->replying))
        session_flush_replies(container_of(h->replying.next, struct session, reply_link));
}

/* True if the flush waits for answers, which come with pushes for everybody: sent together, they
 * cost a session one write. The loop sleeps meanwhile, so that others have the core. With few
 * requests under way, as long as there is not much to do, nothing waits. */
static bool await_answers(struct hub *h)
{
    bool idle = list_empty(&h->rooms.dirty) && list_empty(&h->replying);
    uint64_t now = loop_now_ms(h->loop);
    if (idle || h->flushing || h->credits_used < AWAITED_REQUESTS) {
        h->waits_since_ms = 0;
        return false;
    }
    if (!h->waits_since_ms)
        h->waits_since_ms = now;
    uint64_t waited = now - h->waits_since_ms;
    h->had_input = false; /* nor is there a second wait, for input, behind this one */
    if (waited >= AWAITED_MS) {
        h->waits_since_ms = 0;
        return false;
    }
    loop_soon(h->loop, AWAITED_MS - waited);
    return true;
}

/* True if the flush should wait for more input. One that is under way does not: what arrives
 * meanwhile is batched anyway. */
static bool defer(struct hub *h)
{
    bool more = h->had_input && !h->flushing;
    h->had_input = false;
    return gather_on(&h->gather, more);
}

/* True if something is left. */
static bool flush_rooms(struct hub *h)
{
    uint64_t until = uv_hrtime() + FLUSH_NS;
    do
        h->flushing = rooms_flush(&h->rooms, FLUSH_WRITES);
    while (h->flushing && uv_hrtime() < until);
    return h->flushing;
}

/* True if it waits, or something is left. */
static bool flush_output(struct hub *h)
{
    if (defer(h))
        return true;
    bool more = flush_rooms(h);
    flush_replies(h); /* of those who got nothing else: see hub.h */
    return more;
}

/* Nothing is under way, and nobody waits for a word; who does not take it is cut in the end. */
static bool is_idle(const struct hub *h)
{
    return !hub_sessions(h) && !h->api.calls && !h->queues.calls && !h->parties.reports &&
           (h->cut || !h->api.answers);
}

static bool turn(struct actor *a)
{
    struct hub *h = container_of(a, struct hub, actor);
    counter_add(&h->counters.turns, 1);
    h->rooms.now_ms = loop_now_ms(h->loop);
    take_inbox(h);
    feed_starved(h);
    bool calls = api_turn(h);
    shed_load(h);
    close_sessions(h);
    bool more = !await_answers(h) && flush_output(h);
    tell_drained(h);
    counter_set(&h->counters.rooms, h->rooms.count);
    counter_set(&h->counters.pending_bytes, h->rooms.bytes);
    counter_set(&h->counters.input_bytes, h->input_bytes);
    counter_set(&h->counters.api_bytes, h->api.bytes);
    counter_set(&h->counters.requests, h->credits_used);
    counter_set(&h->counters.users, h->users.count);
    if (h->draining && is_idle(h) && h->on_empty) {
        void (*on_empty)(void *) = h->on_empty;
        h->on_empty = NULL;
        loop_cancel(h->loop, &h->drain_timer);
        on_empty(h->owner);
    }
    return more || calls || !list_empty(&h->to_close);
}

static void flush(struct actor *a)
{
    outbox_flush(&container_of(a, struct hub, actor)->to_sequencer);
}

/* Closes who has not taken anything for too long. */
static void check_slow(struct timer *t)
{
    struct hub *h = container_of(t, struct hub, slow_timer);
    uint64_t now = loop_now_ms(h->loop);
    for (struct list *n = h->backlogged.next; n != &h->backlogged; n = n->next) {
        struct session *s = container_of(n, struct session, backlog_link);
        uint64_t oldest = outq_oldest_ms(s->out);
        if (oldest < now && now - oldest > h->options->queue_ms)
            session_close(s, CLOSE_SLOW);
    }
    loop_arm(h->loop, t, SLOW_CHECK_MS, check_slow);
}

/* ---- life ----------------------------------------------------------------------------------- */

bool hub_fit(struct hub *h, const struct options *o)
{
    size_t bytes = o->command_size > SOCKET_TX ? o->command_size : SOCKET_TX;
    char *scratch = bytes > h->scratch_bytes ? malloc(bytes) : h->scratch;
    if (!scratch)
        return false;
    if (scratch != h->scratch)
        free(h->scratch);
    h->scratch = scratch;
    h->scratch_bytes = bytes > h->scratch_bytes ? bytes : h->scratch_bytes;
    return true;
}

uint32_t hub_sessions(const struct hub *h)
{
    uint32_t n = 0;
    for (int i = 0; i < SESSION_STATES; i++)
        n += h->sessions[i].count;
    return n;
}

static size_t pending_bytes(const struct options *o)
{
    size_t n = o->hub_inbox_bytes * PENDING_INBOXES;
    return n > PENDING_BYTES_MIN ? n : PENDING_BYTES_MIN;
}

enum err hub_new(struct hub **out, struct loop *loop, struct gateway *g, struct sequencer *s)
{
    struct hub *h = calloc(1, sizeof(*h));
    if (!h)
        return ERR_INTERNAL;
    h->ping = msg_new(2);
    if (!hub_fit(h, g->settings->options) || !h->ping) {
        free(h->scratch);
        msg_unref(h->ping);
        free(h);
        return ERR_INTERNAL;
    }
    msg_lit(h->ping, "{}");
    msg_seal(h->ping);
    h->loop = loop;
    h->gateway = g;
    h->settings = settings_ref(g->settings);
    h->options = h->settings->options;
    h->keys = g->keys ? keys_ref(g->keys) : NULL;
    inbox_init(&h->inbox, loop);
    h->port = sequencer_add_hub(s, &h->inbox);
    outbox_init(&h->to_sequencer, loop, sequencer_inbox(s));
    rooms_init(&h->rooms, &events, h, pending_bytes(h->options), h->options->queue_ms);
    for (int i = 0; i < SESSION_STATES; i++)
        list_init(&h->sessions[i].head);
    lobby_init(&h->lobby);
    list_init(&h->to_close);
    list_init(&h->starved);
    list_init(&h->replying);
    list_init(&h->backlogged);
    list_init(&h->told);
    later_init(&h->later);
    list_init(&h->inputs);
    api_desk_init(&h->api);
    parties_init(&h->parties);
    h->actor.turn = turn;
    h->actor.flush = flush;
    queue_window_open(&h->queues, sequencer_queues(s), loop); /* answers come before our turn */
    loop_add(loop, &h->actor);
    *out = h;
    return OK;
}

enum err hub_open(struct hub *h)
{
    loop_arm(h->loop, &h->slow_timer, SLOW_CHECK_MS, check_slow);
    return socket_context_new(&h->sockets, h);
}

void hub_close(struct hub *h)
{
    loop_cancel(h->loop, &h->slow_timer);
    loop_cancel(h->loop, &h->tell_timer);
    loop_cancel(h->loop, &h->later.timer);
    loop_cancel(h->loop, &h->drain_timer);
    loop_cancel(h->loop, &h->recall_timer);
    loop_cancel(h->loop, &h->parties.sweep);
    loop_remove(h->loop, &h->actor);
    socket_context_close(h->sockets);
    close_sessions(h); /* of handshakes that were done after the last session had gone */
}

/* What was sent to a hub that had already ended. */
static void discard(struct entry *e)
{
    switch (e->kind) {
    case HUB_BEHIND:
    case HUB_EVICT: return; /* embedded in what is not ours to free */
    case HUB_CONTROL: control_unref(container_of(e, struct control_entry, entry)->control); return;
    case HUB_PUSH: msg_unref(container_of(e, struct push_entry, entry)->msg); break;
    case HUB_RENEW: renewal_free(container_of(e, struct renewal, entry)); return;
    case HUB_SOCKET: arrival_free(container_of(e, struct arrival, entry)); return;
    default: break;
    }
    free(e); /* the entry is the first member of all of them */
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    socket_context_free(h->sockets);
    for (struct entry *e = inbox_take(&h->inbox), *next; e; e = next) {
        next = e->next;
        discard(e);
    }
    queue_window_close(&h->queues);
    rooms_deinit(&h->rooms);
    parties_deinit(&h->parties);
    inbox_deinit(&h->inbox);
    msg_unref(h->ping);
    keys_unref(h->keys);
    settings_unref(h->settings);
    buf_deinit(&h->text);
    free(h->scratch);
    free(h);
}

struct inbox *hub_inbox(struct hub *h)
{
    return &h->inbox;
}

const struct hub_counters *hub_counters(const struct hub *h)
{
    return &h->counters;
}

uint32_t hub_index(const struct hub *h)
{
    return h->port;
}
