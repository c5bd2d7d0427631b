/* SPDX-License-Identifier: MIT */
/* Publications as calls of a script; backplane/lua/commit.lua tells what each word is. */
#include "backplane/push.h"
#include "backplane/queue_redis_private.h"
#include "backplane/redis_calls.h"

static void commit_done(struct redis_call *call)
{
    static const enum err errors[] = {OK, OK, ERR_BAD_REQUEST, ERR_TOO_MANY_REQUESTS};
    struct script_call *sc = script_call_of(call);
    struct commit *c = container_of(sc->operation, struct commit, operation);
    c->error = script_call_outcome(sc);
    if (!c->error) {
        uint64_t what = script_number(call->reply, 0);
        c->error = what < 4 && script_epoch(call->reply, 2, &c->at) ? errors[what] : ERR_INTERNAL;
        c->at.offset = script_number(call->reply, 1);
        c->repeated = what == 1;
        c->marked = script_number(call->reply, 4) == 1;
        c->wait_ms = what == 3 ? c->at.offset : 0;
        redis_shard_part(sc->shard, PART_MEMORY, false, NULL);
        if (call->reply->count > 6)
            queue_redis_caused(sc->shard->driver->queues, sc->shard->index, c->caused,
                               redis_reply_integer(redis_reply_item(call->reply, 5)),
                               script_number(call->reply, 6));
    } else if (c->caused && sc->shard->driver->queues) {
        queue_redis_unknown(sc->shard->driver->queues, sc->shard->index);
    }
    redis_tell(sc->shard->driver, sc->operation);
    script_call_free(sc);
}

static void add_lasting_key(struct script_words *w, const struct idempotency *key)
{
    size_t from = w->d->scratch.n;
    (void)redis_key(w->d, "key:", (struct span){0});
    script_hex(&w->d->scratch, key->key, 2);
    script_add_built(w, from);
}

/* What is done beside publishing. */
static void add_more(struct script_words *w, const struct commit *c)
{
    struct span name = c->room->name, none = {0};
    if (c->record.n)
        script_add_key(w, "records", name);
    else
        script_add(w, none);
    script_add(w, c->record);
    script_add(w, c->erase ? SPAN("1") : SPAN("0"));
    if (c->interval_ms) {
        struct buf *b = &w->d->scratch;
        size_t from = b->n;
        (void)redis_key(w->d, "pace", name);
        buf_char(b, '\t'); /* which is in no name */
        buf_span(b, c->sender);
        script_add_built(w, from);
    } else {
        script_add(w, none);
    }
    script_add_u64(w, c->interval_ms);
}

static void add_flags(struct script_words *w, const struct commit *c)
{
    static const char flags[8][4] = {"-", "t", "d", "td", "q", "tq", "dq", "tdq"};
    script_add(
        w, span_str(
               flags[(c->stamp_time ? 1 : 0) + (c->msg->delta ? 2 : 0) + (c->msg->quiet ? 4 : 0)]));
}

static void add_all(struct script_words *w, const struct span *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        script_add(w, list[i]);
}

/* Keys end and arguments begin at *keys. */
static bool commit_words(struct script_words *w, struct redis *d, const struct commit *c,
                         const struct queue_words *cause, size_t *keys)
{
    struct push_parts parts = push_parts(c->msg);
    const struct idempotency *key = &c->idempotency;
    struct span name = c->room->name, none = {0};
    bool keyed = key->used && c->limits.count, lasting = key->used && key->ttl_ms;
    if (!script_begin(w, d, (struct span){0}, 0) ||
        !buf_reserve(&d->scratch, SCRIPT_WORDS_MAX * 64 + 8 * redis_key_max(d, name) + c->sender.n))
        return false;
    script_add_key(w, "room", name);
    script_add_key(w, "stream", name);
    script_add_key(w, "keys", name);
    script_add_key(w, "generation", none);
    script_add_key(w, "markers", name);
    if (lasting)
        add_lasting_key(w, key);
    *keys = w->n;
    script_add_key(w, "pub", name);
    script_add(w, parts.data);
    script_add(w, parts.info);
    script_add(w, parts.tags);
    add_flags(w, c);
    script_add_u64(w, c->limits.count);
    script_add_u64(w, c->limits.bytes);
    script_add_u64(w, c->limits.ttl_ms);
    script_add_u64(w, d->settings->memory_ms);
    if (keyed)
        script_add_hex(w, key->key, 2);
    else
        script_add(w, none);
    script_add_hex(w, &key->data, 1);
    script_add_u64(w, key->ttl_ms);
    script_add_u64(w, c->version.number);
    script_add(w, c->version.epoch);
    script_add(w, c->sender);
    if (c->record.n || c->interval_ms || cause)
        add_more(w, c);
    if (cause)
        add_all(w, cause->list, cause->n);
    return true;
}

bool redis_send_commit(struct redis_shard *s, struct redis_room *room, struct operation *o)
{
    const struct commit *publication = container_of(o, struct commit, operation);
    bool causes = publication->caused && s->driver->queues;
    const struct queue_words *cause =
        causes ? queue_redis_cause(s->driver->queues, publication->caused) : NULL;
    struct script_words w;
    size_t keys;
    struct script_call *c = causes && !cause ? NULL : script_call_new(s, room, o, commit_done);
    if (!c)
        return false;
    if (!commit_words(&w, s->driver, publication, cause, &keys)) {
        script_call_free(c);
        return false;
    }
    script_call_send(c, cause ? SCRIPT_COMMIT_CAUSE : SCRIPT_COMMIT, &w, keys);
    return true;
}
