/* SPDX-License-Identifier: MIT */
#include "backplane/order_text.h"

#include "backplane/base/count.h"
#include "backplane/base/json.h"

#include <stddef.h>

#define CODE_FIRST 3000 /* RFC 6455 7.4.2: those below are not for applications */
#define CODE_LAST  4999
#define WORDS_MAX  123 /* RFC 6455 5.5: what fits behind the code */
#define END_ABSENT INT64_MIN

static const struct {
    const char *name;
    enum order_kind kind;
    enum control_op op;
} names[] = {
    {"disconnect", ORDER_CONTROL, CONTROL_DISCONNECT},
    {"subscribe", ORDER_CONTROL, CONTROL_SUBSCRIBE},
    {"unsubscribe", ORDER_CONTROL, CONTROL_UNSUBSCRIBE},
    {"refresh", ORDER_CONTROL, CONTROL_REFRESH},
    {"sanction", ORDER_SANCTION, 0},
    {"slow_mode", ORDER_PACE, 0},
};
#define NAMES COUNT_OF(names)

static const char *const sanctions[SANCTION_KINDS] = {
    [SANCTION_BAN] = "ban",
    [SANCTION_MUTE] = "mute",
};

/* ---- writing -------------------------------------------------------------------------------- */

static void begin(struct buf *b, struct span id, const char *op)
{
    buf_lit(b, "{\"id\":");
    buf_json(b, id);
    buf_lit(b, ",\"op\":");
    buf_json(b, span_str(op));
}

static void key(struct buf *b, const char *name)
{
    buf_lit(b, ",\"");
    buf_str(b, name);
    buf_lit(b, "\":");
}

static void text(struct buf *b, const char *name, struct span value)
{
    if (!value.n)
        return;
    key(b, name);
    buf_json(b, value);
}

static void json(struct buf *b, const char *name, struct span value)
{
    if (!value.n)
        return;
    key(b, name);
    buf_span(b, value);
}

static void number(struct buf *b, const char *name, uint64_t value)
{
    key(b, name);
    buf_u64(b, value);
}

/* Ids in a row, as a list. */
static void ids(struct buf *b, const char *name, struct span row)
{
    if (!row.n)
        return;
    key(b, name);
    for (size_t i = 0; i + CLIENT_ID_LENGTH <= row.n; i += CLIENT_ID_LENGTH) {
        buf_char(b, i ? ',' : '[');
        buf_json(b, (struct span){row.p + i, CLIENT_ID_LENGTH});
    }
    buf_char(b, ']');
}

static void position(struct buf *b, const char *name, const struct position *at)
{
    key(b, name);
    buf_lit(b, "{\"offset\":");
    buf_u64(b, at->offset);
    buf_lit(b, ",\"epoch\":");
    buf_json(b, position_epoch(at));
    buf_char(b, '}');
}

static const char *name_of(enum control_op op)
{
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].kind == ORDER_CONTROL && names[i].op == op)
            return names[i].name;
    return "";
}

void order_write_control(struct buf *b, struct span id, const struct control *c)
{
    bool subscribes = c->op == CONTROL_SUBSCRIBE;
    begin(b, id, name_of(c->op));
    key(b, "user"); /* an empty one is somebody, too */
    buf_json(b, c->user);
    text(b, "client", c->client);
    ids(b, "whitelist", c->whitelist);
    if (c->code)
        number(b, "code", c->code);
    text(b, "channel", c->channel);
    text(b, "reason", c->reason);
    json(b, "data", c->data);
    json(b, "info", c->info);
    json(b, "override", c->override);
    if (c->sets_end || (subscribes && c->end_s))
        number(b, "expire_at", (uint64_t)c->end_s);
    if (c->recover)
        position(b, "recover_since", &c->since);
    buf_char(b, '}');
}

void order_write_sanction(struct buf *b, struct span id, const struct sanction *what, bool lift)
{
    begin(b, id, "sanction");
    text(b, "sanction", span_str(sanctions[what->kind]));
    text(b, "user", what->user);
    text(b, "channel", what->room);
    text(b, "reason", what->reason);
    if (what->until_ms)
        number(b, "until_ms", what->until_ms);
    if (lift)
        json(b, "lift", SPAN("true"));
    buf_char(b, '}');
}

void order_write_pace(struct buf *b, struct span id, struct span room, uint64_t interval_ms)
{
    begin(b, id, "slow_mode");
    text(b, "channel", room);
    number(b, "interval_ms", interval_ms);
    buf_char(b, '}');
}

/* ---- reading -------------------------------------------------------------------------------- */

#define STRING(name, field)                                                                        \
    {                                                                                              \
        name, FIELD_STRING, offsetof(struct read, order.field)                                     \
    }
#define OTHER(name, type, field)                                                                   \
    {                                                                                              \
        name, type, offsetof(struct read, order.field)                                             \
    }

struct read {
    struct order order;
    struct span op;
};

static const struct field fields[] = {
    {"op", FIELD_STRING, offsetof(struct read, op)},
    STRING("id", id),
    STRING("user", user),
    STRING("client", client),
    STRING("channel", channel),
    STRING("reason", reason),
    STRING("sanction", sanction),
    OTHER("whitelist", FIELD_ARRAY, whitelist),
    OTHER("data", FIELD_RAW, data),
    OTHER("info", FIELD_RAW, info),
    OTHER("override", FIELD_OBJECT, override),
    OTHER("recover_since", FIELD_OBJECT, recover_since),
    OTHER("code", FIELD_U64, code),
    OTHER("until_ms", FIELD_U64, until_ms),
    OTHER("interval_ms", FIELD_U64, interval_ms),
    OTHER("expire_at", FIELD_I64, expire_at),
    OTHER("lift", FIELD_BOOL, lift),
};

enum err order_read(struct scratch *mem, struct span object, struct order *out)
{
    struct read r = {.order.expire_at = END_ABSENT};
    if (memchr(object.p, '\n', object.n) || memchr(object.p, '\r', object.n))
        return ERR_BAD_REQUEST; /* parts of it go into frames as they are */
    if (!object_read(mem, object, fields, COUNT_OF(fields), &r))
        return ERR_BAD_REQUEST;
    r.order.sets_end = r.order.expire_at != END_ABSENT;
    if (r.order.expire_at < 0)
        r.order.expire_at = 0;
    for (size_t i = 0; i < NAMES; i++) {
        if (!span_eq(r.op, span_str(names[i].name)))
            continue;
        r.order.kind = names[i].kind;
        r.order.op = names[i].op;
        *out = r.order;
        return OK;
    }
    return ERR_METHOD_NOT_FOUND;
}

/* What may stand in a close frame: clients take a JSON text for an instruction. */
static bool words_ok(struct span words)
{
    struct span v;
    return words.n && words.n <= WORDS_MAX && !json_document(words, JSON_MAX_DEPTH, &v);
}

static bool can_be_done(const struct order *o)
{
    bool leaves = o->op == CONTROL_DISCONNECT;
    if (leaves)
        return o->code >= CODE_FIRST && o->code <= CODE_LAST && words_ok(o->reason);
    return o->op == CONTROL_REFRESH || o->channel.n;
}

static bool copy_ids(struct scratch *mem, struct control *c, struct span array)
{
    struct json_members it;
    struct span v, id;
    enum json_step step;
    c->whitelist = control_copy(c, (struct span){0});
    if (!array.n)
        return true;
    (void)json_items_begin(&it, array, JSON_MAX_DEPTH);
    while ((step = json_items_next(&it, &v)) == JSON_MEMBER) {
        if (!string_read(mem, v, &id))
            return false;
        if (id.n == CLIENT_ID_LENGTH)
            c->whitelist.n += control_copy(c, id).n;
    }
    return step == JSON_END;
}

static bool read_since(struct scratch *mem, struct span object, struct control *c)
{
    struct since {
        struct span epoch;
        uint64_t offset;
    } since = {0};
    static const struct field members[] = {
        {"epoch", FIELD_STRING, offsetof(struct since, epoch)},
        {"offset", FIELD_U64, offsetof(struct since, offset)},
    };
    if (!object.n)
        return true;
    if (!object_read(mem, object, members, 2, &since) || since.epoch.n >= EPOCH_MAX)
        return false;
    c->recover = true;
    c->since.offset = since.offset;
    if (since.epoch.n)
        memcpy(c->since.epoch, since.epoch.p, since.epoch.n);
    return true;
}

enum err order_control(const struct order *o, struct scratch *mem, uint32_t hubs,
                       struct control **out)
{
    size_t bytes = o->user.n + o->client.n + o->channel.n + o->reason.n + o->data.n + o->info.n +
                   o->override.n + o->whitelist.n;
    if (!can_be_done(o))
        return ERR_BAD_REQUEST;
    struct control *c = control_new(o->op, hubs, bytes);
    if (!c)
        return ERR_INTERNAL;
    c->user = control_copy(c, o->user);
    c->client = control_copy(c, o->client);
    c->channel = control_copy(c, o->channel);
    c->reason = control_copy(c, o->reason);
    if (o->data.n)
        c->data = control_copy(c, o->data);
    if (o->info.n)
        c->info = control_copy(c, o->info);
    c->override = control_copy(c, o->override);
    c->code = (unsigned)o->code;
    c->end_s = o->expire_at;
    c->sets_end = o->sets_end;
    if (!copy_ids(mem, c, o->whitelist) || !read_since(mem, o->recover_since, c)) {
        control_unref(c);
        return ERR_BAD_REQUEST;
    }
    *out = c;
    return OK;
}

enum err order_sanction(const struct order *o, struct sanction *out)
{
    *out = (struct sanction){
        .user = o->user, .room = o->channel, .reason = o->reason, .until_ms = o->until_ms};
    for (int i = 0; i < SANCTION_KINDS; i++) {
        if (!span_eq(o->sanction, span_str(sanctions[i])))
            continue;
        out->kind = (enum sanction_kind)i;
        return o->user.n ? OK : ERR_BAD_REQUEST;
    }
    return ERR_BAD_REQUEST;
}
