/* SPDX-License-Identifier: MIT */
/* link_kit.h: a link under test on a loop of its own, and a log of what it tells. */
#ifndef MADANG_TESTS_UNIT_LINK_KIT_H
#define MADANG_TESTS_UNIT_LINK_KIT_H

#include "backplane/base/loop.h"
#include "backplane/redis/link.h"
#include "tests/unit/redis_kit.h"

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        while (!(condition))                                                                       \
            (void)uv_run(&loop.uv, UV_RUN_ONCE);                                                   \
    } while (0)

static struct loop loop;
static struct redis_link *test_link;

/* What happened to it. */
static int ups, downs, losses, pushes; /* losses: downs of what was up */
static enum redis_fault last_fault;
static char last_why[512], last_push[128];
static bool inside; /* a call of ours that may not tell anything */
static void (*on_up)(void);

static inline void note_up(struct redis_link *l, void *owner)
{
    assert_false(inside);
    assert_ptr_equal(owner, &loop);
    assert_true(redis_link_is_up(l));
    ups++;
    if (on_up)
        on_up();
}

static inline void note_down(struct redis_link *l, void *owner, enum redis_fault fault, bool was_up,
                             const char *why)
{
    assert_false(inside);
    assert_ptr_equal(owner, &loop);
    assert_false(redis_link_is_up(l));
    assert_int_equal(was_up, ups > losses);
    downs++;
    losses += was_up;
    last_fault = fault;
    (void)snprintf(last_why, sizeof(last_why), "%s", why);
}

static inline void note_push(struct redis_link *l, void *owner, const struct redis_reply *push)
{
    struct span kind = redis_reply_text(redis_reply_item(push, 0));
    struct span name = redis_reply_text(redis_reply_item(push, 1));

    (void)l, (void)owner;
    assert_false(inside);
    pushes++;
    (void)snprintf(last_push, sizeof(last_push), "%.*s %.*s", (int)kind.n, kind.p, (int)name.n,
                   name.p);
}

static const struct redis_link_events note_events = {note_up, note_down, note_push};

/* A call that keeps what became of it. */
struct asked {
    struct redis_call call;
    int ended;
    enum call_outcome outcome;
    struct redis_reply reply;
    char why[256];
    int order; /* the how manieth that ended */
};

static int ended; /* calls in all */

static inline void note_done(struct redis_call *call)
{
    struct asked *a = container_of(call, struct asked, call);

    assert_false(inside);
    a->ended++;
    a->order = ++ended;
    a->outcome = call->outcome;
    if (call->outcome == CALL_ANSWERED) {
        redis_reply_move(&a->reply, call->reply);
    } else {
        assert_non_null(call->why);
        (void)snprintf(a->why, sizeof(a->why), "%s", call->why);
    }
}

static inline void ask_words(struct asked *a, const struct span *words, size_t n)
{
    *a = (struct asked){.call.done = note_done};
    inside = true;
    redis_link_call(test_link, &a->call, words, n);
    inside = false;
}

/* A command of words without spaces in them. */
static inline void ask(struct asked *a, const char *command)
{
    struct span words[16];
    size_t n = 0;

    for (const char *at = command; *at; at += *at == ' ') {
        size_t length = strcspn(at, " ");
        words[n++] = (struct span){at, length};
        at += length;
    }
    ask_words(a, words, n);
}

/* Runs the loop until all that was asked for has left. */
static inline void send_all(void)
{
    struct redis_link_load load;

    for (redis_link_load(test_link, &load); load.out_bytes > 0; redis_link_load(test_link, &load))
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static inline void assert_reply(struct asked *a, const char *text)
{
    WAIT_FOR(a->ended);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->outcome, CALL_ANSWERED);
    assert_string_equal(redis_reply_text(&a->reply).p, text);
    redis_reply_deinit(&a->reply);
}

static inline struct redis_link_options options_of(const char *url)
{
    struct redis_link_options o;
    struct buf why = {0};

    redis_link_defaults(&o);
    o.command_ms = 60000; /* who is slow on a busy machine does not hang */
    if (!redis_url_parse(&o.url, span_str(url), &why))
        fail_msg("%s: %.*s", url, (int)why.n, why.p);
    buf_deinit(&why);
    return o;
}

static inline void open_with(const struct redis_link_options *o)
{
    ups = downs = losses = pushes = ended = 0;
    last_why[0] = last_push[0] = '\0';
    on_up = NULL;
    inside = true;
    test_link = redis_link_open(&loop, o, &note_events, &loop);
    inside = false;
    assert_non_null(test_link);
}

static inline void open_up(const struct redis_link_options *o)
{
    open_with(o);
    WAIT_FOR(ups || downs);
    if (downs)
        fail_msg("%s", last_why);
}

/* Opens a link that must fail, and how. */
static inline void assert_fails(const struct redis_link_options *o, enum redis_fault fault,
                                const char *why)
{
    open_with(o);
    WAIT_FOR(downs);
    assert_int_equal(ups, 0);
    assert_string_equal(last_why, why);
    assert_int_equal(last_fault, fault);
    redis_link_close(test_link);
}

static inline int loop_start(void **state)
{
    (void)state;
    alarm(100);
    return loop_init(&loop);
}

static inline int loop_finish(void **state)
{
    (void)state;
    return loop_deinit(&loop);
}

#endif
