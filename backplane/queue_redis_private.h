/* SPDX-License-Identifier: MIT */
/* queue_redis_private.h: what the files of the queue driver over Redis share.
 *
 *   queue_redis.c         the driver: what is called, and how an operation goes through servers
 *   queue_redis_watch.c   what becomes due or ready without being asked for
 *   queue_redis_words.c   operations as words of a script
 *   queue_redis_answer.c  what scripts answer
 */
#ifndef MADANG_BACKPLANE_QUEUE_REDIS_PRIVATE_H
#define MADANG_BACKPLANE_QUEUE_REDIS_PRIVATE_H

#include "backplane/base/map.h"
#include "backplane/queue_redis.h"
#include "backplane/redis_private.h"

#define QUEUE_KEYS      3 /* that every script begins with */
#define QUEUE_KEYS_EACH 14
/* Of a settle: keys, head, and four words of each job; nothing is longer. */
#define QUEUE_WORDS_MAX (QUEUE_KEYS + QUEUE_NAMES_MAX * QUEUE_KEYS_EACH + 8 + 4 * QUEUE_ITEMS_MAX)
#define QUEUE_SEATS     64
#define QUEUE_DUE_MAX   16 /* queues that are due, looked at in one go */

/* The words of a call, used again for each. What is built lies in `text`, which may move, so its
 * words are known by where they begin until they are sealed. */
struct queue_words {
    struct span list[QUEUE_WORDS_MAX];
    size_t built[QUEUE_WORDS_MAX]; /* where in the text, + 1; 0: not built */
    size_t n, keys;
    struct buf text;
    const char *prefix;
};

/* One server. */
struct queue_place {
    struct queue_redis *queue;
    struct redis_shard *shard;
    struct redis_channel *channel;
    struct redis_listener listener;
    struct timer timer;
    uint64_t at_ms; /* the timer's; 0: it is not set */
    struct redis_call due;
    bool due_busy;
    struct redis_call library;
    bool library_busy;
    uint64_t library_life; /* which connection has been given the library */
    bool doubt;            /* something may have become ready that we were not told of */
};

struct queue_redis {
    struct queue_driver base;
    struct redis *redis;
    struct loop *loop;
    struct actor actor;
    struct list refused; /* operations, to be told in the next turn */
    struct queue_place places[REDIS_SERVERS_MAX];
    size_t next; /* place for what may go anywhere */
    bool stopped;
    uint32_t takes[QUEUE_SEATS]; /* begun, by queue */
    char origin[17];             /* tells our own messages */
    char channel[128];
    struct queue_words words;
};

/* An operation under way: one call to each server that it concerns, or one after the other. */
struct queue_ride {
    struct queue_redis *queue;
    struct queue_op *op;
    size_t left;  /* calls under way */
    size_t first; /* the place to begin with */
    size_t seen;  /* places, of a walk */
    enum err error;
    bool answered;
    size_t ready;   /* that it made so */
    size_t bytes;   /* taken */
    uint32_t takes; /* begun before, of its queue */
    struct queue_leg {
        struct redis_call call;
        struct queue_ride *ride;
        struct queue_place *place;
    } legs[];
};

static inline size_t queue_place_count(const struct queue_redis *q)
{
    return q->redis->shard_count;
}

static inline size_t queue_place_index(const struct queue_place *p)
{
    return p->shard->index;
}

static inline size_t queue_seat(struct span queue)
{
    return map_hash(queue.p, queue.n, 0) % QUEUE_SEATS;
}

bool queue_place_able(const struct queue_place *p);

/* ---- queue_redis.c ---- */

/* Where a job goes that is put, and whose an id is; ids of no server: NULL. */
struct queue_place *queue_place_of_job(const struct queue_ride *r, const struct queue_job *j);
struct queue_place *queue_place_of_id(struct queue_redis *q, uint64_t id);
/* Whether a walk still wants jobs: at most so many. */
uint32_t queue_ride_wants(const struct queue_ride *r);

/* ---- queue_redis_words.c ---- */

/* False: no memory. */
bool queue_words_of(struct queue_words *w, const struct queue_ride *r, const struct queue_place *p);
bool queue_words_cause(struct queue_words *w, const struct queue_redis *q, const struct caused *c);
bool queue_words_due(struct queue_words *w, size_t number);
bool queue_words_sweep(struct queue_words *w, const struct queue_redis *q, struct span queue);
/* REDIS_SCRIPTS: it is a plain command. */
enum redis_script_id queue_script_of(enum queue_verb verb);

/* ---- queue_redis_answer.c ---- */

/* Into the operation. */
enum err queue_answer(struct queue_ride *r, const struct queue_place *p,
                      const struct redis_reply *reply);
/* The server took nothing in: its memory is full. */
void queue_answer_full(struct queue_ride *r, const struct queue_place *p);

/* ---- queue_redis_watch.c ---- */

bool queue_watch_open(struct queue_place *p); /* false: no memory */
void queue_watch_stop(struct queue_place *p);
void queue_watch_now(struct queue_place *p);
/* A script has said when there is something to do; -1: never. */
void queue_watch_by(struct queue_place *p, int64_t wait_ms);

#endif
