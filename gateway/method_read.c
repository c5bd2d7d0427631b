/* SPDX-License-Identifier: MIT */
/* presence, presence_stats and history: what a client may ask of a room. */
#include "gateway/access.h"
#include "gateway/methods.h"

#include <stdlib.h>

/* ---- presence ------------------------------------------------------------------------------- */

struct channel_params {
    struct span channel;
};

static const struct field channel_fields[] = {
    {"channel", FIELD_STRING, offsetof(struct channel_params, channel)},
};

static void ask_presence(struct session *s, const struct command *c, bool stats_only)
{
    struct channel_params p = {0};
    if (!fields_read(s, c->params, channel_fields, 1, &p)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    const struct room_rules *r = check_channel(s, c->id, p.channel);
    if (!r)
        return;
    enum err e = OK;
    if (!r->presence)
        e = ERR_NOT_AVAILABLE;
    else if (!may(s, r, p.channel, MAY_PRESENCE))
        e = ERR_PERMISSION;
    struct span who = client_info_who(s->client);
    struct request_presence *q = e ? NULL : calloc(1, sizeof(*q) + p.channel.n + who.n);
    if (!q) {
        reply_error(s, c->id, e ? e : ERR_INTERNAL);
        return;
    }
    char *at = q->name;
    q->room = span_copy(&at, p.channel);
    q->who = span_copy(&at, who);
    q->stats_only = stats_only;
    q->max_bytes = s->hub->options->presence_bytes;
    hub_request(s->hub, s, &q->request, REQUEST_PRESENCE, c->id);
}

void method_presence(struct session *s, const struct command *c)
{
    ask_presence(s, c, false);
}

void method_presence_stats(struct session *s, const struct command *c)
{
    ask_presence(s, c, true);
}

static void reply_stats(struct session *s, const struct request_presence *q)
{
    struct buf *b = reply_begin(s, q->request.id, "presence_stats");
    buf_lit(b, "{\"num_clients\":");
    buf_u64(b, q->num_clients);
    buf_lit(b, ",\"num_users\":");
    buf_u64(b, q->num_users);
    buf_lit(b, "}");
    reply_end(s);
}

static void reply_presence(struct session *s, const struct request_presence *q)
{
    struct buf *b = reply_begin(s, q->request.id, "presence");
    buf_lit(b, "{\"presence\":");
    buf_add(b, q->json.p, q->json.n);
    buf_lit(b, "}");
    reply_end(s);
}

void answered_presence(struct hub *h, struct request *r)
{
    struct request_presence *q = (struct request_presence *)r;
    struct session *s = r->owner;
    (void)h;
    if (session_alive(s)) {
        if (r->error)
            reply_error(s, r->id, r->error);
        else if (q->stats_only)
            reply_stats(s, q);
        else
            reply_presence(s, q);
    }
    buf_deinit(&q->json);
    free(q);
}

/* ---- history -------------------------------------------------------------------------------- */

struct history_params {
    struct span channel, since;
    int64_t limit;
    bool reverse;
};

static const struct field history_fields[] = {
    {"channel", FIELD_STRING, offsetof(struct history_params, channel)},
    {"since", FIELD_OBJECT, offsetof(struct history_params, since)},
    {"limit", FIELD_I64, offsetof(struct history_params, limit)},
    {"reverse", FIELD_BOOL, offsetof(struct history_params, reverse)},
};

struct since_params {
    uint64_t offset;
    struct span epoch;
};

static const struct field since_fields[] = {
    {"offset", FIELD_U64, offsetof(struct since_params, offset)},
    {"epoch", FIELD_STRING, offsetof(struct since_params, epoch)},
};

/* protocol.md: 0 or absent: only the position; negative or too many: the most that is allowed. */
static uint32_t count_of(const struct session *s, int64_t limit)
{
    uint32_t most = s->hub->options->history_limit;
    return limit < 0 || limit > most ? most : (uint32_t)limit;
}

static enum err history_check(const struct session *s, const struct room_rules *r,
                              const struct history_params *p, const struct since_params *since)
{
    if (!r->history_size)
        return ERR_NOT_AVAILABLE;
    if (!may(s, r, p->channel, MAY_HISTORY))
        return ERR_PERMISSION;
    return p->reverse && p->since.n && !since->offset ? ERR_BAD_REQUEST : OK;
}

static void history_ask(struct session *s, uint32_t id, const struct room_rules *r,
                        const struct history_params *p, const struct since_params *since)
{
    struct span who = client_info_who(s->client);
    struct request_history *q = calloc(1, sizeof(*q) + p->channel.n + who.n);
    if (!q) {
        reply_error(s, id, ERR_INTERNAL);
        return;
    }
    char *at = q->name;
    q->room = span_copy(&at, p->channel);
    q->who = span_copy(&at, who);
    q->since = position_asked(since->offset, since->epoch);
    q->read.limits = limits_of(r);
    q->read.since = p->reverse && !p->since.n ? UINT64_MAX : since->offset;
    q->read.reverse = p->reverse;
    q->read.max_count = count_of(s, p->limit);
    q->read.max_bytes = s->hub->options->history_bytes;
    hub_request(s->hub, s, &q->request, REQUEST_HISTORY, id);
}

void method_history(struct session *s, const struct command *c)
{
    struct history_params p = {0};
    struct since_params since = {0};
    if (!fields_read(s, c->params, history_fields, 4, &p) ||
        (p.since.n && !fields_read(s, p.since, since_fields, 2, &since))) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    const struct room_rules *r = check_channel(s, c->id, p.channel);
    if (!r)
        return;
    enum err e = history_check(s, r, &p, &since);
    if (e)
        reply_error(s, c->id, e);
    else
        history_ask(s, c->id, r, &p, &since);
}

static void reply_history(struct session *s, struct request_history *q)
{
    struct buf *b = reply_begin(s, q->request.id, "history");
    buf_lit(b, "{\"epoch\":");
    buf_json(b, position_epoch(&q->read.top));
    buf_lit(b, ",\"offset\":");
    buf_u64(b, q->read.top.offset);
    buf_lit(b, ",\"publications\":[");
    reply_publications(s, q->read.pubs, q->read.count, SPAN("]}"));
    q->read.pubs = NULL; /* handed over */
    q->read.count = 0;
}

void answered_history(struct hub *h, struct request *r)
{
    struct request_history *q = (struct request_history *)r;
    struct session *s = r->owner;
    (void)h;
    if (session_alive(s)) {
        if (r->error)
            reply_error(s, r->id, r->error);
        else
            reply_history(s, q);
    }
    stream_read_deinit(&q->read);
    free(q);
}
