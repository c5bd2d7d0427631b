/* SPDX-License-Identifier: MIT */
/* Operations as scripts, and their answers. backplane/lua/ tells what each word is. */
#include "backplane/push.h"
#include "backplane/redis_calls.h"

#include <stdlib.h>

/* ---- reads ---------------------------------------------------------------------------------- */

/* Publications of an answer; they are the caller's to free. */
struct kept {
    struct msg **list;
    size_t count;
};

static void kept_deinit(struct kept *k)
{
    for (size_t i = 0; i < k->count; i++)
        msg_unref(k->list[i]);
    free(k->list);
    *k = (struct kept){0};
}

static bool keep(struct kept *out, const struct redis_reply *list, struct span head)
{
    size_t n = list && list->type == REPLY_ARRAY ? list->count / 3 : 0;
    *out = (struct kept){.list = n ? calloc(n, sizeof(struct msg *)) : NULL};
    if (n && !out->list)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool well;
        struct msg *m = push_kept(head, redis_reply_text(redis_reply_item(list, 3 * i + 1)),
                                  script_number(list, 3 * i), &well);
        if (!m) {
            kept_deinit(out);
            return false;
        }
        struct span flags = redis_reply_text(redis_reply_item(list, 3 * i + 2));
        m->delta = flags.n && memchr(flags.p, 'd', flags.n);
        out->list[out->count++] = m;
    }
    return true;
}

static size_t texts(const struct redis_reply *list)
{
    size_t n = 0;
    for (size_t i = 1; list && list->type == REPLY_ARRAY && i < list->count; i += 3)
        n += redis_reply_text(redis_reply_item(list, i)).n;
    return n;
}

/* What a read answers to the feed. */
static bool answer_from(const struct redis_reply *r, struct span head, struct feed_answer *a,
                        struct kept *after)
{
    *a = (struct feed_answer){.top = {.offset = script_number(r, 1)},
                              .seq = script_number(r, 2),
                              .cut = script_number(r, 3) == 1};
    if (r->type != REPLY_ARRAY || r->count != 6 || !script_epoch(r, 0, &a->top) ||
        !keep(after, redis_reply_item(r, 4), head))
        return false;
    a->stored = after->list;
    a->count = after->count;
    return true;
}

static bool feeds_still(const struct script_call *c)
{
    return c->feeds && c->room->watched && c->room->era == c->era;
}

/* Tells the feed that nothing came. */
static void feed_nothing(struct script_call *c)
{
    if (!c->feeds)
        return;
    c->failed = true;
    feed_read_failed(&c->room->feed);
}

static void after_read(struct script_call *c)
{
    if (c->room && c->room->ref && c->failed)
        redis_room_go_on_without(c->room);
    else if (c->room && c->room->ref)
        redis_room_go_on(c->room);
    if (!c->shard->driver->closing)
        redis_check_some(c->shard);
    script_call_free(c);
}

static void read_answered(struct script_call *c, struct stream_read *r, struct span head)
{
    struct feed_answer a;
    struct kept after, asked;
    if (!answer_from(c->call.reply, head, &a, &after)) {
        r->error = ERR_INTERNAL;
        feed_nothing(c);
        return;
    }
    if (feeds_still(c)) {
        struct feed_sink sink = redis_room_sink(c->room);
        if (feed_read(&c->room->feed, &a, &sink) == FEED_READ)
            feed_give_up(&c->room->feed, &a, &sink);
        counter_add(&counters_of(c->shard)->filled, after.count);
    } else if (c->feeds) {
        feed_read_failed(&c->room->feed);
    }
    kept_deinit(&after);
    r->top = a.top;
    if (!keep(&asked, redis_reply_item(c->call.reply, 5), head)) {
        r->error = ERR_INTERNAL;
        return;
    }
    r->pubs = asked.list;
    r->count = asked.count;
}

static void read_done(struct redis_call *call)
{
    struct script_call *c = script_call_of(call);
    struct stream_read *r = container_of(c->operation, struct stream_read, operation);
    r->error = script_call_outcome(c);
    if (r->error) {
        feed_nothing(c);
    } else {
        struct buf head = {0};
        push_head(&head, r->room->name);
        if (head.failed) {
            r->error = ERR_INTERNAL;
            feed_nothing(c);
        } else {
            read_answered(c, r, (struct span){head.p, head.n});
        }
        buf_deinit(&head);
    }
    if (!r->error && !r->limits.count)
        r->error = ERR_NOT_AVAILABLE;
    redis_tell(c->shard->driver, c->operation);
    after_read(c);
}

/* `place`: of the feed; NULL: none. */
static bool read_words(struct script_words *w, struct redis *d, struct span name,
                       const struct feed *place, size_t after_bytes)
{
    if (!script_begin(w, d, name, 3))
        return false;
    script_add_key(w, "room", name);
    script_add_key(w, "stream", name);
    script_add_key(w, "generation", (struct span){0});
    bool has = place && place->started;
    script_add(w, has ? position_epoch(&place->at) : (struct span){0});
    script_add_u64(w, has ? place->at.offset : 0);
    script_add_u64(w, after_bytes);
    return true;
}

#define READ_KEYS 3

static bool send_read(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    const struct stream_read *r = container_of(o, struct stream_read, operation);
    struct script_words w;
    struct script_call *c = script_call_new(s, room, o, read_done);
    if (!c)
        return false;
    c->feeds = room && room->watched;
    if (!read_words(&w, s->driver, r->room->name, c->feeds ? &room->feed : NULL, AFTER_BYTES)) {
        script_call_free(c);
        return false;
    }
    script_add_u64(&w, r->since);
    script_add(&w, r->reverse ? SPAN("1") : SPAN("0"));
    script_add_u64(&w, r->limits.count ? r->max_count : 0);
    script_add_u64(&w, r->max_bytes);
    if (c->feeds)
        feed_read_begun(&room->feed);
    script_call_send(c, SCRIPT_READ, &w, READ_KEYS);
    return true;
}

/* ---- fills ---------------------------------------------------------------------------------- */

static void fill_answered(struct script_call *c, const struct feed_answer *a)
{
    struct redis_room *room = c->room;
    struct feed_sink sink = redis_room_sink(room);
    enum feed_next next = feed_read(&room->feed, a, &sink);
    counter_add(&counters_of(c->shard)->filled, a->count);
    room->gap_bytes += texts(redis_reply_item(c->call.reply, 4));
    if (next != FEED_READ)
        return;
    if (room->gap_bytes > FILL_BYTES_TOTAL || shard_now(c->shard) - room->gap_ms > FILL_MS)
        feed_give_up(&room->feed, a, &sink);
    else
        redis_room_fill(room);
}

static void fill_done(struct redis_call *call)
{
    struct script_call *c = script_call_of(call);
    struct redis_room *room = c->room;
    struct feed_answer a;
    struct kept after = {0};
    room->filling = false;
    c->shard->fills--;
    if (script_call_outcome(c) || !feeds_still(c) ||
        !answer_from(call->reply, (struct span){room->head, room->head_len}, &a, &after))
        feed_nothing(c);
    else
        fill_answered(c, &a);
    kept_deinit(&after);
    after_read(c);
}

bool redis_send_fill(struct redis_room *room)
{
    struct redis_shard *s = room->shard;
    struct script_words w;
    struct script_call *c = script_call_new(s, room, NULL, fill_done);
    if (!c)
        return false;
    if (!read_words(&w, s->driver, room->ref->name, &room->feed, FILL_BYTES)) {
        script_call_free(c);
        return false;
    }
    for (int i = 0; i < 4; i++) /* nothing is asked for beside */
        script_add(&w, SPAN("0"));
    c->feeds = true;
    room->filling = true;
    s->fills++;
    feed_read_begun(&room->feed);
    script_call_send(c, SCRIPT_READ, &w, READ_KEYS);
    return true;
}

/* ---- removal and redaction ------------------------------------------------------------------ */

static void remove_done(struct redis_call *call)
{
    struct script_call *c = script_call_of(call);
    container_of(c->operation, struct stream_removal, operation)->error = script_call_outcome(c);
    redis_tell(c->shard->driver, c->operation);
    script_call_free(c);
}

static bool send_remove(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    struct span name = container_of(o, struct stream_removal, operation)->room->name;
    struct script_words w;
    struct script_call *c = script_call_new(s, room, o, remove_done);
    if (!c)
        return false;
    if (!script_begin(&w, s->driver, name, 3)) {
        script_call_free(c);
        return false;
    }
    script_add_key(&w, "room", name);
    script_add_key(&w, "stream", name);
    script_add_key(&w, "keys", name);
    script_call_send(c, SCRIPT_REMOVE, &w, 3);
    return true;
}

static void redact_done(struct redis_call *call)
{
    static const enum err errors[] = {OK, ERR_UNRECOVERABLE, ERR_BAD_REQUEST};
    struct script_call *sc = script_call_of(call);
    struct stream_redaction *r = container_of(sc->operation, struct stream_redaction, operation);
    r->error = script_call_outcome(sc);
    if (!r->error) {
        uint64_t what = script_number(call->reply, 0);
        r->error = what < 3 ? errors[what] : ERR_INTERNAL;
        if (!r->error && !script_epoch(call->reply, 1, &r->at))
            r->error = ERR_INTERNAL;
    }
    redis_tell(sc->shard->driver, sc->operation);
    script_call_free(sc);
}

static bool send_redact(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    const struct stream_redaction *r = container_of(o, struct stream_redaction, operation);
    struct span name = r->room->name;
    struct script_words w;
    struct buf tombstone = {0};
    struct msg *m = push_tombstone(name, r->at.offset);
    struct script_call *c = m ? script_call_new(s, room, o, redact_done) : NULL;
    if (m) {
        buf_lit(&tombstone, "{\"data\":");
        buf_span(&tombstone, msg_data(m));
        buf_char(&tombstone, '}');
        msg_unref(m);
    }
    bool well = c && !tombstone.failed && script_begin(&w, s->driver, name, 3);
    if (well) {
        script_add_key(&w, "room", name);
        script_add_key(&w, "stream", name);
        script_add_key(&w, "generation", (struct span){0});
        script_add_u64(&w, r->at.offset);
        script_add(&w, position_epoch(&r->at));
        script_add(&w, (struct span){tombstone.p, tombstone.n});
        script_call_send(c, SCRIPT_REDACT, &w, 3);
    } else if (c) {
        script_call_free(c);
    }
    buf_deinit(&tombstone);
    return well;
}

/* ---- any ------------------------------------------------------------------------------------ */

void redis_send(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    static bool (*const send[])(struct redis_shard *, struct redis_room *, struct operation *) = {
        [OPERATION_COMMIT] = redis_send_commit, [OPERATION_READ] = send_read,
        [OPERATION_REMOVE] = send_remove,       [OPERATION_REDACT] = send_redact,
        [OPERATION_FOLLOW] = redis_follow_send,
    };
    if (!send[o->kind](s, room, o))
        redis_end(s->driver, o, ERR_INTERNAL);
}
