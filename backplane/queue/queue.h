/* SPDX-License-Identifier: MIT */
/* queue.h: the contract between who uses queues and whatever keeps the jobs.
 *
 * A job lies in a queue until a worker takes it. Then the worker holds it by a lease: it must
 * settle the job (ack, nack, release) or extend the lease before it ends, and prove with the
 * lease's token that it still holds it. So a job is held by one worker at a time, is handed out
 * again when its worker is lost, and may therefore run more than once.
 *
 *            put ─▶ blocked ─▶ ready ──take──▶ leased ──ack──▶ gone
 *             └─delay─▶ delayed ─▶ ▲              │ nack, end of the lease: delayed, or dead
 *                                  └──release─────┘
 *
 * A driver belongs to one loop and is called from there only. Every operation completes exactly
 * once, by its `done`, never inside the call that began it; operations of one queue take effect in
 * the order in which they were begun. Of an operation that ends with an error, nothing is known:
 * ERR_INTERNAL may have happened nevertheless. What a driver cannot do ends with ERR_NOT_AVAILABLE.
 * Taking and settling work however full the queue is.
 *
 * There is one clock, the driver's, and it never goes back. Times are ms since 1970.
 */
#ifndef MADANG_QUEUE_QUEUE_H
#define MADANG_QUEUE_QUEUE_H

#include "backplane/base/err.h"
#include "backplane/base/list.h"
#include "backplane/base/span.h"

#include <stdint.h>

#define QUEUE_NAME_MAX   64
#define QUEUE_KIND_MAX   64
#define QUEUE_KEY_MAX    255  /* of a key, of a group */
#define QUEUE_OWNER_MAX  64   /* name of a worker */
#define QUEUE_ERROR_MAX  1024 /* what a worker says of a failure; the rest is cut off */
#define QUEUE_RESULT_MAX (64 * 1024)
#define QUEUE_ITEMS_MAX  256 /* of one operation */
#define QUEUE_NAMES_MAX  8   /* queues of one take; bits of `bounded` */
#define QUEUE_TOKEN_MAX  40
#define QUEUE_DELAY_MAX  (10 * 366 * 86400000ULL)
#define QUEUE_LEASE_MIN  1
#define QUEUE_LEASE_MAX  (12 * 3600000ULL) /* of one delivery, extensions included */

/* ---- what there is --------------------------------------------------------------------------- */

enum job_state {
    JOB_READY,
    JOB_LEASED,
    JOB_DELAYED,
    JOB_BLOCKED, /* an older job of its group is not done */
    JOB_DEAD,
    JOB_DONE, /* acked with a result, which is kept for a while */
    JOB_UNKNOWN
};

/* Why a job is dead. */
enum job_death {
    DEATH_NONE,
    DEATH_FAILURES,   /* failed max_failures times */
    DEATH_DELIVERIES, /* handed out max_deliveries times, to whatever end */
    DEATH_REJECTED,   /* a worker said that trying again is of no use */
    DEATH_EXPIRED     /* its ttl was over before it was done */
};
const char *job_death_text(enum job_death why);

/* What holds for a queue. The newest that a driver was told of is kept with the queue. */
struct queue_rules {
    uint32_t max_failures;   /* unless the job says otherwise */
    uint32_t max_deliveries; /* ends a job that is taken and released for ever */
    uint64_t backoff_ms, backoff_cap_ms;
    uint64_t max_jobs, max_bytes; /* of all that are not dead; more is refused */
    uint32_t max_data;            /* of one job */
    uint64_t key_ms;              /* a key holds no longer than that, whatever happens */
    uint64_t dead_ms, dead_jobs;  /* so long, and so many, dead ones are kept */
    uint64_t result_ms;           /* so long results are kept */
    bool drop_expired;            /* rather than keeping them as dead */
    uint32_t max_inflight;        /* jobs that one owner holds at a time; 0: any number */
};
extern const struct queue_rules queue_default_rules;

struct queue_ref {
    struct span name;
    const struct queue_rules *rules; /* NULL: those the queue has; a new one, the default */
};

/* What a job says. The spans are borrowed. */
enum key_mode {
    KEY_UNTIL_DONE, /* one job at a time has the key, for key_ms at most */
    KEY_WINDOW      /* no second one for key_ms, done or not */
};

enum put_status {
    PUT_OK,
    PUT_REPEATED, /* nothing was added: `id` has the key */
    PUT_KNOWN,    /* nothing was added: `id` was put with its `once` */
    PUT_FULL,     /* for now: the queue, or the disk */
    PUT_TOO_BIG,
    PUT_DRAINING, /* the queue takes nothing new */
    PUT_BAD       /* against the bounds above, or delayed within a group */
};

struct queue_job {
    struct span kind, data, key, group; /* key, group: absent or not empty */
    uint64_t delay_ms, at_ms;           /* one of them, or none; not with a group */
    uint64_t ttl_ms;                    /* 0: none */
    uint64_t key_ms;                    /* 0: as the rules say */
    uint32_t max_failures;              /* 0: as the rules say */
    uint8_t priority;                   /* 0 first … 3 */
    uint8_t key_mode;                   /* enum key_mode */
    /* A second key, of who asks: with it nothing else is put for once_ms from this put on, whatever
     * becomes of the job, so a put can be asked again. It comes before all else; keys and these are
     * of one kind, so no key may be the same. */
    struct span once;
    uint64_t once_ms;
    struct span home; /* of several servers, the one for this; empty: for the group, else the key */
    /* If the job that has the key is leased, it is to run again when it is acked, after delay_ms:
     * what led to this put may have come too late for it. */
    bool again;
    /* answer */
    enum put_status status;
    const char *fault; /* PUT_BAD: what is wrong, a constant; or NULL */
    uint64_t id;       /* below 2^53, growing, never used twice */
};
#define JOB_PRIORITIES 4

/* A job as it is handed out, or looked at. Made by the driver, one allocation. */
struct job {
    uint64_t id;
    struct span queue, kind, data, group, key, error;
    char token[QUEUE_TOKEN_MAX]; /* of a lease: `n.nonce`, n grows with each lease; else "" */
    uint64_t created_ms;
    uint64_t until_ms; /* leased: end of the lease; dead: since when */
    uint32_t deliveries, failures;
    uint8_t priority;
    uint8_t death; /* enum job_death */
    char bytes[];
};

/* A copy with these texts, which stay the caller's; NULL: no memory. Freed with free(). */
struct job *job_new(const struct job *from);

/* ---- operations ------------------------------------------------------------------------------ */

enum queue_verb {
    QUEUE_PUT,     /* struct queue_put */
    QUEUE_TAKE,    /* struct queue_take */
    QUEUE_ACK,     /* struct queue_settle: the job is done */
    QUEUE_NACK,    /* … it failed */
    QUEUE_RELEASE, /* … it was not tried: back, and not counted as a failure */
    QUEUE_EXTEND,  /* … it takes longer: the lease ends `ms` from now */
    QUEUE_CANCEL, /* … it is not wanted any more; no token; of a leased job, its worker is told */
    QUEUE_GET,    /* struct queue_look */
    QUEUE_DEAD,   /* struct queue_list: the dead, by id */
    QUEUE_RETRY,  /* struct queue_pick: dead ones are put again, counts at 0 */
    QUEUE_PURGE,  /* … are forgotten */
    QUEUE_PAUSE,  /* struct queue_op: nothing is handed out any more */
    QUEUE_DRAIN,  /* … nothing new is taken in */
    QUEUE_RESUME, /* … neither holds */
    QUEUE_STATS,  /* struct queue_stats */
    QUEUE_NAMES,  /* struct queue_names: which queues there are */
    QUEUE_VERBS
};

/* What every operation begins with. It, and what it points to, is the driver's until `done`. */
struct queue_op {
    struct list link;
    enum queue_verb verb;
    struct queue_ref queue;
    void (*done)(struct queue_op *op);
    enum err error;
    const char *fault; /* ERR_BAD_REQUEST: what is wrong and what is allowed, a constant; or NULL */
};

/* What is known of a put that was answered: it survives … */
enum durability {
    DURABLE_UNKNOWN,
    DURABLE_MEM,  /* … nothing */
    DURABLE_OS,   /* … the end of the process, not that of the machine */
    DURABLE_FSYNC /* … the end of the machine */
};
const char *durability_text(enum durability d); /* "unknown", "mem", "os", "fsync" */

struct queue_put {
    struct queue_op op;
    struct queue_job *jobs;
    size_t count;
    /* answer; one status each */
    enum durability durable;
    uint64_t retry_ms; /* PUT_FULL: not before */
};

/* The jobs of the first queue come first, and within a queue by priority and id. */
struct queue_take {
    struct queue_op op; /* its queue is not looked at */
    const struct queue_ref *queues;
    size_t queue_count;
    uint32_t max;     /* jobs */
    size_t max_bytes; /* of data; at least one job is handed out; 0: no bound */
    uint64_t lease_ms;
    struct span owner; /* who takes them; for people to read, and for max_inflight */
    /* answer */
    struct job **jobs;
    size_t count;
    bool more; /* there are more that are ready; if none was found and none is bounded, whoever
                        takes is to look again */
    uint8_t bounded; /* bit i: queues[i] has more, but the owner holds as many as it may */
};

enum settled {
    SETTLED_OK,
    SETTLED_LEASE_LOST, /* another lease was given since, or this one is over */
    SETTLED_GONE,       /* there is no such job: it was settled, or cancelled */
    SETTLED_CANCELLED   /* nack, release: it is dropped; extend: it is not extended; cancel: it is
                           leased, and its worker is told so */
};
const char *settled_text(enum settled s); /* "ok", "lease_lost", "gone", "cancelled" */

#define QUEUE_BACKOFF UINT64_MAX

struct queue_item {
    uint64_t id;
    struct span token;
    uint64_t ms;      /* extend: from now; nack: wait so long, or QUEUE_BACKOFF */
    struct span text; /* ack: a result to keep, if any; nack: what went wrong */
    bool fatal;       /* nack: trying again is of no use */
    /* answer */
    enum settled status;
    uint64_t until_ms; /* extend */
};

struct queue_settle {
    struct queue_op op;
    struct queue_item *items;
    size_t count;
};

struct queue_look {
    struct queue_op op;
    uint64_t id;
    /* answer */
    enum job_state state;
    struct job *job; /* NULL if unknown; done: its data is the result */
};

struct queue_list {
    struct queue_op op;
    uint64_t after; /* only those with a greater id */
    uint32_t max;
    /* answer */
    struct job **jobs;
    size_t count;
};

/* Some of the dead: these, or the oldest. A retry puts a job again with its key, as if it had none
 * of the times that it was put with; if another job has the key by now, it stays dead. */
struct queue_pick {
    struct queue_op op;
    const uint64_t *ids;
    size_t count;       /* 0: all, those that died first at first */
    uint64_t before_ms; /* … that died before; 0: whenever */
    uint32_t max;       /* … at most */
    uint64_t delay_ms;  /* retry; not kept within a group */
    /* answer */
    uint32_t changed;
    uint32_t repeated; /* retry: how many were left, since another job has their key */
};
#define QUEUE_PICK_LOOK 4096 /* so many of the oldest are looked at for `max` that can be put */

/* What a queue holds, and what has happened to it since it was made. */
#define QUEUE_NUMBERS(X)                                                                           \
    X(ready)                                                                                       \
    X(leased)                                                                                      \
    X(delayed)                                                                                     \
    X(blocked)                                                                                     \
    X(dead)                                                                                        \
    X(bytes) /* of data, dead ones not included */                                                 \
    X(put)                                                                                         \
    X(repeated)                                                                                    \
    X(delivered)                                                                                   \
    X(acked)                                                                                       \
    X(failed) /* nacks */                                                                          \
    X(lapsed) /* leases that ended by themselves */                                                \
    X(died)                                                                                        \
    X(cancelled)

enum queue_number {
#define QUEUE_NUMBER_ENUM(name) NUMBER_##name,
    QUEUE_NUMBERS(QUEUE_NUMBER_ENUM)
#undef QUEUE_NUMBER_ENUM
        QUEUE_NUMBER_COUNT
};
#define QUEUE_LEVELS (NUMBER_bytes + 1) /* the first are levels, and can be counted anew */

struct queue_stats {
    struct queue_op op;
    bool recount; /* the levels are counted, while all else waits: for tests, not for callers */
    /* answer */
    int64_t number[QUEUE_NUMBER_COUNT];
    uint64_t oldest_ms; /* when the oldest ready job was put; 0: there is none */
    bool paused, draining;
};

struct queue_name {
    size_t n;
    char p[QUEUE_NAME_MAX];
};

struct queue_names {
    struct queue_op op; /* its queue is not looked at */
    struct span after;  /* only names that come behind, byte for byte; empty: from the first */
    uint32_t max;
    /* answer, in that order */
    struct queue_name *names;
    size_t count;
};

/* ---- drivers --------------------------------------------------------------------------------- */

struct queue_driver;

struct queue_events {
    /* So many more jobs of a queue are ready than the operations that were begun have taken, or can
     * be had now by those who held as many as they may; these are to look again when the next one
     * comes, if count is 0. No name: of any queue, perhaps. Comes after the `done` of what made
     * them so. */
    void (*ready)(void *owner, struct span queue, size_t count);
};

struct queue_config {
    const struct queue_events *events;
    void *owner;              /* handed to the events */
    uint64_t (*clock)(void);  /* NULL: the wall clock. Called on any thread */
    uint64_t (*random)(void); /* NULL: from the kernel. Called on any thread */
};

struct queue_driver_ops {
    const char *name;
    void (*begin)(struct queue_driver *d, struct queue_op *op);
    /* Looks now for what has become due; a driver's own timers do so too. */
    void (*sweep)(struct queue_driver *d);
    /* What was begun is seen through; what is begun from here on fails. */
    void (*stop)(struct queue_driver *d);
    void (*close)(struct queue_driver *d); /* stopped, and nothing is under way */
};

/* Every driver begins with this. */
struct queue_driver {
    const struct queue_driver_ops *ops;
    struct queue_config config;
    size_t pending; /* operations under way */
};

static inline void queue_begin(struct queue_driver *d, struct queue_op *op)
{
    d->ops->begin(d, op);
}

/* ---- for drivers ----------------------------------------------------------------------------- */

/* Whether an operation keeps to the bounds above, and all answers cleared. Of jobs that do not,
 * the status says so, and the others go on: those are left with PUT_OK. */
enum err queue_check(struct queue_op *op);

/* Frees what an operation was answered with. */
void queue_op_deinit(struct queue_op *op);

/* For drivers: an operation that counted as pending ends; with an error it has no answer. */
void queue_op_end(struct queue_driver *d, struct queue_op *op, enum err error);

/* How long to wait after so many failures: half of it even, half of it by chance. */
uint64_t queue_backoff(const struct queue_rules *rules, uint32_t failures, uint64_t random);

/* `n.nonce` of a lease, and back; false: it is none. */
void queue_token(char out[QUEUE_TOKEN_MAX], uint64_t n, uint64_t nonce);
bool queue_token_parse(struct span token, uint64_t *n, uint64_t *nonce);

/* Evenly distributed over 64 bits, from the kernel. */
uint64_t queue_random(void);

#endif
