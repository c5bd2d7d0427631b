/* SPDX-License-Identifier: MIT */
#include "gateway/access.h"
#include "gateway/following.h"
#include "gateway/methods.h"

#include "backplane/base/count.h"
#include "backplane/base/json.h"
#include "backplane/push.h"

#include <stdlib.h>

#define KEY_MAX 64 /* bytes of an idempotency key */

struct publish_params {
    struct span channel, data;
    uint64_t type;
};

static const struct field fields[] = {
    {"channel", FIELD_STRING, offsetof(struct publish_params, channel)},
    {"data", FIELD_RAW, offsetof(struct publish_params, data)},
    {"type", FIELD_U64, offsetof(struct publish_params, type)},
};

/* The raw text of the string member `name` of the top-level object `data`; absent if there is
 * none. */
static struct span member_of(struct span data, struct span name)
{
    struct span none = {0}, key, v;
    struct json_members it;
    if (!memmem(data.p, data.n, name.p, name.n) || !json_members_begin(&it, data, JSON_MAX_DEPTH))
        return none;
    while (json_members_next(&it, &key, &v) == JSON_MEMBER)
        if (span_eq(key, name))
            return (v.p[0] == '"') ? (struct span){v.p + 1, v.n - 2} : none;
    return none;
}

/* The sender and the key, hashed together, and the hash of the message. ERR_BAD_REQUEST: key too
 * long. */
static enum err idempotency_of(const struct session *s, const struct room_rules *r,
                               struct span data, struct idempotency *out)
{
    struct span field = span_str(r->idempotency_field);
    struct span key = field.n && r->history_size ? member_of(data, field) : (struct span){0};
    if (!key.n)
        return OK;
    if (key.n > KEY_MAX)
        return ERR_BAD_REQUEST;
    struct span user = client_info_user(s->client);
    uint64_t lanes[4] = {common_hash(user.p, user.n, 0), common_hash(key.p, key.n, 0),
                         common_hash(user.p, user.n, 1), common_hash(key.p, key.n, 1)};
    out->used = true;
    out->key[0] = common_hash(lanes, 2 * sizeof(*lanes), 2);
    out->key[1] = common_hash(lanes + 2, 2 * sizeof(*lanes), 3);
    out->data = common_hash(data.p, data.n, 4);
    return OK;
}

static enum err check(const struct session *s, const struct room_rules *r,
                      const struct publish_params *p)
{
    if (!p->data.n)
        return ERR_BAD_REQUEST;
    return may(s, r, p->channel, MAY_PUBLISH) ? OK : ERR_PERMISSION;
}

static enum err ask(struct session *s, uint32_t id, const struct room_rules *r,
                    const struct publish_params *p)
{
    struct idempotency key = {0};
    enum err e = idempotency_of(s, r, p->data, &key);
    if (e)
        return e;
    struct span who = client_info_who(s->client);
    struct request_publish *q = calloc(1, sizeof(*q) + p->channel.n + who.n);
    if (!q)
        return ERR_INTERNAL;
    q->commit.msg = push_open(p->channel, p->data, client_info_json(sender_in(s, p->channel)),
                              (struct span){0});
    if (!q->commit.msg) {
        free(q);
        return ERR_INTERNAL;
    }
    q->commit.msg->delta = r->delta_publish;
    char *at = q->name;
    q->room = span_copy(&at, p->channel);
    q->who = span_copy(&at, who);
    q->commit.limits = limits_of(r);
    q->commit.idempotency = key;
    q->commit.stamp_time = r->stamp_time;
    hub_request(s->hub, s, &q->request, REQUEST_PUBLISH, id);
    return OK;
}

void method_publish(struct session *s, const struct command *c)
{
    struct publish_params p = {0};
    if (!fields_read(s, c->params, fields, COUNT_OF(fields), &p)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    const struct room_rules *r = check_channel(s, c->id, p.channel);
    if (!r)
        return;
    if (p.type) {
        reply_left_out(s, c->id, "maps");
        return;
    }
    enum err e = check(s, r, &p);
    if (!e)
        e = ask(s, c->id, r, &p);
    if (e)
        reply_error(s, c->id, e);
}

void answered_publish(struct hub *h, struct request *r)
{
    struct request_publish *q = (struct request_publish *)r;
    struct session *s = r->owner;
    if (!r->error)
        following_tell_publication(h, q);
    if (session_alive(s)) {
        if (r->error) {
            reply_refusal(s, r->id, r->error, q->why);
        } else {
            struct buf *b = reply_begin(s, r->id, "publish");
            buf_lit(b, "{}");
            reply_end(s);
        }
    }
    msg_unref(q->commit.msg);
    free(q->why);
    free(q);
}
