/* SPDX-License-Identifier: MIT */
#include "gateway/session.h"

#include "gateway/command.h"
#include "gateway/connecting.h"
#include "gateway/credentials.h"
#include "gateway/input.h"
#include "gateway/socket.h"
#include "gateway/subscribing.h"

#include <assert.h>
#include <stdlib.h>

/* How long a closing session may take to empty its queue and to hear the peer's close frame. */
#define CLOSE_TIMEOUT_MS 5000
#define REPLIES_MIN      512
#define REPLIES_MAX      (64 * 1024)
/* A push that is no larger is copied behind the replies of its turn: less work than a second write
 * would be. */
#define JOINED_MAX (16 * 1024)

static uint64_t now_ms(const struct session *s)
{
    return loop_now_ms(s->hub->loop);
}

/* ---- life ---------------------------------------------------------------------------------- */

void session_set_state(struct session *s, enum session_state state)
{
    assert(state > s->state);
    struct hub *h = s->hub;
    list_del(&s->link);
    h->sessions[s->state].count--;
    s->state = (uint8_t)state;
    list_push(&h->sessions[state].head, &s->link);
    h->sessions[state].count++;
    counter_set(&h->counters.sessions, h->sessions[SESSION_OPEN].count);
}

static void stale(struct timer *t)
{
    session_close(container_of(t, struct session, timer), CLOSE_STALE);
}

struct session *session_new(struct hub *h, struct lws *wsi)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->hub = h;
    if (!throttle_new(s)) {
        free(s);
        return NULL;
    }
    s->wsi = wsi;
    s->state = SESSION_WAITING;
    list_push(&h->sessions[SESSION_WAITING].head, &s->link);
    h->sessions[SESSION_WAITING].count++;
    list_init(&s->todo);
    list_init(&s->reply_link);
    list_init(&s->backlog_link);
    list_init(&s->user_link);
    s->since_ms = loop_now_ms(h->loop);
    s->ping_ms = (uint32_t)h->options->ping_interval_ms;
    loop_arm(h->loop, &s->timer, h->options->stale_close_delay_ms, stale);
    return s;
}

bool session_alive(const struct session *s)
{
    return s->state <= SESSION_OPEN && !s->closing;
}

void session_close(struct session *s, enum close_reason reason)
{
    if (s->closing)
        return;
    s->closing = true;
    s->reason = (uint8_t)reason;
    list_del(&s->todo);
    list_push(&s->hub->to_close, &s->todo);
    loop_again(s->hub->loop);
}

void session_dismiss(struct session *s, enum close_reason reason, struct msg *close_frame)
{
    if (s->closing)
        return;
    s->farewell = msg_ref(close_frame);
    session_close(s, reason);
}

bool session_over(const struct session *s)
{
    return s->state == SESSION_DEAD && !s->in_flight;
}

void session_free(struct session *s)
{
    assert(!s->sub_count && !s->wsi);
    loop_cancel(s->hub->loop, &s->timer);
    list_del(&s->link);
    list_del(&s->todo);
    list_del(&s->reply_link);
    s->hub->sessions[s->state].count--;
    input_drop(s);
    msg_unref(s->replies);
    msg_unref(s->farewell);
    connecting_drop(s);
    credentials_drop(s);
    client_info_unref(s->client);
    free(s->subs);
    free(s);
}

/* ---- subscriptions ------------------------------------------------------------------------- */

struct subscription *session_find(const struct session *s, struct span name)
{
    const struct room *room = rooms_find(&s->hub->rooms, name);
    for (uint16_t i = 0; room && i < s->sub_count; i++)
        if (s->subs[i]->sub.room == room)
            return s->subs[i];
    return NULL;
}

const struct client_info *sender_in(const struct session *s, struct span room)
{
    const struct subscription *sub = s->hub->keys ? session_find(s, room) : NULL;
    return sub && sub->client->has_chan_info ? sub->client : s->client;
}

bool session_renew_info(struct session *s, struct span info)
{
    if (!info.n || span_eq(info, client_info_conn(s->client)))
        return true;
    struct client_info *c =
        client_info_new(s->client->id, client_info_user(s->client), info, (struct span){0});
    if (!c)
        return false;
    client_info_unref(s->client);
    s->client = c;
    return true;
}

bool session_attach(struct session *s, struct subscription *sub)
{
    if (s->sub_count == s->sub_cap) {
        uint16_t cap = s->sub_cap ? (uint16_t)(s->sub_cap * 2) : 1;
        struct subscription **v = realloc(s->subs, cap * sizeof(struct subscription *));
        if (!v)
            return false;
        s->subs = v;
        s->sub_cap = cap;
    }
    s->subs[s->sub_count++] = sub;
    counter_add(&s->hub->counters.subscriptions, 1);
    throttle_enters(s);
    return true;
}

void session_detach(struct session *s, struct subscription *sub)
{
    uint16_t i = 0;
    while (s->subs[i] != sub)
        i++;
    s->subs[i] = s->subs[--s->sub_count];
    counter_sub(&s->hub->counters.subscriptions, 1);
    throttle_leaves(s);
    sub_deactivate(&sub->sub);
    list_del(&sub->told);
    lease_drop(sub);
    subscribing_drop(sub);
}

void subscription_free(struct hub *h, struct subscription *sub)
{
    sub_deactivate(&sub->sub);
    list_del(&sub->told);
    lease_drop(sub);
    subscribing_drop(sub);
    client_info_unref(sub->client);
    rooms_release(&h->rooms, sub->sub.room);
    free(sub);
}

/* Hands all subscriptions to the sequencer in one entry, which cannot fail for want of memory. */
static void leave_rooms(struct session *s)
{
    struct member **end = &s->end.members;
    while (s->sub_count) {
        struct subscription *sub = s->subs[s->sub_count - 1];
        session_detach(s, sub);
        *end = &sub->member;
        end = &sub->member.next;
    }
    *end = NULL;
    if (s->end.members)
        hub_request(s->hub, s, &s->end.request, REQUEST_END, 0);
}

/* ---- output -------------------------------------------------------------------------------- */

static void hold(struct session *s, uint8_t why, bool on)
{
    s->held = (uint8_t)(on ? s->held | why : s->held & ~why);
    bool off = s->held != 0;
    if (off != s->read_off && s->wsi) {
        s->read_off = off;
        socket_read(s->wsi, !off);
    }
}

static void drop_queue(struct session *s)
{
    if (!s->out)
        return;
    struct hub *h = s->hub;
    h->queued_bytes -= s->out->bytes;
    counter_set(&h->counters.queued_bytes, h->queued_bytes);
    counter_sub(&h->counters.backlogged, 1);
    list_del(&s->backlog_link);
    outq_free(s->out);
    s->out = NULL;
    hold(s, HOLD_OUTPUT, false);
}

static bool need_queue(struct session *s)
{
    if (s->out)
        return true;
    s->out = outq_new();
    if (!s->out)
        return false;
    list_push(&s->hub->backlogged, &s->backlog_link);
    counter_add(&s->hub->counters.backlogged, 1);
    socket_want_write(s->wsi);
    return true;
}

/* Books what was added to the queue and applies the bounds: anything may enter an empty queue, and
 * the close frame of a session always. What the session itself asked for is bounded before it is
 * asked for (session_has_room) and not here: recovering must not end in CLOSE_SLOW, for the client
 * would come back and ask for the same again. */
static void queued(struct session *s, size_t before)
{
    struct hub *h = s->hub;
    const struct options *o = h->options;
    h->queued_bytes += s->out->bytes - before;
    counter_set(&h->counters.queued_bytes, h->queued_bytes);
    if (s->closing)
        return;
    if (before && s->out->bytes - s->out->answers > o->queue_bytes)
        session_close(s, CLOSE_SLOW);
    else if (s->out->bytes > o->queue_bytes / 4)
        hold(s, HOLD_OUTPUT, true);
}

static void enqueue(struct session *s, struct msg *frame, bool answer)
{
    if (!need_queue(s)) {
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    size_t before = s->out->bytes;
    if (!outq_add(s->out, frame, answer, now_ms(s)))
        session_close(s, CLOSE_INTERNAL);
    queued(s, before);
}

static void write_now(struct session *s, struct span frames)
{
    if (socket_write(s->wsi, frames) < 0)
        session_close(s, CLOSE_WRITE_ERROR);
}

/* For the close frame too, so without asking whether the session is closing. */
static void transmit(struct session *s, struct msg *frame, bool answer)
{
    struct span f = msg_frame(frame);
    counter_add(&s->hub->counters.deliveries, 1);
    counter_add(&s->hub->counters.sent_bytes, f.n);
    if (s->out || socket_busy(s->wsi))
        enqueue(s, frame, answer);
    else
        write_now(s, f);
}

void session_send(struct session *s, struct msg *frame)
{
    if (!s->wsi || s->closing)
        return;
    if (s->state == SESSION_WAITING)
        connecting_hold(s, frame);
    else
        transmit(s, frame, false);
}

void session_send_reply(struct session *s, struct stream_reply *r)
{
    session_flush_replies(s); /* what was answered earlier leaves earlier */
    if (!s->wsi || s->closing || !need_queue(s)) {
        stream_reply_free(r);
        if (s->wsi)
            session_close(s, CLOSE_INTERNAL);
        return;
    }
    size_t before = s->out->bytes;
    if (!outq_add_reply(s->out, r, now_ms(s)))
        session_close(s, CLOSE_INTERNAL);
    counter_add(&s->hub->counters.deliveries, 1);
    counter_add(&s->hub->counters.sent_bytes, s->out->bytes - before);
    queued(s, before);
}

static void finish_close(struct session *s);

void session_writable(struct session *s)
{
    char *scratch = s->hub->scratch;
    while (s->out && !outq_empty(s->out) && !socket_busy(s->wsi)) {
        size_t before = s->out->bytes;
        struct msg *big;
        size_t n = outq_take(s->out, now_ms(s), scratch, SOCKET_TX, &big);
        s->hub->queued_bytes -= before - s->out->bytes;
        struct span frames = big ? msg_frame(big) : (struct span){scratch, n};
        int rc = socket_write(s->wsi, frames);
        msg_unref(big);
        if (rc < 0) {
            session_close(s, CLOSE_WRITE_ERROR);
            return;
        }
    }
    if (!s->out)
        return;
    session_nudge(s);
    counter_set(&s->hub->counters.queued_bytes, s->hub->queued_bytes);
    if (outq_empty(s->out))
        drop_queue(s);
    else if (s->out->bytes <= s->hub->options->queue_bytes / 8)
        hold(s, HOLD_OUTPUT, false);
    if (!s->out && s->state == SESSION_CLOSING)
        finish_close(s);
}

/* ---- replies ------------------------------------------------------------------------------- */

/* Room for n more bytes in the turn's reply frame; what is there leaves if it would grow too
 * large. */
static bool reply_room(struct session *s, size_t n)
{
    if (s->replies && s->replies->cap - s->replies->len >= n)
        return true;
    size_t cap = n > REPLIES_MIN ? n : REPLIES_MIN;
    if (s->replies) {
        size_t wanted = ((size_t)s->replies->len + n) * 2;
        if (wanted > REPLIES_MAX)
            session_flush_replies(s);
        else
            cap = wanted;
    }
    struct msg *m = msg_new(cap);
    if (!m)
        return false;
    m->kind = MSG_OTHER;
    if (s->replies) {
        struct span text = msg_text(s->replies);
        msg_add(m, text.p, text.n);
        msg_unref(s->replies);
    }
    s->replies = m;
    return true;
}

void session_reply(struct session *s, struct span json)
{
    if (!s->wsi || s->closing)
        return;
    if (!reply_room(s, json.n + 1)) {
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    if (s->replies->len)
        msg_lit(s->replies, "\n");
    msg_add(s->replies, json.p, json.n);
    if (!list_linked(&s->reply_link))
        list_push(&s->hub->replying, &s->reply_link);
}

void session_flush_replies(struct session *s)
{
    list_del(&s->reply_link);
    struct msg *m = s->replies;
    s->replies = NULL;
    if (!m)
        return;
    msg_seal(m);
    if (s->wsi && !s->close_sent)
        transmit(s, m, true);
    msg_unref(m);
}

/* A publisher's reply and its own publication come in one turn. */
void session_deliver(struct session *s, struct msg *frame)
{
    bool joins = s->replies && s->state == SESSION_OPEN && frame->len <= JOINED_MAX && s->wsi &&
                 !s->out && !socket_busy(s->wsi);
    if (joins)
        session_reply(s, msg_text(frame));
    session_flush_replies(s);
    if (!joins)
        session_send(s, frame);
}

/* ---- pings --------------------------------------------------------------------------------- */

static void ping(struct timer *t);

/* While we do not read its pong cannot be seen, and behind a backlog a ping would tell nothing:
 * the peer is not silent but slow, which has bounds of its own. */
static bool is_slow(const struct session *s)
{
    return s->out || s->read_off;
}

static void no_pong(struct timer *t)
{
    struct session *s = container_of(t, struct session, timer);
    if (is_slow(s))
        loop_arm(s->hub->loop, t, s->hub->options->pong_timeout_ms, no_pong);
    else
        session_close(s, CLOSE_NO_PONG);
}

static void ping(struct timer *t)
{
    struct session *s = container_of(t, struct session, timer);
    throttle_audit(s);
    if (is_slow(s)) {
        loop_arm(s->hub->loop, t, s->hub->options->pong_timeout_ms, ping);
        return;
    }
    s->pong_due = true; /* also what ends a message that was begun and never is ended */
    session_send(s, s->hub->ping);
    loop_arm(s->hub->loop, t, s->hub->options->pong_timeout_ms, no_pong);
}

void session_start_pings(struct session *s)
{
    uint64_t interval = s->ping_ms;
    uint64_t spread = map_hash(&s, sizeof(s), now_ms(s)); /* NOLINT: of the pointer itself */
    loop_arm(s->hub->loop, &s->timer, interval / 2 + spread % (interval / 2 + 1), ping);
}

void session_pong(struct session *s)
{
    if (!s->pong_due) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    s->pong_due = false;
    loop_arm(s->hub->loop, &s->timer, s->ping_ms, ping);
}

/* ---- the end ------------------------------------------------------------------------------- */

void session_cut(struct timer *t)
{
    struct session *s = container_of(t, struct session, timer);
    if (s->wsi)
        socket_kill(s->wsi);
}

/* The queue is empty: the last frame we send. */
static void finish_close(struct session *s)
{
    if (s->close_sent)
        return;
    s->close_sent = true;
    struct msg *m = s->farewell ? msg_ref(s->farewell) : close_frame((enum close_reason)s->reason);
    if (m)
        transmit(s, m, true);
    else /* not here: this may be a callback of the same connection */
        loop_arm(s->hub->loop, &s->timer, 0, session_cut);
    msg_unref(m);
}

void session_begin_close(struct session *s)
{
    if (s->state >= SESSION_CLOSING)
        return;
    enum close_reason reason = (enum close_reason)s->reason;
    counter_add(&s->hub->counters.closes[reason], 1);
    users_remove(&s->hub->users, s);
    leave_rooms(s);
    throttle_free(s);
    input_drop(s);
    connecting_drop(s);
    credentials_end(s);
    if (!s->wsi) {
        session_set_state(s, SESSION_DEAD);
        return;
    }
    session_set_state(s, SESSION_CLOSING);
    hold(s, HOLD_CREDIT, false); /* the peer's close frame must be read */
    loop_arm(s->hub->loop, &s->timer, CLOSE_TIMEOUT_MS, session_cut);
    if (close_info(reason)->flush == FLUSH_QUEUE)
        session_flush_replies(s);
    else
        drop_queue(s);
    if (reason == CLOSE_WRITE_ERROR)
        socket_kill(s->wsi);
    else if (!s->out)
        finish_close(s);
}

bool session_peer_closes(struct session *s)
{
    bool first = !s->close_sent;
    s->close_sent = true;
    return first;
}

void session_gone(struct session *s)
{
    s->wsi = NULL;
    loop_cancel(s->hub->loop, &s->timer);
    drop_queue(s);
    if (s->state != SESSION_CLOSING) {
        session_close(s, CLOSE_GONE);
        return;
    }
    session_set_state(s, SESSION_DEAD);
    list_push(&s->hub->to_close, &s->todo); /* the hub's turn frees it */
    loop_again(s->hub->loop);
}

/* ---- input --------------------------------------------------------------------------------- */

bool session_has_room(const struct session *s)
{
    return s->awaited + (s->out ? s->out->bytes : 0) < s->hub->options->queue_bytes / 2;
}

void session_nudge(struct session *s)
{
    if (session_alive(s) && s->held & HOLD_CREDIT && !list_linked(&s->todo))
        list_push(&s->hub->starved, &s->todo);
}

void session_resume(struct session *s)
{
    hold(s, HOLD_CREDIT, !input_pump(s));
}

void session_received(struct session *s, struct span chunk, bool first, bool final,
                      size_t frame_left)
{
    if (s->closing || s->failed || s->close_sent)
        return;
    counter_add(&s->hub->counters.received_bytes, chunk.n);
    throttle_received(s, chunk.n);
    if (s->closing)
        return;
    if (!input_chunk(s, chunk, first, final, frame_left))
        hold(s, HOLD_CREDIT, true);
}
