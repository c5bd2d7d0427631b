/* SPDX-License-Identifier: MIT */
/* inbox.h: how threads talk: entries, chained, in order.
 *
 * An entry is embedded in what is sent; posting hands the whole object over.
 * Every sender keeps an outbox per inbox and flushes it once per turn, as one
 * chain under one lock; the receiving loop is woken only when its inbox was
 * empty. Entries of one sender arrive in the order in which they were posted.
 *
 * If both ends live on the same loop, posting costs no lock and no system call:
 * the entry is appended at once, and the loop does not sleep before it is taken.
 */
#ifndef MADANG_BASE_INBOX_H
#define MADANG_BASE_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct entry {
    struct entry *next;
    uint32_t kind;   /* the receiver's table of handlers is indexed by it */
    uint32_t weight; /* bytes that this entry keeps alive; 0 for what needs no bound */
};

struct inbox {
    struct loop *loop;              /* the receiver */
    struct entry *near, **near_end; /* from actors of the same loop; receiver's thread only */
    pthread_mutex_t lock;
    struct entry *far, **far_end; /* from other threads; under the lock */
    _Atomic size_t weight;        /* of all entries above */
};

void inbox_init(struct inbox *in, struct loop *loop);
void inbox_deinit(struct inbox *in); /* the inbox is empty (asserted) */

/* Takes everything, each sender's oldest first, as a chain ended by NULL. Receiver's thread
 * only. The caller reads an entry's `next` before it handles it: handling may hand it on or free
 * it. */
struct entry *inbox_take(struct inbox *in);

struct outbox {
    struct inbox *to;
    struct loop *from;
    struct entry *head, **end; /* not flushed yet; always empty if both ends are on one loop */
    size_t weight;             /* of these */
};

/* `from` is the loop of the sending thread; NULL for a thread without one. An outbox belongs to its
 * sender's thread, needs no deinit once flushed, and may not outlive the inbox. */
void outbox_init(struct outbox *out, struct loop *from, struct inbox *to);
void outbox_post(struct outbox *out, struct entry *e);
void outbox_flush(struct outbox *out); /* cheap if there is nothing */

/* Bytes posted to the receiver and not yet taken by it, this outbox's unflushed ones included. */
size_t outbox_backlog(const struct outbox *out);

#endif
