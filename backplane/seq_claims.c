/* SPDX-License-Identifier: MIT */
#include "backplane/seq_claims.h"

#include "backplane/base/words.h"
#include "backplane/seq_private.h"

#include <stdlib.h>

#define CLAIMS_AT_ONCE 50 /* of users who are unsure */

struct claim {
    struct share share;
    struct user *user; /* is there as long as it is claiming */
    uint32_t doubts;   /* the user's, up to here */
    bool wanted;       /* for somebody new, too */
    char numbers[4][U64_TEXT_MAX];
};

static struct seq_claims *claims_of(struct sequencer *s)
{
    return &s->claims;
}

static void doubt(struct sequencer *s, struct user *user)
{
    struct seq_claims *t = claims_of(s);
    user->sure = false;
    user->doubts++;
    if (list_linked(&user->unsure))
        return;
    list_push(&t->unsure, &user->unsure);
    t->unsures++;
}

static void doubt_no_more(struct sequencer *s, struct user *user)
{
    if (!list_linked(&user->unsure))
        return;
    list_del(&user->unsure);
    claims_of(s)->unsures--;
}

/* ---- who waits ------------------------------------------------------------------------------ */

static void on_late(struct timer *t);

static void arm(struct sequencer *s)
{
    struct seq_claims *t = claims_of(s);
    if (timer_armed(&t->late) || list_empty(&t->waiting) || t->closing)
        return;
    uint64_t since = container_of(t->waiting.next, struct request_arrive, waits)->since_ms;
    uint64_t waited = loop_now_ms(s->loop) - since;
    loop_arm(s->loop, &t->late, waited < CLAIM_MS ? CLAIM_MS - waited : 1, on_late);
}

static void answer(struct sequencer *s, struct request_arrive *a, enum err e)
{
    a->tenant->arriving = NULL;
    list_del(&a->link);
    list_del(&a->waits);
    seq_answer(s, &a->request, e);
}

/* It has been banned meanwhile, perhaps. */
static void admit(struct sequencer *s, struct user *user, struct request_arrive *a)
{
    enum err e = seq_refuse_entry(s, a->user, (struct span){0}, &a->why);
    answer(s, a, e ? e : users_admit(&s->users, user, a));
}

/* Without the others' word. */
static void admit_alone(struct sequencer *s, struct user *user, struct request_arrive *a)
{
    uint64_t now_us = wall_ms() * 1000;
    if (now_us > user->number)
        user->number = now_us;
    counter_add(&s->counters.alone, 1);
    admit(s, user, a);
}

static struct request_arrive *first_claimed(const struct user *user)
{
    struct list *n = user->arrivals.next;
    struct request_arrive *a = container_of(n, struct request_arrive, link);
    return n != &user->arrivals && a->claimed ? a : NULL;
}

static void on_late(struct timer *timer)
{
    struct sequencer *s = container_of(timer, struct sequencer, claims.late);
    struct list *n, *next;
    list_for_each_safe (n, next, &claims_of(s)->waiting) {
        struct request_arrive *a = container_of(n, struct request_arrive, waits);
        if (loop_now_ms(s->loop) - a->since_ms < CLAIM_MS)
            break;
        admit_alone(s, a->tenant->arriving, a);
    }
    arm(s);
}

/* ---- claims --------------------------------------------------------------------------------- */

static void claimed(void *owner, struct share *share);

static void add_u64(struct claim *c, int i, uint64_t v)
{
    share_add_u64(&c->share, c->numbers[i], v);
}

static bool claim(struct sequencer *s, struct user *user)
{
    struct claim *c = calloc(1, sizeof(*c));
    if (!c)
        return false;
    c->user = user;
    c->doubts = user->doubts;
    c->share.verb = SHARE_CLAIM;
    c->share.room = SPAN(CONTROL_STREAM);
    c->share.done = claimed;
    uint64_t wanted = 0;
    for (struct list *n = user->arrivals.next; n != &user->arrivals; n = n->next, wanted++)
        container_of(n, struct request_arrive, link)->claimed = true;
    c->wanted = wanted > 0;
    share_add(&c->share, (struct span){user->name, user->name_len});
    add_u64(c, 0, user->count);
    add_u64(c, 1, wanted);
    add_u64(c, 2, user->limit);
    share_add(&c->share, user->single ? SPAN("1") : SPAN("0"));
    add_u64(c, 3, user->number);
    user->claiming = true;
    claims_of(s)->under_way++;
    s->driver->ops->share(s->driver, &c->share);
    return true;
}

/* Claims what is wanted, or is not what the driver knows; forgets who is gone. */
static void settle(struct sequencer *s, struct user *user)
{
    struct seq_claims *t = claims_of(s);
    bool wanted = !list_empty(&user->arrivals);
    if (user->claiming || t->closing)
        return;
    if (wanted || !user->sure || user->told != user->count) {
        if (claim(s, user)) {
            doubt_no_more(s, user);
            return;
        }
        while (!list_empty(&user->arrivals))
            answer(s, container_of(user->arrivals.next, struct request_arrive, link), ERR_INTERNAL);
        doubt(s, user);
    }
    users_release(&s->users, user);
}

static void refused_by_driver(struct sequencer *s, struct user *user)
{
    for (struct request_arrive *a; (a = first_claimed(user));)
        admit_alone(s, user, a);
    if (!user->count && list_empty(&user->arrivals) && claims_of(s)->unsures >= CLAIMS_UNSURE_MAX) {
        doubt_no_more(s, user);
        user->sure = true;
        user->told = 0;
    } else {
        doubt(s, user);
    }
}

static void granted(struct sequencer *s, struct user *user, const struct claim *c)
{
    uint64_t got = share_number(&c->share, 0), newest = share_number(&c->share, 1);
    user->sure = user->doubts == c->doubts; /* else this may be older than what was to be heard */
    user->told = (uint32_t)share_number(&c->share, 2);
    if (user->single && c->wanted)
        user->number = newest;
    for (struct request_arrive *a; (a = first_claimed(user)); got -= got > 0) {
        if (got)
            admit(s, user, a);
        else
            answer(s, a, ERR_LIMIT);
    }
    if (user->single && (user->number < newest || user->number < user->outnumber))
        users_evict(&s->users, user);
}

static void claimed(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct claim *c = container_of(share, struct claim, share);
    struct user *user = c->user;
    bool failed = share->error || share->answers < 3;
    user->claiming = false;
    claims_of(s)->under_way--;
    if (failed)
        refused_by_driver(s, user);
    else
        granted(s, user, c);
    free(c);
    if (!failed || !list_empty(&user->arrivals))
        settle(s, user);
    else
        users_release(&s->users, user);
    if (!failed)
        seq_claims_go_on(s);
}

void seq_claims_go_on(struct sequencer *s)
{
    struct seq_claims *t = claims_of(s);
    for (int i = 0; i < CLAIMS_AT_ONCE && t->under_way < CLAIMS_AT_ONCE; i++) {
        if (list_empty(&t->unsure))
            return;
        struct user *user = container_of(t->unsure.next, struct user, unsure);
        doubt_no_more(s, user);
        settle(s, user);
    }
}

void seq_claims_doubt(struct sequencer *s, bool all)
{
    struct user *user, *tmp;
    HASH_ITER (hh, s->users.map, user, tmp) {
        if (all || user->single)
            doubt(s, user);
    }
    seq_claims_go_on(s);
}

/* ---- who comes and goes --------------------------------------------------------------------- */

void seq_claims_arrive(struct sequencer *s, struct request_arrive *a)
{
    struct user *user = users_hold(&s->users, a->user);
    if (!user) {
        seq_answer(s, &a->request, ERR_INTERNAL);
        return;
    }
    user->limit = a->limit;
    user->single = a->single;
    if (!a->single && a->limit && user->count >= a->limit) {
        seq_answer(s, &a->request, ERR_LIMIT);
        users_release(&s->users, user);
        return;
    }
    a->tenant->arriving = user;
    a->claimed = false;
    a->since_ms = loop_now_ms(s->loop);
    list_push(&user->arrivals, &a->link);
    list_push(&claims_of(s)->waiting, &a->waits);
    arm(s);
    settle(s, user);
}

/* The arrival of this connection, which has not been answered. */
static struct request_arrive *arrival_of(const struct tenant *t)
{
    for (struct list *n = t->arriving->arrivals.next; n != &t->arriving->arrivals; n = n->next) {
        struct request_arrive *a = container_of(n, struct request_arrive, link);
        if (a->tenant == t)
            return a;
    }
    return NULL;
}

void seq_claims_depart(struct sequencer *s, struct request_depart *d)
{
    struct user *user = d->tenant->arriving;
    struct request_arrive *a = user ? arrival_of(d->tenant) : NULL;
    if (a)
        answer(s, a, ERR_INTERNAL); /* who asked is gone */
    else
        user = users_depart(&s->users, d);
    if (user)
        settle(s, user);
}

void seq_claims_outnumbered(struct sequencer *s, struct span text)
{
    uint64_t number;
    bool well = number_read(cut_word(&text), &number);
    struct user *user = well ? users_find(&s->users, text) : NULL;
    if (!user || !user->single)
        return;
    if (number > user->outnumber)
        user->outnumber = number;
    if (number > user->number)
        users_evict(&s->users, user);
    settle(s, user);
}

/* ---- life ----------------------------------------------------------------------------------- */

void seq_claims_open(struct sequencer *s)
{
    list_init(&claims_of(s)->unsure);
    list_init(&claims_of(s)->waiting);
}

void seq_claims_close(struct sequencer *s)
{
    claims_of(s)->closing = true;
    loop_cancel(s->loop, &claims_of(s)->late);
}
