/* SPDX-License-Identifier: MIT */
/* disconnect, subscribe, unsubscribe, refresh: orders to sessions, wherever they are. They are
 * accepted when every hub is to hear of them; whether anybody was meant is not told.
 */
#include "backplane/base/json.h"
#include "gateway/api_private.h"
#include "gateway/close.h"
#include "gateway/credentials.h"
#include "gateway/token.h"

#include <stdlib.h>

#define CODE_FORCED       3503
#define TEXT_FORCED       "force disconnect"
#define CODE_EXPIRED      3005
#define TEXT_EXPIRED      "connection expired"
#define CODE_CUSTOM_FIRST 4000
#define CODE_CUSTOM_LAST  4999

static void ordered(struct hub *h, struct request *r)
{
    struct api_task *t = r->owner;
    (void)h;
    control_unref(((struct request_control *)r)->control);
    buf_lit(&t->result, "{}");
    api_done(t, r->error);
    free(r);
}

void api_give(struct api_task *t, struct control *c)
{
    struct request_control *q = calloc(1, sizeof(*q));
    if (!q) {
        control_unref(c);
        api_done(t, ERR_INTERNAL);
        return;
    }
    q->control = c;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_CONTROL, ordered);
}

struct control *api_order(struct api_task *t, enum control_op op, const struct api_params *p,
                          size_t more)
{
    struct span client = p->session.n ? SPAN("-") : p->client;
    size_t bytes = p->user.n + client.n + p->channel.n + more;
    struct control *c = control_new(op, t->call->hub->gateway->hub_count, bytes);
    if (!c) {
        api_done(t, ERR_INTERNAL);
        return NULL;
    }
    c->user = control_copy(c, p->user);
    c->client = control_copy(c, client);
    c->channel = control_copy(c, p->channel);
    return c;
}

/* ---- disconnect ----------------------------------------------------------------------------- */

struct farewell {
    uint64_t code;
    struct span reason;
};

static const struct field farewell_fields[] = {
    {"code", FIELD_U64, offsetof(struct farewell, code)},
    {"reason", FIELD_STRING, offsetof(struct farewell, reason)},
};

/* Clients take a reason that is JSON for an instruction, and one that is empty for none. */
static bool reason_ok(struct span reason)
{
    struct span v;
    return reason.n <= CLOSE_TEXT_MAX && !memchr(reason.p, '\0', reason.n) &&
           !json_document(reason, JSON_MAX_DEPTH, &v);
}

static bool read_farewell(struct api_task *t, struct span object, struct farewell *f)
{
    if (object.n && !object_read(&t->call->scratch, object, farewell_fields, 2, f))
        return false;
    if (f->code && f->code != CODE_FORCED &&
        (f->code < CODE_CUSTOM_FIRST || f->code > CODE_CUSTOM_LAST))
        return false;
    if (!f->code)
        f->code = CODE_FORCED;
    if (!f->reason.n)
        f->reason = SPAN(TEXT_FORCED);
    return reason_ok(f->reason);
}

/* Ids of another length are nobody's. */
static bool copy_whitelist(struct api_task *t, struct control *c, struct span array)
{
    struct json_members it;
    struct span v, id;
    if (!array.n)
        return true;
    c->whitelist = control_copy(c, (struct span){0});
    (void)json_items_begin(&it, array, JSON_MAX_DEPTH);
    while (json_items_next(&it, &v) == JSON_MEMBER) {
        if (!string_read(&t->call->scratch, v, &id))
            return false;
        if (id.n == CLIENT_ID_LENGTH)
            c->whitelist.n += control_copy(c, id).n;
    }
    return true;
}

static void disconnect(struct api_task *t, const struct api_params *p, const struct farewell *f)
{
    struct control *c = api_order(t, CONTROL_DISCONNECT, p, p->whitelist.n + f->reason.n);
    if (!c)
        return;
    c->code = (unsigned)f->code;
    c->reason = control_copy(c, f->reason);
    if (copy_whitelist(t, c, p->whitelist)) {
        api_give(t, c);
        return;
    }
    control_unref(c);
    api_done(t, ERR_BAD_REQUEST);
}

void api_disconnect(struct api_task *t)
{
    struct api_params p;
    struct farewell f = {0};
    if (!api_read_params(t, &p))
        return;
    if (read_farewell(t, p.disconnect, &f))
        disconnect(t, &p, &f);
    else
        api_done(t, ERR_BAD_REQUEST);
}

/* ---- refresh -------------------------------------------------------------------------------- */

/* JSON without the line breaks that would split a frame. */
static enum err copy_json(struct control *c, struct span json, struct span *kept)
{
    struct buf b = {0};
    buf_json_oneline(&b, json);
    enum err e = b.failed ? ERR_INTERNAL : OK;
    if (!e)
        *kept = control_copy(c, (struct span){b.p, b.n});
    buf_deinit(&b);
    return e;
}

static void change(struct api_task *t, const struct api_params *p)
{
    struct span info = p->info;
    if (span_eq(info, SPAN("null")))
        info.n = 0;
    if (info.n > TOKEN_INFO_MAX) {
        api_done(t, ERR_BAD_REQUEST);
        return;
    }
    struct control *c = api_order(t, CONTROL_REFRESH, p, info.n);
    if (!c)
        return;
    c->sets_end = p->expire_at != EXPIRE_AT_ABSENT;
    c->end_s = p->expire_at > 0 ? p->expire_at : 0;
    enum err e = info.n ? copy_json(c, info, &c->info) : OK;
    if (!e) {
        api_give(t, c);
        return;
    }
    control_unref(c);
    api_done(t, e);
}

/* An end that is past is one that has come. */
void api_refresh(struct api_task *t)
{
    struct api_params p;
    static const struct farewell expired = {CODE_EXPIRED, SPAN_INIT(TEXT_EXPIRED)};
    if (!api_read_params(t, &p))
        return;
    if (p.expired || (p.expire_at > 0 && p.expire_at <= wall_s()))
        disconnect(t, &p, &expired);
    else
        change(t, &p);
}

/* ---- subscribe, unsubscribe ----------------------------------------------------------------- */

static bool channel_ok(struct api_task *t, const struct api_params *p)
{
    const struct room_rules *r;
    enum err e = api_rules(t, p->channel, &r);
    if (e)
        api_done(t, e);
    return !e;
}

static enum err fill_subscribe(struct api_task *t, struct control *c, const struct api_params *p,
                               const struct grant_entry *g)
{
    if (p->recover_since.n) {
        c->recover = true;
        if (!api_read_position(t, p->recover_since, &c->since))
            return ERR_BAD_REQUEST;
    }
    if (p->expire_at > 0 && p->expire_at <= wall_s())
        return ERR_EXPIRED;
    c->end_s = p->expire_at > 0 ? p->expire_at : 0;
    c->override = control_copy(c, p->override);
    enum err e = g->data.n ? copy_json(c, g->data, &c->data) : OK;
    return !e && g->info.n ? copy_json(c, g->info, &c->info) : e;
}

static void order_subscribe(struct api_task *t, const struct api_params *p,
                            const struct grant_entry *g)
{
    size_t more = g->data.n + g->info.n + p->override.n;
    struct control *c = api_order(t, CONTROL_SUBSCRIBE, p, more);
    if (!c)
        return;
    enum err e = fill_subscribe(t, c, p, g);
    if (!e) {
        api_give(t, c);
        return;
    }
    control_unref(c);
    api_done(t, e);
}

/* The parameters are in part those that a token has for a room. */
void api_subscribe(struct api_task *t)
{
    struct api_params p;
    struct grant_entry g = {0};
    struct buf decoded = {0};
    if (!api_read_params(t, &p) || !channel_ok(t, &p))
        return;
    if (token_grant(t->params, &decoded, &g))
        order_subscribe(t, &p, &g);
    else
        api_done(t, decoded.failed ? ERR_INTERNAL : ERR_BAD_REQUEST);
    buf_deinit(&decoded);
}

void api_unsubscribe(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p) || !channel_ok(t, &p))
        return;
    struct control *c = api_order(t, CONTROL_UNSUBSCRIBE, &p, 0);
    if (c)
        api_give(t, c);
}
