/* SPDX-License-Identifier: MIT */
/* What is told to the owner outside of reading (the end of a connection, refused calls) and what is
 * written leaves from one place: a prepare callback, which libuv calls after the turn and
 * before each wait. So there is one write for a turn or several, whoever made the calls and where,
 * and nothing happens inside the function that caused it.
 */
#include "backplane/redis/link.h"

#include "backplane/base/backoff.h"
#include "backplane/base/gather.h"
#include "backplane/base/loop.h"
#include "backplane/redis/codec.h"
#include "backplane/redis/handshake.h"
#include "backplane/redis/script.h"
#include "backplane/redis/wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define WHY_MAX 384
/* A timer that fires so late was held up by us; so often a server that is silent is excused. */
#define LATE_MS     (2 * LOOP_TICK_MS)
#define EXCUSES_MAX 3
/* A server reads so much at a time (PROTO_IOBUF_LEN): more together saves it nothing. */
#define GATHER_BYTES ((size_t)16 * 1024)

enum state { WAITING, CONNECTING, UP, CLOSED };

struct redis_link {
    struct loop *loop;
    struct redis_link_options options;
    const struct redis_link_events *events;
    void *owner;
    enum state state;
    uv_prepare_t prepare;
    struct timer
        timer; /* WAITING: the next attempt; CONNECTING: its deadline; UP: the oldest call */
    struct backoff backoff;
    unsigned nth; /* attempt */

    struct redis_wire *wire;
    struct redis_codec *codec;
    struct redis_handshake handshake;
    struct redis_facts facts, fresh; /* of the last connection that was up; of this attempt */
    bool cut;                        /* this connection or attempt ends with the turn: */
    enum redis_fault fault;
    char why[WHY_MAX];
    char target[REDIS_HOST_MAX + 64];

    struct list calls;   /* sent or to be sent, oldest first */
    struct list ending;  /* of a connection that is gone, or refused: being told so */
    struct list refused; /* to be told so */
    uint32_t count;      /* of calls */
    uint64_t heard_ms, up_ms;
    bool doubt;       /* the oldest call is overdue, and this is looked at once more */
    uint64_t back_ms; /* when it was noticed that we had been away … */
    unsigned excuses; /* … so often since something was heard */
    uint64_t brought; /* scripts whose text is in this flush, a bit each */
    struct gather gather;
    uint64_t gathered; /* bytes of this connection that were written up to the turn before */
    struct redis_link_load load;
};

void redis_link_defaults(struct redis_link_options *o)
{
    *o = (struct redis_link_options){
        .expect = EXPECT_MASTER,
        .eviction = EVICTION_REFUSED,
        .connect_ms = 5000,
        .command_ms = 5000,
        .backoff_ms = 50,
        .backoff_max_ms = 5000,
        .stable_ms = 5000,
        .calls_max = 10000,
        .out_bytes_max = (size_t)32 * 1024 * 1024,
        .reply_bytes_max = (size_t)256 * 1024 * 1024,
    };
}

static void set_cut(struct redis_link *l, enum redis_fault fault, const char *why)
{
    if (l->cut || l->state == WAITING || l->state == CLOSED)
        return;
    l->cut = true;
    l->fault = fault;
    if (why != l->why)
        (void)snprintf(l->why, sizeof(l->why), "%s", why);
    loop_again(l->loop);
}

static void end_call(struct redis_call *call, enum call_outcome outcome, const char *why,
                     struct redis_reply *reply)
{
    call->outcome = outcome;
    call->why = why;
    call->reply = reply;
    call->done(call);
}

/* Ends everything in the list; what is called may add to it, and may close the link. */
static bool end_all(const struct redis_link *l, struct list *from)
{
    struct list *node;
    bool any = false;

    for (; (node = list_shift(from)) != NULL; any = true) {
        struct redis_call *call = container_of(node, struct redis_call, link);
        end_call(call, call->outcome, call->why ? call->why : l->why, NULL);
    }
    return any;
}

/* Decides what became of the calls under way; they are to be ended then. */
static void abandon_calls(struct redis_link *l)
{
    uint64_t sent = l->wire ? redis_wire_sent(l->wire) : 0;

    for (struct list *node = l->calls.next; node != &l->calls; node = node->next) {
        struct redis_call *call = container_of(node, struct redis_call, link);
        call->outcome = call->end > sent ? CALL_NOT_EXECUTED : CALL_UNKNOWN;
        call->why = NULL;
    }
    list_splice(&l->ending, &l->calls);
    l->count = 0;
    l->load.bytes_out += sent;
    redis_wire_close(l->wire);
    l->wire = NULL;
}

static void answer(struct redis_link *l, struct redis_reply *reply)
{
    struct list *node = list_shift(&l->calls);

    if (!node) {
        set_cut(l, FAULT_AWAY, "it sent a reply to nothing");
        return;
    }
    struct redis_call *call = container_of(node, struct redis_call, link);
    l->count--;
    if (redis_error_ends_link(reply) ||
        (l->options.expect == EXPECT_MASTER && redis_reply_is_error(reply, "READONLY")))
        set_cut(l, FAULT_AWAY, reply->text.p);
    if (call->script && redis_reply_is_error(reply, "NOSCRIPT"))
        end_call(call, CALL_NOT_EXECUTED, "the server has just forgotten its scripts", NULL);
    else
        end_call(call, CALL_ANSWERED, NULL, reply);
}

static void take_push(struct redis_link *l, const struct redis_reply *reply)
{
    char why[WHY_MAX];

    if (reply->type == REPLY_ARRAY) {
        l->events->push(l, l->owner, reply);
        return;
    }
    struct span text = redis_reply_text(reply);
    (void)snprintf(why, sizeof(why), "it answers a subscription with: %.*s", (int)text.n, text.p);
    set_cut(l, reply->type == REPLY_ERROR ? FAULT_REFUSED : FAULT_AWAY, why);
}

static void set_up(struct redis_link *l)
{
    l->state = UP;
    l->up_ms = loop_now_ms(l->loop);
    l->facts = l->fresh;
    l->load.connects++;
    loop_cancel(l->loop, &l->timer);
    l->events->up(l, l->owner);
}

static void take_handshake(struct redis_link *l, const struct redis_reply *reply)
{
    struct buf why = {0};
    enum redis_fault fault = FAULT_AWAY;
    enum handshake_verdict verdict = redis_handshake_reply(&l->handshake, reply, &fault, &why);

    if (verdict == HANDSHAKE_FAILED) {
        buf_char(&why, '\0');
        set_cut(l, fault, why.failed ? "no memory" : why.p);
    }
    buf_deinit(&why);
    if (verdict == HANDSHAKE_DONE)
        set_up(l);
}

static void take_reply(struct redis_link *l, struct redis_reply *reply)
{
    if (l->state == CONNECTING)
        take_handshake(l, reply);
    else if (l->options.subscriber)
        take_push(l, reply);
    else
        answer(l, reply);
    redis_reply_deinit(reply);
}

/* Takes all whole replies; false: the connection is over. */
static bool take_replies(struct redis_link *l)
{
    struct redis_reply reply;
    const char *broken = NULL;

    while (!l->cut && l->state != CLOSED) {
        switch (redis_codec_next(l->codec, &reply, &broken)) {
        case CODEC_MORE: return true;
        case CODEC_REPLY: take_reply(l, &reply); break;
        case CODEC_BROKEN: set_cut(l, FAULT_AWAY, broken); break;
        }
    }
    return false;
}

static void on_bytes(void *owner, const char *p, size_t n)
{
    struct redis_link *l = owner;

    l->heard_ms = loop_now_ms(l->loop);
    l->excuses = 0;
    l->load.bytes_in += n;
    for (size_t at = 0, piece; at < n && !l->cut && l->state != CLOSED; at += piece) {
        piece = n - at < CODEC_PIECE ? n - at : CODEC_PIECE;
        if (!redis_codec_feed(l->codec, p + at, piece))
            set_cut(l, FAULT_AWAY, "no memory for a reply");
        if (!take_replies(l))
            return;
    }
}

static void on_open(void *owner)
{
    struct redis_link *l = owner;

    redis_handshake_begin(&l->handshake, &l->options, &l->fresh, redis_wire_out(l->wire));
    redis_wire_flush(l->wire);
}

/* A server that waits for TLS drops who begins otherwise, without a word. */
static bool said_nothing(const struct redis_link *l)
{
    return l->state == CONNECTING && l->handshake.sent && !l->handshake.answered;
}

static void on_lost(void *owner, const char *why)
{
    struct redis_link *l = owner;
    char more[256];

    if (l->options.url.transport == REDIS_TCP && said_nothing(l)) {
        (void)snprintf(more, sizeof(more), "%s, and it said nothing: does it want TLS (rediss://)?",
                       why);
        why = more;
    }
    set_cut(l, FAULT_AWAY, why);
}

static const struct redis_wire_events wire_events = {
    .open = on_open,
    .bytes = on_bytes,
    .lost = on_lost,
};

static void on_timer(struct timer *t);

static void begin(struct redis_link *l)
{
    l->state = CONNECTING;
    l->cut = l->doubt = false;
    l->brought = l->gathered = 0;
    l->handshake.sent = l->handshake.answered = 0;
    redis_codec_free(l->codec);
    l->codec = redis_codec_new(l->options.reply_bytes_max);
    loop_arm(l->loop, &l->timer, l->options.connect_ms, on_timer);
    if (!l->options.url.host[0]) {
        set_cut(l, FAULT_AWAY, "no Sentinel has said yet where the master is");
        return;
    }
    l->wire = redis_wire_open(l->loop, &l->options.url, l->options.tls, l->nth++, &wire_events, l);
    if (!l->codec || !l->wire)
        set_cut(l, FAULT_AWAY, "no memory for a connection");
}

/* While we were away, the server could not be heard, and may have been away for the same reason:
 * it has the whole time again. */
static void excuse(struct redis_link *l, uint64_t now)
{
    if (now < l->timer.due + LATE_MS || l->excuses == EXCUSES_MAX)
        return;
    l->excuses++;
    l->back_ms = now;
}

/* Too long without an answer: since the oldest call was made, and since anything came at all.
 * Before it is cut the socket is read once more: it may be we who were away. */
static void check_oldest(struct redis_link *l)
{
    if (list_empty(&l->calls)) {
        l->doubt = false;
        return;
    }
    struct redis_call *oldest = container_of(l->calls.next, struct redis_call, link);
    uint64_t from = oldest->since_ms > l->heard_ms ? oldest->since_ms : l->heard_ms;
    uint64_t now = loop_now_ms(l->loop);
    excuse(l, now);
    from = from > l->back_ms ? from : l->back_ms;
    uint64_t due = from + l->options.command_ms;
    if (now < due || !l->doubt) {
        l->doubt = now >= due;
        loop_arm(l->loop, &l->timer, now < due ? due - now : 1, on_timer);
        return;
    }
    char why[WHY_MAX];
    (void)snprintf(why, sizeof(why), "it has not answered for %u ms", l->options.command_ms);
    set_cut(l, FAULT_AWAY, why);
}

static void on_timer(struct timer *t)
{
    struct redis_link *l = container_of(t, struct redis_link, timer);

    if (l->state == WAITING) {
        begin(l);
    } else if (l->state == UP) {
        check_oldest(l);
    } else if (l->state == CONNECTING) {
        char why[WHY_MAX];
        (void)snprintf(why, sizeof(why), "no answer within %u ms while %s", l->options.connect_ms,
                       redis_wire_doing(l->wire));
        set_cut(l, FAULT_AWAY, why);
    }
}

/* The end of a connection or attempt. */
static void fail(struct redis_link *l)
{
    bool was_up = l->state == UP;

    if (was_up && loop_now_ms(l->loop) - l->up_ms >= l->options.stable_ms)
        backoff_reset(&l->backoff);
    abandon_calls(l);
    l->state = WAITING;
    l->cut = false;
    l->load.failures++;
    loop_arm(l->loop, &l->timer, backoff_next(&l->backoff), on_timer);
    (void)end_all(l, &l->ending);
    if (l->state != CLOSED)
        l->events->down(l, l->owner, l->fault, was_up, l->why);
}

/* Who is refused may ask again at once, and is told of that in the next turn: until answers have
 * come in, it would be refused for ever. */
static bool end_refused(struct redis_link *l)
{
    list_splice(&l->ending, &l->refused);
    return end_all(l, &l->ending);
}

/* All that the server was asked for leaves, or waits for what the next turn adds. */
static void flush(struct redis_link *l)
{
    size_t waiting = redis_wire_waiting(l->wire);
    uint64_t all = redis_wire_sent(l->wire) + waiting;
    bool more = all > l->gathered && waiting < GATHER_BYTES;

    l->gathered = all;
    if (waiting && gather_on(&l->gather, more)) {
        loop_again(l->loop);
        return;
    }
    l->brought = 0;
    if (waiting)
        redis_wire_flush(l->wire);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct redis_link *l = container_of(prepare, struct redis_link, prepare);
    bool told = l->cut;

    if (l->cut)
        fail(l);
    told |= end_refused(l);
    if ((l->state == CONNECTING || l->state == UP) && !l->cut && l->wire)
        flush(l);
    if (told || l->cut)
        loop_again(l->loop); /* what the owner posted in return is flushed in a turn */
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_link *l = container_of((uv_prepare_t *)handle, struct redis_link, prepare);

    redis_codec_free(l->codec);
    free(l);
}

static void show_target(struct redis_link *l)
{
    struct buf text = {0};

    redis_url_show(&l->options.url, &text);
    (void)snprintf(l->target, sizeof(l->target), "%.*s", (int)text.n, text.p ? text.p : "");
    buf_deinit(&text);
}

struct redis_link *redis_link_open(struct loop *loop, const struct redis_link_options *o,
                                   const struct redis_link_events *events, void *owner)
{
    struct redis_link *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->loop = loop;
    l->options = *o;
    l->events = events;
    l->owner = owner;
    l->backoff = (struct backoff){
        .base_ms = o->backoff_ms, .cap_ms = o->backoff_max_ms, .random = o->random};
    list_init(&l->calls);
    list_init(&l->ending);
    list_init(&l->refused);
    show_target(l);
    (void)snprintf(l->why, sizeof(l->why), "not connected yet");
    (void)uv_prepare_init(&loop->uv, &l->prepare);   /* cannot fail */
    (void)uv_prepare_start(&l->prepare, on_prepare); /* nor this */
    begin(l);
    return l;
}

void redis_link_close(struct redis_link *l)
{
    if (!l || l->state == CLOSED)
        return;
    l->state = CLOSED;
    (void)snprintf(l->why, sizeof(l->why), "the connection was closed");
    loop_cancel(l->loop, &l->timer);
    abandon_calls(l);
    (void)end_all(l, &l->ending);
    (void)end_all(l, &l->refused);
    uv_close((uv_handle_t *)&l->prepare, on_closed);
}

void redis_link_cut(struct redis_link *l, enum redis_fault fault, const char *why)
{
    set_cut(l, fault, why);
}

void redis_link_retarget(struct redis_link *l, const char *host, uint16_t port)
{
    (void)snprintf(l->options.url.host, sizeof(l->options.url.host), "%s", host);
    l->options.url.port = port;
    show_target(l);
    backoff_reset(&l->backoff); /* what failed was another address */
    if (l->state == WAITING)
        loop_arm(l->loop, &l->timer, 1, on_timer);
}

/* Whether n more bytes may be sent; NULL, or why not. */
static const char *obstacle(const struct redis_link *l, size_t n)
{
    size_t waiting = l->state == UP ? redis_wire_waiting(l->wire) : 0;

    if (l->state != UP)
        return l->why;
    if (l->count >= l->options.calls_max)
        return "too many commands wait for their answers";
    return waiting > 0 && waiting + n > l->options.out_bytes_max ? "too much waits to be sent"
                                                                 : NULL;
}

/* Takes a call in, or refuses it. */
static bool admit(struct redis_link *l, struct redis_call *call, size_t bytes)
{
    assert(!l->options.subscriber);
    list_init(&call->link);
    call->script = false;
    call->why = obstacle(l, bytes);
    if (call->why) {
        if (call->why == l->why)
            call->why = NULL; /* it may change until it is told */
        call->outcome = CALL_NOT_EXECUTED;
        l->load.refused += l->state == UP;
        list_push(&l->refused, &call->link);
        loop_again(l->loop);
        return false;
    }
    call->since_ms = loop_now_ms(l->loop);
    list_push(&l->calls, &call->link);
    l->count++;
    if (!timer_armed(&l->timer))
        loop_arm(l->loop, &l->timer, l->options.command_ms, on_timer);
    return true;
}

/* The command of the newest call is written. */
static void written(struct redis_link *l, struct redis_call *call)
{
    call->end = redis_wire_sent(l->wire) + redis_wire_waiting(l->wire);
}

static size_t bytes_of(const struct span *words, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += words[i].n;
    return bytes;
}

void redis_link_call(struct redis_link *l, struct redis_call *call, const struct span *words,
                     size_t n)
{
    if (!admit(l, call, bytes_of(words, n)))
        return;
    redis_codec_command(redis_wire_out(l->wire), words, n);
    written(l, call);
}

void redis_link_eval(struct redis_link *l, struct redis_call *call,
                     const struct redis_script *script, const struct span *words, size_t keys,
                     size_t n)
{
    uint64_t bit = UINT64_C(1) << script->index;
    bool bring = !(l->brought & bit);
    char count[U64_TEXT_MAX];

    if (!admit(l, call, bytes_of(words, n) + (bring ? script->text.n : SCRIPT_SHA_LEN)))
        return;
    struct buf *out = redis_wire_out(l->wire);
    redis_codec_begin(out, n + 3);
    redis_codec_word(out, bring ? SPAN("EVAL") : SPAN("EVALSHA"));
    redis_codec_word(out, bring ? script->text : (struct span){script->sha, SCRIPT_SHA_LEN});
    redis_codec_word(out, (struct span){count, u64_text(count, keys)});
    for (size_t i = 0; i < n; i++)
        redis_codec_word(out, words[i]);
    call->script = true;
    l->brought |= bit;
    written(l, call);
}

bool redis_link_push_words(struct redis_link *l, const struct span *words, size_t n)
{
    assert(l->options.subscriber);
    if (obstacle(l, bytes_of(words, n)))
        return false;
    redis_codec_command(redis_wire_out(l->wire), words, n);
    return true;
}

bool redis_link_is_up(const struct redis_link *l)
{
    return l->state == UP && !l->cut;
}

bool redis_link_is_connecting(const struct redis_link *l)
{
    return l->state == CONNECTING;
}

const struct redis_facts *redis_link_facts(const struct redis_link *l)
{
    return &l->facts;
}

const char *redis_link_target(const struct redis_link *l)
{
    return l->target;
}

void redis_link_load(const struct redis_link *l, struct redis_link_load *out)
{
    *out = l->load;
    out->calls = l->count;
    out->out_bytes = l->wire ? redis_wire_waiting(l->wire) : 0;
    out->bytes_out += l->wire ? redis_wire_sent(l->wire) : 0;
}
