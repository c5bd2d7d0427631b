/* SPDX-License-Identifier: MIT */
/* driver_kit.h: a driver under test, and a log of all that it tells. */
#ifndef MADANG_TESTS_UNIT_DRIVER_KIT_H
#define MADANG_TESTS_UNIT_DRIVER_KIT_H

#include "backplane/driver.h"
#include "tests/unit/core_kit.h"

#define EVENTS_MAX   4096
#define STREAM_BYTES (1024 * 1024)

/* Which driver is under test. */
struct subject {
    const struct driver_ops *ops;
    bool streams; /* false: nothing but ERR_NOT_AVAILABLE is expected */
};

static const struct subject *subject;

enum what { PUBLISHED, LOST, COMMITTED, READ_DONE, REMOVED, REDACTED };

struct event {
    enum what what;
    void *operation; /* the commit, read, …; of `published`: NULL */
    struct stream_ref *room;
    struct position at;
};

static struct driver *driver;
static struct event events[EVENTS_MAX];
static size_t event_count;
static bool inside; /* a call into the driver that may not complete anything */
static uint64_t now;
static void (*on_event)(const struct event *e); /* once, then forgotten */

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

static const struct driver_events sink = {published, lost, committed, read_done, removed, redacted};

static inline void open_driver(size_t max_stream_bytes)
{
    struct driver_config config = {
        .events = &sink, .owner = &driver, .max_stream_bytes = max_stream_bytes};
    assert_int_equal(subject->ops->open(&driver, &config), OK);
    assert_ptr_equal(driver->ops, subject->ops);
    event_count = 0;
    now = 1000;
    assert_false(subject->ops->turn(driver, now));
}

static inline int start(void **state)
{
    (void)state;
    open_driver(STREAM_BYTES);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    driver->ops->close(driver);
    driver = NULL;
    return 0;
}

/* Until nothing is due; a driver that never gets there is told apart from one that is slow. */
static inline void settle(void)
{
    for (int i = 0; driver->ops->turn(driver, now); i++)
        assert_true(i < 1000);
}

static inline struct stream_ref room_named(const char *name)
{
    return (struct stream_ref){.name = span_str(name)};
}

static const struct stream_limits roomy = {100, 1024 * 1024, 0};

static inline void begin_commit(struct commit *c, struct stream_ref *room, const char *data,
                                const struct stream_limits *limits)
{
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
    r->room = room;
    r->limits = *limits;
    inside = true;
    driver->ops->remove(driver, r);
    inside = false;
}

static inline void begin_redaction(struct stream_redaction *r, struct stream_ref *room)
{
    r->room = room;
    if (!r->limits.count)
        r->limits = roomy;
    inside = true;
    driver->ops->redact(driver, r);
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
    driver->ops->forget(driver, room);
    assert_null(room->state);
}

#endif
