/* SPDX-License-Identifier: MIT */
/* What a Redis server may send, and what a URL of one may be. The first byte says which of them
 * the rest is. Whatever the bytes: replies are the same however they were cut into pieces, the
 * verdict on a handshake is reached by the last step at the latest, and a URL that was accepted
 * shows itself as one that means the same, without its password.
 */
#include "backplane/redis/codec.h"
#include "backplane/redis/handshake.h"
#include "tests/fuzz/fuzz.h"

#define REPLY_BYTES_MAX ((size_t)64 * 1024)

static void write_reply(struct buf *out, const struct redis_reply *r)
{
    buf_fmt(out, "%d:", r->type);
    if (r->type == REPLY_INTEGER) {
        buf_fmt(out, "%lld", (long long)r->integer);
    } else if (r->type == REPLY_ARRAY) {
        for (size_t i = 0; i < r->count; i++)
            write_reply(out, redis_reply_item(r, i));
        MUST(redis_reply_item(r, r->count) == NULL);
    } else {
        buf_span(out, redis_reply_text(r));
    }
    buf_char(out, '\n');
    (void)redis_reply_integer(r);
    (void)redis_reply_is_error(r, "ERR");
}

/* All replies of the bytes, fed in pieces of n; what follows a broken one is not read. */
static void read_all(struct buf *out, struct span bytes, size_t n)
{
    struct redis_codec *c = redis_codec_new(REPLY_BYTES_MAX);
    enum codec_step step = CODEC_MORE;
    struct redis_reply reply;
    const char *why = NULL;

    MUST(c);
    for (size_t at = 0; at < bytes.n && step != CODEC_BROKEN; at += n) {
        MUST(redis_codec_feed(c, bytes.p + at, bytes.n - at < n ? bytes.n - at : n));
        while ((step = redis_codec_next(c, &reply, &why)) == CODEC_REPLY) {
            write_reply(out, &reply);
            redis_reply_deinit(&reply);
        }
    }
    MUST(step != CODEC_BROKEN || why);
    buf_str(out, step == CODEC_BROKEN ? "broken" : "more");
    redis_codec_free(c);
}

static void check_codec(struct span bytes)
{
    struct buf whole = {0}, pieces = {0};

    if (bytes.n > REPLY_BYTES_MAX)
        return; /* where the bound is noticed does depend on the pieces */
    read_all(&whole, bytes, bytes.n > 0 ? bytes.n : 1);
    read_all(&pieces, bytes, 1 + bytes.n % 7);
    MUST(span_eq((struct span){whole.p, whole.n}, (struct span){pieces.p, pieces.n}));
    buf_deinit(&whole);
    buf_deinit(&pieces);
}

/* The bytes are what a server answers to the handshake of a user with everything. */
static void check_handshake(struct span bytes)
{
    struct redis_link_options o;
    struct redis_handshake h;
    struct redis_facts facts;
    struct redis_reply reply;
    struct buf out = {0}, why = {0};
    enum redis_fault fault = FAULT_AWAY;
    enum handshake_verdict verdict = HANDSHAKE_MORE;
    const char *broken;
    struct redis_codec *c = redis_codec_new(REPLY_BYTES_MAX);

    redis_link_defaults(&o);
    MUST(redis_url_parse(&o.url, SPAN("redis://a:b@h/1"), &why));
    o.client_name = "x";
    redis_handshake_begin(&h, &o, &facts, &out);
    MUST(h.sent == HANDSHAKE_STEPS && c && redis_codec_feed(c, bytes.p, bytes.n));
    while (verdict == HANDSHAKE_MORE && redis_codec_next(c, &reply, &broken) == CODEC_REPLY) {
        verdict = redis_handshake_reply(&h, &reply, &fault, &why);
        MUST((verdict == HANDSHAKE_FAILED) == (why.n > 0));
        MUST(h.answered < h.sent || verdict != HANDSHAKE_MORE);
        redis_reply_deinit(&reply);
    }
    redis_codec_free(c);
    buf_deinit(&out);
    buf_deinit(&why);
}

static void check_url(struct span text)
{
    struct redis_url u, again;
    struct buf why = {0}, shown = {0};

    if (!redis_url_parse(&u, text, &why)) {
        MUST(why.n > 0);
        buf_deinit(&why);
        return;
    }
    MUST(why.n == 0 && u.host[0]);
    redis_url_show(&u, &shown);
    struct span show = {shown.p, shown.n};
    if (u.transport != REDIS_UNIX) { /* a path is shown as it is, for people */
        MUST(redis_url_parse(&again, show, &why));
        MUST(again.transport == u.transport && again.port == u.port &&
             again.database == u.database && strcmp(again.host, u.host) == 0);
        MUST(!again.user[0] && !again.password[0]);
    }
    buf_deinit(&shown);
    buf_deinit(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span rest = {(const char *)data + 1, size - 1};
    struct redis_facts facts;

    switch (data[0]) {
    case 'u': check_url(rest); break;
    case 'h': check_handshake(rest); break;
    case 'i': redis_facts_parse(&facts, rest); break;
    default: check_codec(rest);
    }
    return 0;
}
