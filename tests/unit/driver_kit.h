/* SPDX-License-Identifier: MIT */
/* driver_kit.h: a driver under test, and a log of all that it tells.
 *
 * Rooms are watched from their first use on, so that a driver over the network tells of their
 * publications too; what that takes is left out of the log. */
#ifndef MADANG_TESTS_UNIT_DRIVER_KIT_H
#define MADANG_TESTS_UNIT_DRIVER_KIT_H

#include "backplane/base/loop.h"
#include "backplane/caused.h"
#include "backplane/driver.h"
#include "backplane/kept.h"
#include "backplane/queue/queue.h"
#include "backplane/redis.h"
#include "tests/unit/core_kit.h"
#include "tests/unit/redis_kit.h"

#define EVENTS_MAX   4096
#define STREAM_BYTES (1024 * 1024)

/* Which driver is under test. */
struct subject {
    const struct driver_ops *ops;
    bool streams;   /* false: nothing but ERR_NOT_AVAILABLE is expected */
    bool memory;    /* in this process: at once, on a clock of ours, and gone with the driver */
    size_t servers; /* that it needs, at most SERVERS_MAX */
    bool file;      /* in a file of this test */
};

#define WATCHED_MAX 32
#define SERVERS_MAX 2

static const struct subject *subject;

enum what { PUBLISHED, LOST, COMMITTED, READ_DONE, REMOVED, REDACTED, FOLLOWED };

struct event {
    enum what what;
    void *operation; /* the commit, read, …; of `published`: NULL */
    struct stream_ref *room;
    struct position at;
};

static struct driver *driver;
static struct queue_driver *driver_queues; /* NULL: the test has opened none */
static struct event events[EVENTS_MAX];
static size_t event_count;
static bool inside; /* a call into the driver that may not complete anything */
static uint64_t now;
static void (*on_event)(const struct event *e); /* once, then forgotten */
static struct stream_ref *watched[WATCHED_MAX];
static struct msg *last_told; /* of the publications; a reference */
static size_t due;            /* publications that were committed and have to be told */
static size_t forgets;        /* times that something may have been lost */

static struct loop driver_loop;
static struct actor driver_actor;
static struct redis_process servers[SERVERS_MAX]; /* for all tests; they use different prefixes */
static const char *const server_names[SERVERS_MAX] = {"redis", "b"};
static struct redis_settings settings;
static char prefix[32];
static uint32_t calls_max; /* under way at a server; 0: as many as usual */
static char kept_dir[64], kept_path[96];
static struct kept_settings kept_settings = {.full = true, .remember_ms = 1000ULL * 3600};

static inline void record(struct event e)
{
    assert_false(inside);
    assert_true(event_count < EVENTS_MAX);
    events[event_count++] = e;
    void (*then)(const struct event *) = on_event;
    on_event = NULL;
    if (then)
        then(&e);
}

static inline void published(void *owner, struct stream_ref *room, struct msg *m,
                             const struct position *at)
{
    assert_ptr_equal(owner, &driver);
    assert_int_equal(m->offset, at->offset);
    assert_true(m->head > 0); /* sealed: hubs get it now */
    due--;
    msg_unref(last_told);
    last_told = msg_ref(m);
    record((struct event){PUBLISHED, NULL, room, *at});
}

static inline void lost(void *owner, struct stream_ref *room, const struct position *top)
{
    assert_ptr_equal(owner, &driver);
    record((struct event){LOST, NULL, room, *top});
}

static inline void committed(void *owner, struct commit *c)
{
    assert_ptr_equal(owner, &driver);
    due += !c->error && !c->repeated;
    record((struct event){COMMITTED, c, c->room, c->at});
}

static inline void read_done(void *owner, struct stream_read *r)
{
    assert_ptr_equal(owner, &driver);
    record((struct event){READ_DONE, r, r->room, r->top});
}

static inline void removed(void *owner, struct stream_removal *r)
{
    assert_ptr_equal(owner, &driver);
    record((struct event){REMOVED, r, r->room, {0}});
}

static inline void redacted(void *owner, struct stream_redaction *r)
{
    assert_ptr_equal(owner, &driver);
    record((struct event){REDACTED, r, r->room, r->at});
}

static inline void followed(void *owner, struct follow *f)
{
    assert_ptr_equal(owner, &driver);
    record((struct event){FOLLOWED, f, f->room, f->at});
}

static inline void forgot(void *owner)
{
    assert_ptr_equal(owner, &driver);
    forgets++;
}

static const struct driver_events sink = {.published = published,
                                          .lost = lost,
                                          .committed = committed,
                                          .read_done = read_done,
                                          .removed = removed,
                                          .redacted = redacted,
                                          .followed = followed,
                                          .forgot = forgot};

static inline bool driver_turn(struct actor *a)
{
    (void)a;
    return driver->ops->turn(driver, now);
}

static inline void give_up(uv_timer_t *t)
{
    (void)t;
    fail_msg("the driver never came to an end: %zu publications are due", due);
}

/* Turns of the loop until the condition holds. */
#define run_until(condition)                                                                       \
    do {                                                                                           \
        uv_timer_t limit_;                                                                         \
        loop_again(&driver_loop); /* as it would be in a turn: what was begun is sent */           \
        assert_int_equal(uv_timer_init(&driver_loop.uv, &limit_), 0);                              \
        assert_int_equal(uv_timer_start(&limit_, give_up, 20000, 0), 0);                           \
        while (!(condition))                                                                       \
            uv_run(&driver_loop.uv, UV_RUN_ONCE);                                                  \
        uv_close((uv_handle_t *)&limit_, NULL);                                                    \
        loop_settle(&driver_loop);                                                                 \
    } while (0)

static inline bool calm(void)
{
    return !counter_get(&driver->counters.pending) && !due;
}

/* Until nothing is due; a driver that never gets there is told apart from one that is slow. */
static inline void settle(void)
{
    if (!subject->memory) {
        run_until(calm());
        return;
    }
    for (int i = 0; driver->ops->turn(driver, now); i++)
        assert_true(i < 1000);
}

static inline bool connected(void)
{
    return !counter_get(&driver->counters.away);
}

/* Begins another life over what the server keeps under this prefix. */
static inline void open_driver(size_t max_stream_bytes)
{
    struct driver_config config = {.events = &sink,
                                   .owner = &driver,
                                   .max_stream_bytes = max_stream_bytes,
                                   .loop = &driver_loop,
                                   .settings = &settings};
    struct buf why = {0};
    event_count = due = forgets = 0;
    now = 1000;
    memset(watched, 0, sizeof(watched));
    if (!subject->memory && !subject->file) {
        redis_settings_defaults(&settings);
        for (size_t i = 0; i < subject->servers && i < SERVERS_MAX; i++) {
            struct redis_member *m = redis_settings_add(&settings, server_names[i]);
            assert_true(redis_url_parse(&m->server.link.url, span_str(servers[i].url), &why));
            if (calls_max)
                m->server.link.calls_max = calls_max;
        }
        settings.prefix = prefix;
        settings.node = "test";
    }
    if (subject->file) {
        kept_settings.path = kept_path;
        config.settings = &kept_settings;
    }
    if (!subject->memory) {
        assert_int_equal(loop_init(&driver_loop), 0);
        driver_actor = (struct actor){.turn = driver_turn};
    }
    assert_int_equal(subject->ops->open(&driver, &config), OK);
    assert_ptr_equal(driver->ops, subject->ops);
    if (subject->memory) {
        assert_false(subject->ops->turn(driver, now));
    } else {
        loop_add(&driver_loop, &driver_actor);
        run_until(connected());
    }
}

static inline void close_driver(void)
{
    if (!subject->memory)
        loop_remove(&driver_loop, &driver_actor);
    msg_unref(last_told);
    last_told = NULL;
    if (driver_queues)
        driver_queues->ops->stop(driver_queues);
    driver->ops->stop(driver);
    if (driver_queues)
        driver_queues->ops->close(driver_queues);
    driver->ops->close(driver);
    driver = NULL;
    driver_queues = NULL;
    if (!subject->memory)
        assert_int_equal(loop_deinit(&driver_loop), 0);
}

static bool queue_answered;

static inline void on_queue_op(struct queue_op *op)
{
    (void)op;
    queue_answered = true;
}

/* One operation of the queue in which publications put jobs, up to its end; it goes well. */
static inline void run_op(struct queue_op *op, enum queue_verb verb)
{
    op->verb = verb;
    op->queue.name = SPAN(NOTIFY_QUEUE);
    op->done = on_queue_op;
    queue_answered = false;
    queue_begin(driver_queues, op);
    run_until(queue_answered);
    assert_int_equal(op->error, OK);
}

static inline int start(void **state)
{
    static unsigned tests;
    (void)state;
    snprintf(prefix, sizeof(prefix), "t%u", ++tests);
    strcpy(kept_dir, "/tmp/madang-kept-XXXXXX");
    if (subject->file && !mkdtemp(kept_dir))
        return -1;
    snprintf(kept_path, sizeof(kept_path), "%s/madang.db", kept_dir);
    open_driver(STREAM_BYTES);
    return 0;
}

static inline int stop(void **state)
{
    static const char *const ends[] = {"", "-wal", ".ballast"};
    char name[sizeof(kept_path) + 16];
    (void)state;
    if (driver) /* else a test failed while it was closed */
        close_driver();
    if (!subject->file)
        return 0;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        snprintf(name, sizeof(name), "%s%s", kept_path, ends[i]);
        (void)unlink(name); /* what is there; all that is left keeps the folder */
    }
    return rmdir(kept_dir);
}

static inline int start_server(void **state)
{
    (void)state;
    if (!subject->memory && subject->streams)
        for (size_t i = 0; i < subject->servers; i++)
            redis_start(&servers[i], NULL);
    return 0;
}

static inline int stop_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVERS_MAX; i++)
        if (servers[i].pid)
            redis_stop(&servers[i]);
    return 0;
}

static inline struct stream_ref room_named(const char *name)
{
    return (struct stream_ref){.name = span_str(name)};
}

static const struct stream_limits roomy = {100, 1024 * 1024, 0};

/* The first read of a room that is watched; a driver over the network tells publications from then
 * on. */
static inline void watch(struct stream_ref *room)
{
    size_t seat = WATCHED_MAX;
    for (size_t i = WATCHED_MAX; i--;) {
        if (watched[i] == room)
            return;
        if (!watched[i])
            seat = i;
    }
    assert_true(seat < WATCHED_MAX);
    watched[seat] = room;
    assert_true(driver->ops->watch(driver, room));
    if (subject->memory)
        return;
    struct stream_read r = {.room = room, .limits = roomy};
    size_t before = event_count;
    void (*then)(const struct event *) = on_event;
    on_event = NULL;
    driver->ops->read(driver, &r);
    run_until(event_count > before && events[event_count - 1].operation == &r);
    assert_int_equal(r.error, OK);
    for (size_t i = --event_count; i > before; i--) /* it is taken out of the log */
        assert_ptr_not_equal(events[i - 1].operation, &r);
    on_event = then;
}

static inline void unwatch(struct stream_ref *room)
{
    for (size_t i = 0; i < WATCHED_MAX; i++) {
        if (watched[i] != room)
            continue;
        watched[i] = NULL;
        driver->ops->unwatch(driver, room);
    }
}

static inline void begin_commit(struct commit *c, struct stream_ref *room, const char *data,
                                const struct stream_limits *limits)
{
    watch(room);
    c->room = room;
    c->msg = publication("r", data);
    c->limits = *limits;
    inside = true;
    driver->ops->commit(driver, c);
    inside = false;
}

/* One publication from beginning to end; the driver's references stay. */
static inline struct commit commit_one(struct stream_ref *room, const char *data,
                                       const struct stream_limits *limits, struct idempotency key)
{
    struct commit c = {.idempotency = key};
    begin_commit(&c, room, data, limits);
    settle();
    msg_unref(c.msg);
    c.msg = NULL;
    return c;
}

static inline struct commit put(struct stream_ref *room, const char *data)
{
    return commit_one(room, data, &roomy, (struct idempotency){0});
}

static inline void begin_read(struct stream_read *r, struct stream_ref *room)
{
    watch(room);
    r->room = room;
    if (!r->limits.count)
        r->limits = roomy;
    inside = true;
    driver->ops->read(driver, r);
    inside = false;
}

static inline void begin_removal(struct stream_removal *r, struct stream_ref *room,
                                 const struct stream_limits *limits)
{
    watch(room);
    r->room = room;
    r->limits = *limits;
    inside = true;
    driver->ops->remove(driver, r);
    inside = false;
}

static inline void begin_redaction(struct stream_redaction *r, struct stream_ref *room)
{
    watch(room);
    r->room = room;
    if (!r->limits.count)
        r->limits = roomy;
    inside = true;
    driver->ops->redact(driver, r);
    inside = false;
}

static inline void begin_follow(struct follow *f, struct stream_ref *room)
{
    if (room)
        watch(room);
    f->room = room;
    f->limits = roomy;
    inside = true;
    driver->ops->follow(driver, f);
    inside = false;
}

static inline enum err redact_one(struct stream_ref *room, struct position at)
{
    struct stream_redaction r = {.at = at};
    begin_redaction(&r, room);
    settle();
    return r.error;
}

static inline enum err remove_all(struct stream_ref *room)
{
    struct stream_removal r = {0};
    begin_removal(&r, room, &roomy);
    settle();
    return r.error;
}

static inline struct stream_read read_all(struct stream_ref *room)
{
    struct stream_read r = {.max_count = UINT32_MAX, .max_bytes = SIZE_MAX};
    begin_read(&r, room);
    settle();
    return r;
}

/* The offsets of what is kept are first … last; nothing is kept if last < first. */
static inline void assert_kept(struct stream_ref *room, uint64_t first, uint64_t last)
{
    struct stream_read r = read_all(room);
    assert_int_equal(r.error, OK);
    assert_int_equal(r.count, last + 1 - first);
    for (size_t i = 0; i < r.count; i++)
        assert_int_equal(r.pubs[i]->offset, first + i);
    stream_read_deinit(&r);
}

static inline size_t count_events(enum what what, const void *operation)
{
    size_t n = 0;
    for (size_t i = 0; i < event_count; i++)
        n += events[i].what == what && events[i].operation == operation;
    return n;
}

static inline void forget(struct stream_ref *room)
{
    unwatch(room);
    driver->ops->forget(driver, room);
    assert_null(room->state);
}

#endif
