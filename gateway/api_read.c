/* SPDX-License-Identifier: MIT */
/* presence, presence_stats, history, history_remove, channels, info: what can be asked. */
#include "gateway/api_private.h"
#include "gateway/methods.h"

#include <stdlib.h>

/* ---- presence ------------------------------------------------------------------------------- */

static void presence_answered(struct hub *h, struct request *r)
{
    struct request_presence *q = (struct request_presence *)r;
    struct api_task *t = r->owner;
    struct buf *b = &t->result;
    (void)h;
    if (q->stats_only) {
        buf_lit(b, "{\"num_clients\":");
        buf_u64(b, q->num_clients);
        buf_lit(b, ",\"num_users\":");
        buf_u64(b, q->num_users);
    } else {
        buf_lit(b, "{\"presence\":");
        buf_add(b, q->json.p, q->json.n);
    }
    buf_char(b, '}');
    api_done(t, r->error);
    buf_deinit(&q->json);
    free(q);
}

static enum err ask_presence(struct api_task *t, struct span channel, bool stats_only)
{
    const struct room_rules *r;
    enum err e = api_rules(t, channel, &r);
    if (!e && !r->presence)
        e = ERR_NOT_AVAILABLE;
    if (e)
        return e;
    struct request_presence *q = calloc(1, sizeof(*q) + channel.n);
    if (!q)
        return ERR_INTERNAL;
    memcpy(q->name, channel.p, channel.n);
    q->room = (struct span){q->name, channel.n};
    q->stats_only = stats_only;
    q->max_bytes = API_RESULT_MAX;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_PRESENCE, presence_answered);
    return OK;
}

static void presence(struct api_task *t, bool stats_only)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    enum err e = ask_presence(t, p.channel, stats_only);
    if (e)
        api_done(t, e);
}

void api_presence(struct api_task *t)
{
    presence(t, false);
}

void api_presence_stats(struct api_task *t)
{
    presence(t, true);
}

/* ---- history -------------------------------------------------------------------------------- */

static void history_answered(struct hub *h, struct request *r)
{
    struct request_history *q = (struct request_history *)r;
    struct api_task *t = r->owner;
    struct buf *b = &t->result;
    (void)h;
    buf_lit(b, "{\"publications\":[");
    for (size_t i = 0; i < q->read.count; i++) {
        if (i)
            buf_char(b, ',');
        buf_span(b, msg_pub(q->read.pubs[i]));
    }
    buf_lit(b, "],\"epoch\":");
    buf_json(b, position_epoch(&q->read.top));
    buf_lit(b, ",\"offset\":");
    buf_u64(b, q->read.top.offset);
    buf_char(b, '}');
    api_done(t, r->error);
    stream_read_deinit(&q->read);
    free(q);
}

static enum err ask_history(struct api_task *t, const struct api_params *p)
{
    const struct room_rules *r;
    struct position since = {0};
    enum err e = api_rules(t, p->channel, &r);
    if (e)
        return e;
    if (!r->history_size)
        return ERR_NOT_AVAILABLE;
    if (p->since.n && !api_read_position(t, p->since, &since))
        return ERR_BAD_REQUEST;
    if (p->reverse && p->since.n && !since.offset)
        return ERR_BAD_REQUEST;
    struct request_history *q = calloc(1, sizeof(*q) + p->channel.n);
    if (!q)
        return ERR_INTERNAL;
    memcpy(q->name, p->channel.p, p->channel.n);
    q->room = (struct span){q->name, p->channel.n};
    q->since = since;
    q->read.limits = limits_of(r);
    q->read.since = p->reverse && !p->since.n ? UINT64_MAX : since.offset;
    q->read.reverse = p->reverse;
    q->read.max_count = p->limit < 0 || p->limit > UINT32_MAX ? UINT32_MAX : (uint32_t)p->limit;
    q->read.max_bytes = API_RESULT_MAX;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_HISTORY, history_answered);
    return OK;
}

void api_history(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    enum err e = ask_history(t, &p);
    if (e)
        api_done(t, e);
}

static void remove_answered(struct hub *h, struct request *r)
{
    struct api_task *t = r->owner;
    (void)h;
    buf_lit(&t->result, "{}");
    api_done(t, r->error);
    free(r);
}

static enum err ask_remove(struct api_task *t, struct span channel)
{
    const struct room_rules *r;
    enum err e = api_rules(t, channel, &r);
    if (!e && !r->history_size)
        e = ERR_NOT_AVAILABLE;
    if (e)
        return e;
    struct request_remove *q = calloc(1, sizeof(*q) + channel.n);
    if (!q)
        return ERR_INTERNAL;
    memcpy(q->name, channel.p, channel.n);
    q->room = (struct span){q->name, channel.n};
    q->removal.limits = limits_of(r);
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_REMOVE, remove_answered);
    return OK;
}

void api_history_remove(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    enum err e = ask_remove(t, p.channel);
    if (e)
        api_done(t, e);
}

/* ---- what there is -------------------------------------------------------------------------- */

static void rooms_answered(struct hub *h, struct request *r)
{
    struct request_rooms *q = (struct request_rooms *)r;
    struct api_task *t = r->owner;
    (void)h;
    buf_lit(&t->result, "{\"channels\":");
    buf_add(&t->result, q->json.p, q->json.n);
    buf_char(&t->result, '}');
    api_done(t, r->error);
    buf_deinit(&q->json);
    free(q);
}

void api_channels(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    struct request_rooms *q = calloc(1, sizeof(*q) + p.pattern.n);
    if (!q) {
        api_done(t, ERR_INTERNAL);
        return;
    }
    if (p.pattern.n)
        memcpy(q->name, p.pattern.p, p.pattern.n);
    q->pattern = (struct span){q->name, p.pattern.n};
    q->max_bytes = API_RESULT_MAX;
    q->patience_ms = t->call->hub->options->api_timeout_ms / 2; /* time is left to say so */
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_ROOMS, rooms_answered);
}

static void gateways_answered(struct hub *h, struct request *r)
{
    struct request_gateways *q = (struct request_gateways *)r;
    struct api_task *t = r->owner;
    (void)h;
    buf_lit(&t->result, "{\"nodes\":[");
    buf_add(&t->result, q->json.p, q->json.n);
    buf_lit(&t->result, "]}");
    api_done(t, r->error);
    buf_deinit(&q->json);
    free(q);
}

void api_info(struct api_task *t)
{
    struct request_gateways *q = calloc(1, sizeof(*q));
    if (!q) {
        api_done(t, ERR_INTERNAL);
        return;
    }
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_GATEWAYS, gateways_answered);
}
