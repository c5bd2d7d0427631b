/* SPDX-License-Identifier: MIT */
#include "backplane/redis_calls.h"

#include "backplane/base/hex.h"

#include <assert.h>
#include <stdlib.h>

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

bool script_begin(struct script_words *w, struct redis *d, struct span name, size_t keys)
{
    w->d = d;
    w->n = 0;
    buf_clear(&d->scratch);
    return buf_reserve(&d->scratch, keys * redis_key_max(d, name) + SCRIPT_WORDS_MAX * 64);
}

void script_add(struct script_words *w, struct span s)
{
    assert(w->n < SCRIPT_WORDS_MAX);
    w->list[w->n++] = s.p ? s : SPAN("");
}

void script_add_key(struct script_words *w, const char *kind, struct span name)
{
    script_add(w, redis_key(w->d, kind, name));
}

void script_add_built(struct script_words *w, size_t from)
{
    script_add(w, built_from(&w->d->scratch, from));
}

void script_add_u64(struct script_words *w, uint64_t v)
{
    size_t from = w->d->scratch.n;
    buf_u64(&w->d->scratch, v);
    script_add_built(w, from);
}

void script_hex(struct buf *b, const uint64_t *v, size_t n)
{
    char text[HEX_U64];
    for (size_t i = 0; i < n; i++) {
        (void)hex_u64(text, v[i]);
        buf_add(b, text, sizeof(text));
    }
}

void script_add_hex(struct script_words *w, const uint64_t *v, size_t n)
{
    size_t from = w->d->scratch.n;
    script_hex(&w->d->scratch, v, n);
    script_add_built(w, from);
}

/* ---- calls ---------------------------------------------------------------------------------- */

struct script_call *script_call_new(struct redis_shard *s, struct redis_room *room,
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

void script_call_free(struct script_call *c)
{
    if (c->room)
        redis_room_release(c->room);
    free(c);
}

struct script_call *script_call_of(struct redis_call *call)
{
    return container_of(call, struct script_call, call);
}

void script_call_send(struct script_call *c, enum redis_script_id id, const struct script_words *w,
                      size_t keys)
{
    redis_link_eval(redis_server_commands(c->shard->server), &c->call, redis_script(id), w->list,
                    keys, w->n);
}

enum err script_call_outcome(const struct script_call *c)
{
    return redis_shard_outcome(c->shard, &c->call, ERR_INTERNAL);
}

bool script_epoch(const struct redis_reply *r, size_t i, struct position *out)
{
    struct span epoch = redis_reply_text(redis_reply_item(r, i));
    if (epoch.n >= EPOCH_MAX)
        return false;
    memset(out->epoch, 0, EPOCH_MAX);
    if (epoch.n)
        memcpy(out->epoch, epoch.p, epoch.n);
    return true;
}

uint64_t script_number(const struct redis_reply *r, size_t i)
{
    int64_t v = redis_reply_integer(redis_reply_item(r, i));
    return v > 0 ? (uint64_t)v : 0;
}
