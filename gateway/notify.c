/* SPDX-License-Identifier: MIT */
#include "gateway/notify.h"

#include "backplane/base/buf.h"
#include "backplane/base/fields.h"
#include "backplane/base/loop.h"
#include "backplane/base/map.h"
#include "backplane/caused.h"
#include "backplane/queue_desk.h"
#include "gateway/follow_errand.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(NOTIFY_USERS_MAX <= FOLLOWED_MAX, "one call is marked as told in one step");

#define HASH_LANES 21 /* of common_hash(), no others' */

struct notify {
    struct handler handler;
    struct notify_config config;
    uint64_t since_ms; /* when it was started */
    struct notify_counters counters;
};

/* One attempt of a job. One of the four steps is under way at a time. */
struct telling {
    struct notify *of;
    struct attempt *attempt;
    bool cancelled;
    struct follow_errand errand;
    struct span *names; /* of those who are told */
    struct attempt call;
    struct held *call_job;
    struct queue_call put;
    struct caused *again;

    struct position top; /* what is told of reaches up to here; no epoch: not known yet */
    struct list users;   /* struct followed: who goes into the next call */
    size_t count;
    struct buf after; /* the last name that was looked at */
    bool more;        /* there are others behind it */
    bool stay;        /* it is to be looked at again */
    struct span room;
    char bytes[];
};

/* ---- ends ----------------------------------------------------------------------------------- */

static void forget_users(struct telling *t)
{
    for (struct list *n; (n = list_shift(&t->users));)
        free(container_of(n, struct followed, link));
    t->count = 0;
}

static void finish(struct telling *t, const struct outcome *o)
{
    struct attempt *a = t->attempt;

    forget_users(t);
    buf_deinit(&t->after);
    free(t->names);
    free(t->call_job);
    free(t->again);
    free(t);
    attempt_end(a, o);
}

static void fail(struct telling *t, const char *why)
{
    finish(t, &(struct outcome){END_RETRY, WAIT_BACKOFF, span_str(why)});
}

/* What an error of the room means for the job. That all rooms are in use passes, too. */
static void fail_with(struct telling *t, enum err e)
{
    enum end_kind kind = err_temporary(e) || e == ERR_LIMIT ? END_RETRY : END_REJECT;
    finish(t, &(struct outcome){kind, WAIT_BACKOFF, span_str(err_text(e))});
}

/* ---- asked for again, then done ------------------------------------------------------------- */

static void on_put(struct queue_call *c)
{
    struct telling *t = container_of(c, struct telling, put);
    enum put_status status = t->again->job.status;
    bool well = !c->op.error && (status == PUT_OK || status == PUT_REPEATED);

    queue_op_deinit(&c->op);
    if (well)
        finish(t, &(struct outcome){END_DONE, 0, {0}});
    else
        finish(t, &(struct outcome){END_RETRY, t->of->config.delay_ms, SPAN("put was refused")});
}

/* The job has the key as long as it is held, so this put marks it; see QUEUE.md, Keys. The queue is
 * there, and has the rules of the newest message. */
static void put_again(struct telling *t)
{
    t->again = caused_notify(t->room, t->of->config.delay_ms, NULL);
    if (!t->again) {
        fail(t, "out of memory");
        return;
    }
    t->put = (struct queue_call){.put = {.op = {.verb = QUEUE_PUT, .queue = t->again->queue},
                                         .jobs = &t->again->job,
                                         .count = 1},
                                 .done = on_put};
    queue_send(t->of->config.queues, &t->put);
}

static void settle(struct telling *t)
{
    if (t->stay)
        put_again(t);
    else
        finish(t, &(struct outcome){END_DONE, 0, {0}});
}

/* ---- who was told --------------------------------------------------------------------------- */

static void look(struct telling *t);

static void on_told(struct errand *e)
{
    struct telling *t = container_of(e, struct telling, errand.errand);

    if (!t->errand.error)
        counter_add(&t->of->counters.told, t->count);
    forget_users(t);
    if (t->errand.error)
        fail_with(t, t->errand.error);
    else if (t->cancelled)
        fail(t, "cancelled");
    else if (t->more)
        look(t);
    else
        settle(t);
}

static void tell(struct telling *t)
{
    size_t n = 0;

    free(t->names);
    t->names = calloc(t->count, sizeof(*t->names));
    if (!t->names) {
        fail(t, "out of memory");
        return;
    }
    for (struct list *l = t->users.next; l != &t->users; l = l->next) {
        const struct followed *one = container_of(l, struct followed, link);
        t->names[n++] = (struct span){one->name, one->name_len};
    }
    t->errand = (struct follow_errand){
        .errand = {.run = follow_errand_run, .done = on_told},
        .verb = FOLLOW_TOLD,
        .room = t->room,
        .users = t->names,
        .user_count = n,
        .at = t->top,
    };
    errand_send(t->of->config.hub, &t->errand.errand);
}

/* ---- the call ------------------------------------------------------------------------------- */

/* The first that is told of. */
static uint64_t first_of(const struct followed *one)
{
    uint64_t read = one->marker.offset, told = one->told.offset;
    return (read > told ? read : told) + 1;
}

static void write_user(struct buf *b, const struct followed *one, uint64_t top)
{
    buf_lit(b, "{\"user\":");
    buf_json(b, (struct span){one->name, one->name_len});
    buf_lit(b, ",\"unread\":");
    buf_u64(b, one->unread);
    buf_lit(b, ",\"range\":[");
    buf_u64(b, first_of(one));
    buf_char(b, ',');
    buf_u64(b, top);
    buf_lit(b, "]}");
}

static void write_body(struct buf *b, const struct telling *t)
{
    buf_lit(b, "{\"type\":\"unread\",\"channel\":");
    buf_json(b, t->room);
    buf_lit(b, ",\"epoch\":");
    buf_json(b, position_epoch(&t->top));
    buf_lit(b, ",\"top\":");
    buf_u64(b, t->top.offset);
    buf_lit(b, ",\"users\":[");
    for (const struct list *l = t->users.next; l != &t->users; l = l->next) {
        if (l != t->users.next)
            buf_char(b, ',');
        write_user(b, container_of(l, struct followed, link), t->top.offset);
    }
    buf_lit(b, "]}");
}

/* The job as the webhook handler wants it; NULL: no memory. Its id tells the call by what it says,
 * not the job: two jobs of a room that say the same make the same call. */
static struct held *call_job(const struct telling *t)
{
    const struct held *job = t->attempt->job;
    struct buf data = {0}, id = {0};

    buf_lit(&data, "{\"url\":");
    buf_json(&data, span_str(t->of->config.url));
    buf_lit(&data, ",\"body\":");
    write_body(&data, t);
    buf_char(&data, '}');
    buf_lit(&id, NOTIFY_KIND);
    for (uint64_t lane = HASH_LANES; !data.failed && lane < HASH_LANES + 2; lane++)
        buf_fmt(&id, "%c%016llx", lane == HASH_LANES ? '-' : '_',
                (unsigned long long)common_hash(data.p, data.n, lane));
    struct held *made = NULL;
    if (!data.failed && !id.failed)
        made = held_new(&(struct held){.id = {id.p, id.n},
                                       .queue = job->queue,
                                       .kind = job->kind,
                                       .data = {data.p, data.n},
                                       .deliveries = job->deliveries,
                                       .failures = job->failures});
    buf_deinit(&data);
    buf_deinit(&id);
    return made;
}

static void on_called(struct attempt *a, const struct outcome *o)
{
    struct telling *t = container_of(a, struct telling, call);

    a->state = NULL;
    counter_add(o->kind == END_DONE ? &t->of->counters.calls : &t->of->counters.failed, 1);
    if (!t->cancelled && o->kind == END_DONE)
        tell(t);
    else if (o->kind == END_REJECT) /* while an application is replaced, say */
        finish(t, &(struct outcome){END_RETRY, WAIT_BACKOFF, o->text});
    else
        finish(t, o);
}

static void call(struct telling *t)
{
    struct handler *calls = t->of->config.calls;

    free(t->call_job);
    t->call_job = call_job(t);
    t->call = (struct attempt){.job = t->call_job, .end = on_called};
    if (t->call_job)
        calls->ops->begin(calls, &t->call);
    else
        fail(t, "out of memory");
}

/* ---- who is to be told ---------------------------------------------------------------------- */

/* Whether it goes into the next call. */
static bool is_away(struct telling *t, const struct followed *one)
{
    struct notify_counters *c = &t->of->counters;

    if (!one->untold || one->barred) {
        counter_add(one->untold ? &c->banned : &c->nothing_new, 1);
        return false;
    }
    if (!t->top.epoch[0])
        t->top = one->top;
    bool known =
        memcmp(one->top.epoch, t->top.epoch, EPOCH_MAX) == 0 && first_of(one) <= t->top.offset;
    t->stay |= one->here || !known;
    if (one->here)
        counter_add(&c->connected, 1);
    return known && !one->here;
}

/* Takes over what was found. */
static void sort(struct telling *t, struct list *found)
{
    for (struct list *n; (n = list_shift(found));) {
        struct followed *one = container_of(n, struct followed, link);
        if (list_empty(found)) {
            buf_clear(&t->after);
            buf_add(&t->after, one->name, one->name_len);
        }
        if (!is_away(t, one)) {
            free(one);
            continue;
        }
        list_push(&t->users, &one->link);
        t->count++;
    }
}

static void on_looked(struct errand *e)
{
    struct telling *t = container_of(e, struct telling, errand.errand);

    sort(t, &t->errand.found);
    t->more = t->errand.more;
    if (t->errand.error)
        fail_with(t, t->errand.error);
    else if (t->cancelled || t->after.failed)
        fail(t, t->cancelled ? "cancelled" : "out of memory");
    else if (t->more && t->count < NOTIFY_USERS_MAX)
        look(t);
    else if (t->count)
        call(t);
    else
        settle(t);
}

static void look(struct telling *t)
{
    t->errand = (struct follow_errand){
        .errand = {.run = follow_errand_run, .done = on_looked},
        .verb = FOLLOW_USERS,
        .room = t->room,
        .after = {t->after.p, t->after.n},
        .max_count = (uint32_t)(NOTIFY_USERS_MAX - t->count),
    };
    errand_send(t->of->config.hub, &t->errand.errand);
}

/* ---- the handler ---------------------------------------------------------------------------- */

struct wanted {
    struct span channel;
};

static const struct field fields[] = {{"channel", FIELD_STRING, offsetof(struct wanted, channel)}};

static void begin(struct handler *h, struct attempt *a)
{
    struct span data = a->job->data;
    struct wanted want = {0};
    struct telling *t = calloc(1, sizeof(*t) + data.n);
    struct scratch mem = {t ? t->bytes : NULL, t ? t->bytes + data.n : NULL};

    if (!t) {
        attempt_end(a, &(struct outcome){END_RETRY, WAIT_BACKOFF, SPAN("out of memory")});
        return;
    }
    t->of = container_of(h, struct notify, handler);
    t->attempt = a;
    list_init(&t->users);
    if (!object_read(&mem, data, fields, 1, &want) || !want.channel.n) {
        finish(t, &(struct outcome){END_REJECT, 0, SPAN("the data is not {\"channel\":…}")});
        return;
    }
    t->room = want.channel; /* in `bytes`, or in the job's data */
    a->state = t;
    if (loop_now_ms(t->of->config.loop) - t->of->since_ms < t->of->config.delay_ms)
        put_again(t);
    else
        look(t);
}

/* What the hub and the queue are asked for ends soon by itself. */
static void cancel(struct handler *h, struct attempt *a)
{
    struct telling *t = a->state;
    struct handler *calls = container_of(h, struct notify, handler)->config.calls;

    t->cancelled = true;
    if (t->call.state)
        calls->ops->cancel(calls, &t->call);
}

static void notify_free(struct handler *h)
{
    struct notify *n = container_of(h, struct notify, handler);

    n->config.calls->ops->free(n->config.calls);
    free(n);
}

void notify_start(struct handler *h)
{
    struct notify *n = container_of(h, struct notify, handler);

    n->since_ms = loop_now_ms(n->config.loop);
}

const struct notify_counters *notify_counters(const struct handler *h)
{
    return &container_of(h, struct notify, handler)->counters;
}

static const struct handler_ops ops = {"notify", begin, cancel, notify_free};

struct handler *notify_new(const struct notify_config *c)
{
    struct notify *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->handler.ops = &ops;
    n->config = *c;
    return &n->handler;
}
