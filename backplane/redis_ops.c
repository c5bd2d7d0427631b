/* SPDX-License-Identifier: MIT */
/* Operations as scripts, and their answers. backplane/lua/ tells what each word is. */
#include "backplane/redis_private.h"

#include "backplane/push.h"

#include <assert.h>
#include <stdlib.h>

#define WORDS_MAX 28

/* One script under way. */
struct script_call {
    struct redis_call call;
    struct redis_shard *shard;
    struct redis_room *room;     /* held; may be NULL */
    struct operation *operation; /* NULL: a fill */
    uint32_t era;
    bool feeds; /* the feed has been told of this read */
};

/* The words of a call. What is built lies in the driver's scratch buffer, which is reserved as a
 * whole beforehand, so that it does not move. */
struct words {
    struct redis *d;
    struct span list[WORDS_MAX];
    size_t n;
};

/* ---- words ---------------------------------------------------------------------------------- */

size_t redis_key_max(const struct redis *d, struct span name)
{
    return strlen(d->settings->prefix) + name.n + 16;
}

static struct span built_from(const struct buf *b, size_t from)
{
    return (struct span){b->p + from, b->n - from};
}

struct span redis_key(struct redis *d, const char *kind, struct span name)
{
    struct buf *b = &d->scratch;
    size_t from = b->n;
    assert(b->cap - b->n >= redis_key_max(d, name));
    buf_str(b, d->settings->prefix);
    buf_char(b, ':');
    buf_str(b, kind);
    if (name.n) {
        buf_char(b, ':');
        buf_span(b, name);
    }
    return built_from(b, from);
}

/* Room for `keys` keys and all numbers; false: no memory. */
static bool begin_words(struct words *w, struct redis *d, struct span name, size_t keys)
{
    w->d = d;
    w->n = 0;
    buf_clear(&d->scratch);
    return buf_reserve(&d->scratch, keys * redis_key_max(d, name) + WORDS_MAX * 64);
}

static void add(struct words *w, struct span s)
{
    assert(w->n < WORDS_MAX);
    w->list[w->n++] = s.p ? s : SPAN("");
}

static void add_key(struct words *w, const char *kind, struct span name)
{
    add(w, redis_key(w->d, kind, name));
}

static void add_u64(struct words *w, uint64_t v)
{
    size_t from = w->d->scratch.n;
    buf_u64(&w->d->scratch, v);
    add(w, built_from(&w->d->scratch, from));
}

static void hex(struct buf *b, const uint64_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int shift = 60; shift >= 0; shift -= 4)
            buf_char(b, "0123456789abcdef"[v[i] >> shift & 15]);
}

static void add_hex(struct words *w, const uint64_t *v, size_t n)
{
    size_t from = w->d->scratch.n;
    hex(&w->d->scratch, v, n);
    add(w, built_from(&w->d->scratch, from));
}

static void add_lasting_key(struct words *w, const struct idempotency *key)
{
    size_t from = w->d->scratch.n;
    (void)redis_key(w->d, "key:", (struct span){0});
    hex(&w->d->scratch, key->key, 2);
    add(w, built_from(&w->d->scratch, from));
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct script_call *call_new(struct redis_shard *s, struct redis_room *room,
                                    struct operation *o, call_done_fn done)
{
    struct script_call *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->shard = s;
    c->room = room;
    c->operation = o;
    c->call.done = done;
    if (room) {
        redis_room_hold(room);
        c->era = room->era;
    }
    return c;
}

static void call_free(struct script_call *c)
{
    if (c->room)
        redis_room_release(c->room);
    free(c);
}

static struct script_call *script_call_of(struct redis_call *call)
{
    return container_of(call, struct script_call, call);
}

static void evaluate(struct script_call *c, enum redis_script_id id, const struct words *w,
                     size_t keys)
{
    redis_link_eval(redis_server_commands(c->shard->server), &c->call, redis_script(id), w->list,
                    keys, w->n);
}

static enum err outcome(const struct script_call *c)
{
    return redis_shard_outcome(c->shard, &c->call, ERR_INTERNAL);
}

static bool epoch_from(const struct redis_reply *r, size_t i, struct position *out)
{
    struct span epoch = redis_reply_text(redis_reply_item(r, i));
    if (epoch.n >= EPOCH_MAX)
        return false;
    memset(out->epoch, 0, EPOCH_MAX);
    if (epoch.n)
        memcpy(out->epoch, epoch.p, epoch.n);
    return true;
}

static uint64_t number_from(const struct redis_reply *r, size_t i)
{
    int64_t v = redis_reply_integer(redis_reply_item(r, i));
    return v > 0 ? (uint64_t)v : 0;
}

/* ---- commit --------------------------------------------------------------------------------- */

static void commit_done(struct redis_call *call)
{
    static const enum err errors[] = {OK, OK, ERR_BAD_REQUEST, ERR_TOO_MANY_REQUESTS};
    struct script_call *sc = script_call_of(call);
    struct commit *c = container_of(sc->operation, struct commit, operation);
    c->error = outcome(sc);
    if (!c->error) {
        uint64_t what = number_from(call->reply, 0);
        c->error = what < 4 && epoch_from(call->reply, 2, &c->at) ? errors[what] : ERR_INTERNAL;
        c->at.offset = number_from(call->reply, 1);
        c->repeated = what == 1;
        c->marked = number_from(call->reply, 4) == 1;
        c->wait_ms = what == 3 ? c->at.offset : 0;
        redis_shard_part(sc->shard, PART_MEMORY, false, NULL);
    }
    redis_tell(sc->shard->driver, sc->operation);
    call_free(sc);
}

/* What is done beside publishing. */
static void add_more(struct words *w, const struct commit *c)
{
    struct span name = c->room->name, none = {0};
    if (c->record.n)
        add_key(w, "records", name);
    else
        add(w, none);
    add(w, c->record);
    add(w, c->erase ? SPAN("1") : SPAN("0"));
    if (c->interval_ms) {
        struct buf *b = &w->d->scratch;
        size_t from = b->n;
        (void)redis_key(w->d, "pace", name);
        buf_char(b, '\t'); /* which is in no name */
        buf_span(b, c->sender);
        add(w, built_from(b, from));
    } else {
        add(w, none);
    }
    add_u64(w, c->interval_ms);
}

static void add_flags(struct words *w, const struct commit *c)
{
    static const char flags[8][4] = {"-", "t", "d", "td", "q", "tq", "dq", "tdq"};
    add(w, span_str(
               flags[(c->stamp_time ? 1 : 0) + (c->msg->delta ? 2 : 0) + (c->msg->quiet ? 4 : 0)]));
}

/* Keys end and arguments begin at *keys. */
static bool commit_words(struct words *w, struct redis *d, const struct commit *c, size_t *keys)
{
    struct push_parts parts = push_parts(c->msg);
    const struct idempotency *key = &c->idempotency;
    struct span name = c->room->name, none = {0};
    bool keyed = key->used && c->limits.count, lasting = key->used && key->ttl_ms;
    if (!begin_words(w, d, (struct span){0}, 0) ||
        !buf_reserve(&d->scratch, WORDS_MAX * 64 + 8 * redis_key_max(d, name) + c->sender.n))
        return false;
    add_key(w, "room", name);
    add_key(w, "stream", name);
    add_key(w, "keys", name);
    add_key(w, "generation", none);
    add_key(w, "markers", name);
    if (lasting)
        add_lasting_key(w, key);
    *keys = w->n;
    add_key(w, "pub", name);
    add(w, parts.data);
    add(w, parts.info);
    add(w, parts.tags);
    add_flags(w, c);
    add_u64(w, c->limits.count);
    add_u64(w, c->limits.bytes);
    add_u64(w, c->limits.ttl_ms);
    add_u64(w, d->settings->memory_ms);
    if (keyed)
        add_hex(w, key->key, 2);
    else
        add(w, none);
    add_hex(w, &key->data, 1);
    add_u64(w, key->ttl_ms);
    add_u64(w, c->version.number);
    add(w, c->version.epoch);
    add(w, c->sender);
    if (c->record.n || c->interval_ms)
        add_more(w, c);
    return true;
}

static bool send_commit(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    struct words w;
    size_t keys;
    struct script_call *c = call_new(s, room, o, commit_done);
    if (!c)
        return false;
    if (!commit_words(&w, s->driver, container_of(o, struct commit, operation), &keys)) {
        call_free(c);
        return false;
    }
    evaluate(c, SCRIPT_COMMIT, &w, keys);
    return true;
}

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
                                  number_from(list, 3 * i), &well);
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
    *a = (struct feed_answer){.top = {.offset = number_from(r, 1)},
                              .seq = number_from(r, 2),
                              .cut = number_from(r, 3) == 1};
    if (r->type != REPLY_ARRAY || r->count != 6 || !epoch_from(r, 0, &a->top) ||
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

/* Tells the feed that nothing came; what it missed is looked for again. */
static void feed_nothing(struct script_call *c)
{
    if (!c->feeds)
        return;
    feed_read_failed(&c->room->feed);
    if (feeds_still(c) && c->room->feed.started)
        redis_room_doubt(c->room);
}

static void after_read(struct script_call *c)
{
    if (c->room && c->room->ref)
        redis_room_go_on(c->room);
    if (!c->shard->driver->closing)
        redis_check_some(c->shard);
    call_free(c);
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
    r->error = outcome(c);
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
static bool read_words(struct words *w, struct redis *d, struct span name, const struct feed *place,
                       size_t after_bytes)
{
    if (!begin_words(w, d, name, 3))
        return false;
    add_key(w, "room", name);
    add_key(w, "stream", name);
    add_key(w, "generation", (struct span){0});
    bool has = place && place->started;
    add(w, has ? position_epoch(&place->at) : (struct span){0});
    add_u64(w, has ? place->at.offset : 0);
    add_u64(w, after_bytes);
    return true;
}

#define READ_KEYS 3

static bool send_read(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    const struct stream_read *r = container_of(o, struct stream_read, operation);
    struct words w;
    struct script_call *c = call_new(s, room, o, read_done);
    if (!c)
        return false;
    c->feeds = room && room->watched;
    if (!read_words(&w, s->driver, r->room->name, c->feeds ? &room->feed : NULL, AFTER_BYTES)) {
        call_free(c);
        return false;
    }
    add_u64(&w, r->since);
    add(&w, r->reverse ? SPAN("1") : SPAN("0"));
    add_u64(&w, r->limits.count ? r->max_count : 0);
    add_u64(&w, r->max_bytes);
    if (c->feeds)
        feed_read_begun(&room->feed);
    evaluate(c, SCRIPT_READ, &w, READ_KEYS);
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
    if (outcome(c) || !feeds_still(c) ||
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
    struct words w;
    struct script_call *c = call_new(s, room, NULL, fill_done);
    if (!c)
        return false;
    if (!read_words(&w, s->driver, room->ref->name, &room->feed, FILL_BYTES)) {
        call_free(c);
        return false;
    }
    for (int i = 0; i < 4; i++) /* nothing is asked for beside */
        add(&w, SPAN("0"));
    c->feeds = true;
    room->filling = true;
    s->fills++;
    feed_read_begun(&room->feed);
    evaluate(c, SCRIPT_READ, &w, READ_KEYS);
    return true;
}

/* ---- removal and redaction ------------------------------------------------------------------ */

static void remove_done(struct redis_call *call)
{
    struct script_call *c = script_call_of(call);
    container_of(c->operation, struct stream_removal, operation)->error = outcome(c);
    redis_tell(c->shard->driver, c->operation);
    call_free(c);
}

static bool send_remove(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    struct span name = container_of(o, struct stream_removal, operation)->room->name;
    struct words w;
    struct script_call *c = call_new(s, room, o, remove_done);
    if (!c)
        return false;
    if (!begin_words(&w, s->driver, name, 3)) {
        call_free(c);
        return false;
    }
    add_key(&w, "room", name);
    add_key(&w, "stream", name);
    add_key(&w, "keys", name);
    evaluate(c, SCRIPT_REMOVE, &w, 3);
    return true;
}

static void redact_done(struct redis_call *call)
{
    static const enum err errors[] = {OK, ERR_UNRECOVERABLE, ERR_BAD_REQUEST};
    struct script_call *sc = script_call_of(call);
    struct stream_redaction *r = container_of(sc->operation, struct stream_redaction, operation);
    r->error = outcome(sc);
    if (!r->error) {
        uint64_t what = number_from(call->reply, 0);
        r->error = what < 3 ? errors[what] : ERR_INTERNAL;
        if (!r->error && !epoch_from(call->reply, 1, &r->at))
            r->error = ERR_INTERNAL;
    }
    redis_tell(sc->shard->driver, sc->operation);
    call_free(sc);
}

static bool send_redact(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    const struct stream_redaction *r = container_of(o, struct stream_redaction, operation);
    struct span name = r->room->name;
    struct words w;
    struct buf tombstone = {0};
    struct msg *m = push_tombstone(name, r->at.offset);
    struct script_call *c = m ? call_new(s, room, o, redact_done) : NULL;
    if (m) {
        buf_lit(&tombstone, "{\"data\":");
        buf_span(&tombstone, msg_data(m));
        buf_char(&tombstone, '}');
        msg_unref(m);
    }
    bool well = c && !tombstone.failed && begin_words(&w, s->driver, name, 3);
    if (well) {
        add_key(&w, "room", name);
        add_key(&w, "stream", name);
        add_key(&w, "generation", (struct span){0});
        add_u64(&w, r->at.offset);
        add(&w, position_epoch(&r->at));
        add(&w, (struct span){tombstone.p, tombstone.n});
        evaluate(c, SCRIPT_REDACT, &w, 3);
    } else if (c) {
        call_free(c);
    }
    buf_deinit(&tombstone);
    return well;
}

/* ---- any ------------------------------------------------------------------------------------ */

void redis_send(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    static bool (*const send[])(struct redis_shard *, struct redis_room *, struct operation *) = {
        [OPERATION_COMMIT] = send_commit,       [OPERATION_READ] = send_read,
        [OPERATION_REMOVE] = send_remove,       [OPERATION_REDACT] = send_redact,
        [OPERATION_FOLLOW] = redis_follow_send,
    };
    if (!send[o->kind](s, room, o))
        redis_end(s->driver, o, ERR_INTERNAL);
}
