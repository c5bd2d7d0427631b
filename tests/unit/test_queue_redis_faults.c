/* SPDX-License-Identifier: MIT */
/* test_queue_redis_faults.c: servers that die, lose what they had, are cut off, or come back from a
 * file that ends anywhere. Whatever happens, what was answered as kept is kept, no lease is given
 * twice, and no job is in two states. MADANG_TORTURE=1 does all of it for longer.
 */
#include "backplane/queue_redis.h"

#include "tests/unit/queue_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct redis_process *const server = &queue_servers[0];

static bool torture(void)
{
    return getenv("MADANG_TORTURE") != NULL; /* NOLINT(concurrency-mt-unsafe): one thread */
}

static const char *const always[] = {
    "--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no", NULL};
static const char *const everysec[] = {"--appendonly", "yes", "--appendfsync", "everysec", NULL};

/* Killed, and there again. The time is told again: the server may have lost it. */
static void come_back(const char *const *how)
{
    redis_kill(server);
    redis_restart(server, how);
    while (!counter_get(&rooms->counters.away)) /* it has been noticed */
        uv_run(&loop.uv, UV_RUN_ONCE);
    await_calm(driver);
    time_told = 0;
    tell_time();
}

static void restart_with(const char *const *how)
{
    come_back(how);
    queue_settings.restart_keeps = how == always;
}

/* ---- clients that keep a log ----------------------------------------------------------------- */

enum { LOGGED_MAX = 20000, BUSY = 16 };

enum fate { PUT_SENT, PUT_TOLD, TAKEN, ACK_SENT, ACKED };

static struct logged {
    uint64_t id;
    char key[16];
    enum fate fate;
} jobs[LOGGED_MAX];
static size_t job_count, under_way;
static uint64_t early[LOGGED_MAX]; /* taken before it was known what their puts made of them */
static size_t early_count;

static struct client_put {
    struct queue_put put;
    struct queue_job job;
    struct logged *log;
} putting[BUSY];

static void client_put_done(struct queue_op *op)
{
    struct client_put *c =
        container_of(container_of(op, struct queue_put, op), struct client_put, put);
    under_way--;
    if (!op->error && (c->job.status == PUT_OK || c->job.status == PUT_REPEATED)) {
        c->log->id = c->job.id;
        c->log->fate = PUT_TOLD;
    }
}

/* With a key each: who does not know what became of a put says it again. */
static void begin_put(struct client_put *c, struct logged *log)
{
    c->log = log;
    c->job = (struct queue_job){.kind = SPAN("k"), .data = SPAN("x"), .key = span_str(log->key)};
    c->job.key_mode = KEY_WINDOW;
    c->put = (struct queue_put){.jobs = &c->job, .count = 1};
    c->put.op =
        (struct queue_op){.verb = QUEUE_PUT, .queue.name = SPAN("q"), .done = client_put_done};
    under_way++;
    queue_begin(driver, &c->put.op);
}

static void begin_puts(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct logged *log = &jobs[job_count++];
        assert_true(job_count < LOGGED_MAX);
        *log = (struct logged){.fate = PUT_SENT};
        (void)snprintf(log->key, sizeof(log->key), "k%zu", job_count);
        begin_put(&putting[i], log);
    }
}

static void finish(void)
{
    while (under_way)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

static struct logged *logged_of(uint64_t id)
{
    for (size_t i = 0; i < job_count; i++)
        if (jobs[i].id == id)
            return &jobs[i];
    return NULL;
}

static bool was_early(uint64_t id)
{
    for (size_t i = 0; i < early_count; i++)
        if (early[i] == id)
            return true;
    return false;
}

/* Takes what there is and acks it. An answer may get lost: then nothing is known of it. */
static bool work_once(size_t *twice)
{
    struct queue_ref from = {.name = SPAN("q")};
    struct queue_take t = {.queues = &from, .queue_count = 1, .max = 8, .lease_ms = 60000};
    struct queue_item items[8] = {{0}};
    if (run(&t.op, QUEUE_TAKE, "") || !t.count)
        return false;
    struct queue_settle s = {.items = items, .count = t.count};
    for (size_t i = 0; i < t.count; i++) {
        items[i].id = t.jobs[i]->id;
        items[i].token = span_str(t.jobs[i]->token);
    }
    enum err e = run(&s.op, QUEUE_ACK, "q");
    for (size_t i = 0; i < t.count; i++) {
        struct logged *log = logged_of(items[i].id);
        if (!log) { /* its put was not answered yet */
            assert_true(early_count < LOGGED_MAX);
            early[early_count++] = items[i].id;
            continue;
        }
        *twice += log->fate == ACKED;
        log->fate = e ? ACK_SENT : items[i].status == SETTLED_OK ? ACKED : log->fate;
    }
    queue_op_deinit(&t.op);
    return true;
}

/* Says again what nobody knows of, then drains the queue. */
static void drain(size_t *twice)
{
    for (size_t i = 0; i < job_count; i++)
        if (jobs[i].fate == PUT_SENT) {
            begin_put(&putting[0], &jobs[i]);
            finish();
            assert_int_not_equal(jobs[i].fate, PUT_SENT);
        }
    clock_now += 120000; /* leases that nobody knows of end */
    pass(0);
    pass(3600000);
    for (int idle = 0; idle < 3;) {
        idle = work_once(twice) ? 0 : idle + 1;
        pass(2000);
    }
}

/* ---- a server that is killed ----------------------------------------------------------------- */

static void nothing_is_lost_by_a_server_that_syncs_always(void **state) /* R1 */
{
    (void)state;
    size_t twice = 0;
    job_count = early_count = 0;
    restart_with(always);
    for (int cycle = 0; cycle < (torture() ? 50 : 2); cycle++) {
        begin_puts(BUSY);
        finish();
        for (size_t i = job_count - BUSY; i < job_count; i++)
            assert_int_equal(putting[i % BUSY].put.durable, DURABLE_FSYNC);
        (void)work_once(&twice);
        begin_puts(BUSY); /* in flight when the server dies */
        for (int turns = cycle % 3; turns > 0; turns--)
            turn_once();
        redis_kill(server);
        finish();
        come_back(always);
    }
    drain(&twice);
    assert_int_equal(twice, 0);            /* I2 */
    for (size_t i = 0; i < job_count; i++) /* I1 */
        assert_true(jobs[i].fate == ACKED || jobs[i].fate == ACK_SENT || was_early(jobs[i].id));
    struct queue_stats s = stats("q");
    assert_int_equal(s.number[NUMBER_ready] + s.number[NUMBER_leased] + s.number[NUMBER_delayed],
                     0);
}

static void what_everysec_loses_is_not_called_kept(void **state) /* R1 */
{
    (void)state;
    size_t twice = 0, lost = 0;
    job_count = early_count = 0;
    restart_with(everysec);
    for (int cycle = 0; cycle < (torture() ? 50 : 2); cycle++) {
        begin_puts(BUSY);
        finish();
        for (size_t i = 0; i < BUSY; i++)
            assert_int_equal(putting[i].put.durable, DURABLE_OS);
        come_back(everysec);
    }
    for (size_t i = 0; i < job_count; i++)
        lost += look("q", jobs[i].id, NULL) == JOB_UNKNOWN;
    assert_true(lost <= BUSY); /* at most what was answered last; a killed process loses none */
    drain(&twice);
    assert_int_equal(twice, 0);
}

static void
a_server_that_is_shut_down_while_it_rewrites_its_file_loses_nothing(void **state) /* R2 */
{
    (void)state;
    size_t twice = 0;
    job_count = early_count = 0;
    restart_with(always);
    for (int cycle = 0; cycle < (torture() ? 20 : 2); cycle++) {
        begin_puts(BUSY);
        finish();
        (void)work_once(&twice);
        (void)redis_say(server, "BGREWRITEAOF");
        begin_puts(BUSY);
        finish();
        assert_int_equal(kill(server->pid, SIGTERM), 0);
        assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
        server->pid = 0;
        come_back(always);
    }
    drain(&twice);
    assert_int_equal(twice, 0);
    for (size_t i = 0; i < job_count; i++)
        assert_true(jobs[i].fate == ACKED);
}

/* ---- a file that ends anywhere --------------------------------------------------------------- */

/* The file to which the server appends now. */
static void newest_file(char out[256])
{
    char folder[128];
    (void)snprintf(folder, sizeof(folder), "%s/appendonlydir", server->dir);
    DIR *d = opendir(folder);
    assert_non_null(d);
    char name[128] = "";
    for (struct dirent *e; (e = readdir(d));) /* NOLINT(concurrency-mt-unsafe): one thread */
        if (strstr(e->d_name, ".incr.") && strverscmp(e->d_name, name) > 0)
            (void)snprintf(name, sizeof(name), "%.100s", e->d_name);
    assert_true(name[0] != '\0');
    (void)snprintf(out, 256, "%.100s/%.100s", folder, name);
    closedir(d);
}

static off_t size_of(const char *file)
{
    struct stat s;
    assert_int_equal(stat(file, &s), 0);
    return s.st_size;
}

/* In exactly one state, and its group goes on. */
static void assert_whole(uint64_t first, uint64_t second, bool acked_for_certain)
{
    enum job_state a = look("q", first, NULL), b = look("q", second, NULL);
    struct queue_stats s = stats("q"); /* the levels are those of a recount */
    assert_true((a == JOB_LEASED && b == JOB_BLOCKED) || (a == JOB_UNKNOWN && b == JOB_READY));
    if (acked_for_certain)
        assert_int_equal(a, JOB_UNKNOWN);
    assert_int_equal(s.number[NUMBER_ready] + s.number[NUMBER_leased] + s.number[NUMBER_blocked],
                     a == JOB_LEASED ? 2 : 1);
}

static void a_file_that_ends_within_an_ack_has_it_or_not(void **state) /* R4 */
{
    (void)state;
    char file[256], whole[300];
    restart_with(always);
    (void)redis_say(server, "FLUSHALL");
    time_told = 0;
    struct queue_job j = {.data = SPAN("1"), .group = SPAN("g"), .key = SPAN("k")};
    assert_int_equal(put("q", &j), PUT_OK);
    uint64_t first = j.id;
    j.key = (struct span){0};
    assert_int_equal(put("q", &j), PUT_OK);
    take_one("q", 600000);
    newest_file(file);
    off_t before = size_of(file);
    assert_int_equal(settle_job(QUEUE_ACK, taken.jobs[0]), SETTLED_OK);
    redis_kill(server);
    off_t after = size_of(file);
    assert_true(after > before);
    (void)snprintf(whole, sizeof(whole), "%s/whole", server->dir);
    const char *const copy[] = {"cp", file, whole, NULL}, *const back[] = {"cp", whole, file, NULL};
    assert_int_equal(run_program(copy), 0);
    off_t step = torture() ? 1 : (after - before) / 6 + 1;
    for (off_t end = before;; end = end + step < after ? end + step : after) {
        assert_int_equal(run_program(back), 0);
        assert_int_equal(truncate(file, end), 0);
        come_back(always);
        assert_whole(first, j.id, end == after);
        redis_kill(server);
        if (end == after)
            break;
    }
    assert_int_equal(unlink(whole), 0);
    come_back(always);
}

/* ---- a replica that was behind --------------------------------------------------------------- */

static void copy_dump(const struct redis_process *from, const struct redis_process *to)
{
    char source[128], target[128];
    (void)snprintf(source, sizeof(source), "%s/dump.rdb", from->dir);
    (void)snprintf(target, sizeof(target), "%s/dump.rdb", to->dir);
    const char *const copy[] = {"cp", source, target, NULL};
    assert_int_equal(run_program(copy), 0);
}

/* What it lost is not named again by another job, and no lease of before holds. */
static void a_promoted_replica_gives_neither_ids_nor_leases_twice(void **state) /* R5 */
{
    (void)state;
    struct redis_process replica;
    char command[128], old[QUEUE_TOKEN_MAX];
    restart_with(NULL);
    uint64_t kept = put_text("q", "kept");
    redis_start(&replica, NULL);
    (void)snprintf(command, sizeof(command), "REPLICAOF 127.0.0.1 %u", server->port);
    (void)redis_say(server, "CONFIG SET repl-diskless-sync-delay 0");
    (void)redis_say(&replica, command);
    (void)redis_say(server, "SET written 1");
    while (strcmp(redis_say(&replica, "EXISTS written"), ":1") != 0)
        usleep(1000);
    (void)redis_say(&replica, "REPLICAOF NO ONE"); /* what comes now does not get there */
    chance = 1;                                    /* of which nonces are made */
    memcpy(old, take_one("q", 600000)->token, sizeof(old));
    uint64_t lost = put_text("q", "lost");
    (void)redis_say(&replica, "SAVE");
    copy_dump(&replica, server);
    clock_now += 5;
    come_back(NULL); /* with what the replica has */
    assert_int_equal(look("q", lost, NULL), JOB_UNKNOWN);
    assert_int_equal(settle("q", QUEUE_ACK, kept, old), SETTLED_LEASE_LOST);
    chance = 2;
    const struct job *j = take_one("q", 600000);
    assert_int_equal(j->id, kept);
    assert_int_equal(strtoull(j->token, NULL, 10),
                     strtoull(old, NULL, 10)); /* the count went back */
    assert_int_equal(settle("q", QUEUE_ACK, kept, old), SETTLED_LEASE_LOST); /* I3 */
    assert_int_equal(settle("q", QUEUE_EXTEND, kept, old), SETTLED_LEASE_LOST);
    assert_true(put_text("q", "new") > lost);
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
    (void)snprintf(command, sizeof(command), "%s/dump.rdb", server->dir);
    assert_int_equal(unlink(command), 0);
    redis_stop(&replica);
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* I8: the next of a group begins when the one before is done, whatever fails or dies meanwhile. */
static void a_group_keeps_its_order_over_a_server_that_is_killed(void **state) /* C5 */
{
    (void)state;
    size_t count = torture() ? 10000 : 60, done = 0;
    uint64_t last = 0;
    random_begin("group over kills");
    rules.max_failures = 1000;
    rules.max_deliveries = 2000;
    restart_with(always);
    for (size_t i = 0; i < count; i++) {
        struct queue_job j = {.data = SPAN("x"), .group = SPAN("g")};
        assert_int_equal(put("q", &j), PUT_OK);
    }
    while (done < count) {
        if (one_in((uint32_t)count / 3))
            come_back(always);
        if (!take("q", 5, 60000)) {
            pass(1000);
            continue;
        }
        assert_int_equal(taken.count, 1);
        assert_true(taken.jobs[0]->id >= last); /* the same one after a failure */
        bool fails = one_in(10);
        last = taken.jobs[0]->id + !fails;
        assert_int_equal(settle_job(fails ? QUEUE_NACK : QUEUE_ACK, taken.jobs[0]), SETTLED_OK);
        done += !fails;
    }
    assert_int_equal(stats("q").number[NUMBER_acked], count);
}

/* ---- servers that are refused ---------------------------------------------------------------- */

static void a_server_that_may_drop_jobs_is_refused(void **state) /* R9 */
{
    (void)state;
    static const char *const drops[] = {"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru",
                                        NULL};
    struct buf why = {0};
    redis_kill(server);
    redis_restart(server, drops);
    assert_int_equal(redis_try(&queue_settings, 0, &why), REDIS_REFUSED);
    assert_non_null(memmem(why.p, why.n, "noeviction", 10));
    buf_deinit(&why);
    struct queue_job j = {.kind = SPAN("k")};
    struct queue_put p = {.jobs = &j, .count = 1};
    while (!counter_get(&rooms->counters.away))
        uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), ERR_INTERNAL);
    come_back(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost_by_a_server_that_syncs_always),
        TEST(what_everysec_loses_is_not_called_kept),
        TEST(a_server_that_is_shut_down_while_it_rewrites_its_file_loses_nothing),
        TEST(a_file_that_ends_within_an_ack_has_it_or_not),
        TEST(a_promoted_replica_gives_neither_ids_nor_leases_twice),
        TEST(a_group_keeps_its_order_over_a_server_that_is_killed),
        TEST(a_server_that_may_drop_jobs_is_refused),
    };
    map_seed();
    log_set_level(LOG_ERROR);
    subject = &redis_subject;
    return _cmocka_run_group_tests("redis", tests, COUNT_OF(tests), start_queue_servers,
                                   stop_queue_servers);
}
