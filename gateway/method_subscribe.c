/* SPDX-License-Identifier: MIT */
#include "gateway/access.h"
#include "gateway/methods.h"

#include "backplane/push.h"
#include "rooms/delta.h"

#include <stdlib.h>

#define FLAG_REFUSE_UNRECOVERED 2
#define UNSUBSCRIBE_SERVER      2000
#define UNSUBSCRIBE_SERVER_TEXT "server unsubscribe"

struct subscribe_params {
    struct span channel, epoch, filter, delta;
    uint64_t offset, type;
    int64_t flag;
    bool recover, positioned, recoverable, join_leave;
};

static const struct field fields[] = {
    {"channel", FIELD_STRING, offsetof(struct subscribe_params, channel)},
    {"epoch", FIELD_STRING, offsetof(struct subscribe_params, epoch)},
    {"offset", FIELD_U64, offsetof(struct subscribe_params, offset)},
    {"recover", FIELD_BOOL, offsetof(struct subscribe_params, recover)},
    {"positioned", FIELD_BOOL, offsetof(struct subscribe_params, positioned)},
    {"recoverable", FIELD_BOOL, offsetof(struct subscribe_params, recoverable)},
    {"join_leave", FIELD_BOOL, offsetof(struct subscribe_params, join_leave)},
    {"flag", FIELD_I64, offsetof(struct subscribe_params, flag)},
    {"delta", FIELD_STRING, offsetof(struct subscribe_params, delta)},
    {"type", FIELD_U64, offsetof(struct subscribe_params, type)},
    {"tf", FIELD_OBJECT, offsetof(struct subscribe_params, filter)},
};

/* What the subscription is to be, by request and by rule. */
struct terms {
    bool positioned, recoverable, join_leave, delta;
};

/* The request, and what its answer needs beside it. */
struct subscribing {
    struct request_subscribe request;
    struct subscription *sub;
    struct terms terms;
    bool asked_to_recover;
    struct control *order; /* NULL: the client asks; a reference */
};

static struct terms agree(const struct session *s, const struct room_rules *r,
                          const struct subscribe_params *p)
{
    bool history = r->history_size != 0;
    bool access = may(s, r, p->channel, MAY_HISTORY);
    struct terms t = {0};
    t.recoverable =
        history && (r->force_recovery || (p->recoverable && (r->allow_recovery || access)));
    t.positioned = history && (t.recoverable || r->force_positioning ||
                               (p->positioned && (r->allow_positioning || access)));
    t.join_leave = r->join_leave && (r->force_push_join_leave ||
                                     (p->join_leave && may(s, r, p->channel, MAY_PRESENCE)));
    t.delta = r->allowed_delta_types == DELTA_FOSSIL && span_eq(p->delta, SPAN("fossil"));
    return t;
}

/* In the order that the protocol prescribes: what the session has comes before what the room is. */
static enum err check(const struct session *s, const struct room_rules *r,
                      const struct subscribe_params *p)
{
    if (session_find(s, p->channel))
        return ERR_ALREADY_SUBSCRIBED;
    if (s->sub_count >= s->hub->options->channel_limit)
        return ERR_LIMIT;
    if (!r)
        return ERR_UNKNOWN_CHANNEL;
    if (p->type || p->filter.n) /* maps, shared polls and tags filters are not offered */
        return ERR_BAD_REQUEST;
    return may(s, r, p->channel, MAY_SUBSCRIBE) ? OK : ERR_PERMISSION;
}

static struct subscription *subscription_new(struct session *s, const struct room_rules *r,
                                             struct span channel)
{
    struct subscription *sub = calloc(1, sizeof(*sub));
    if (!sub)
        return NULL;
    sub->sub.room = rooms_hold(&s->hub->rooms, channel);
    if (!sub->sub.room) {
        free(sub);
        return NULL;
    }
    sub->session = s;
    sub->rules = r;
    list_init(&sub->told);
    if (session_attach(s, sub))
        return sub;
    subscription_free(s->hub, sub);
    return NULL;
}

/* The client's epoch, cut to what an epoch can be: a longer one is no epoch of ours and must
 * differ. */
static struct position since(const struct subscribe_params *p)
{
    struct position at = {.offset = p->offset};
    if (p->epoch.n >= EPOCH_MAX)
        at.epoch[0] = '?';
    else if (p->epoch.n)
        memcpy(at.epoch, p->epoch.p, p->epoch.n);
    return at;
}

/* What both kinds of subscriptions ask for. */
static struct subscribing *request_new(struct session *s, struct subscription *sub,
                                       const struct terms *t)
{
    const struct room_rules *r = sub->rules;
    struct subscribing *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->sub = sub;
    q->terms = *t;
    q->request.member = &sub->member;
    q->request.handle = sub->sub.room;
    q->request.room = room_name(sub->sub.room);
    q->request.client = s->client;
    q->request.presence = r->presence;
    q->request.announce = r->presence && r->join_leave;
    q->request.join_leave = t->join_leave;
    q->request.newest_only = r->force_recovery_mode == RECOVERY_CACHE;
    q->request.read.limits = limits_of(r);
    q->request.read.max_bytes = s->hub->options->history_bytes;
    return q;
}

static void give_up(struct session *s, struct subscription *sub)
{
    session_detach(s, sub);
    subscription_free(s->hub, sub);
}

static void post(struct session *s, struct subscribing *q, uint32_t id)
{
    q->sub->pending = true;
    hub_request(s->hub, s, &q->request.request, REQUEST_SUBSCRIBE, id);
}

static void ask(struct session *s, uint32_t id, struct subscription *sub,
                const struct subscribe_params *p)
{
    struct terms t = agree(s, sub->rules, p);
    struct subscribing *q = request_new(s, sub, &t);
    if (!q) {
        give_up(s, sub);
        reply_error(s, id, ERR_INTERNAL);
        return;
    }
    q->asked_to_recover = p->recover || (q->request.newest_only && sub->rules->auto_cache_recover);
    q->request.recover = q->asked_to_recover && t.recoverable;
    q->request.since = since(p);
    q->request.refuse_unrecovered = p->flag & FLAG_REFUSE_UNRECOVERED;
    post(s, q, id);
}

void method_subscribe(struct session *s, const struct command *c)
{
    struct subscribe_params p = {0};
    if (!fields_read(s, c->params, fields, sizeof(fields) / sizeof(*fields), &p)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    if (!check_name(s, c->id, p.channel))
        return;
    const struct room_rules *r = rules_of(&s->hub->options->rules, p.channel);
    enum err e = check(s, r, &p);
    struct subscription *sub = e ? NULL : subscription_new(s, r, p.channel);
    if (sub)
        ask(s, c->id, sub, &p);
    else
        reply_error(s, c->id, e ? e : ERR_INTERNAL);
}

/* ---- by order ------------------------------------------------------------------------------- */

void subscribe_by_order(struct session *s, struct control *c)
{
    const struct room_rules *r = rules_of(&s->hub->options->rules, c->channel);
    if (!r || session_find(s, c->channel))
        return;
    if (s->sub_count >= s->hub->options->channel_limit) {
        session_close(s, CLOSE_CHANNEL_LIMIT);
        return;
    }
    struct terms t = {
        .recoverable = r->history_size && r->force_recovery,
        .positioned = r->history_size && (r->force_recovery || r->force_positioning),
        .join_leave = r->join_leave && r->force_push_join_leave,
    };
    struct subscription *sub = subscription_new(s, r, c->channel);
    struct subscribing *q = sub ? request_new(s, sub, &t) : NULL;
    if (!q) {
        if (sub)
            give_up(s, sub);
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    sub->server_side = true;
    q->order = control_ref(c);
    q->request.recover = c->recover && t.recoverable;
    q->request.since = c->since;
    post(s, q, 0);
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* Everything of the result but the publications, which come last in the object. */
static void add_result(struct buf *b, const struct subscribing *q)
{
    const struct request_subscribe *r = &q->request;
    const struct terms *t = &q->terms;
    uint64_t offset = r->recovered && !r->newest_only ? r->since.offset : r->read.top.offset;
    buf_lit(b, "{");
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
    if (b->n && b->p[b->n - 1] == ',')
        b->n--;
}

/* What is recovered goes out whole: deltas begin with the next publication. */
static void add_for_deltas(struct buf *b, const struct stream_read *read)
{
    for (size_t i = 0; i < read->count; i++) {
        if (i)
            buf_lit(b, ",");
        delta_publication(read->pubs[i], b);
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
        add_for_deltas(b, read);
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

/* The push that tells of it, and behind it what was missed. */
static void push_subscribed(struct session *s, const struct subscribing *q)
{
    struct buf *b = &s->hub->text;
    buf_clear(b);
    buf_lit(b, "{\"push\":{\"channel\":");
    buf_json(b, room_name(q->sub->sub.room));
    buf_lit(b, ",\"subscribe\":");
    add_result(b, q);
    if (q->order->data.n) {
        buf_str(b, b->p[b->n - 1] == '{' ? "\"data\":" : ",\"data\":");
        buf_span(b, q->order->data);
    }
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

static void begin(struct session *s, struct subscribing *q)
{
    struct subscription *sub = q->sub;
    if (q->order)
        push_subscribed(s, q);
    else
        reply_subscribed(s, q);
    if (!sub_activate(&sub->sub, class_of(&q->terms)))
        session_close(s, CLOSE_INTERNAL);
    else if (sub->unwanted)
        unsubscribe_with(sub, UNSUBSCRIBE_SERVER, UNSUBSCRIBE_SERVER_TEXT);
}

/* A subscription that was detached meanwhile belongs to the request that ends it. */
void answered_subscribe(struct hub *h, struct request *r)
{
    struct subscribing *q = (struct subscribing *)r;
    struct session *s = r->owner;
    bool attached = is_attached(s, q->sub);
    bool alive = session_alive(s);
    if (attached)
        q->sub->pending = false;
    if (r->error && alive && !q->order)
        reply_error(s, r->id, r->error);
    if (r->error && attached)
        give_up(s, q->sub);
    if (!r->error && alive && attached)
        begin(s, q);
    else if (!r->error && alive && !q->order)
        reply_subscribed(s, q); /* its unsubscribe is answered next */
    control_unref(q->order);
    stream_read_deinit(&q->request.read);
    free(q);
    (void)h;
}

/* ---- unsubscribe ---------------------------------------------------------------------------- */

struct unsubscribe_params {
    struct span channel;
};

static const struct field unsubscribe_fields[] = {
    {"channel", FIELD_STRING, offsetof(struct unsubscribe_params, channel)},
};

/* From here on no push of the room reaches the session. id 0: nobody waits for a reply. */
static bool end_subscription(struct session *s, struct subscription *sub, uint32_t id)
{
    struct request_unsubscribe *q = calloc(1, sizeof(*q));
    if (!q)
        return false;
    session_detach(s, sub);
    q->member = &sub->member;
    hub_request(s->hub, s, &q->request, REQUEST_UNSUBSCRIBE, id);
    return true;
}

static void reply_empty(struct session *s, uint32_t id, const char *method)
{
    struct buf *b = reply_begin(s, id, method);
    buf_lit(b, "{}");
    reply_end(s);
}

void method_unsubscribe(struct session *s, const struct command *c)
{
    struct unsubscribe_params p = {0};
    if (!fields_read(s, c->params, unsubscribe_fields, 1, &p) || !p.channel.n) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    struct subscription *sub = session_find(s, p.channel);
    if (!sub)
        reply_empty(s, c->id, "unsubscribe"); /* never an error: clients take one as fatal */
    else if (!end_subscription(s, sub, c->id))
        session_close(s, CLOSE_INTERNAL);
}

void answered_unsubscribe(struct hub *h, struct request *r)
{
    struct request_unsubscribe *q = (struct request_unsubscribe *)r;
    struct session *s = r->owner;
    if (r->id && session_alive(s))
        reply_empty(s, r->id, "unsubscribe");
    subscription_free(h, container_of(q->member, struct subscription, member));
    free(q);
}

void unsubscribe_by_order(struct session *s, struct span room)
{
    struct subscription *sub = session_find(s, room);
    if (!sub)
        return;
    if (sub->pending) /* first the client hears that it is subscribed, then that it no longer is */
        sub->unwanted = true;
    else
        unsubscribe_with(sub, UNSUBSCRIBE_SERVER, UNSUBSCRIBE_SERVER_TEXT);
}

void unsubscribe_with(struct subscription *sub, unsigned code, const char *reason)
{
    struct session *s = sub->session;
    struct msg *m = push_unsubscribe(room_name(sub->sub.room), code, reason);
    if (!m || !end_subscription(s, sub, 0))
        session_close(s, CLOSE_INSUFFICIENT); /* no memory to tell it gently */
    else
        session_reply(s, msg_text(m));
    msg_unref(m);
}
