/* SPDX-License-Identifier: MIT */
#include "gateway/subscribing.h"

#include "gateway/access.h"
#include "gateway/connecting.h"
#include "gateway/credentials.h"
#include "gateway/methods.h"
#include "rooms/delta.h"

#include <stdlib.h>

#define UNSUBSCRIBE_SERVER      2000
#define UNSUBSCRIBE_SERVER_TEXT "server unsubscribe"

/* What the subscription is to be, by request, rule and token. */
struct terms {
    bool positioned, recoverable, join_leave, delta, presence, announce;
};

/* The request, and what its answer needs beside it. */
struct subscribing {
    struct request_subscribe request;
    struct subscription *sub;
    struct terms terms;
    int64_t expires_s;
    bool asked_to_recover, optional, server_side;
    struct control *order; /* NULL, or a reference: told by a push, not in a reply */
    size_t data_len;
    char data[]; /* for the client, from the token */
};

/* ---- asking ---- */

static void override(bool *rule, uint8_t by)
{
    if (by != OVERRIDE_NONE)
        *rule = by == OVERRIDE_ON;
}

static struct terms agree(const struct session *s, const struct room_rules *rules,
                          const struct wish *w)
{
    struct room_rules r = *rules;
    override(&r.presence, w->override.presence);
    override(&r.join_leave, w->override.join_leave);
    override(&r.force_push_join_leave, w->override.force_push_join_leave);
    override(&r.force_positioning, w->override.force_positioning);
    override(&r.force_recovery, w->override.force_recovery);
    bool history = r.history_size != 0;
    bool access = may(s, rules, w->channel, MAY_HISTORY);
    struct terms t = {.presence = r.presence, .announce = r.presence && r.join_leave};
    t.recoverable =
        history && (r.force_recovery || (w->recoverable && (r.allow_recovery || access)));
    t.positioned = history && (t.recoverable || r.force_positioning ||
                               (w->positioned && (r.allow_positioning || access)));
    t.join_leave = r.join_leave && (r.force_push_join_leave ||
                                    (w->join_leave && may(s, rules, w->channel, MAY_PRESENCE)));
    t.delta = r.allowed_delta_types == DELTA_FOSSIL && span_eq(w->delta, SPAN("fossil"));
    return t;
}

/* How others see the session in this room; one reference, NULL: no memory. */
static struct client_info *appearance(const struct session *s, struct span info)
{
    struct client_info *c = s->client;
    if (!info.n)
        return client_info_ref(c);
    return client_info_new(c->id, client_info_user(c), client_info_conn(c), info);
}

static struct subscription *subscription_new(struct session *s, const struct wish *w)
{
    struct subscription *sub = calloc(1, sizeof(*sub));
    if (!sub)
        return NULL;
    sub->sub.room = rooms_hold(&s->hub->rooms, w->channel);
    if (!sub->sub.room) {
        free(sub);
        return NULL;
    }
    sub->session = s;
    sub->server_side = w->server_side;
    sub->granted = w->granted;
    list_init(&sub->told);
    sub->client = appearance(s, w->info);
    if (sub->client && session_attach(s, sub))
        return sub;
    subscription_free(s->hub, sub);
    return NULL;
}

static void give_up(struct session *s, struct subscription *sub)
{
    session_detach(s, sub);
    subscription_free(s->hub, sub);
}

static void fill(struct subscribing *q, const struct room_rules *r, const struct wish *w)
{
    struct subscription *sub = q->sub;
    struct request_subscribe *req = &q->request;
    req->member = &sub->member;
    req->handle = sub->sub.room;
    req->room = room_name(sub->sub.room);
    req->client = sub->client;
    req->presence = q->terms.presence;
    req->announce = q->terms.announce;
    req->join_leave = q->terms.join_leave;
    req->newest_only = r->force_recovery_mode == RECOVERY_CACHE;
    q->asked_to_recover = w->recover || (req->newest_only && r->auto_cache_recover);
    req->recover = q->asked_to_recover && q->terms.recoverable;
    req->since = position_asked(w->offset, w->epoch);
    req->refuse_unrecovered = w->refuse_unrecovered;
    req->read.limits = limits_of(r);
    req->read.max_bytes = w->max_bytes;
}

enum err subscribe(struct session *s, uint32_t id, const struct room_rules *r, const struct wish *w)
{
    struct subscription *sub = subscription_new(s, w);
    if (!sub)
        return ERR_INTERNAL;
    struct subscribing *q = calloc(1, sizeof(*q) + w->data.n);
    if (!q) {
        give_up(s, sub);
        return ERR_INTERNAL;
    }
    q->sub = sub;
    q->terms = agree(s, r, w);
    q->expires_s = w->expires_s;
    q->optional = w->optional;
    q->server_side = w->server_side;
    q->data_len = w->data.n;
    if (w->data.n)
        memcpy(q->data, w->data.p, w->data.n);
    q->order = w->order ? control_ref(w->order) : NULL;
    sub->pending = true;
    fill(q, r, w);
    hub_request(s->hub, s, &q->request.request, REQUEST_SUBSCRIBE, id);
    return OK;
}

/* ---- by order ---- */

/* A session that is still connecting is passed over: its rooms are being decided elsewhere. */
void subscribe_by_order(struct session *s, struct control *c)
{
    const struct room_rules *r = rules_of(&s->hub->options->rules, c->channel);
    if (!r || s->state != SESSION_OPEN || session_find(s, c->channel))
        return;
    if (s->sub_count >= s->hub->options->channel_limit) {
        session_close(s, CLOSE_CHANNEL_LIMIT);
        return;
    }
    struct wish w = {
        .channel = c->channel,
        .epoch = position_epoch(&c->since),
        .offset = c->since.offset,
        .recover = c->recover,
        .max_bytes = s->hub->options->history_bytes,
        .data = c->data,
        .info = c->info,
        .expires_s = c->end_s,
        .server_side = true,
        .order = c,
    };
    (void)overrides_read(c->override, &w.override); /* looked at before the order was given */
    if (subscribe(s, 0, r, &w))
        session_close(s, CLOSE_INTERNAL);
}

void unsubscribe_by_order(struct session *s, const struct control *c)
{
    struct subscription *sub = session_find(s, c->channel);
    if (!sub)
        return;
    if (sub->again)
        give_up(s, sub); /* the client never heard of it, and the sequencer knows nothing of it */
    else if (
        sub->pending) /* first the client hears that it is subscribed, then that it no longer is */
        sub->unwanted = true;
    else
        unsubscribe_with(sub, UNSUBSCRIBE_SERVER,
                         c->reason.n ? c->reason : SPAN(UNSUBSCRIBE_SERVER_TEXT));
}

/* ---- the answer ---- */

/* Everything of the result but the publications, which come last in the object. */
static void add_result(struct buf *b, const struct subscribing *q)
{
    const struct request_subscribe *r = &q->request;
    const struct terms *t = &q->terms;
    uint64_t offset = r->recovered && !r->newest_only ? r->since.offset : r->read.top.offset;
    buf_lit(b, "{");
    add_ttl(b, q->expires_s);
    if (t->recoverable)
        buf_lit(b, "\"recoverable\":true,");
    if (t->positioned) {
        buf_lit(b, "\"positioned\":true,\"epoch\":");
        buf_json(b, position_epoch(&r->read.top));
        if (offset) {
            buf_lit(b, ",\"offset\":");
            buf_u64(b, offset);
        }
        buf_lit(b, ",");
    }
    if (t->delta)
        buf_lit(b, "\"delta\":true,");
    if (q->asked_to_recover)
        buf_lit(b, "\"was_recovering\":true,");
    if (r->recovered)
        buf_lit(b, "\"recovered\":true,");
    if (q->data_len) {
        buf_lit(b, "\"data\":");
        buf_json_oneline(b, (struct span){q->data, q->data_len});
        buf_lit(b, ",");
    }
    if (b->n && b->p[b->n - 1] == ',')
        b->n--;
}

/* For who takes deltas, what is recovered goes out whole: deltas begin with the next publication.
 */
static void add_publications(struct buf *b, const struct subscribing *q)
{
    const struct stream_read *read = &q->request.read;
    for (size_t i = 0; i < read->count; i++) {
        if (i)
            buf_lit(b, ",");
        if (q->terms.delta)
            delta_publication(read->pubs[i], b);
        else
            buf_span(b, msg_pub(read->pubs[i]));
    }
}

static enum sub_class class_of(const struct terms *t)
{
    return (t->join_leave ? CLASS_JOIN_LEAVE : 0) | (t->delta ? CLASS_DELTA : 0);
}

static void reply_subscribed(struct session *s, struct subscribing *q)
{
    struct stream_read *read = &q->request.read;
    struct buf *b = reply_begin(s, q->request.request.id, "subscribe");
    add_result(b, q);
    if (!read->count) {
        buf_lit(b, "}");
        reply_end(s);
        return;
    }
    buf_lit(b, ",\"publications\":[");
    if (q->terms.delta) {
        add_publications(b, q);
        buf_lit(b, "]}");
        reply_end(s);
        return;
    }
    struct msg **pubs = read->pubs;
    size_t count = read->count;
    read->pubs = NULL; /* handed over */
    read->count = 0;
    reply_publications(s, pubs, count, SPAN("]}"));
}

/* The result as a part of the reply to connect. */
static void answer_connecting(struct session *s, struct subscribing *q)
{
    bool recovered = q->request.read.count != 0;
    struct buf b = {0};
    add_result(&b, q);
    if (recovered)
        buf_lit(&b, ",\"publications\":[");
    add_publications(&b, q);
    buf_str(&b, recovered ? "]}" : "}");
    if (b.failed)
        session_close(s, CLOSE_INTERNAL);
    connecting_answered(s, q->request.room, (struct span){b.p, b.n});
    buf_deinit(&b);
}

/* The push that tells of it, and behind it what was missed. */
static void push_subscribed(struct session *s, const struct subscribing *q)
{
    struct buf *b = &s->hub->text;
    buf_clear(b);
    buf_lit(b, "{\"push\":{\"channel\":");
    buf_json(b, room_name(q->sub->sub.room));
    buf_lit(b, ",\"subscribe\":");
    add_result(b, q);
    buf_lit(b, "}}}");
    if (b->failed) {
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    session_reply(s, (struct span){b->p, b->n});
    session_flush_replies(s);
    for (size_t i = 0; i < q->request.read.count; i++)
        session_send(s, q->request.read.pubs[i]);
}

static bool is_attached(const struct session *s, const struct subscription *sub)
{
    for (uint16_t i = 0; i < s->sub_count; i++)
        if (s->subs[i] == sub)
            return true;
    return false;
}

/* ---- what cannot be had for now ---- */

static void subscribing_free(struct subscribing *q)
{
    control_unref(q->order);
    stream_read_deinit(&q->request.read);
    free(q->request.why);
    free(q);
}

/* What is asked again, if it is not under way. */
static struct subscribing *take_again(struct subscription *sub)
{
    struct subscribing *q = sub->again;
    if (q)
        counter_sub(&sub->session->hub->counters.late, 1);
    sub->again = NULL;
    return q;
}

void subscribing_drop(struct subscription *sub)
{
    struct subscribing *q = take_again(sub);
    if (q)
        subscribing_free(q);
}

void subscribe_again(struct subscription *sub)
{
    struct request *r = &take_again(sub)->request.request;
    hub_request(sub->session->hub, sub->session, r, REQUEST_SUBSCRIBE, r->id);
}

/* Without a place among the rooms that are remembered it is the same: there may be one later. */
static bool may_come_later(const struct session *s, const struct subscribing *q, bool attached)
{
    enum err e = q->request.request.error;
    return attached && q->server_side && !q->sub->unwanted && !s->failed && session_alive(s) &&
           (err_temporary(e) || e == ERR_LIMIT);
}

/* Keeps the question, which is as good as new. */
static void put_off(struct session *s, struct subscribing *q)
{
    struct request_subscribe *r = &q->request;
    stream_read_deinit(&r->read);
    free(r->why);
    r->why = NULL;
    r->recovered = false;
    r->request.error = r->read.error = OK;
    r->read.top = (struct position){0};
    q->sub->again = q;
    counter_add(&s->hub->counters.late, 1);
    later_wait(s->hub, q->sub);
    connecting_failed(s, OK, true);
}

/* ---- for good ---- */

static void fail(struct session *s, const struct subscribing *q, bool attached)
{
    const struct request *r = &q->request.request;
    bool optional = q->optional || r->error == ERR_PERMISSION || (attached && q->sub->unwanted);
    if (attached)
        give_up(s, q->sub);
    if (!session_alive(s))
        return;
    if (q->order)
        return;
    if (q->server_side) /* a ban from one room is no reason to keep a user out altogether */
        connecting_failed(s, r->error, optional);
    else
        reply_refusal(s, r->id, r->error, q->request.why);
}

/* Pushes of the room reach the session from here on: the answer's place is before them. */
static void activate(struct session *s, struct subscribing *q)
{
    if (!sub_activate(&q->sub->sub, class_of(&q->terms)) ||
        !subscription_expires(q->sub, q->expires_s))
        session_close(s, CLOSE_INTERNAL);
}

/* The client hears of it by a push: nobody waits for an answer, or not any more. */
static bool is_pushed(const struct session *s, const struct subscribing *q)
{
    return q->order || (q->server_side && !s->connecting && !s->failed);
}

/* The answer reaches the client in its own way, and from then on pushes do. */
static void begin(struct session *s, struct subscribing *q)
{
    struct subscription *sub = q->sub;
    sub->pending = false;
    if (q->server_side)
        later_served(s->hub);
    if (is_pushed(s, q)) {
        push_subscribed(s, q);
        activate(s, q);
    } else if (sub->server_side) {
        activate(s, q);
        answer_connecting(s, q);
    } else {
        reply_subscribed(s, q);
        activate(s, q);
    }
    if (sub->unwanted && session_alive(s))
        unsubscribe_with(sub, UNSUBSCRIBE_SERVER, SPAN(UNSUBSCRIBE_SERVER_TEXT));
}

/* A subscription that was detached meanwhile belongs to the request that ends it. */
void answered_subscribe(struct hub *h, struct request *r)
{
    struct subscribing *q = (struct subscribing *)r;
    struct session *s = r->owner;
    bool attached = is_attached(s, q->sub);
    (void)h;
    if (r->error && may_come_later(s, q, attached)) {
        put_off(s, q);
        return;
    }
    if (r->error) {
        fail(s, q, attached);
    } else if (session_alive(s) && attached) {
        begin(s, q);
    } else if (session_alive(s) && !q->server_side) {
        reply_subscribed(s, q); /* its unsubscribe is answered next */
    }
    subscribing_free(q);
}
