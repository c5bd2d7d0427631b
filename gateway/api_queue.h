/* SPDX-License-Identifier: MIT */
/* api_queue.h: what the methods queue_… share: api_queue.c (how a task asks the queues, put,
 * pause, resume, drain), api_queue_take.c (take, and what becomes of a lease), api_queue_look.c
 * (what is there, the dead).
 */
#ifndef MADANG_GATEWAY_API_QUEUE_H
#define MADANG_GATEWAY_API_QUEUE_H

#include "backplane/queue_desk.h"
#include "gateway/api_private.h"

/* What a method can say; each looks at its own. */
struct api_queue_params {
    struct span queue, id, owner, after;
    struct span queues, jobs, ids; /* arrays */
    uint64_t max, max_bytes, lease_ms, wait_ms, limit, before_ms, delay_ms;
};

/* What a task asks of the queues: one operation, or several of different queues. It is the task's,
 * and what was said in the call's body is borrowed; but jobs that were taken for somebody who has
 * gone are given back when the task is no more. */
struct api_queue {
    struct api_task *task;     /* NULL: no more */
    struct settings *settings; /* a reference: the rules of queues lie in there */
    /* All operations have ended well: completes the result, or asks for more. */
    void (*ended)(struct api_queue *q);
    size_t count, left; /* of the calls; of those under way */
    /* what the calls point to, owned */
    struct queue_job *jobs;
    struct queue_item *items, **order; /* by queue; as they were named */
    struct queue_name *names;
    uint64_t *ids;
    struct queue_ref refs[QUEUE_NAMES_MAX];
    struct queue_call calls[];
};

/* For api_wrong. */
extern const char api_queue_no_id[], api_queue_other_queue[];

/* Reads a task's parameters; false: it is done, with an error. */
bool api_queue_params(struct api_task *t, struct api_queue_params *p);

/* The task's, in place of what it asked before; NULL: no memory, and the task is done. */
struct api_queue *api_queue_new(struct api_task *t, enum queue_verb verb, size_t count,
                                void (*ended)(struct api_queue *q));
/* Both, for a task that asks for one operation; NULL: the task is done. */
struct api_queue *api_queue_one(struct api_task *t, struct api_queue_params *p,
                                enum queue_verb verb, void (*ended)(struct api_queue *q));
/* Which queue an operation is about. */
void api_queue_of(struct api_queue *q, struct queue_ref *ref, struct span name);
/* Sends all calls. */
void api_queue_go(struct api_queue *q);
/* The result is complete; the task is done. */
void api_queue_end(struct api_queue *q);

/* The items of an array, checked to be at most QUEUE_ITEMS_MAX and at least one: OK, or why not.
 * *items is one allocation of so many elements of `size` bytes, zeroed. */
enum err api_queue_items(struct api_task *t, struct span array, size_t size, void **items,
                         size_t *count);

/* Append what comes before, and then the value; nothing for an empty text. */
void api_queue_text(struct buf *b, const char *before, struct span text);
void api_queue_number(struct buf *b, const char *before, uint64_t n);

/* Append the members of a job, each with a comma before. `until` is written before its until_ms;
 * NULL: nothing is. */
void api_queue_job(struct buf *b, const struct job *j, const char *until);

#endif
