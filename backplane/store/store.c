/* SPDX-License-Identifier: MIT */
#include "backplane/store/store.h"

#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "backplane/store/backup.h"
#include "backplane/store/copier.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A transaction holds at most this much, so that nobody waits for a batch without end. */
#define BATCH_TASKS 512
#define BATCH_BYTES (4u * 1024 * 1024)

/* What commits wrote beside the file is merged once it is this large, and whatever is there when
 * nothing else is to be done. A page that many commits wrote is merged once, so few merges are less
 * work; and a merge is short, since it takes at most so many pages. */
#define MERGE_BYTES (16u * 1024 * 1024)
#define IDLE_MS     200
#define RETRY_MS    1000 /* a broken file, a full disk */

/* What goes through the inboxes. */
enum { TASK, BACKUP };

struct queue {
    struct entry *head, **end;
};

/* The thread's side. */
struct keeper {
    struct loop loop;
    struct actor actor;
    struct inbox inbox;
    struct outbox out;
    struct queue waiting[STORE_CLASSES];
    struct entry *part; /* the first of the tasks that share a part; NULL: none is open */
    bool ran;           /* something was run in this transaction: parts need a mark */
    bool marked;        /* the part that is open has one */
    struct file *file;  /* NULL: broken */
    struct file_config config;
    char *path;
    uint64_t life; /* one more after each transaction of unknown outcome */
    bool full, ballast;
    struct timer idle, retry;
    struct copier copier;
    struct store_counters counters;
};

/* The owner's side. */
struct store {
    struct actor actor;
    struct inbox inbox;
    struct outbox out;
    struct store_config config;
    uint64_t life; /* the last that the owner has been told of */
    pthread_t thread;
    struct keeper keeper;
};

static struct store_task *task_of(struct entry *e)
{
    return container_of(e, struct store_task, entry);
}

static void queue_init(struct queue *q)
{
    q->head = NULL;
    q->end = &q->head;
}

static void queue_push(struct queue *q, struct entry *e)
{
    e->next = NULL;
    *q->end = e;
    q->end = &e->next;
}

static struct entry *queue_shift(struct queue *q)
{
    struct entry *e = q->head;
    if (!e)
        return NULL;
    q->head = e->next;
    if (!q->head)
        q->end = &q->head;
    return e;
}

/* ---- the thread: a transaction --------------------------------------------------------------- */

/* The disk is full: the reserve goes, so that what frees space can go on. */
static void on_full(struct keeper *k)
{
    if (k->ballast && file_ballast_drop(k->file))
        log_error("store %s: the disk is full; until there is space nothing new is taken; what "
                  "frees space goes on with a reserve",
                  k->path);
    k->ballast = false;
    k->full = true;
    counter_set(&k->counters.full, 1);
}

static bool may_run(const struct keeper *k, const struct store_task *t)
{
    /* Tasks of an earlier life rest on what is not so. */
    return t->life == k->life && !(t->needs_space && k->full);
}

static bool broke(const struct keeper *k)
{
    enum file_failure how = file_failure(k->file);
    return how == FILE_BROKEN || how == FILE_FULL;
}

static void run_alone(struct keeper *k, struct store_task *t)
{
    t->error = ERR_INTERNAL;
    k->ran = true;
    if (!may_run(k, t) || (t->many && file_part_begin(k->file)))
        return;
    t->full = k->full;
    t->error = t->run(t, k->file);
    if (t->many && file_part_end(k->file, !t->error))
        t->error = ERR_INTERNAL;
}

/* SQLite copies each page that is changed behind a mark. The first part of a transaction needs
 * none: to take it back is to begin the transaction anew. */
static void begin_part(struct keeper *k, struct store_task *first)
{
    k->marked = k->ran;
    k->ran = true;
    if (!k->marked || file_part_begin(k->file) == OK)
        k->part = &first->entry;
}

/* If it cannot be done, all is rolled back: see broke(). */
static void end_part(struct keeper *k, bool keep)
{
    if (k->part && k->marked) {
        (void)file_part_end(k->file, keep);
    } else if (k->part && !keep && !broke(k)) {
        file_rollback(k->file);
        (void)file_begin(k->file);
    }
    k->part = NULL;
}

/* A part of its own costs a publication a quarter of its time, so tasks that may be run again share
 * one. If one of them fails, the part is taken back, and each of them is run alone. */
static void run_shared(struct keeper *k, struct store_task *t)
{
    t->error = ERR_INTERNAL;
    if (!may_run(k, t))
        return;
    if (!k->part)
        begin_part(k, t);
    t->full = k->full;
    if (k->part)
        t->error = t->run(t, k->file);
    if (!t->error)
        return;
    struct entry *e = k->part;
    end_part(k, false);
    for (; e && !broke(k); e = e->next)
        run_alone(k, task_of(e));
}

/* The last of its batch. */
static void run_one(struct keeper *k, struct store_task *t)
{
    if (t->again) {
        run_shared(k, t);
    } else {
        end_part(k, true);
        run_alone(k, t);
    }
}

/* Whatever the file holds of a lost batch, nobody knows: a life is over, and the owner learns it
 * from the first task that says so. */
static void give_back(struct keeper *k, struct queue *batch, bool lost)
{
    k->life += lost;
    for (struct entry *e; (e = queue_shift(batch));) {
        if (lost)
            task_of(e)->error = ERR_INTERNAL;
        task_of(e)->life = k->life;
        outbox_post(&k->out, e);
    }
}

static void open_again(struct keeper *k)
{
    char why[FILE_WHY_MAX];
    copier_give_up(&k->copier, "the store broke");
    file_abandon(k->file);
    k->file = file_open(&k->config, why);
    counter_set(&k->counters.broken, !k->file);
    if (!k->file) {
        log_error("%s; trying again each second", why);
        return;
    }
    uint64_t generation = (uint64_t)file_generation(k->file);
    k->life += generation != counter_get(&k->counters.generation); /* rooms have other epochs now */
    counter_set(&k->counters.generation, generation);
    k->ballast = !k->full && file_ballast_take(k->file);
}

static void on_retry(struct timer *t);

/* It stays damaged, so this is never taken back. */
static void note_damage(struct keeper *k)
{
    if (file_is_damaged(k->file))
        counter_set(&k->counters.damaged, 1);
}

/* After a sync that failed, only a new connection knows what is there. */
static void begin_anew(struct keeper *k, const char *failed)
{
    log_error("store %s: %s failed: %s; the file is opened anew", k->path, failed,
              file_error(k->file));
    counter_add(&k->counters.failures, 1);
    if (file_is_malformed(k->file))
        file_damaged(k->file, "what was read there is not what was written");
    note_damage(k);
    if (file_failure(k->file) == FILE_FULL)
        on_full(k);
    open_again(k);
    loop_arm(&k->loop, &k->retry, RETRY_MS, on_retry);
}

static bool batch_takes(size_t tasks, size_t bytes)
{
    return tasks < BATCH_TASKS && bytes < BATCH_BYTES;
}

static struct entry *next_waiting(struct keeper *k)
{
    for (int c = 0; c < STORE_CLASSES; c++)
        if (k->waiting[c].head)
            return queue_shift(&k->waiting[c]);
    return NULL;
}

static void commit(struct keeper *k, struct queue *batch, size_t tasks)
{
    uint64_t began = monotonic_us();
    bool lost = file_commit(k->file) != OK;
    uint64_t took = monotonic_us() - began;
    counter_add(&k->counters.commits, 1);
    counter_add(&k->counters.tasks, tasks);
    counter_add(&k->counters.commit_us, took);
    if (took > counter_get(&k->counters.slowest_commit_us))
        counter_set(&k->counters.slowest_commit_us, took);
    if (lost)
        begin_anew(k, "a commit");
    give_back(k, batch, lost);
}

/* One transaction; true if more is waiting. */
static bool run_batch(struct keeper *k)
{
    struct queue batch;
    size_t tasks = 0, bytes = 0;
    queue_init(&batch);
    struct entry *e = next_waiting(k);
    if (!e)
        return false;
    bool begun = k->file && file_begin(k->file) == OK;
    k->part = NULL;
    k->ran = false;
    for (; e; e = batch_takes(tasks, bytes) ? next_waiting(k) : NULL) {
        queue_push(&batch, e);
        if (begun)
            run_one(k, task_of(e));
        counter_sub(&k->counters.waiting, 1);
        tasks++;
        bytes += e->weight;
        if (begun && broke(k))
            break;
    }
    if (begun && !broke(k))
        end_part(k, true);
    if (!begun) {
        if (k->file)
            begin_anew(k, "the begin of a transaction");
        give_back(k, &batch, true);
    } else if (broke(k)) {
        file_rollback(k->file);
        begin_anew(k, "a statement");
        give_back(k, &batch, true);
    } else {
        note_damage(k);
        commit(k, &batch, tasks);
    }
    return k->waiting[STORE_CHAT].head || k->waiting[STORE_QUEUE].head;
}

/* ---- the thread: upkeep ---------------------------------------------------------------------- */

/* All that was committed lies beside the file until it is merged, so nothing is lost if that
 * fails. */
static void merge(struct keeper *k)
{
    if (!k->file || !file_unmerged_bytes(k->file))
        return;
    counter_add(&k->counters.merges, 1);
    if (file_merge(k->file))
        begin_anew(k, "merging");
}

static void on_idle(struct timer *t)
{
    merge(container_of(t, struct keeper, idle));
}

static void on_retry(struct timer *t)
{
    struct keeper *k = container_of(t, struct keeper, retry);
    if (!k->file)
        open_again(k);
    else if (!k->ballast)
        k->ballast = file_ballast_take(k->file);
    if (k->file && k->ballast && k->full) {
        k->full = false;
        counter_set(&k->counters.full, 0);
        log_info("store %s: there is space again", k->path);
    }
    if (!k->file || !k->ballast)
        loop_arm(&k->loop, &k->retry, RETRY_MS, on_retry);
}

static void receive(struct keeper *k, struct entry *e)
{
    if (e->kind == BACKUP) {
        copier_ask(&k->copier, k->file, container_of(e, struct backup, entry));
        outbox_post(&k->out, e);
        return;
    }
    queue_push(&k->waiting[task_of(e)->class], e);
    counter_add(&k->counters.waiting, 1);
}

static bool keeper_turn(struct actor *a)
{
    struct keeper *k = container_of(a, struct keeper, actor);
    struct entry *e = inbox_take(&k->inbox);
    bool busy = e != NULL;
    for (struct entry *next; e; e = next) {
        next = e->next;
        receive(k, e);
    }
    bool more = run_batch(k);
    outbox_flush(&k->out); /* who waits for a commit does not wait for merging */
    more |= copier_turn(&k->copier);
    if (k->file && file_unmerged_bytes(k->file) >= MERGE_BYTES)
        merge(k);
    counter_set(&k->counters.unmerged_bytes, k->file ? file_unmerged_bytes(k->file) : 0);
    if (busy)
        loop_arm(&k->loop, &k->idle, IDLE_MS, on_idle);
    return more;
}

static void keeper_flush(struct actor *a)
{
    outbox_flush(&container_of(a, struct keeper, actor)->out);
}

static void *run(void *arg)
{
    loop_run(arg);
    return NULL;
}

/* ---- the owner ------------------------------------------------------------------------------- */

static void tell(struct store *s, struct store_task *t)
{
    if (t->life != s->life) { /* the first that comes back from a life that is over */
        s->life = t->life;
        s->config.undone(s->config.owner);
    }
    t->done(t);
}

static bool store_turn(struct actor *a)
{
    struct store *s = container_of(a, struct store, actor);
    for (struct entry *e = inbox_take(&s->inbox), *next; e; e = next) {
        next = e->next;
        if (e->kind == BACKUP)
            container_of(e, struct backup, entry)->done(container_of(e, struct backup, entry));
        else
            tell(s, task_of(e));
    }
    return false;
}

static void store_flush(struct actor *a)
{
    outbox_flush(&container_of(a, struct store, actor)->out);
}

void store_submit(struct store *s, struct store_task *t)
{
    t->life = s->life;
    t->error = OK;
    t->entry.kind = TASK;
    outbox_post(&s->out, &t->entry);
}

void store_backup(struct store *s, struct backup *b)
{
    b->entry.kind = BACKUP;
    b->entry.weight = 0;
    outbox_post(&s->out, &b->entry);
}

static bool start_thread(struct store *s)
{
    sigset_t all, before;
    (void)sigfillset(&all); /* neither can fail; signals are for the main thread */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&s->thread, NULL, run, &s->keeper.loop) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static bool keeper_init(struct store *s, char why[FILE_WHY_MAX])
{
    struct keeper *k = &s->keeper;
    k->path = strdup(s->config.file.path);
    k->config = s->config.file;
    k->config.path = k->path;
    k->config.doubtful = false;
    k->file = k->path ? file_open(&k->config, why) : NULL;
    if (!k->file)
        goto no_file;
    if (loop_init(&k->loop) != 0)
        goto no_loop;
    copier_init(&k->copier, &k->loop);
    k->ballast = file_ballast_take(k->file);
    counter_set(&k->counters.generation, (uint64_t)file_generation(k->file));
    for (int c = 0; c < STORE_CLASSES; c++)
        queue_init(&k->waiting[c]);
    inbox_init(&k->inbox, &k->loop);
    outbox_init(&k->out, &k->loop, &s->inbox);
    k->actor = (struct actor){.turn = keeper_turn, .flush = keeper_flush};
    loop_add(&k->loop, &k->actor);
    k->config.doubtful = true; /* whenever it is opened again */
    if (!k->ballast) {
        log_error(
            "store %s: there is no space for a reserve beside it; should the disk be full, even "
            "what frees space may be refused; a reserve is tried for each second",
            k->path);
        loop_arm(&k->loop, &k->retry, RETRY_MS, on_retry);
    }
    return true;

no_loop:
    (void)snprintf(why, FILE_WHY_MAX, "the store %s: its thread cannot have a loop", k->path);
    file_close(k->file);
no_file:
    free(k->path);
    return false;
}

static void keeper_deinit(struct keeper *k)
{
    merge(k);
    copier_close(&k->copier);
    file_close(k->file);
    loop_cancel(&k->loop, &k->idle);
    loop_cancel(&k->loop, &k->retry);
    inbox_deinit(&k->inbox);
    if (loop_deinit(&k->loop) != 0)
        log_error("store %s: its loop is still in use", k->path);
    free(k->path);
}

static bool tell_opened(struct store *s, char why[FILE_WHY_MAX])
{
    const struct store_config *c = &s->config;
    struct file *f = s->keeper.file;
    if (!c->opened || (!file_begin(f) && !c->opened(c->owner, f) && !file_commit(f)))
        return true;
    (void)snprintf(why, FILE_WHY_MAX, "the store %s cannot be read: %s", s->keeper.path,
                   file_error(f));
    return false;
}

struct store *store_new(const struct store_config *config, char why[FILE_WHY_MAX])
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s) {
        (void)snprintf(why, FILE_WHY_MAX, "the store %s: there is no memory", config->file.path);
        return NULL;
    }
    s->config = *config;
    inbox_init(&s->inbox, config->loop);
    if (!keeper_init(s, why))
        goto no_keeper;
    outbox_init(&s->out, config->loop, &s->keeper.inbox);
    s->actor = (struct actor){.turn = store_turn, .flush = store_flush};
    if (!tell_opened(s, why)) {
        keeper_deinit(&s->keeper);
        goto no_keeper;
    }
    if (start_thread(s)) {
        loop_add(config->loop, &s->actor);
        return s;
    }
    (void)snprintf(why, FILE_WHY_MAX, "the store %s: its thread cannot be started",
                   config->file.path);
    keeper_deinit(&s->keeper);
no_keeper:
    inbox_deinit(&s->inbox);
    free(s);
    return NULL;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    struct keeper *k = &s->keeper;
    outbox_flush(&s->out);
    loop_quit(&k->loop);
    (void)pthread_join(s->thread, NULL); /* fails only for a thread that is none */
    copier_close(&k->copier);
    while (keeper_turn(&k->actor)) /* what the thread had not got to */
        ;
    outbox_flush(&k->out);
    (void)store_turn(&s->actor);
    loop_remove(s->config.loop, &s->actor);
    keeper_deinit(k);
    inbox_deinit(&s->inbox);
    free(s);
}

int64_t store_generation(const struct store *s)
{
    return (int64_t)counter_get(&s->keeper.counters.generation);
}

const struct store_counters *store_counters(const struct store *s)
{
    return &s->keeper.counters;
}
