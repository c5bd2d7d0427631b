/* SPDX-License-Identifier: MIT */
/* store.h: the thread that owns the database file, and how work gets there and back.
 *
 * Work is a task: a function that runs on the store's thread within a transaction, and one that
 * hears of the outcome on the owner's loop. What was submitted while a transaction was being made
 * durable shares the next one, so a sync is paid per batch, and the owner never waits. Tasks are
 * run and told in the order in which they were submitted, those of chat before those of the queue.
 *
 * A transaction that cannot be committed has an unknown outcome. Then all its tasks, and all that
 * were submitted before the owner could know of it, fail with ERR_INTERNAL; the file is opened
 * anew; and the owner is told by `undone`, before any of them is told, that everything it believes
 * about the file is to be read again. If the file cannot be opened, it is tried again each second,
 * and tasks fail meanwhile.
 *
 * A full disk fails only tasks that need space. For the others there is a reserve.
 */
#ifndef MADANG_BACKPLANE_STORE_STORE_H
#define MADANG_BACKPLANE_STORE_STORE_H

#include "backplane/base/inbox.h"
#include "backplane/store/counters.h"
#include "backplane/store/file.h"

struct backup;
struct store;
struct loop;

enum store_class { STORE_CHAT, STORE_QUEUE, STORE_CLASSES };

struct store_task {
    struct entry entry; /* `weight`: bytes that it will write, roughly */
    enum store_class class;
    bool needs_space; /* adds to the file: refused while the disk is full */
    bool many;        /* more than one statement: an error takes all of them back */
    bool again;       /* run may be called a second time, when all that the first did is taken back:
                         what it tells the owner is the same then */
    /* On the store's thread. An error takes back what this task did, and that alone. */
    enum err (*run)(struct store_task *t, struct file *f);
    /* On the owner's loop, exactly once, with `error`: what run returned, or ERR_INTERNAL. */
    void (*done)(struct store_task *t);
    enum err error;
    bool full;     /* for run: the disk is full, so what adds is to be refused */
    uint64_t life; /* the store's */
};

struct store_config {
    struct file_config file;
    struct loop *loop; /* the owner's: tasks are submitted and told there */
    void *owner;
    void (*undone)(void *owner);
    /* Before anything else, in store_new, within a transaction of its own. An error: the store is
     * not opened. May be NULL. */
    enum err (*opened)(void *owner, struct file *f);
};

/* Opens the file and starts the thread. NULL: `why` says why. */
struct store *store_new(const struct store_config *config, char why[FILE_WHY_MAX]);

/* Waits for what was submitted, tells it, closes the file, ends the thread. The owner's loop does
 * not run any more. */
void store_free(struct store *s);

/* Hands the task over until it is told; sent with the owner's next flush. */
void store_submit(struct store *s, struct store_task *t);

/* Asks for a copy of the file, or how far it is; told at once. What was told before is in it. */
void store_backup(struct store *s, struct backup *b);

int64_t store_generation(const struct store *s); /* any thread; changes only before `undone` */
const struct store_counters *store_counters(const struct store *s);

#endif
