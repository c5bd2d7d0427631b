/* SPDX-License-Identifier: MIT */
/* rpc: what chat needs beyond the protocol, one table of methods. */
#include "backplane/base/count.h"

#include "gateway/access.h"
#include "gateway/following.h"
#include "gateway/method_jobs.h"
#include "gateway/methods.h"

#include "backplane/push.h"

#include <stdlib.h>

/* A session's typing signals nearer together than this are answered and not passed on. */
#define TYPING_MIN_MS 1000

struct rpc_params {
    struct span method, data;
};

static const struct field fields[] = {
    {"method", FIELD_STRING, offsetof(struct rpc_params, method)},
    {"data", FIELD_RAW, offsetof(struct rpc_params, data)},
};

/* Begins an answer, or returns an error to be replied. */
struct rpc_method {
    const char *name;
    enum err (*run)(struct session *s, uint32_t id, struct span data);
};

static void reply_done(struct session *s, uint32_t id)
{
    struct buf *b = reply_begin(s, id, "rpc");
    buf_lit(b, "{}");
    reply_end(s);
}

/* ---- rooms.typing {"room":"…"}: the others in the room get a push that is never stored ------- */

struct typing_params {
    struct span room;
};

static const struct field typing_fields[] = {
    {"room", FIELD_STRING, offsetof(struct typing_params, room)},
};

static enum err typing_push(struct session *s, uint32_t id, struct span room)
{
    struct span who = client_info_who(s->client);
    struct request_signal *q = calloc(1, sizeof(*q) + room.n + who.n);
    if (!q)
        return ERR_INTERNAL;
    q->msg = push_open(room, SPAN("{\"type\":\"typing\"}"), client_info_json(sender_in(s, room)),
                       SPAN("\"quiet\":\"1\",\"typing\":\"1\""));
    if (!q->msg) {
        free(q);
        return ERR_INTERNAL;
    }
    push_close(q->msg, 0, 0);
    char *at = q->name;
    q->room = span_copy(&at, room);
    q->who = span_copy(&at, who);
    hub_request(s->hub, s, &q->request, REQUEST_SIGNAL, id);
    return OK;
}

static enum err rooms_typing(struct session *s, uint32_t id, struct span data)
{
    struct typing_params p = {0};
    if (!data.n || !fields_read(s, data, typing_fields, 1, &p) || !p.room.n)
        return ERR_BAD_REQUEST;
    const struct room_rules *r = rules_of(&s->hub->options->rules, p.room);
    if (!r || !session_find(s, p.room) || !may(s, r, p.room, MAY_PUBLISH))
        return ERR_PERMISSION;
    uint32_t now = (uint32_t)loop_now_ms(s->hub->loop);
    if (s->typed_ms && now - s->typed_ms < TYPING_MIN_MS) {
        reply_done(s, id);
        return OK;
    }
    s->typed_ms = now ? now : 1;
    return typing_push(s, id, p.room);
}

void answered_signal(struct hub *h, struct request *r)
{
    struct request_signal *q = (struct request_signal *)r;
    struct session *s = r->owner;
    (void)h;
    if (session_alive(s) && r->error)
        reply_error(s, r->id, r->error);
    else if (session_alive(s))
        reply_done(s, r->id);
    msg_unref(q->msg);
    free(q);
}

/* ---- rooms.follow, unfollow, read {"room":"…"}, list: what a user wants to know of ----------- */

struct follow_params {
    struct span room, epoch, after;
    uint64_t offset;
    int64_t limit;
};

static const struct field follow_fields[] = {
    {"room", FIELD_STRING, offsetof(struct follow_params, room)},
    {"epoch", FIELD_STRING, offsetof(struct follow_params, epoch)},
    {"offset", FIELD_U64, offsetof(struct follow_params, offset)},
    {"after", FIELD_STRING, offsetof(struct follow_params, after)},
    {"limit", FIELD_I64, offsetof(struct follow_params, limit)},
};

/* Who may be in the room may follow it; who follows it may end that whatever has become of it. */
static enum err check_room(const struct session *s, struct following *f)
{
    if (f->verb == FOLLOW_ROOMS)
        return OK;
    if (!f->room.n || room_name_check(f->room, s->hub->options->channel_max_length))
        return ERR_BAD_REQUEST;
    if (f->verb == FOLLOW_END)
        return OK;
    f->rules = rules_of(&s->hub->options->rules, f->room);
    if (!f->rules)
        return ERR_UNKNOWN_CHANNEL;
    if (!session_find(s, f->room) && !may(s, f->rules, f->room, MAY_SUBSCRIBE))
        return ERR_PERMISSION;
    return f->rules->history_size ? OK : ERR_NOT_AVAILABLE;
}

static enum err follow(struct session *s, uint32_t id, struct span data, enum follow_verb verb)
{
    struct follow_params p = {.offset = UINT64_MAX};
    struct following f = {.verb = verb, .user = client_info_user(s->client)};
    bool bare = !data.n && verb == FOLLOW_ROOMS;
    if (!bare && (!data.n || !fields_read(s, data, follow_fields, COUNT_OF(follow_fields), &p)))
        return ERR_BAD_REQUEST;
    if (!f.user.n)
        return ERR_PERMISSION; /* it is nobody that one could come back as */
    if (verb != FOLLOW_ROOMS)
        f.room = p.room;
    f.who = client_info_who(s->client);
    f.after = p.after;
    f.limit = p.limit;
    f.at = position_asked(p.offset, p.epoch);
    enum err e = check_room(s, &f);
    if (e)
        return e;
    struct request_follow *q = following_request(s->hub, &f);
    if (!q)
        return ERR_INTERNAL;
    hub_request(s->hub, s, &q->request, REQUEST_FOLLOW, id);
    return OK;
}

static enum err rooms_follow(struct session *s, uint32_t id, struct span data)
{
    return follow(s, id, data, FOLLOW_BEGIN);
}

static enum err rooms_unfollow(struct session *s, uint32_t id, struct span data)
{
    return follow(s, id, data, FOLLOW_END);
}

static enum err rooms_read(struct session *s, uint32_t id, struct span data)
{
    return follow(s, id, data, FOLLOW_READ);
}

static enum err rooms_list(struct session *s, uint32_t id, struct span data)
{
    return follow(s, id, data, FOLLOW_ROOMS);
}

void answered_follow(struct hub *h, struct request *r)
{
    struct request_follow *q = (struct request_follow *)r;
    struct session *s = r->owner;
    if (!r->error)
        following_tell(h, q);
    if (session_alive(s) && r->error) {
        reply_refusal(s, r->id, r->error, q->why);
    } else if (session_alive(s)) {
        struct buf *b = reply_begin(s, r->id, "rpc");
        buf_lit(b, "{\"data\":");
        following_write(b, q, "room");
        buf_char(b, '}');
        reply_end(s);
    }
    following_free(q);
}

/* ---- dispatch ------------------------------------------------------------------------------- */

static const struct rpc_method table[] = {
    {"jobs.cancel", jobs_cancel},   {"jobs.get", jobs_get},
    {"jobs.submit", jobs_submit},   {"rooms.typing", rooms_typing},
    {"rooms.follow", rooms_follow}, {"rooms.unfollow", rooms_unfollow},
    {"rooms.read", rooms_read},     {"rooms.list", rooms_list},
};

void method_rpc(struct session *s, const struct command *c)
{
    struct rpc_params p = {0};
    if (!fields_read(s, c->params, fields, COUNT_OF(fields), &p)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    enum err e = ERR_NOT_AVAILABLE; /* unknown method: what the official clients' suite expects */
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (span_eq(span_str(table[i].name), p.method))
            e = table[i].run(s, c->id, p.data);
    if (e && !s->closing)
        reply_error(s, c->id, e);
}
