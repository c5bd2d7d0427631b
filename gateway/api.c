/* SPDX-License-Identifier: MIT */
#include "gateway/api.h"

#include "backplane/base/count.h"
#include "backplane/base/json.h"
#include "gateway/api_private.h"

#include <stdlib.h>

/* Commands begun in one turn before sockets and rooms get their share again. */
#define BEGUN_PER_TURN 256

/* ---- the methods ---------------------------------------------------------------------------- */

static void run_batch(struct api_task *t);
static void gather_batch(struct api_task *t);

/* As the source of the protocol has it: there is nobody to carry out an application's methods. */
static void run_rpc(struct api_task *t)
{
    api_done(t, ERR_METHOD_NOT_FOUND);
}

static const struct api_method methods[] = {
    {"backup", SCOPE_OWNER, api_backup, NULL},
    {"ban", SCOPE_MODERATE, api_ban, NULL},
    {"bans", SCOPE_MODERATE, api_bans, NULL},
    {"batch", 0, run_batch, gather_batch}, /* its commands' scopes count */
    {"broadcast", SCOPE_PUBLISH, api_broadcast, api_broadcast_gather},
    {"channels", SCOPE_READ, api_channels, NULL},
    {"disconnect", SCOPE_MODERATE, api_disconnect, NULL},
    {"follow", SCOPE_MODERATE, api_follow, NULL},
    {"followers", SCOPE_READ, api_followers, NULL},
    {"follows", SCOPE_READ, api_follows, NULL},
    {"history", SCOPE_READ, api_history, NULL},
    {"history_remove", SCOPE_MODERATE, api_history_remove, NULL},
    {"info", SCOPE_ADMIN, api_info, NULL},
    {"kick", SCOPE_MODERATE, api_kick, NULL},
    {"mark_read", SCOPE_MODERATE, api_mark_read, NULL},
    {"mute", SCOPE_MODERATE, api_mute, NULL},
    {"mutes", SCOPE_MODERATE, api_mutes, NULL},
    {"presence", SCOPE_READ, api_presence, NULL},
    {"presence_stats", SCOPE_READ, api_presence_stats, NULL},
    {"publish", SCOPE_PUBLISH, api_publish, NULL},
    {"queue_ack", SCOPE_JOBS, api_queue_ack, NULL},
    {"queue_cancel", SCOPE_JOBS, api_queue_cancel, NULL},
    {"queue_cron", SCOPE_JOBS, api_queue_cron, NULL},
    {"queue_dead", SCOPE_JOBS, api_queue_dead, NULL},
    {"queue_drain", SCOPE_JOBS, api_queue_drain, NULL},
    {"queue_extend", SCOPE_JOBS, api_queue_extend, NULL},
    {"queue_get", SCOPE_JOBS, api_queue_get, NULL},
    {"queue_nack", SCOPE_JOBS, api_queue_nack, NULL},
    {"queue_pause", SCOPE_JOBS, api_queue_pause, NULL},
    {"queue_purge", SCOPE_JOBS, api_queue_purge, NULL},
    {"queue_put", SCOPE_JOBS, api_queue_put, NULL},
    {"queue_release", SCOPE_JOBS, api_queue_release, NULL},
    {"queue_resume", SCOPE_JOBS, api_queue_resume, NULL},
    {"queue_retry", SCOPE_JOBS, api_queue_retry, NULL},
    {"queue_stats", SCOPE_JOBS, api_queue_stats, NULL},
    {"queue_take", SCOPE_JOBS, api_queue_take, NULL},
    {"redact", SCOPE_MODERATE, api_redact, NULL},
    {"refresh", SCOPE_MODERATE, api_refresh, NULL},
    {"rpc", 0, run_rpc, NULL},
    {"slow_mode", SCOPE_MODERATE, api_slow_mode, NULL},
    {"subscribe", SCOPE_MODERATE, api_subscribe, NULL},
    {"unban", SCOPE_MODERATE, api_unban, NULL},
    {"unfollow", SCOPE_MODERATE, api_unfollow, NULL},
    {"unmute", SCOPE_MODERATE, api_unmute, NULL},
    {"unsubscribe", SCOPE_MODERATE, api_unsubscribe, NULL},
};

static const struct api_method *method_of(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (span_eq(span_str(methods[i].name), name))
            return &methods[i];
    return NULL;
}

bool api_knows(struct span method)
{
    return method_of(method) != NULL;
}

/* ---- parameters ----------------------------------------------------------------------------- */

#define PARAM(type_, name_)                                                                        \
    {                                                                                              \
#name_, FIELD_##type_, offsetof(struct api_params, name_)                                  \
    }

static const struct field params_fields[] = {
    PARAM(STRING, after),
    PARAM(STRING, b64data),
    PARAM(BOOL, cancel),
    PARAM(STRING, channel),
    PARAM(ARRAY, channels),
    PARAM(STRING, client),
    PARAM(ARRAY, commands),
    PARAM(RAW, data),
    PARAM(BOOL, delta),
    PARAM(OBJECT, disconnect),
    PARAM(STRING, epoch),
    PARAM(I64, expire_at),
    PARAM(BOOL, expired),
    PARAM(STRING, idempotency_key),
    PARAM(RAW, info),
    PARAM(U64, interval_ms),
    PARAM(I64, limit),
    PARAM(STRING, method),
    PARAM(U64, offset),
    PARAM(OBJECT, override),
    PARAM(BOOL, parallel),
    PARAM(OBJECT, params),
    PARAM(STRING, path),
    PARAM(STRING, pattern),
    PARAM(STRING, reason),
    PARAM(OBJECT, recover_since),
    PARAM(BOOL, reverse),
    PARAM(STRING, session),
    PARAM(OBJECT, since),
    PARAM(BOOL, skip_history),
    PARAM(OBJECT, tags),
    PARAM(I64, ttl),
    PARAM(STRING, user),
    PARAM(U64, version),
    PARAM(STRING, version_epoch),
    PARAM(ARRAY, whitelist),
};

bool api_read_params(struct api_task *t, struct api_params *p)
{
    *p = (struct api_params){.expire_at = EXPIRE_AT_ABSENT, .interval_ms = INTERVAL_ABSENT};
    if (object_read(&t->call->scratch, t->params, params_fields, COUNT_OF(params_fields), p))
        return true;
    api_done(t, api_wrong_object(t, t->params, params_fields, COUNT_OF(params_fields)));
    return false;
}

static const struct field position_fields[] = {
    {"offset", FIELD_U64, offsetof(struct api_position, offset)},
    {"epoch", FIELD_STRING, offsetof(struct api_position, epoch)},
};

bool api_read_position(struct api_task *t, struct span object, struct position *out)
{
    struct api_position p = {0};
    if (!object_read(&t->call->scratch, object, position_fields, 2, &p))
        return false;
    *out = position_asked(p.offset, p.epoch);
    return true;
}

enum err api_rules(const struct api_task *t, struct span channel, const struct room_rules **out)
{
    const struct options *o = t->call->hub->options;
    enum err e = channel.n ? room_name_check(channel, o->channel_max_length) : ERR_BAD_REQUEST;
    if (e)
        return e;
    *out = rules_of(&o->rules, channel);
    return *out ? OK : ERR_UNKNOWN_CHANNEL;
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static void task_free(struct api_task *t, bool delivered)
{
    delivered &= !t->error;
    for (uint32_t i = 0; i < t->count; i++)
        task_free(&t->parts[i], delivered);
    free(t->parts);
    if (t->queue)
        api_queue_free(t->queue, delivered);
    api_publication_free(t->publication);
    free(t->words);
    buf_deinit(&t->result);
}

/* What the parts said is in the result of the whole. They themselves stay: one of them may be the
 * one that is just ending. */
static void drop_results(struct api_task *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        t->call->results -= t->parts[i].result.n;
        buf_deinit(&t->parts[i].result);
    }
}

/* The call is looked at again in this turn or the next. */
static void wake(struct api_call *c)
{
    if (!list_linked(&c->link))
        list_push(&c->hub->api.waiting, &c->link);
    loop_again(c->hub->loop);
}

void api_done(struct api_task *t, enum err e)
{
    struct api_call *c = t->call;
    if (!e && t->result.failed)
        e = ERR_INTERNAL;
    if (!e && c->results + t->result.n > API_ANSWER_MAX)
        e = ERR_LIMIT;
    if (e)
        buf_deinit(&t->result);
    c->results += t->result.n;
    t->error = e;
    t->done = true;
    struct api_task *p = t->parent;
    if (p && !--p->left) {
        p->method->gather(p);
        drop_results(p);
        api_done(p, OK);
    }
    wake(c);
}

bool api_split(struct api_task *t, size_t count, bool parallel)
{
    if (!count || count > API_PARTS_MAX) {
        api_done(t, count ? ERR_LIMIT : ERR_BAD_REQUEST);
        return false;
    }
    t->parts = calloc(count, sizeof(*t->parts));
    if (!t->parts) {
        api_done(t, ERR_INTERNAL);
        return false;
    }
    t->count = t->left = (uint32_t)count;
    t->parallel = parallel;
    for (size_t i = 0; i < count; i++) {
        t->parts[i].call = t->call;
        t->parts[i].parent = t;
    }
    return true;
}

static void start(struct api_task *t)
{
    uint32_t scopes = t->call->ask.scopes;
    t->started = true;
    if (!t->method)
        api_done(t, ERR_METHOD_NOT_FOUND);
    else if (t->method->scope && !(scopes & t->method->scope))
        api_done(t, ERR_PERMISSION);
    else
        t->method->run(t);
}

/* Begins what can be begun, parts included; false: there was no credit, or the turn's share is used
 * up. */
static bool advance(struct api_task *t, uint32_t *share)
{
    if (!t->started) {
        if (!*share || !hub_has_credit(t->call->hub))
            return false;
        --*share;
        start(t);
    }
    while (!t->done && t->next < t->count) {
        struct api_task *part = &t->parts[t->next];
        if (!advance(part, share))
            return false;
        if (t->done || (!t->parallel && !part->done))
            break;
        t->next++;
    }
    return true;
}

/* ---- replies -------------------------------------------------------------------------------- */

static void error_json(struct buf *b, enum err e, const char *words)
{
    buf_lit(b, "{\"code\":");
    buf_u64(b, e);
    buf_lit(b, ",\"message\":");
    buf_json(b, span_str(words));
    buf_char(b, '}');
}

void api_error_json(struct buf *b, enum err e)
{
    error_json(b, e, err_text(e));
}

static const char *words_of(const struct api_task *t)
{
    return t->why ? t->why : err_text(t->error);
}

void api_write_reply(struct buf *b, const struct api_task *t)
{
    if (t->error) {
        buf_lit(b, "{\"error\":");
        error_json(b, t->error, words_of(t));
    } else {
        buf_lit(b, "{\"result\":");
        buf_span(b, (struct span){t->result.p, t->result.n});
    }
    buf_char(b, '}');
}

/* The status of an error where errors are told by the status. */
static int status_of(enum err e)
{
    static const struct {
        enum err error;
        int status;
    } table[] = {
        {ERR_UNKNOWN_CHANNEL, 404}, {ERR_METHOD_NOT_FOUND, 404}, {ERR_PERMISSION, 403},
        {ERR_LIMIT, 413},           {ERR_BAD_REQUEST, 400},      {ERR_NOT_AVAILABLE, 400},
        {ERR_EXPIRED, 400},         {ERR_UNRECOVERABLE, 416},    {ERR_TOO_MANY_REQUESTS, 503},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (table[i].error == e)
            return table[i].status;
    return 500;
}

/* ---- several commands in one ---------------------------------------------------------------- */

size_t api_count_items(struct span array)
{
    struct json_members it;
    struct span v;
    size_t n = 0;
    (void)json_items_begin(&it, array, JSON_MAX_DEPTH);
    while (json_items_next(&it, &v) == JSON_MEMBER)
        n++;
    return n;
}

/* `{"publish":{…}}`: the first member that names a method. A batch in a batch is none. */
static void read_batched(struct api_task *part, struct span command)
{
    struct json_members it;
    struct span key, v;
    if (!json_members_begin(&it, command, JSON_MAX_DEPTH))
        return;
    while (!part->method && json_members_next(&it, &key, &v) == JSON_MEMBER) {
        const struct api_method *m = method_of(key);
        if (m && m->run != run_batch) {
            part->method = m;
            part->params = v;
        }
    }
}

static void run_batch(struct api_task *t)
{
    struct api_params p;
    struct json_members it;
    struct span v;
    if (!api_read_params(t, &p))
        return;
    if (!p.commands.n) {
        api_done(t, ERR_BAD_REQUEST);
        return;
    }
    if (!api_split(t, api_count_items(p.commands), p.parallel))
        return;
    (void)json_items_begin(&it, p.commands, JSON_MAX_DEPTH);
    for (uint32_t i = 0; i < t->count && json_items_next(&it, &v) == JSON_MEMBER; i++)
        read_batched(&t->parts[i], v);
}

static void gather_batch(struct api_task *t)
{
    struct buf *b = &t->result;
    buf_lit(b, "{\"replies\":[");
    for (uint32_t i = 0; i < t->count; i++) {
        const struct api_task *part = &t->parts[i];
        if (i)
            buf_char(b, ',');
        if (part->error) {
            api_write_reply(b, part);
            continue;
        }
        buf_char(b, '{');
        buf_json(b, span_str(part->method->name));
        buf_char(b, ':');
        buf_span(b, (struct span){part->result.p, part->result.n});
        buf_char(b, '}');
    }
    buf_lit(b, "]}");
}

/* The older way: `{"method":"publish","params":{…}}`, one command per line. */

static void gather_lines(struct api_task *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        api_write_reply(&t->result, &t->parts[i]);
        buf_char(&t->result, '\n');
    }
}

/* The next line that is not blank; false: there is none. */
static bool next_line(struct span *rest, struct span *line)
{
    while (rest->n) {
        const char *end = memchr(rest->p, '\n', rest->n);
        size_t n = end ? (size_t)(end - rest->p) : rest->n;
        *line = (struct span){rest->p, n};
        *rest = (struct span){rest->p + n + (end != NULL), rest->n - n - (end != NULL)};
        for (size_t i = 0; i < n; i++)
            if (!strchr(" \t\r", line->p[i]))
                return true;
    }
    return false;
}

static void read_line(struct api_task *part, struct span line)
{
    struct api_params p = {0};
    if (!object_read(&part->call->scratch, line, params_fields, COUNT_OF(params_fields), &p))
        return;
    part->method = method_of(p.method);
    part->params = p.params.n ? p.params : SPAN("{}");
}

static void run_lines(struct api_task *t)
{
    struct span rest = t->params, line;
    size_t count = 0;
    while (next_line(&rest, &line))
        count++;
    if (!api_split(t, count, false))
        return;
    rest = t->params;
    for (uint32_t i = 0; next_line(&rest, &line); i++)
        read_line(&t->parts[i], line);
}

static const struct api_method lines = {"", 0, run_lines, gather_lines};

/* Whether the text is what a call can be made of. */
static bool readable(const struct api_ask *ask)
{
    struct span text = {ask->body.p, ask->body.n}, line, v;
    if (ask->method.n)
        return json_document(text, JSON_MAX_DEPTH, &v) && v.p[0] == '{';
    size_t n = 0;
    while (next_line(&text, &line)) {
        if (!json_document(line, JSON_MAX_DEPTH, &v) || v.p[0] != '{')
            return false;
        n++;
    }
    return n > 0;
}

/* ---- calls ---------------------------------------------------------------------------------- */

void api_desk_init(struct api_desk *d)
{
    *d = (struct api_desk){0};
    list_init(&d->waiting);
}

static bool has_place(const struct hub *h, size_t bytes)
{
    const struct options *o = h->options;
    return !h->draining && h->api.calls - h->api.waits < o->api_calls &&
           h->api.bytes + bytes <= o->api_bytes;
}

static void count(struct hub *h, int calls, size_t bytes)
{
    h->api.calls += (uint32_t)calls;
    h->api.bytes = calls > 0 ? h->api.bytes + bytes : h->api.bytes - bytes;
    counter_set(&h->counters.api_pending, h->api.calls);
}

bool api_expect(struct hub *h, size_t bytes)
{
    bool place = has_place(h, bytes);
    if (place)
        h->api.bytes += bytes;
    else
        counter_add(&h->counters.api_refused, 1);
    return place;
}

void api_forget(struct hub *h, size_t bytes)
{
    h->api.bytes -= bytes;
}

int api_begin(struct api_call **out, struct hub *h, struct api_ask *ask)
{
    if (!readable(ask))
        return 400;
    struct api_call *c = has_place(h, ask->body.n) ? calloc(1, sizeof(*c)) : NULL;
    char *memory = c ? malloc(ask->body.n) : NULL;
    if (!memory) {
        free(c);
        counter_add(&h->counters.api_refused, 1);
        return 503;
    }
    c->hub = h;
    c->ask = *ask;
    ask->body = (struct buf){0};
    c->memory = memory;
    c->scratch = (struct scratch){memory, memory + c->ask.body.n};
    c->root.call = c;
    c->root.method = c->ask.method.n ? method_of(c->ask.method) : &lines;
    c->root.params = (struct span){c->ask.body.p, c->ask.body.n};
    list_init(&c->link);
    count(h, 1, c->ask.body.n);
    counter_add(&h->counters.api_calls, 1);
    wake(c);
    *out = c;
    return 0;
}

static void leave(const struct api_task *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        leave(&t->parts[i]);
    if (t->queue)
        api_queue_leave(t->queue);
}

void api_abandon(struct api_call *c)
{
    c->ask.answer = NULL;
    leave(&c->root);
}

void api_lasts(struct api_call *c, uint64_t ms)
{
    if (c->ask.answer && c->ask.lasts && ms)
        c->ask.lasts(c->ask.owner, ms);
}

static void answer(struct api_call *c)
{
    struct api_task *t = &c->root;
    struct buf json = {0};
    int status = 200;
    if (!c->ask.answer)
        return;
    if (t->error && c->ask.transport_errors) {
        status = status_of(t->error);
        error_json(&json, t->error, words_of(t));
    } else if (t->method == &lines && !t->error) {
        json = t->result;
        t->result = (struct buf){0};
    } else {
        api_write_reply(&json, t);
    }
    c->ask.answer(c->ask.owner, status, &json);
}

static void finish(struct api_call *c)
{
    answer(c);
    count(c->hub, -1, c->ask.body.n);
    task_free(&c->root, c->ask.answer);
    buf_deinit(&c->ask.body);
    free(c->memory);
    free(c);
}

bool api_turn(struct hub *h)
{
    struct list *waiting = &h->api.waiting;
    uint32_t share = BEGUN_PER_TURN;
    for (struct list *n; (n = list_shift(waiting));) {
        struct api_call *c = container_of(n, struct api_call, link);
        bool all = advance(&c->root, &share);
        list_del(&c->link); /* what was done at once has put it back */
        if (!all) {
            list_push(waiting->next, &c->link); /* in front: it goes on where it was */
            return !share; /* without credit an answer that comes back is what it waits for */
        }
        if (c->root.done)
            finish(c);
    }
    return false;
}
