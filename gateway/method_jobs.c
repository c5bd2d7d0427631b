/* SPDX-License-Identifier: MIT */
#include "gateway/method_jobs.h"

#include "backplane/base/count.h"
#include "backplane/base/json.h"
#include "backplane/base/map.h"
#include "gateway/access.h"
#include "gateway/crew.h"
#include "gateway/methods.h"
#include "gateway/throttle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KIND_PUBLISH "publish"
#define OWNER_MAX    64 /* bytes of what stands before the place in a key */
#define KEY_MAX      64 /* of a client's own key */
/* A key is known for so long after its job was due, but at most so long in all. Keys of what is
 * done or cancelled are not counted in [jobs] per_user, but only so many come as user_per_hour
 * lets. */
#define KNOWN_MS      3600000ULL
#define KNOWN_MOST_MS (24 * KNOWN_MS)

/* A call of the queues for a session, which is held until it is done. */
struct job_call {
    struct queue_call call;
    struct queue_rules rules; /* put: those that hold now */
    struct session *session;
    uint32_t id; /* of the command */
    char owner[OWNER_MAX];
    bool cancel;    /* GET: and cancel it then */
    uint64_t at_ms; /* put: when it is due */
    uint32_t place, tries;
    char key[OWNER_MAX + 16];
    char once[OWNER_MAX + QUEUE_KIND_MAX + KEY_MAX + 2];
    struct queue_job job;
    struct queue_item item;
    struct buf data;
    size_t asked; /* bytes of it that the client asked for; the rest is ours */
};

/* ---- whose jobs ----------------------------------------------------------------------------- */

/* What the keys of a user's jobs begin with. Users are told apart by 128 bits: a name may be as
 * long as a key. False: it has no name, and no jobs. */
static bool owner_of(const struct session *s, char out[OWNER_MAX])
{
    struct span user = client_info_user(s->client);
    (void)snprintf(out, OWNER_MAX, "%016" PRIx64 "%016" PRIx64 "/", common_hash(user.p, user.n, 13),
                   common_hash(user.p, user.n, 14));
    return user.n > 0;
}

static bool is_owned(const struct job_call *c)
{
    const struct job *j = c->call.look.job;
    size_t n = strlen(c->owner);
    return j && j->key.n > n && memcmp(j->key.p, c->owner, n) == 0;
}

/* "_clients:123"; false: no name of such a job. */
static bool read_id(struct span text, uint64_t *id)
{
    struct span prefix = SPAN(QUEUE_CLIENTS ":");
    if (text.n <= prefix.n || memcmp(text.p, prefix.p, prefix.n) != 0)
        return false;
    return json_u64((struct span){text.p + prefix.n, text.n - prefix.n}, id);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct job_call *call_new(struct session *s, uint32_t id, enum queue_verb verb,
                                 void (*done)(struct queue_call *c))
{
    struct job_call *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->session = s;
    c->id = id;
    c->call.op.verb = verb;
    c->call.op.queue.name = SPAN(QUEUE_CLIENTS);
    c->call.done = done;
    (void)owner_of(s, c->owner);
    return c;
}

static void send_call(struct job_call *c)
{
    queue_send(&c->session->hub->queues, &c->call);
}

/* One more question about what is known by now. */
static void call_again(struct job_call *c, enum queue_verb verb, void (*done)(struct queue_call *c))
{
    queue_op_deinit(&c->call.op);
    c->call = (struct queue_call){.done = done};
    c->call.op.verb = verb;
    c->call.op.queue.name = SPAN(QUEUE_CLIENTS);
}

static void end_call(struct job_call *c)
{
    struct session *s = c->session;
    queue_op_deinit(&c->call.op);
    buf_deinit(&c->data);
    free(c);
    hub_let_go(s);
}

static void refuse(struct job_call *c, enum err e)
{
    if (session_alive(c->session))
        reply_error(c->session, c->id, e);
    end_call(c);
}

/* ---- jobs.submit {"kind":"publish","key","delay_ms":n | "at_ms":n,"data":{"channel","data"}} - */

struct submit_params {
    struct span kind, key, data;
    uint64_t delay_ms, at_ms;
};

static const struct field submit_fields[] = {
    {"at_ms", FIELD_U64, offsetof(struct submit_params, at_ms)},
    {"data", FIELD_OBJECT, offsetof(struct submit_params, data)},
    {"delay_ms", FIELD_U64, offsetof(struct submit_params, delay_ms)},
    {"key", FIELD_STRING, offsetof(struct submit_params, key)},
    {"kind", FIELD_STRING, offsetof(struct submit_params, kind)},
};

struct publish_params {
    struct span channel, data;
};

static const struct field publish_fields[] = {
    {"channel", FIELD_STRING, offsetof(struct publish_params, channel)},
    {"data", FIELD_RAW, offsetof(struct publish_params, data)},
};

static bool kind_allowed(const struct options *o, struct span kind)
{
    for (size_t i = 0; i < o->jobs_kinds_count; i++)
        if (span_eq(kind, span_str(o->jobs_kinds[i])))
            return true;
    return false;
}

/* When it is due; ERR_BAD_REQUEST: both are said, or it is too far away. */
static enum err due_at(const struct options *o, const struct submit_params *p, uint64_t *at_ms)
{
    uint64_t now = wall_ms();
    if (p->at_ms && p->delay_ms)
        return ERR_BAD_REQUEST;
    *at_ms = p->at_ms ? p->at_ms : now + p->delay_ms;
    if (p->delay_ms > o->jobs_max_delay_ms ||
        (p->at_ms > now && p->at_ms - now > o->jobs_max_delay_ms))
        return ERR_LIMIT;
    return OK;
}

/* What the job carries: see job_publish.h. */
static void write_data(struct job_call *c, const struct publish_params *p)
{
    const struct session *s = c->session;
    struct buf *b = &c->data;
    buf_lit(b, "{\"channel\":");
    buf_json(b, p->channel);
    buf_lit(b, ",\"data\":");
    buf_json_oneline(b, p->data);
    buf_lit(b, ",\"user\":");
    c->asked = b->n;
    buf_json(b, client_info_user(s->client));
    buf_lit(b, ",\"info\":");
    buf_span(b, client_info_json(sender_in(s, p->channel)));
    buf_char(b, '}');
}

/* The key of the place that is tried next. */
static void use_place(struct job_call *c, uint32_t places)
{
    int n = snprintf(c->key, sizeof(c->key), "%s%u", c->owner, (unsigned)(c->place++ % places));
    c->job.key = (struct span){c->key, (size_t)n};
    c->tries++;
}

/* By which a job is known that was asked for with a key: a client has a key once for each kind. */
static void use_key(struct job_call *c, const struct submit_params *p)
{
    const struct span parts[] = {span_str(c->owner), p->kind, SPAN("/"), p->key};
    char *at = c->once;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        (void)span_copy(&at, parts[i]);
    c->job.once = (struct span){c->once, (size_t)(at - c->once)};
    uint64_t now = wall_ms(), until = c->at_ms > now ? c->at_ms - now : 0;
    c->job.once_ms = until + KNOWN_MS < KNOWN_MOST_MS ? until + KNOWN_MS : KNOWN_MOST_MS;
}

static const enum err put_errors[] = {
    [PUT_OK] = OK,
    [PUT_KNOWN] = OK,
    [PUT_REPEATED] = ERR_LIMIT,
    [PUT_FULL] = ERR_TOO_MANY_REQUESTS,
    [PUT_TOO_BIG] = ERR_LIMIT,
    [PUT_DRAINING] = ERR_NOT_AVAILABLE,
    [PUT_BAD] = ERR_BAD_REQUEST,
};

static void reply_submitted(struct job_call *c, uint64_t at_ms, bool repeated)
{
    struct session *s = c->session;
    if (session_alive(s)) {
        struct buf *b = reply_begin(s, c->id, "rpc");
        buf_fmt(b, "{\"data\":{\"id\":\"" QUEUE_CLIENTS ":%" PRIu64 "\"", c->job.id);
        if (at_ms)
            buf_fmt(b, ",\"at_ms\":%" PRIu64, at_ms);
        buf_str(b, repeated ? ",\"repeated\":true}}" : "}}");
        reply_end(s);
    }
    end_call(c);
}

/* A key that was used before: for the same, or for something else? Of what is done nothing is left
 * to compare it with. */
static void on_known(struct queue_call *q)
{
    struct job_call *c = container_of(q, struct job_call, call);
    const struct queue_look *l = &c->call.look;
    bool there = l->job && l->state != JOB_DONE;
    if (q->op.error)
        refuse(c, q->op.error);
    else if (there &&
             (l->job->data.n < c->asked || memcmp(l->job->data.p, c->data.p, c->asked) != 0))
        refuse(c, ERR_BAD_REQUEST);
    else
        reply_submitted(c, l->job && l->state == JOB_DELAYED ? l->job->until_ms : 0, true);
}

static void on_put(struct queue_call *q)
{
    struct job_call *c = container_of(q, struct job_call, call);
    struct session *s = c->session;
    uint32_t places = s->hub->options->jobs_per_user;
    if (q->op.error) {
        refuse(c, q->op.error);
    } else if (c->job.status == PUT_REPEATED && c->tries < places) {
        use_place(c, places);
        send_call(c);
    } else if (c->job.status == PUT_KNOWN) {
        call_again(c, QUEUE_GET, on_known);
        c->call.look.id = c->job.id;
        send_call(c);
    } else if (c->job.status != PUT_OK) {
        refuse(c, put_errors[c->job.status]);
    } else {
        reply_submitted(c, c->at_ms, false);
    }
}

static enum err submit_publish(struct session *s, uint32_t id, const struct submit_params *p)
{
    struct publish_params want = {0};
    uint64_t at_ms = 0;
    if (!fields_read(s, p->data, publish_fields, 2, &want) || !want.channel.n || !want.data.n)
        return ERR_BAD_REQUEST;
    const struct room_rules *r = rules_of(&s->hub->options->rules, want.channel);
    if (!r || !may(s, r, want.channel, MAY_PUBLISH))
        return ERR_PERMISSION;
    enum err e = due_at(s->hub->options, p, &at_ms);
    if (e)
        return e;
    struct job_call *c = call_new(s, id, QUEUE_PUT, on_put);
    if (!c)
        return ERR_INTERNAL;
    write_data(c, &want);
    if (c->data.failed) {
        buf_deinit(&c->data);
        free(c);
        return ERR_INTERNAL;
    }
    c->at_ms = at_ms;
    c->job.kind = SPAN(KIND_PUBLISH);
    c->job.data = (struct span){c->data.p, c->data.n};
    c->job.at_ms = at_ms;
    c->job.home = span_str(c->owner); /* where the places are */
    if (p->key.p)
        use_key(c, p);
    c->rules = *options_queue_rules(s->hub->options, SPAN(QUEUE_CLIENTS));
    c->call.op.queue.rules = &c->rules;
    c->call.put.jobs = &c->job;
    c->call.put.count = 1;
    c->place = (uint32_t)queue_random() & UINT16_MAX;
    use_place(c, s->hub->options->jobs_per_user);
    hub_hold(s);
    send_call(c);
    return OK;
}

enum err jobs_submit(struct session *s, uint32_t id, struct span data)
{
    struct submit_params p = {0};
    char owner[OWNER_MAX];
    if (!data.n || !fields_read(s, data, submit_fields, COUNT_OF(submit_fields), &p) || !p.data.n ||
        (p.key.p && !p.key.n) || p.key.n > KEY_MAX)
        return ERR_BAD_REQUEST;
    if (!kind_allowed(s->hub->options, p.kind) || !owner_of(s, owner))
        return ERR_PERMISSION;
    if (!throttle_admits_job(s))
        return ERR_TOO_MANY_REQUESTS;
    return submit_publish(s, id, &p);
}

/* ---- jobs.get {"id"}, jobs.cancel {"id"} ---------------------------------------------------- */

struct id_params {
    struct span id;
};

static const struct field id_fields[] = {{"id", FIELD_STRING, offsetof(struct id_params, id)}};

static const char *state_of(enum job_state state)
{
    static const char *const words[] = {"ready", "leased", "delayed", "blocked",
                                        "dead",  "done",   "unknown"}; /* enum job_state */
    return words[state];
}

/* What is not one's own is unknown, and so is what was published. */
static void reply_state(struct job_call *c)
{
    const struct queue_look *l = &c->call.look;
    struct session *s = c->session;
    if (session_alive(s)) {
        struct buf *b = reply_begin(s, c->id, "rpc");
        bool owned = is_owned(c);
        buf_fmt(b, "{\"data\":{\"state\":\"%s\"", state_of(owned ? l->state : JOB_UNKNOWN));
        if (owned && l->state == JOB_DELAYED)
            buf_fmt(b, ",\"at_ms\":%" PRIu64, l->job->until_ms);
        buf_lit(b, "}}");
        reply_end(s);
    }
    end_call(c);
}

static void reply_cancelled(struct job_call *c, enum settled status)
{
    if (session_alive(c->session)) {
        struct buf *b = reply_begin(c->session, c->id, "rpc");
        buf_fmt(b, "{\"data\":{\"status\":\"%s\"}}", settled_text(status));
        reply_end(c->session);
    }
    end_call(c);
}

static void on_cancelled(struct queue_call *q)
{
    struct job_call *c = container_of(q, struct job_call, call);
    if (q->op.error)
        refuse(c, q->op.error);
    else
        reply_cancelled(c, c->item.status);
}

static void cancel(struct job_call *c)
{
    c->item.id = c->call.look.id;
    call_again(c, QUEUE_CANCEL, on_cancelled);
    c->call.settle.items = &c->item;
    c->call.settle.count = 1;
    send_call(c);
}

static void on_looked(struct queue_call *q)
{
    struct job_call *c = container_of(q, struct job_call, call);
    if (q->op.error)
        refuse(c, q->op.error);
    else if (!c->cancel)
        reply_state(c);
    else if (is_owned(c))
        cancel(c);
    else
        reply_cancelled(c, SETTLED_GONE);
}

static enum err look(struct session *s, uint32_t id, struct span data, bool and_cancel)
{
    struct id_params p = {0};
    char owner[OWNER_MAX];
    uint64_t number;
    if (!data.n || !fields_read(s, data, id_fields, 1, &p) || !read_id(p.id, &number))
        return ERR_BAD_REQUEST;
    if (!owner_of(s, owner))
        return ERR_PERMISSION;
    struct job_call *c = call_new(s, id, QUEUE_GET, on_looked);
    if (!c)
        return ERR_INTERNAL;
    c->cancel = and_cancel;
    c->call.look.id = number;
    hub_hold(s);
    send_call(c);
    return OK;
}

enum err jobs_get(struct session *s, uint32_t id, struct span data)
{
    return look(s, id, data, false);
}

enum err jobs_cancel(struct session *s, uint32_t id, struct span data)
{
    return look(s, id, data, true);
}
