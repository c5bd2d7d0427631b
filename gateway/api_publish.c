/* SPDX-License-Identifier: MIT */
/* publish and broadcast: an application's data into one room, or into many. */
#include "backplane/base/json.h"
#include "backplane/base/map.h"
#include "backplane/push.h"
#include "gateway/api_private.h"
#include "gateway/methods.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define KEY_MAX    256 /* bytes of an idempotency key */
#define KEY_TTL_MS (5 * 60 * 1000)

void api_publication_free(struct api_publication *p)
{
    if (!p)
        return;
    buf_deinit(&p->decoded);
    buf_deinit(&p->tags);
    free(p);
}

/* Base64 with padding; what it holds must be JSON, for that is what clients are sent. */
static enum err decode(struct api_publication *p, struct span text)
{
    struct span value;
    if (!buf_reserve(&p->decoded, text.n / 4 * 3 + 3) || text.n > INT32_MAX)
        return ERR_INTERNAL;
    int n =
        EVP_DecodeBlock((unsigned char *)p->decoded.p, (const unsigned char *)text.p, (int)text.n);
    if (n < 0 || text.n % 4)
        return ERR_BAD_REQUEST;
    for (size_t i = text.n; i > 0 && text.p[i - 1] == '='; i--)
        n--; /* it counts the padding as bytes */
    p->decoded.n = n > 0 ? (size_t)n : 0;
    struct span whole = {p->decoded.p, p->decoded.n};
    if (!json_document(whole, JSON_MAX_DEPTH, &value))
        return ERR_BAD_REQUEST;
    p->data = value;
    return OK;
}

/* Strings only; they pass on as they are written. */
static enum err read_tags(struct api_publication *p, struct span object)
{
    struct json_members it;
    struct span key, v;
    struct buf *b = &p->tags;
    if (!object.n)
        return OK;
    (void)json_members_begin(&it, object, JSON_MAX_DEPTH);
    while (json_members_next(&it, &key, &v) == JSON_MEMBER) {
        if (!json_is_quoted(v))
            return ERR_BAD_REQUEST;
        p->own_time |= span_eq(key, SPAN("t"));
        buf_str(b, b->n ? ",\"" : "\"");
        buf_span(b, key);
        buf_lit(b, "\":");
        buf_span(b, v);
    }
    return b->failed ? ERR_INTERNAL : OK;
}

static enum err read_publication(struct api_publication *p, const struct api_params *from)
{
    if (from->idempotency_key.n > KEY_MAX || from->version_epoch.n > VERSION_EPOCH_MAX ||
        (from->data.n && from->b64data.n))
        return ERR_BAD_REQUEST;
    p->data = from->data;
    p->key = from->idempotency_key;
    p->version = (struct version){from->version, from->version_epoch};
    p->skip_history = from->skip_history;
    p->delta = from->delta;
    enum err e = from->b64data.n ? decode(p, from->b64data) : OK;
    if (!e && !p->data.n)
        e = ERR_BAD_REQUEST;
    return e ? e : read_tags(p, from->tags);
}

/* Sets t->publication; false: the task is done, with an error. */
static bool prepare(struct api_task *t, const struct api_params *from)
{
    t->publication = calloc(1, sizeof(*t->publication));
    enum err e = t->publication ? read_publication(t->publication, from) : ERR_INTERNAL;
    if (e)
        api_done(t, e);
    return !e;
}

/* A key is of its room. Whatever comes with it a second time, the first result is the answer. */
static struct idempotency idempotency_of(struct span channel, struct span key)
{
    uint64_t lanes[4] = {common_hash(channel.p, channel.n, 5), common_hash(key.p, key.n, 5),
                         common_hash(channel.p, channel.n, 6), common_hash(key.p, key.n, 6)};
    return (struct idempotency){
        .used = true,
        .key = {common_hash(lanes, 2 * sizeof(*lanes), 7),
                common_hash(lanes + 2, 2 * sizeof(*lanes), 8)},
        .ttl_ms = KEY_TTL_MS,
    };
}

static void published(struct hub *h, struct request *r)
{
    struct request_publish *q = (struct request_publish *)r;
    struct api_task *t = r->owner;
    struct buf *b = &t->result;
    (void)h;
    buf_char(b, '{');
    if (q->commit.at.offset) {
        buf_lit(b, "\"offset\":");
        buf_u64(b, q->commit.at.offset);
        buf_lit(b, ",\"epoch\":");
        buf_json(b, position_epoch(&q->commit.at));
    }
    buf_char(b, '}');
    api_done(t, r->error);
    msg_unref(q->commit.msg);
    free(q);
}

enum err api_publish_into(struct api_task *t, struct span channel, const struct api_publication *p)
{
    const struct room_rules *r;
    enum err e = api_rules(t, channel, &r);
    if (e)
        return e;
    struct request_publish *q = calloc(1, sizeof(*q) + channel.n);
    struct msg *m =
        q ? push_open(channel, p->data, (struct span){0}, (struct span){p->tags.p, p->tags.n})
          : NULL;
    if (!m) {
        free(q);
        return ERR_INTERNAL;
    }
    memcpy(q->name, channel.p, channel.n);
    q->room = (struct span){q->name, channel.n};
    q->commit.msg = m;
    m->delta = (p->delta || r->delta_publish) && !p->skip_history;
    if (!p->skip_history)
        q->commit.limits = limits_of(r);
    if (p->key.n)
        q->commit.idempotency = idempotency_of(channel, p->key);
    q->commit.version = p->version;
    q->commit.stamp_time = r->stamp_time && !p->own_time;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_PUBLISH, published);
    return OK;
}

void api_publish(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p) || !prepare(t, &p))
        return;
    enum err e = api_publish_into(t, p.channel, t->publication);
    if (e)
        api_done(t, e);
}

/* ---- broadcast ------------------------------------------------------------------------------ */

/* A part's parameter is the name of its room. */
static void publish_part(struct api_task *t)
{
    struct span channel;
    enum err e = ERR_BAD_REQUEST;
    if (string_read(&t->call->scratch, t->params, &channel))
        e = api_publish_into(t, channel, t->parent->publication);
    if (e)
        api_done(t, e);
}

static const struct api_method part = {"publish", 0, publish_part, NULL};

void api_broadcast(struct api_task *t)
{
    struct api_params p;
    struct json_members it;
    struct span v;
    if (!api_read_params(t, &p) || !prepare(t, &p))
        return;
    if (!p.channels.n) {
        api_done(t, ERR_BAD_REQUEST);
        return;
    }
    if (!api_split(t, api_count_items(p.channels), true))
        return;
    (void)json_items_begin(&it, p.channels, JSON_MAX_DEPTH);
    for (uint32_t i = 0; i < t->count && json_items_next(&it, &v) == JSON_MEMBER; i++) {
        t->parts[i].method = &part;
        t->parts[i].params = v;
    }
}

void api_broadcast_gather(struct api_task *t)
{
    buf_lit(&t->result, "{\"responses\":[");
    for (uint32_t i = 0; i < t->count; i++) {
        if (i)
            buf_char(&t->result, ',');
        api_write_reply(&t->result, &t->parts[i]);
    }
    buf_lit(&t->result, "]}");
}
