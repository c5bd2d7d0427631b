/* SPDX-License-Identifier: MIT */
/* jobs.h: queues in the database file.
 *
 * What several operations of one transaction share is a step: the time, the last numbers given out,
 * and the queues that were touched, whose counts are written once at its end. A step begins with
 * what has become due. On the store's thread, within a transaction; nothing is remembered from one
 * step to the next but what is in the file, so a step that is taken back leaves nothing.
 *
 * Errors stick: after the first, a step does nothing, and jobs_end() returns it. Whoever runs the
 * step then takes all of it back.
 */
#ifndef MADANG_STORE_JOBS_H
#define MADANG_STORE_JOBS_H

#include "backplane/queue/queue.h"
#include "backplane/store/file.h"

#define JOBS_SHELVES 16
#define JOBS_SLICE   256 /* due jobs that one step looks at, at most */

/* A queue, while a step has to do with it. */
struct jobs_shelf {
    int64_t id; /* 0: not used */
    struct queue_rules rules;
    bool paused, draining, changed;
    int64_t number[QUEUE_NUMBER_COUNT];
    int64_t ready_least; /* since the step began: so few a take may have found in it */
    int64_t freed;       /* leases that ended in it */
    size_t name_len;
    char name[QUEUE_NAME_MAX];
};

/* A queue in which more jobs are ready than some take has left; or 0, and somebody who held as many
 * of its jobs as it may does so no more. */
struct jobs_ready {
    size_t count, name_len;
    char name[QUEUE_NAME_MAX];
};

struct jobs_config {
    uint64_t (*clock)(void);
    uint64_t (*random)(void);
    enum durability durable;
};

struct jobs_step {
    struct file *file;
    const struct jobs_config *config;
    enum err error;
    bool full; /* nothing new is taken in */
    int64_t now, last_id, last_token;
    struct jobs_shelf shelves[JOBS_SHELVES];
    size_t next_shelf; /* the next one to be given up for another */
    /* for whoever runs it */
    struct jobs_ready ready[JOBS_SHELVES];
    size_t ready_count;
    bool ready_elsewhere; /* in others too, perhaps */
    bool more_due;        /* a further step finds more */
    bool more_over;       /* a further jobs_tidy() finds more */
    int64_t due;          /* when there is something to do without being asked; 0: not known of */
};

/* `full`: there is no space on the disk. */
void jobs_begin(struct jobs_step *s, struct file *f, const struct jobs_config *config, bool full);
void jobs_do(struct jobs_step *s, struct queue_op *op); /* checked by queue_check() */
enum err jobs_end(struct jobs_step *s);

/* A step that does nothing but put one job with a key, whatever bounds its queue has; if another
 * has the key, that one is to run again. *added: it is new. */
enum err jobs_cause(struct file *f, const struct jobs_config *config, const struct queue_ref *queue,
                    const struct queue_job *job, bool *added);

/* Drops what nobody will ask for any more, a slice of it: keys and results that are over. */
void jobs_tidy(struct jobs_step *s);

#endif
