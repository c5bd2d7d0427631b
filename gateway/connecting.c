/* SPDX-License-Identifier: MIT */
#include "gateway/connecting.h"

#include "backplane/base/count.h"
#include "backplane/base/json.h"
#include "backplane/sequencer.h"
#include "gateway/access.h"
#include "gateway/credentials.h"
#include "gateway/methods.h"
#include "gateway/personal.h"
#include "gateway/socket.h"
#include "gateway/subscribing.h"

#include <stdlib.h>

/* How long rooms may take to answer, less than clients wait; and a client whose connect was refused
 * to go. */
#define ANSWERS_MS 3000
#define REFUSED_MS 5000

struct connecting {
    uint32_t id;
    uint32_t waiting; /* rooms that have not answered, and one while they are being asked */
    bool counting;    /* whether the user may have this connection is not known yet */
    struct buf subs;  /* "room":{…},"room":{…} */
    struct msg **held;
    size_t count, cap, bytes;
};

/* ---- the reply ---- */

void connect_refuse(struct session *s, uint32_t id, enum err e)
{
    reply_error(s, id, e);
    s->failed = true;
    connecting_drop(s);
    loop_arm(s->hub->loop, &s->timer, REFUSED_MS, session_cut);
}

static void welcome(struct session *s, uint32_t id, const struct buf *subs)
{
    struct buf *b = reply_begin(s, id, "connect");
    buf_lit(b, "{\"client\":\"");
    buf_add(b, s->client->id, CLIENT_ID_LENGTH);
    buf_lit(b, "\",\"version\":\"madang " MADANG_VERSION "\",");
    if (s->credentials)
        add_ttl(b, s->credentials->end_s);
    if (subs && subs->n) {
        buf_lit(b, "\"subs\":{");
        buf_add(b, subs->p, subs->n);
        buf_lit(b, "},");
    }
    buf_lit(b, "\"ping\":");
    buf_u64(b, s->ping_ms / 1000);
    buf_lit(b, ",\"pong\":true}");
    reply_end(s);
}

static void open_session(struct session *s)
{
    session_set_state(s, SESSION_OPEN);
    counter_add(&s->hub->counters.sessions_total, 1);
    session_start_pings(s);
}

/* All have answered: the reply, then what was held back behind it, then what the client sent
 * meanwhile. */
static void finish(struct session *s)
{
    struct connecting *c = s->connecting;
    open_session(s);
    if (c->subs.failed)
        session_close(s, CLOSE_INTERNAL);
    welcome(s, c->id, &c->subs);
    session_flush_replies(s);
    for (size_t i = 0; i < c->count; i++)
        session_send(s, c->held[i]);
    connecting_drop(s);
}

/* Not from within the connect command, whose frame is still being worked on. */
static void one_less(struct session *s)
{
    if (--s->connecting->waiting || !session_alive(s))
        return;
    finish(s);
    session_resume(s);
}

void connecting_answered(struct session *s, struct span room, struct span result)
{
    struct connecting *c = s->connecting;
    if (!c)
        return;
    if (c->subs.n)
        buf_lit(&c->subs, ",");
    buf_json(&c->subs, room);
    buf_lit(&c->subs, ":");
    buf_span(&c->subs, result);
    one_less(s);
}

/* The reply is an error after all. What the client has sent behind connect is dropped. */
static void refuse_later(struct session *s, enum err e)
{
    connect_refuse(s, s->connecting->id, e);
    session_resume(s);
}

void connecting_failed(struct session *s, enum err e, bool optional)
{
    if (!s->connecting)
        return;
    if (optional)
        one_less(s);
    else
        refuse_later(s, e);
}

void connecting_counted(struct session *s, enum err e)
{
    if (!s->connecting)
        return;
    s->connecting->counting = false;
    if (e)
        refuse_later(s, e);
    else
        one_less(s);
}

/* Rooms that answer later are told by pushes. */
static void too_late(struct timer *t)
{
    struct session *s = container_of(t, struct session, timer);
    if (!s->connecting || !session_alive(s))
        return;
    if (s->connecting->counting) {
        refuse_later(s, ERR_INTERNAL);
    } else {
        finish(s);
        session_resume(s);
    }
}

void connecting_drop(struct session *s)
{
    struct connecting *c = s->connecting;
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        msg_unref(c->held[i]);
    free(c->held);
    buf_deinit(&c->subs);
    free(c);
    s->connecting = NULL;
}

/* ---- pushes before the reply ---- */

static bool hold_room(struct connecting *c)
{
    if (c->count < c->cap)
        return true;
    size_t cap = c->cap ? c->cap * 2 : 16;
    struct msg **v = realloc(c->held, cap * sizeof(struct msg *));
    if (!v)
        return false;
    c->held = v;
    c->cap = cap;
    return true;
}

void connecting_hold(struct session *s, struct msg *frame)
{
    struct connecting *c = s->connecting;
    if (!c) /* the connect was refused */
        return;
    if (!hold_room(c)) {
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    c->held[c->count++] = msg_ref(frame);
    c->bytes += msg_frame(frame).n;
    if (c->bytes > s->hub->options->queue_bytes)
        session_close(s, CLOSE_SLOW);
}

/* ---- the rooms ---- */

/* What the client remembers of a room. */
struct remembered {
    struct span epoch, delta;
    uint64_t offset;
    bool recover;
};

static const struct field REMEMBERED[] = {
    {"recover", FIELD_BOOL, offsetof(struct remembered, recover)},
    {"offset", FIELD_U64, offsetof(struct remembered, offset)},
    {"epoch", FIELD_STRING, offsetof(struct remembered, epoch)},
    {"delta", FIELD_STRING, offsetof(struct remembered, delta)},
};

static bool read_remembered(struct scratch *mem, struct span value, struct wish *w)
{
    struct remembered r = {0};
    if (!object_read(mem, value, REMEMBERED, COUNT_OF(REMEMBERED), &r))
        return false;
    w->recover = r.recover;
    w->offset = r.offset;
    w->epoch = r.epoch;
    w->delta = r.delta;
    return true;
}

/* Calls `each` with every member of an object, its name decoded, until it returns an error. */
typedef enum err (*member_fn)(struct session *s, struct span name, struct span value, void *data);

static enum err each_member(struct session *s, struct scratch *mem, struct span object,
                            member_fn each, void *data)
{
    struct json_members it;
    struct span key, value, name;
    enum err e = OK;
    if (!object.n)
        return OK;
    if (!json_members_begin(&it, object, JSON_MAX_DEPTH))
        return ERR_BAD_REQUEST;
    while (!e && json_members_next(&it, &key, &value) == JSON_MEMBER) {
        struct span quoted = {key.p - 1, key.n + 2};
        struct scratch before = *mem;
        e = string_read(mem, quoted, &name) ? each(s, name, value, data) : ERR_BAD_REQUEST;
        *mem = before;
    }
    return e;
}

/* The same with the strings of an array; value is absent. */
static enum err each_item(struct session *s, struct scratch *mem, struct span array, member_fn each,
                          void *data)
{
    struct json_members it;
    struct span item, name;
    enum err e = OK;
    if (!array.n)
        return OK;
    if (!json_items_begin(&it, array, JSON_MAX_DEPTH))
        return ERR_BAD_REQUEST;
    while (!e && json_items_next(&it, &item) == JSON_MEMBER) {
        struct scratch before = *mem;
        e = string_read(mem, item, &name) ? each(s, name, (struct span){0}, data) : ERR_BAD_REQUEST;
        *mem = before;
    }
    return e;
}

static struct scratch scratch_left(const struct hub *h)
{
    return (struct scratch){h->scratch + h->scratch_used, h->scratch + h->scratch_bytes};
}

struct lookup {
    struct span wanted, found;
};

static enum err find(struct session *s, struct span name, struct span value, void *data)
{
    struct lookup *l = data;
    (void)s;
    if (span_eq(name, l->wanted))
        l->found = value;
    return OK;
}

/* One room that the client did not ask for; what it remembers of it is in its `subs`. */
struct entering {
    struct scratch *mem;
    struct span subs; /* the client's */
    struct buf decoded;
    uint32_t share; /* bytes that one room may recover */
};

static enum err enter(struct session *s, struct entering *in, struct wish *w)
{
    const struct options *o = s->hub->options;
    struct lookup l = {.wanted = w->channel};
    enum err e = room_name_check(w->channel, o->channel_max_length);
    const struct room_rules *r = e ? NULL : rules_of(&o->rules, w->channel);
    if (!e && !r)
        e = ERR_UNKNOWN_CHANNEL;
    if (!e && session_find(s, w->channel))
        return OK; /* named twice: the first counts */
    if (!e && s->sub_count >= o->channel_limit)
        e = ERR_LIMIT;
    if (!e)
        e = each_member(s, in->mem, in->subs, find, &l);
    struct scratch before = *in->mem;
    if (!e && l.found.p && !read_remembered(in->mem, l.found, w))
        e = ERR_BAD_REQUEST;
    w->server_side = true;
    w->recoverable = w->positioned = w->recover;
    w->max_bytes = in->share;
    if (!e)
        e = subscribe(s, s->connecting->id, r, w);
    *in->mem = before;
    if (!e)
        s->connecting->waiting++;
    return e;
}

static enum err enter_granted(struct session *s, struct span name, struct span value, void *data)
{
    struct entering *in = data;
    struct grant_entry g = {0};
    struct wish w = {.channel = name, .granted = true};
    if (!name.n || (value.p && !token_grant(value, &in->decoded, &g)))
        return ERR_BAD_REQUEST;
    w.info = g.info;
    w.data = g.data;
    w.override = g.override;
    return enter(s, in, &w);
}

/* Whatever is the matter with it, the user can connect. */
static void enter_personal(struct session *s, struct entering *in)
{
    const struct options *o = s->hub->options;
    struct span user = client_info_user(s->client);
    struct buf name = {0};
    struct wish w = {.optional = true};
    if (!o->personal_room || !user.n)
        return;
    if (personal_room_name(o, user, &name)) {
        w.channel = (struct span){name.p, name.n};
        (void)enter(s, in, &w);
    }
    buf_deinit(&name);
}

/* A room that the client wants to be in from the start: as if it had subscribed, but what it may
 * not is passed over. */
static enum err enter_asked(struct session *s, struct span name, struct span value, void *data)
{
    struct entering *in = data;
    struct wish w = {.channel = name, .optional = true};
    const struct room_rules *r = rules_of(&s->hub->options->rules, name);
    (void)value;
    if (!name.n || !r)
        return ERR_UNKNOWN_CHANNEL;
    bool full = s->sub_count < s->hub->options->channel_limit && !throttle_has_place(s);
    if (full || session_find(s, name) || !may(s, r, name, MAY_SUBSCRIBE))
        return OK;
    enum err e = enter(s, in, &w);
    return e == ERR_BAD_REQUEST || e == ERR_LIMIT ? e : OK;
}

static enum err count_member(struct session *s, struct span name, struct span value, void *data)
{
    uint32_t *count = data;
    (void)s, (void)name, (void)value;
    (*count)++;
    return OK;
}

static enum err enter_all(struct session *s, struct entering *in, const struct token *token)
{
    uint32_t asked = 0;
    enum err e = each_member(s, in->mem, in->subs, count_member, &asked);
    in->share = s->hub->options->history_bytes / (asked ? asked : 1);
    if (!e && token)
        e = each_member(s, in->mem, token->subs, enter_granted, in);
    if (!e && token)
        e = each_item(s, in->mem, token->channels, enter_granted, in);
    if (e || !s->credentials)
        return e;
    s->credentials->granted = s->sub_count;
    return OK;
}

static void refuse_rooms(struct session *s, uint32_t id, enum err e)
{
    if (e == ERR_LIMIT)
        session_close(s, CLOSE_CHANNEL_LIMIT);
    else
        connect_refuse(s, id, e);
}

/* The rooms that the token says nothing of. */
static void ask_others(struct session *s, struct entering *in)
{
    enter_personal(s, in);
    enum err e = each_member(s, in->mem, in->subs, enter_asked, in);
    if (e)
        session_close(s, e == ERR_LIMIT ? CLOSE_CHANNEL_LIMIT : CLOSE_BAD_REQUEST);
}

static void ask_rooms(struct session *s, const struct token *token, struct span subs)
{
    struct connecting *c = s->connecting;
    struct scratch mem = scratch_left(s->hub);
    struct entering in = {.mem = &mem, .subs = subs};
    c->waiting++;
    enum err e = enter_all(s, &in, token);
    if (e)
        refuse_rooms(s, c->id, e);
    else
        ask_others(s, &in);
    buf_deinit(&in.decoded);
    if (e || !session_alive(s))
        return;
    loop_arm(s->hub->loop, &s->timer, ANSWERS_MS, too_late);
    if (--c->waiting == 0)
        finish(s);
}

/* Connections are counted of users with a name: where there is a limit for those who have shown a
 * token, and where who is away is told. */
static bool is_counted(const struct session *s)
{
    const struct options *o = s->hub->options;
    bool limited = o->auth == AUTH_JWT && (o->user_connection_limit || o->single_connection);
    return client_info_user(s->client).n && (limited || *o->notify_url);
}

/* Nobody asks for the sequencer's word while there is no ban from everywhere. */
static bool is_suspect(const struct session *s)
{
    const struct sequencer_counters *c = sequencer_counters(s->hub->gateway->sequencer);
    return counter_get(&c->bans) && client_info_user(s->client).n;
}

static bool has_rooms(const struct session *s, const struct token *token, struct span subs)
{
    return subs.n || s->hub->options->personal_room ||
           (token && (token->subs.n || token->channels.n));
}

void connecting_begin(struct session *s, uint32_t id, const struct token *token, struct span subs)
{
    bool counted = is_counted(s), asked = counted || is_suspect(s);
    if (!asked && !has_rooms(s, token, subs)) {
        open_session(s);
        welcome(s, id, NULL);
        return;
    }
    s->connecting = calloc(1, sizeof(*s->connecting));
    bool ok =
        s->connecting && (!token || credentials_of(s)) && (!asked || credentials_ask(s, counted));
    if (!ok) {
        connect_refuse(s, id, ERR_INTERNAL);
        return;
    }
    s->connecting->id = id;
    s->connecting->waiting = s->connecting->counting = asked;
    ask_rooms(s, token, subs);
}

/* ---- a newer token ---- */

static enum err check_granted(struct session *s, struct span name, struct span value, void *data)
{
    uint32_t *count = data;
    struct subscription *sub = session_find(s, name);
    (void)value;
    if (!sub || !sub->granted)
        return ERR_PERMISSION;
    (*count) += !sub->counted;
    sub->counted = true;
    return OK;
}

bool same_rooms(struct session *s, const struct token *token)
{
    struct scratch mem = scratch_left(s->hub);
    uint32_t count = 0;
    bool same = !each_member(s, &mem, token->subs, check_granted, &count) &&
                !each_item(s, &mem, token->channels, check_granted, &count);
    for (uint16_t i = 0; i < s->sub_count; i++)
        s->subs[i]->counted = false;
    return same && count == (s->credentials ? s->credentials->granted : 0);
}
