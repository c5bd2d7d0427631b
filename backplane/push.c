/* SPDX-License-Identifier: MIT */
#include "backplane/push.h"

#include "backplane/base/json.h"

/* Longest tail of push_close: two 20-digit numbers, names and closing braces. */
#define TAIL_MAX 96

static struct msg *msg_of(const struct buf *b, size_t tail)
{
    if (b->failed)
        return NULL;
    struct msg *m = msg_new(b->n + tail);
    if (m)
        msg_add(m, b->p, b->n);
    return m;
}

static void add_channel(struct buf *b, struct span room)
{
    buf_lit(b, "{\"push\":{\"channel\":");
    buf_json(b, room);
}

/* Quotes within names and values stand behind a backslash. */
static bool has_tag(struct span tags, struct span quoted)
{
    const char *end = tags.p + tags.n;
    for (const char *at = tags.p; at; at++) {
        at = memmem(at, (size_t)(end - at), quoted.p, quoted.n);
        if (!at)
            return false;
        if (at == tags.p || at[-1] == ',')
            return true;
    }
    return false;
}

struct msg *push_open(struct span room, struct span data, struct span info, struct span tags)
{
    struct buf b = {0};
    buf_reserve(&b, room.n + data.n + info.n + tags.n + 80);
    add_channel(&b, room);
    buf_lit(&b, ",\"pub\":");
    size_t pub_at = b.n;
    buf_lit(&b, "{\"data\":");
    size_t data_at = b.n;
    buf_json_oneline(&b, data);
    size_t data_len = b.n - data_at;
    if (info.n) {
        buf_lit(&b, ",\"info\":");
        buf_span(&b, info);
    }
    /* The tags come last and stay open: push_close may add the time to them. */
    size_t tags_at = b.n;
    if (tags.n) {
        buf_lit(&b, ",\"tags\":{");
        buf_span(&b, tags);
    }
    struct msg *m = msg_of(&b, TAIL_MAX);
    buf_deinit(&b);
    if (!m)
        return NULL;
    m->kind = MSG_PUBLICATION;
    m->pub_at = (uint32_t)pub_at;
    m->data_len = (uint32_t)data_len;
    m->quiet = tags.n && has_tag(tags, SPAN("\"quiet\":"));
    m->pub_len = (uint32_t)(tags.n ? tags_at : 0); /* until closed: where the tags began */
    return m;
}

void push_close(struct msg *m, uint64_t offset, uint64_t time_ms)
{
    bool tags = m->pub_len != 0;
    if (time_ms) {
        if (tags)
            msg_lit(m, ",\"t\":\"");
        else
            msg_lit(m, ",\"tags\":{\"t\":\"");
        msg_add_u64(m, time_ms);
        msg_lit(m, "\"}");
    } else if (tags) {
        msg_lit(m, "}");
    }
    if (offset) {
        msg_lit(m, ",\"offset\":");
        msg_add_u64(m, offset);
    }
    msg_lit(m, "}");
    m->pub_len = m->len - m->pub_at;
    msg_lit(m, "}}");
    m->offset = offset;
    m->time_ms = time_ms;
    msg_seal(m);
}

struct push_parts push_parts(const struct msg *open)
{
    static const size_t info_at = sizeof(",\"info\":") - 1, tags_at = sizeof(",\"tags\":{") - 1;
    struct push_parts parts = {.data = msg_data(open)};
    const char *end = msg_text(open).p + open->len;
    const char *behind = parts.data.p + parts.data.n;
    const char *tags = open->pub_len ? msg_text(open).p + open->pub_len : end;
    if (behind < tags)
        parts.info = (struct span){behind + info_at, (size_t)(tags - behind) - info_at};
    if (tags < end)
        parts.tags = (struct span){tags + tags_at, (size_t)(end - tags) - tags_at};
    return parts;
}

struct span push_members(const struct msg *m)
{
    struct span pub = msg_pub(m);
    size_t tail = sizeof(",\"offset\":") - 1 + sizeof("}") - 1;
    for (uint64_t n = m->offset; n; n /= 10)
        tail++;
    return (struct span){pub.p, pub.n - tail};
}

void push_head(struct buf *b, struct span room)
{
    add_channel(b, room);
    buf_lit(b, ",\"pub\":");
}

/* The data of a publication's object; absent: it is none. */
static struct span data_of(struct span object)
{
    struct json_members it;
    struct span key, value, data = {0};
    enum json_step step = JSON_BAD;
    if (object.n < MSG_DATA_AT || memcmp(object.p, "{\"data\":", MSG_DATA_AT) != 0 ||
        !json_members_begin(&it, object, JSON_MAX_DEPTH))
        return data;
    while ((step = json_members_next(&it, &key, &value)) == JSON_MEMBER)
        if (!data.p)
            data = value;
    bool tight = data.p == object.p + MSG_DATA_AT && object.p[object.n - 1] == '}';
    bool oneline = !memchr(object.p, '\n', object.n) && !memchr(object.p, '\r', object.n);
    return step == JSON_END && tight && oneline ? data : (struct span){0};
}

struct msg *push_kept(struct span head, struct span object, uint64_t offset, bool *well)
{
    struct span data = data_of(object);
    *well = data.n > 0;
    if (!*well) {
        object = SPAN("{\"data\":null}");
        data = SPAN("null");
    }
    struct msg *m = msg_new(head.n + object.n + TAIL_MAX);
    if (!m)
        return NULL;
    msg_add(m, head.p, head.n);
    m->kind = MSG_PUBLICATION;
    m->pub_at = (uint32_t)head.n;
    m->data_len = (uint32_t)data.n;
    msg_add(m, object.p, object.n - 1); /* without its brace */
    push_close(m, offset, 0);
    return m;
}

struct msg *push_tombstone(struct span room, uint64_t offset)
{
    struct span none = {0};
    struct msg *m = push_open(room, SPAN("{\"type\":\"redacted\"}"), none, none);
    if (m)
        push_close(m, offset, 0);
    return m;
}

struct msg *push_presence(enum msg_kind kind, struct span room, struct span info)
{
    struct buf b = {0};
    add_channel(&b, room);
    if (kind == MSG_JOIN)
        buf_lit(&b, ",\"join\":{\"info\":");
    else
        buf_lit(&b, ",\"leave\":{\"info\":");
    buf_span(&b, info);
    buf_lit(&b, "}}}");
    struct msg *m = msg_of(&b, 0);
    buf_deinit(&b);
    if (!m)
        return NULL;
    m->kind = (uint8_t)kind;
    msg_seal(m);
    return m;
}

struct msg *push_unsubscribe(struct span room, unsigned code, struct span reason)
{
    struct buf b = {0};
    add_channel(&b, room);
    buf_lit(&b, ",\"unsubscribe\":{\"code\":");
    buf_u64(&b, code);
    buf_lit(&b, ",\"reason\":");
    buf_json(&b, reason);
    buf_lit(&b, "}}}");
    struct msg *m = msg_of(&b, 0);
    buf_deinit(&b);
    if (!m)
        return NULL;
    m->kind = MSG_OTHER;
    msg_seal(m);
    return m;
}
