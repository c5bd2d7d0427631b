/* SPDX-License-Identifier: MIT */
/* feed.h: one room's publications as they come over a way that may lose them, put in order.
 *
 * Two sources tell the same story. Items arrive one by one, fast, and some may be missing. Reads of
 * the stream are slow and true, but hold only what was stored, and not for ever. The feed has one
 * place in the story and delivers what comes after it, in order, without gap or repeat, or says
 * that something is lost.
 *
 * A place is an epoch, an offset, and a sequence number that counts all publications of the room,
 * stored or not: so that a hole is seen even where nothing is stored. Places of different epochs
 * cannot be compared; another epoch is a loss.
 *
 * The feed begins with the answer of a read. While reads are under way, items are held back, since
 * an answer tells what is to be delivered before it: a read's answer is given after
 * exactly what it shows has been delivered (feed_read), and what came later after that
 * (feed_release). Answers come in the order of the reads. Belongs to one thread; does no I/O.
 */
#ifndef MADANG_BACKPLANE_FEED_H
#define MADANG_BACKPLANE_FEED_H

#include "backplane/base/msg.h"
#include "backplane/position.h"

/* Held back at most; beyond that items are dropped and read from the stream later. */
#define FEED_HELD_MAX   4096
#define FEED_HELD_BYTES (1024 * 1024)

struct feed_item {
    struct msg *msg;
    struct position at; /* offset 0: not stored */
    uint64_t seq;
};

/* Whom the feed tells. Neither may call the feed. */
struct feed_sink {
    void (*deliver)(void *owner, struct msg *m, const struct position *at); /* unstored: offset 0 */
    void (*lost)(void *owner, const struct position *top);
    void *owner;
};

/* What a read of the stream showed. */
struct feed_answer {
    struct position top;
    uint64_t seq;
    struct msg *const *stored; /* borrowed; from the feed's offset on, without hole */
    size_t count;
    bool cut; /* there were more, up to the top, which a further read may show */
};

enum feed_next {
    FEED_WELL,
    FEED_READ, /* something is missing: begin a read */
};

struct feed_held;

struct feed {
    bool started;
    bool wanting;    /* FEED_READ was returned and no read begun since */
    bool overflowed; /* items were dropped that have to be read */
    struct position at;
    uint64_t seq;
    uint64_t begun, answered; /* reads */
    struct feed_held *held;   /* in the order in which they came */
    size_t count, cap, bytes;
};

void feed_init(struct feed *f);
void feed_deinit(struct feed *f);
void feed_reset(struct feed *f); /* as new; reads under way may still be answered */

/* An item has arrived. */
enum feed_next feed_take(struct feed *f, const struct feed_item *item, const struct feed_sink *to);

/* Somebody says that the room is elsewhere than the feed. */
enum feed_next feed_doubt(struct feed *f);

/* A read has been sent that shows what is stored after the feed's place. Before the feed has
 * started, one at a time (asserted). */
void feed_read_begun(struct feed *f);

/* Its answer: delivers what lies between. Afterwards the feed stands at the answer's top, unless
 * FEED_READ is returned, which happens only to an answer that was cut. */
enum feed_next feed_read(struct feed *f, const struct feed_answer *a, const struct feed_sink *to);
void feed_read_failed(struct feed *f);

/* Gives up an answer that was cut: what it did not show is lost. */
void feed_give_up(struct feed *f, const struct feed_answer *a, const struct feed_sink *to);

/* Delivers what was held back, if no read is under way any more. */
enum feed_next feed_release(struct feed *f, const struct feed_sink *to);

/* FEED_READ was returned, and no read is begun: somebody will doubt it (feed_doubt) later. */
void feed_put_off(struct feed *f);

static inline bool feed_reading(const struct feed *f)
{
    return f->begun != f->answered;
}

#endif
