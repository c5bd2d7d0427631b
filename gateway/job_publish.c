/* SPDX-License-Identifier: MIT */
#include "gateway/job_publish.h"

#include "backplane/base/count.h"
#include "backplane/base/fields.h"
#include "backplane/base/json.h"
#include "backplane/base/map.h"
#include "backplane/push.h"
#include "gateway/crew.h"
#include "gateway/hub.h"
#include "gateway/methods.h"

#include <stdlib.h>

/* Longer than a job can be tried again. */
#define KEY_TTL_MS ((uint64_t)24 * 3600 * 1000)

struct wanted {
    struct span channel, data, user, info;
};

static const struct field fields[] = {
    {"channel", FIELD_STRING, offsetof(struct wanted, channel)},
    {"data", FIELD_RAW, offsetof(struct wanted, data)},
    {"info", FIELD_OBJECT, offsetof(struct wanted, info)},
    {"user", FIELD_STRING, offsetof(struct wanted, user)},
};

static void send_back(struct job_publish *p, enum err e, const char *why)
{
    p->error = e;
    p->why = why;
    errand_end(&p->errand);
}

static void published(struct hub *h, struct request *r)
{
    struct request_publish *q = (struct request_publish *)r;
    struct job_publish *p = r->owner;

    (void)h;
    p->words = q->why;
    p->offset = q->commit.at.offset;
    msg_unref(q->commit.msg);
    enum err e = r->error;
    free(q);
    send_back(p, e, p->words);
}

static bool from_client(const struct held *job)
{
    return span_eq(job->queue, SPAN(QUEUE_CLIENTS));
}

/* Whether clients may publish in the room today; who they are was looked at when they asked, and
 * whether they are banned the sequencer knows. */
static bool still_open(const struct hub *h, const struct room_rules *r)
{
    return h->options->auth == AUTH_INSECURE || r->allow_publish_for_client ||
           r->allow_publish_for_subscriber;
}

static struct idempotency key_of(struct span channel, struct span id)
{
    uint64_t lanes[4] = {common_hash(channel.p, channel.n, 9), common_hash(id.p, id.n, 9),
                         common_hash(channel.p, channel.n, 10), common_hash(id.p, id.n, 10)};
    return (struct idempotency){
        .used = true,
        .key = {common_hash(lanes, 2 * sizeof(*lanes), 11),
                common_hash(lanes + 2, 2 * sizeof(*lanes), 12)},
        .ttl_ms = KEY_TTL_MS,
    };
}

/* NULL: no memory. */
static struct request_publish *request_of(const struct job_publish *p, const struct wanted *want,
                                          const struct room_rules *r)
{
    struct span who = from_client(p->job) ? want->user : (struct span){0};
    struct request_publish *q = calloc(1, sizeof(*q) + want->channel.n + who.n);

    if (!q)
        return NULL;
    q->commit.msg =
        push_open(want->channel, want->data, from_client(p->job) ? want->info : (struct span){0},
                  SPAN("\"job\":\"1\""));
    if (!q->commit.msg) {
        free(q);
        return NULL;
    }
    q->commit.msg->delta = r->delta_publish;
    char *at = q->name;
    q->room = span_copy(&at, want->channel);
    if (who.n)
        q->who = span_copy(&at, who);
    q->commit.limits = limits_of(r);
    q->commit.idempotency = key_of(want->channel, p->job->id);
    q->commit.stamp_time = r->stamp_time;
    return q;
}

/* Asks the sequencer; or an error, and why in words. */
static enum err ask(struct hub *h, struct job_publish *p, const struct wanted *want,
                    const char **why)
{
    const struct room_rules *r =
        want->channel.n && want->channel.n <= h->options->channel_max_length
            ? rules_of(&h->options->rules, want->channel)
            : NULL;

    *why = "there is no such room";
    if (!r)
        return ERR_UNKNOWN_CHANNEL;
    *why = "clients may not publish there any more";
    if (from_client(p->job) && (!want->user.n || !still_open(h, r)))
        return ERR_PERMISSION;
    *why = NULL;
    struct request_publish *q = request_of(p, want, r);
    if (!q)
        return ERR_INTERNAL;
    q->request.owner = p;
    hub_ask(h, &q->request, REQUEST_PUBLISH, published);
    return OK;
}

void job_publish_run(struct hub *h, struct errand *e)
{
    struct job_publish *p = container_of(e, struct job_publish, errand);
    struct span data = p->job->data;
    struct wanted want = {0};
    char *decoded = malloc(data.n + 1);
    struct scratch mem = {decoded, decoded ? decoded + data.n : NULL};
    const char *why = NULL;
    enum err error = decoded ? OK : ERR_INTERNAL;

    if (!error && (!object_read(&mem, data, fields, COUNT_OF(fields), &want) || !want.channel.n ||
                   !want.data.n)) {
        error = ERR_BAD_REQUEST;
        why = "the data is not {\"channel\":…,\"data\":…}";
    }
    error = error ? error : ask(h, p, &want, &why);
    free(decoded);
    if (error)
        send_back(p, error, why);
}
