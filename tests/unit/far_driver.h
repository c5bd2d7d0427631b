/* SPDX-License-Identifier: MIT */
/* far_driver.h: a shared driver that answers when the test says.
 *
 * It keeps what it was asked, at most one of each: the read of the stream of orders, and the shares
 * of those verbs that a test wants to answer (far_keep). Others fail: nobody else is there. */
#ifndef MADANG_TESTS_UNIT_FAR_DRIVER_H
#define MADANG_TESTS_UNIT_FAR_DRIVER_H

#include "backplane/seq_control.h"

#include "tests/unit/seq_scene.h"

struct far {
    struct driver base;
    struct stream_ref *watched; /* the stream of orders */
    struct stream_read *read;
    bool keep[SHARE_VERBS];
    struct share *asked[SHARE_VERBS];
    bool parting; /* a beat that is under way when it stops is answered all the same */
};

static inline struct far *far_of(const struct driver *d)
{
    return container_of(d, struct far, base);
}

static inline struct far *far(void)
{
    return far_of(sequencer_driver(seq));
}

static inline void far_keep(enum share_verb verb)
{
    far()->keep[verb] = true;
}

/* ---- what it answers ------------------------------------------------------------------------ */

static inline void far_answer(enum share_verb verb, const struct span *words, size_t n)
{
    struct share *s = far()->asked[verb];
    assert_non_null(s);
    far()->asked[verb] = NULL;
    s->error = OK;
    s->answer = words;
    s->answers = n;
    s->done(seq, s);
    loop_again(&seq_loop); /* as it would be in a turn */
}

static inline void far_fail(enum share_verb verb)
{
    struct share *s = far()->asked[verb];
    assert_non_null(s);
    far()->asked[verb] = NULL;
    s->error = ERR_INTERNAL;
    s->answers = 0;
    s->done(seq, s);
    loop_again(&seq_loop);
}

/* The stream of orders ends there. */
static inline void far_answer_read(uint64_t top)
{
    struct far *f = far();
    struct stream_read *r = f->read;
    assert_non_null(r);
    f->read = NULL;
    r->top = (struct position){.epoch = "e", .offset = top};
    driver_tell(&f->base, &r->operation);
    loop_again(&seq_loop);
}

/* ---- the driver ----------------------------------------------------------------------------- */

static inline void far_stop(struct driver *d)
{
    struct far *f = far_of(d);
    if (f->read) {
        operation_fail(&f->read->operation, ERR_INTERNAL);
        driver_tell(d, &f->read->operation);
    }
    static const char *const words[] = {"0", "0", "n", "{}", "m", "{}"};
    struct span living[COUNT_OF(words)];
    for (size_t i = 0; i < COUNT_OF(words); i++)
        living[i] = span_str(words[i]);
    if (f->parting)
        far_answer(SHARE_BEAT, living, COUNT_OF(living));
    for (int verb = 0; verb < SHARE_VERBS; verb++) {
        f->keep[verb] = false;
        if (f->asked[verb])
            far_fail(verb);
    }
}

static inline void far_close(struct driver *d)
{
    free(far_of(d));
}

static inline void far_read(struct driver *d, struct stream_read *r)
{
    struct far *f = far_of(d);
    r->operation.kind = OPERATION_READ;
    if (r->room != f->watched) { /* a room's: there is no stream */
        operation_fail(&r->operation, ERR_NOT_AVAILABLE);
        driver_tell(d, &r->operation);
        return;
    }
    assert_null(f->read);
    f->read = r;
}

static inline void far_share(struct driver *d, struct share *s)
{
    struct far *f = far_of(d);
    if (f->keep[s->verb]) {
        assert_null(f->asked[s->verb]);
        f->asked[s->verb] = s;
        return;
    }
    s->error = ERR_INTERNAL;
    s->done(d->config.owner, s);
}

static inline bool far_watch(struct driver *d, struct stream_ref *room)
{
    struct far *f = far_of(d);
    if (!f->watched)
        f->watched = room;
    room->state = f; /* it is known here */
    return true;
}

static inline void far_unwatch(struct driver *d, struct stream_ref *room)
{
    (void)d, (void)room;
}

static inline void far_forget(struct driver *d, struct stream_ref *room)
{
    (void)d;
    room->state = NULL;
}

static inline bool far_turn(struct driver *d, uint64_t now_ms)
{
    (void)d, (void)now_ms;
    return false;
}

static inline size_t far_bytes(const struct driver *d)
{
    (void)d;
    return 0;
}

static inline enum err far_open(struct driver **out, const struct driver_config *config);

static const struct driver_ops far_driver = {
    .name = "far",
    .shared = true,
    .records = true,
    .open = far_open,
    .stop = far_stop,
    .close = far_close,
    .read = far_read,
    .share = far_share,
    .watch = far_watch,
    .unwatch = far_unwatch,
    .forget = far_forget,
    .turn = far_turn,
    .bytes = far_bytes,
};

static inline enum err far_open(struct driver **out, const struct driver_config *config)
{
    struct far *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->base = (struct driver){.ops = &far_driver, .config = *config};
    *out = &f->base;
    return OK;
}

/* A gateway called "n" over it. */
static inline void start_far(void (*opened)(void *owner))
{
    struct sequencer_config c = config();
    c.driver = &far_driver;
    c.node = "n";
    c.opened = opened;
    c.patience_ms = 60000;
    harness_open(&c, false);
}

#endif
