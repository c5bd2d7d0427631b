/* SPDX-License-Identifier: MIT */
/* madang-jobs [--dir DIR] [--jobs N] [--turns N]: how fast jobs go through the driver in the store.
 *
 * 64 operations are under way at a time, each commit is synced. Beside it, turn by turn, a bare
 * loop makes the statements that cannot be left out, 64 to a transaction, in a file of its own:
 * same tables, same pragmas, ids as long.
 * Prints JSON. Every job that was put must be handed out and acked, once.
 */
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "backplane/base/map.h"
#include "backplane/queue_local.h"
#include "tests/load/jobs/turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH      64
#define DATA_BYTES 200
#define MERGE      (4u * 1024 * 1024) /* as the store does */

static struct loop loop;
static struct store *store;
static struct queue_driver *driver;
static struct file *bare;
static char data[DATA_BYTES];
static size_t jobs = 20000, turns = 5, wrong;

/* ---- through the driver ---------------------------------------------------------------------- */

static size_t begun, done;
static struct put_slot {
    struct queue_put put;
    struct queue_job job;
} putting[DEPTH];

static void put_next(struct put_slot *s)
{
    if (begun == jobs)
        return;
    begun++;
    s->job = (struct queue_job){.kind = SPAN("bench"), .data = {data, sizeof(data)}};
    s->put.jobs = &s->job;
    s->put.count = 1;
    queue_begin(driver, &s->put.op);
}

static void put_done(struct queue_op *op)
{
    struct put_slot *s = container_of(container_of(op, struct queue_put, op), struct put_slot, put);
    wrong += op->error || s->job.status != PUT_OK;
    done++;
    put_next(s);
}

static void until_done(void)
{
    while (done < jobs)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

static double driver_puts(void)
{
    double began = now_s();
    begun = done = 0;
    for (size_t i = 0; i < DEPTH; i++) {
        putting[i].put.op =
            (struct queue_op){.verb = QUEUE_PUT, .queue.name = SPAN("bench"), .done = put_done};
        put_next(&putting[i]);
    }
    until_done();
    return (double)jobs / (now_s() - began);
}

static struct queue_take take;
static struct queue_ref take_from = {.name = SPAN_INIT("bench")};
static struct ack_slot {
    struct queue_settle ack;
    struct queue_item item;
    char token[QUEUE_TOKEN_MAX];
} acks[DEPTH];

static void ack_done(struct queue_op *op)
{
    struct queue_settle *s = container_of(op, struct queue_settle, op);
    wrong += op->error || s->items[0].status != SETTLED_OK;
    done++;
}

static void ack(struct ack_slot *s, const struct job *j)
{
    memcpy(s->token, j->token, sizeof(s->token));
    s->item = (struct queue_item){.id = j->id, .token = span_str(s->token)};
    s->ack = (struct queue_settle){.items = &s->item, .count = 1};
    s->ack.op = (struct queue_op){.verb = QUEUE_ACK, .queue.name = SPAN("bench"), .done = ack_done};
    queue_begin(driver, &s->ack.op);
}

/* The acks and the next take leave together. */
static void take_done(struct queue_op *op)
{
    size_t n = take.count;
    wrong += op->error || n == 0;
    for (size_t i = 0; i < n; i++)
        ack(&acks[i], take.jobs[i]);
    queue_op_deinit(op);
    begun += n;
    if (n && begun < jobs)
        queue_begin(driver, op);
}

static double driver_takes(void)
{
    double began = now_s();
    begun = done = 0;
    take = (struct queue_take){.queues = &take_from,
                               .queue_count = 1,
                               .max = DEPTH,
                               .lease_ms = 60000,
                               .op = {.verb = QUEUE_TAKE, .done = take_done}};
    queue_begin(driver, &take.op);
    until_done();
    return (double)jobs / (now_s() - began);
}

/* ---- bare ------------------------------------------------------------------------------------ */

static void bare_commit(void)
{
    need(!file_commit(bare), "a bare commit");
    if (file_unmerged_bytes(bare) >= MERGE)
        need(!file_merge(bare), "a bare merge");
}

static double bare_puts(void)
{
    static int64_t id;
    if (!id)
        id = (int64_t)wall_ms() * 1024; /* as the driver numbers them */
    double began = now_s();
    for (size_t i = 0; i < jobs; i++) {
        if (i % DEPTH == 0)
            need(!file_begin(bare), "a bare transaction");
        sqlite3_stmt *q = file_statement(
            bare, "INSERT INTO job VALUES(?1,1,0,0,0,0,0,0,0,0,12,?2,NULL,0,NULL,NULL,NULL,NULL,"
                  "x'62656e6368',NULL,?3,NULL)");
        need(q, "a bare statement");
        (void)sqlite3_bind_int64(q, 1, ++id);
        (void)sqlite3_bind_int64(q, 2, (int64_t)wall_ms());
        (void)sqlite3_bind_blob(q, 3, data, sizeof(data), SQLITE_STATIC);
        need(!file_run(bare, q), "a bare put");
        if (i % DEPTH == DEPTH - 1 || i + 1 == jobs)
            bare_commit();
    }
    return (double)jobs / (now_s() - began);
}

/* Leases a batch; the bodies are read, as they would be. */
static size_t bare_lease(int64_t ids[DEPTH], int64_t nonce)
{
    size_t n = 0, bytes = 0;
    enum err e = OK;
    sqlite3_stmt *q = file_statement(
        bare, "UPDATE job SET state=1,due=?1,token=?2,nonce=?3,first=?1,deliveries=deliveries+1 "
              "WHERE id IN (SELECT id FROM job WHERE queue=1 AND state=0 ORDER BY priority,id "
              "LIMIT ?4) RETURNING id,kind,data");
    need(q, "a bare statement");
    (void)sqlite3_bind_int64(q, 1, (int64_t)wall_ms() + 60000);
    (void)sqlite3_bind_int64(q, 2, 1);
    (void)sqlite3_bind_int64(q, 3, nonce);
    (void)sqlite3_bind_int64(q, 4, DEPTH);
    while (file_row(bare, q, &e)) {
        ids[n++] = sqlite3_column_int64(q, 0);
        bytes += (size_t)sqlite3_column_bytes(q, 2);
    }
    need(!e && bytes == n * sizeof(data), "a bare take");
    return n;
}

static void bare_ack(int64_t id, int64_t nonce)
{
    sqlite3_stmt *q = file_statement(
        bare, "DELETE FROM job WHERE id=?1 AND state=1 AND token=1 AND nonce=?2 AND due>?3");
    need(q, "a bare statement");
    (void)sqlite3_bind_int64(q, 1, id);
    (void)sqlite3_bind_int64(q, 2, nonce);
    (void)sqlite3_bind_int64(q, 3, (int64_t)wall_ms());
    need(!file_run(bare, q) && file_changes(bare) == 1, "a bare ack");
}

static double bare_takes(void)
{
    int64_t ids[DEPTH], nonce = 0;
    size_t n = 0;
    double began = now_s();
    do {
        need(!file_begin(bare), "a bare transaction");
        for (size_t i = 0; i < n; i++)
            bare_ack(ids[i], nonce);
        nonce = (int64_t)(queue_random() >> 1);
        n = bare_lease(ids, nonce);
        bare_commit();
    } while (n);
    return (double)jobs / (now_s() - began);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void measure(void)
{
    static const turns_run runs[TURNS_RUNS] = {driver_puts, bare_puts, driver_takes, bare_takes};
    struct turns t;
    turns_measure(&t, turns, runs);
    printf("{\"jobs\":%zu,\"turns\":%zu,\"wrong\":%zu,\"tasks_per_commit\":%.1f", jobs, turns,
           wrong,
           (double)counter_get(&store_counters(store)->tasks) /
               (double)counter_get(&store_counters(store)->commits));
    turns_print(&t);
    printf("}\n");
}

static void on_undone(void *owner)
{
    (void)owner;
    need(false, "a commit");
}

static void open_all(const char *path, const char *bare_path)
{
    const struct queue_config config = {.events = &no_news};
    char why[FILE_WHY_MAX];
    struct store_config c = {
        .file = {.path = path, .full = true}, .loop = &loop, .undone = on_undone};
    need(loop_init(&loop) == 0, "making a loop");
    store = store_new(&c, why);
    need(store, why);
    driver = queue_local_open(&config, store, &loop, true);
    need(driver, "opening the driver");
    bare = file_open(&(struct file_config){.path = bare_path, .full = true}, why);
    need(bare, why);
}

int main(int argc, char **argv)
{
    const char *dir = ".";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0)
            dir = argv[i + 1];
        else if (strcmp(argv[i], "--jobs") == 0)
            jobs = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--turns") == 0)
            turns = strtoul(argv[i + 1], NULL, 10);
    }
    need(jobs >= DEPTH && turns >= 1 && turns <= TURNS_MAX, "reading the options");
    char home[4096], path[4200], bare_path[4200];
    (void)snprintf(home, sizeof(home), "%s/madang-jobs-XXXXXX", dir);
    need(mkdtemp(home), "making a directory");
    (void)snprintf(path, sizeof(path), "%s/madang.db", home);
    (void)snprintf(bare_path, sizeof(bare_path), "%s/bare.db", home);
    memset(data, 'x', sizeof(data));
    map_seed();
    open_all(path, bare_path);
    measure();
    driver->ops->stop(driver);
    store_free(store);
    driver->ops->close(driver);
    file_close(bare);
    need(loop_deinit(&loop) == 0, "the end of the loop");
    static const char *const ends[] = {"", "-wal", ".ballast"};
    for (size_t i = 0; i < 6; i++) {
        char name[4400];
        (void)snprintf(name, sizeof(name), "%s%s", i < 3 ? path : bare_path, ends[i % 3]);
        (void)unlink(name); /* not all of them are there */
    }
    need(rmdir(home) == 0, "removing the directory");
    return wrong != 0;
}
