/* SPDX-License-Identifier: MIT */
/* queue_kit.h: a queue driver under test, on a clock of ours where it has none of its own.
 *
 * Times in tests are short, so that a driver with a clock of its own can be waited for.
 */
#ifndef MADANG_TESTS_UNIT_QUEUE_KIT_H
#define MADANG_TESTS_UNIT_QUEUE_KIT_H

#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "backplane/base/map.h"
#include "backplane/queue/queue.h"
#include "backplane/queue/waiters.h"
#include "backplane/queue_local.h"
#include "backplane/queue_redis_private.h"
#include "backplane/redis.h"
#include "tests/unit/core_kit.h"
#include "tests/unit/redis_kit.h"
#include "tests/unit/vfs_kit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOON 1800000000000ULL /* when tests begin */

/* Which driver is under test. */
struct queue_subject {
    const char *name;
    bool our_clock; /* time passes when the test says so */
    struct queue_driver *(*open)(const struct queue_config *config);
    void (*close)(void);     /* what there is stays */
    void (*tell_time)(void); /* our clock is another one now; may be NULL */
};

static const struct queue_subject *subject;
static struct queue_driver *driver;
static struct waiters *waiters;
static struct loop loop;
static char dir[64], path[96];
static struct store *store;
static _Atomic uint64_t clock_now, chance; /* read on the store's thread too */
static bool inside;                        /* a call into the driver that may not complete any */
static size_t told;                        /* operations */
static size_t ready_told;                  /* jobs, by events */
static bool unsynced;                      /* for many steps in short time */

static inline uint64_t our_clock(void)
{
    return clock_now;
}

static inline uint64_t our_random(void)
{
    return chance;
}

static inline void on_ready(void *owner, struct span queue, size_t count)
{
    (void)owner;
    assert_false(inside);
    ready_told += count;
    if (waiters)
        waiters_ready(waiters, queue, count);
}

static const struct queue_events queue_events = {on_ready};

/* ---- the driver over the store --------------------------------------------------------------- */

static inline void store_undone(void *owner)
{
    (void)owner;
}

static inline struct queue_driver *open_local(const struct queue_config *config)
{
    char why[FILE_WHY_MAX];
    struct store_config c = {.file = {path, .full = !unsynced, .vfs = FAULTY_VFS},
                             .loop = &loop,
                             .undone = store_undone};
    store = store_new(&c, why);
    if (!store)
        fail_msg("%s", why);
    return queue_local_open(config, store, &loop, !unsynced);
}

static inline void close_local(void)
{
    driver->ops->stop(driver);
    store_free(store);
    driver->ops->close(driver);
    store = NULL;
}

static const struct queue_subject local_subject = {
    .name = "local", .our_clock = true, .open = open_local, .close = close_local};

/* ---- the driver over Redis ------------------------------------------------------------------- */

#define QUEUE_SERVERS 2

static struct redis_process
    queue_servers[QUEUE_SERVERS]; /* for all tests; by another prefix each */
static size_t queue_server_count = 1;
static struct redis_settings queue_settings;
static struct driver *rooms; /* whose connections are used */
static struct actor rooms_actor;
static char queue_prefix[32];
static uint64_t time_told;

static inline bool rooms_turn(struct actor *a)
{
    (void)a;
    return rooms->ops->turn(rooms, 0);
}

static inline void open_rooms(void)
{
    static const char *const names[QUEUE_SERVERS] = {"a", "b"};
    static const struct driver_events none = {0};
    const struct driver_config config = {
        .events = &none, .loop = &loop, .settings = &queue_settings};
    struct buf why = {0};
    redis_settings_defaults(&queue_settings);
    queue_settings.prefix = queue_prefix;
    queue_settings.node = "test";
    for (size_t i = 0; i < queue_server_count; i++) {
        struct redis_member *m = redis_settings_add(&queue_settings, names[i]);
        assert_true(redis_url_parse(&m->server.link.url, span_str(queue_servers[i].url), &why));
        m->server.link.backoff_max_ms = 60; /* servers of tests are never away for long */
    }
    assert_int_equal(redis_driver.open(&rooms, &config), OK);
    rooms_actor = (struct actor){.turn = rooms_turn};
    loop_add(&loop, &rooms_actor);
}

/* Connected, and nothing is to be told of what was before. */
static inline bool calm(struct queue_driver *d)
{
    struct queue_redis *q = (struct queue_redis *)d;
    bool calm = !counter_get(&rooms->counters.away) && !d->pending;
    for (size_t i = 0; i < queue_place_count(q); i++)
        calm &= redis_server_confirmed(q->places[i].shard->server, q->places[i].channel) &&
                !q->places[i].doubt;
    return calm;
}

static inline void await_calm(struct queue_driver *d)
{
    while (!calm(d))
        uv_run(&loop.uv, UV_RUN_ONCE);
}

/* The scripts go by the clock of the server, unless a test has set the time. */
static inline void tell_redis_time(void)
{
    char command[128];
    if (time_told == clock_now)
        return;
    time_told = clock_now;
    (void)snprintf(command, sizeof(command), "HSET %s:jobs clock %llu", queue_prefix,
                   (unsigned long long)clock_now);
    for (size_t i = 0; i < queue_server_count; i++)
        (void)redis_say(&queue_servers[i], command);
}

static inline struct queue_driver *open_redis(const struct queue_config *config)
{
    open_rooms();
    struct queue_driver *d = queue_redis_new(config, rooms);
    assert_non_null(d);
    await_calm(d);
    if (subject->tell_time)
        subject->tell_time();
    return d;
}

static inline void close_redis(void)
{
    driver->ops->stop(driver);
    loop_remove(&loop, &rooms_actor);
    rooms->ops->stop(rooms);
    driver->ops->close(driver);
    rooms->ops->close(rooms);
    rooms = NULL;
    loop_settle(&loop);
}

static const struct queue_subject redis_subject = {.name = "redis",
                                                   .our_clock = true,
                                                   .open = open_redis,
                                                   .close = close_redis,
                                                   .tell_time = tell_redis_time};

static inline int start_queue_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < queue_server_count; i++)
        redis_start(&queue_servers[i], NULL);
    return 0;
}

static inline int stop_queue_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < queue_server_count; i++)
        redis_stop(&queue_servers[i]);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static inline void open_queue(void)
{
    const struct queue_config c = {
        .events = &queue_events, .clock = our_clock, .random = our_random};
    driver = subject->open(&c);
    assert_non_null(driver);
    waiters = waiters_new(&(struct waiters_config){driver, &loop});
    assert_non_null(waiters);
}

static inline void close_queue(void)
{
    waiters_free(waiters);
    waiters = NULL;
    subject->close();
    driver = NULL;
}

static inline void open_again(void)
{
    close_queue();
    open_queue();
}

static inline int queue_begin_test(void **state)
{
    static unsigned tests;
    (void)state;
    (void)snprintf(queue_prefix, sizeof(queue_prefix), "t%u", ++tests);
    time_told = 0;
    strcpy(dir, "/tmp/madang-queue-XXXXXX");
    memset(&faults, 0, sizeof(faults));
    clock_now = NOON;
    chance = 0;
    told = ready_told = 0;
    alarm(600);
    if (!mkdtemp(dir) || loop_init(&loop) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/madang.db", dir);
    open_queue();
    return 0;
}

static inline int queue_end_test(void **state)
{
    (void)state;
    static const char *const ends[] = {"", "-wal", "-journal", ".ballast"};
    char name[128];
    if (driver)
        close_queue();
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name); /* which of them there are is the driver's affair */
    }
    return loop_deinit(&loop) | rmdir(dir);
}

static inline void turn_once(void)
{
    loop_again(&loop);
    uv_run(&loop.uv, UV_RUN_ONCE);
}

/* Before anything is asked of a driver that has a clock of its own. */
static inline void tell_time(void)
{
    if (subject->tell_time)
        subject->tell_time();
}

static inline void settle_all(void)
{
    while (driver->pending)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

/* ---- operations, one at a time --------------------------------------------------------------- */

static inline void count_told(struct queue_op *op)
{
    (void)op;
    assert_false(inside);
    told++;
}

static inline void begin(struct queue_op *op, enum queue_verb verb, const char *queue)
{
    op->verb = verb;
    op->queue.name = span_str(queue);
    op->done = count_told;
    tell_time();
    inside = true;
    queue_begin(driver, op);
    inside = false;
}

static inline enum err run(struct queue_op *op, enum queue_verb verb, const char *queue)
{
    begin(op, verb, queue);
    settle_all();
    return op->error;
}

/* Rules that tests begin with: short times. */
static inline struct queue_rules quick_rules(void)
{
    struct queue_rules r = queue_default_rules;
    r.backoff_ms = 100;
    r.backoff_cap_ms = 1000;
    r.result_ms = 500;
    return r;
}

static struct queue_rules rules;

static inline enum put_status put(const char *queue, struct queue_job *j)
{
    struct queue_put p = {.op.queue.rules = &rules, .jobs = j, .count = 1};
    if (!j->kind.n)
        j->kind = SPAN("k");
    assert_int_equal(run(&p.op, QUEUE_PUT, queue), OK);
    return j->status;
}

static inline uint64_t put_text(const char *queue, const char *data)
{
    struct queue_job j = {.data = span_str(data)};
    assert_int_equal(put(queue, &j), PUT_OK);
    return j.id;
}

/* What was handed out last. */
static struct queue_take taken;
static struct queue_ref taken_from;

static inline size_t take_as(const char *queue, uint32_t max, uint64_t lease_ms, const char *owner)
{
    queue_op_deinit(&taken.op);
    taken_from = (struct queue_ref){.name = span_str(queue)};
    taken = (struct queue_take){.queues = &taken_from,
                                .queue_count = 1,
                                .max = max,
                                .lease_ms = lease_ms,
                                .owner = span_str(owner)};
    assert_int_equal(run(&taken.op, QUEUE_TAKE, queue), OK);
    return taken.count;
}

static inline size_t take(const char *queue, uint32_t max, uint64_t lease_ms)
{
    return take_as(queue, max, lease_ms, "w1");
}

static inline const struct job *take_one(const char *queue, uint64_t lease_ms)
{
    assert_int_equal(take(queue, 1, lease_ms), 1);
    return taken.jobs[0];
}

static inline void drop_taken(void)
{
    queue_op_deinit(&taken.op);
    memset(&taken, 0, sizeof(taken));
    taken.op.verb = QUEUE_TAKE;
}

static inline enum settled settle_item(const char *queue, enum queue_verb verb,
                                       struct queue_item *item)
{
    struct queue_settle s = {.items = item, .count = 1};
    assert_int_equal(run(&s.op, verb, queue), OK);
    return item->status;
}

static inline enum settled settle(const char *queue, enum queue_verb verb, uint64_t id,
                                  const char *token)
{
    struct queue_item item = {
        .id = id, .token = span_str(token), .ms = verb == QUEUE_NACK ? QUEUE_BACKOFF : 1000};
    return settle_item(queue, verb, &item);
}

static inline enum settled settle_job(enum queue_verb verb, const struct job *j)
{
    char name[QUEUE_NAME_MAX + 1] = {0};
    memcpy(name, j->queue.p, j->queue.n);
    return settle(name, verb, j->id, j->token);
}

static inline struct queue_stats stats(const char *queue)
{
    struct queue_stats s = {0}, counted = {.recount = true};
    assert_int_equal(run(&s.op, QUEUE_STATS, queue), OK);
    assert_int_equal(run(&counted.op, QUEUE_STATS, queue), OK);
    for (int i = 0; i < QUEUE_LEVELS; i++) /* I10 */
        assert_int_equal(s.number[i], counted.number[i]);
    return s;
}

static inline enum job_state look(const char *queue, uint64_t id, struct job **out)
{
    struct queue_look l = {.id = id};
    assert_int_equal(run(&l.op, QUEUE_GET, queue), OK);
    if (out)
        *out = l.job;
    else
        free(l.job);
    return l.state;
}

#define assert_job(j, text) assert_true(span_eq((j)->data, span_str(text)))

/* Time passes, and the driver has looked at what has become due. */
static inline void pass(uint64_t ms)
{
    if (subject->our_clock)
        clock_now += ms;
    else
        usleep((useconds_t)ms * 1000);
    tell_time();
    driver->ops->sweep(driver);
    (void)look("nothing", 1, NULL);
}

static inline void control(const char *queue, enum queue_verb verb)
{
    struct queue_op op = {0};
    assert_int_equal(run(&op, verb, queue), OK);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static inline int begin_test(void **state)
{
    rules = quick_rules();
    memset(&taken, 0, sizeof(taken));
    taken.op.verb = QUEUE_TAKE;
    return queue_begin_test(state);
}

static inline int end_test(void **state)
{
    drop_taken();
    return queue_end_test(state);
}

static inline int over_local(const struct CMUnitTest *tests, size_t count)
{
    map_seed();
    subject = &local_subject;
    return (vfs_kit_register() != SQLITE_OK) +
           _cmocka_run_group_tests(subject->name, tests, count, NULL, NULL);
}

static inline int over_redis(const struct CMUnitTest *tests, size_t count)
{
    map_seed();
    log_set_level(LOG_WARN);
    subject = &redis_subject;
    return _cmocka_run_group_tests(subject->name, tests, count, start_queue_servers,
                                   stop_queue_servers);
}

static inline int over_each(const struct CMUnitTest *tests, size_t count)
{
    return over_local(tests, count) + over_redis(tests, count);
}

#define TEST(f)                  cmocka_unit_test_setup_teardown(f, begin_test, end_test)
#define over_every_driver(tests) over_each((tests), sizeof(tests) / sizeof(*(tests)))

#endif
