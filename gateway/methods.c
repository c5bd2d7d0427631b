/* SPDX-License-Identifier: MIT */
#include "gateway/methods.h"

#include "backplane/base/count.h"

#include <stdio.h>
#include <stdlib.h>

/* Replies up to this size are copied into the turn's frame; larger ones are streamed. */
#define COPY_MAX (16 * 1024)

static const struct method methods[] = {
    {"connect", method_connect},
    {"subscribe", method_subscribe},
    {"unsubscribe", method_unsubscribe},
    {"publish", method_publish},
    {"presence", method_presence},
    {"presence_stats", method_presence_stats},
    {"history", method_history},
    {"rpc", method_rpc},
    {"send", method_send},
    {"refresh", method_refresh},
    {"sub_refresh", method_sub_refresh},
};

const struct method *method_find(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (span_eq(span_str(methods[i].name), name))
            return &methods[i];
    return NULL;
}

bool method_is_connect(const struct method *m)
{
    return m->run == method_connect;
}

bool method_is_send(const struct method *m)
{
    return m->run == method_send;
}

/* There is nobody to receive what is sent without asking for a reply. */
void method_send(struct session *s, const struct command *c)
{
    (void)c;
    session_close(s, CLOSE_NOT_AVAILABLE);
}

static void reply_error_in_words(struct session *s, uint32_t id, enum err e, const char *words)
{
    struct buf *b = &s->hub->text;
    buf_clear(b);
    buf_lit(b, "{\"id\":");
    buf_u64(b, id);
    buf_lit(b, ",\"error\":{\"code\":");
    buf_u64(b, e);
    buf_lit(b, ",\"message\":");
    buf_json(b, span_str(words));
    if (err_temporary(e))
        buf_lit(b, ",\"temporary\":true");
    buf_lit(b, "}");
    counter_add(&s->hub->counters.errors, 1);
    reply_end(s);
}

void reply_error(struct session *s, uint32_t id, enum err e)
{
    reply_error_in_words(s, id, e, err_text(e));
}

void reply_refusal(struct session *s, uint32_t id, enum err e, const char *why)
{
    reply_error_in_words(s, id, e, why ? why : err_text(e));
}

void reply_left_out(struct session *s, uint32_t id, const char *feature)
{
    char words[80];
    (void)snprintf(words, sizeof(words), "%s; not offered: %s", err_text(ERR_BAD_REQUEST), feature);
    reply_error_in_words(s, id, ERR_BAD_REQUEST, words);
}

struct buf *reply_begin(struct session *s, uint32_t id, const char *method)
{
    struct buf *b = &s->hub->text;
    buf_clear(b);
    buf_lit(b, "{\"id\":");
    buf_u64(b, id);
    buf_lit(b, ",\"");
    buf_str(b, method);
    buf_lit(b, "\":");
    return b;
}

/* Written at once, it would wait in the library, where no bound of ours counts it. */
static void reply_large(struct session *s, struct buf *text)
{
    struct stream_reply *r = stream_reply_new(NULL, 0);
    if (!r) {
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    r->head = *text;
    *text = (struct buf){0};
    session_send_reply(s, r);
}

void reply_end(struct session *s)
{
    struct buf *b = &s->hub->text;
    buf_lit(b, "}");
    if (b->failed)
        session_close(s, CLOSE_INTERNAL);
    else if (b->n > COPY_MAX)
        reply_large(s, b);
    else
        session_reply(s, (struct span){b->p, b->n});
}

static void copy_publications(struct buf *b, struct msg **pubs, size_t count, struct span tail)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_lit(b, ",");
        buf_span(b, msg_pub(pubs[i]));
        msg_unref(pubs[i]);
    }
    free(pubs);
    buf_span(b, tail);
}

void reply_publications(struct session *s, struct msg **pubs, size_t count, struct span tail)
{
    struct buf *b = &s->hub->text;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += pubs[i]->pub_len + 1;
    if (bytes <= COPY_MAX) {
        copy_publications(b, pubs, count, tail);
        reply_end(s);
        return;
    }
    struct stream_reply *r = stream_reply_new(pubs, count);
    if (!r) {
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    buf_add(&r->head, b->p, b->n);
    buf_span(&r->tail, tail);
    buf_lit(&r->tail, "}");
    if (b->failed || r->head.failed || r->tail.failed) {
        stream_reply_free(r);
        session_close(s, CLOSE_INTERNAL);
        return;
    }
    session_send_reply(s, r);
}

bool check_name(struct session *s, uint32_t id, struct span channel)
{
    if (!channel.n) {
        session_close(s, CLOSE_BAD_REQUEST);
        return false;
    }
    enum err e = room_name_check(channel, s->hub->options->channel_max_length);
    if (e)
        reply_error(s, id, e);
    return !e;
}

const struct room_rules *check_channel(struct session *s, uint32_t id, struct span channel)
{
    if (!check_name(s, id, channel))
        return NULL;
    const struct room_rules *r = rules_of(&s->hub->options->rules, channel);
    if (!r)
        reply_error(s, id, ERR_UNKNOWN_CHANNEL);
    return r;
}

struct stream_limits limits_of(const struct room_rules *r)
{
    return (struct stream_limits){r->history_size, r->history_bytes, r->history_ttl_ms};
}
