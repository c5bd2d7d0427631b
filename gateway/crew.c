/* SPDX-License-Identifier: MIT */
#include "gateway/crew.h"

#include "backplane/base/buf.h"
#include "backplane/caused.h"
#include "gateway/exec.h"
#include "gateway/keys.h"
#include "gateway/notify.h"
#include "gateway/options.h"
#include "gateway/reach.h"
#include "gateway/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS     20000 /* of a take */
#define RETRY_MS    1000
#define PATIENCE_MS 5000 /* of programs, from SIGTERM to SIGKILL */

struct crew {
    const struct options *options;
    struct worker *worker;
    struct job_source *source;
    struct reach *reach;
    struct handler *publish, *webhook, *notify, *exec;
    struct span exec_queues[QUEUE_NAMES_MAX];
};

static const struct span publish_queues[] = {SPAN_INIT(QUEUE_PUBLISH), SPAN_INIT(QUEUE_CLIENTS)};
static const struct span webhook_queues[] = {SPAN_INIT(QUEUE_WEBHOOK)};
static const struct span notify_queues[] = {SPAN_INIT(NOTIFY_QUEUE)};

/* Where a webhook handler's secret is said. */
struct secret_place {
    const char *section, *text, *file;
};

/* The config is complete but for the secret. */
static struct handler *make_calls(struct webhook_config *config, const struct secret_place *from,
                                  struct buf *report)
{
    struct buf secret = {0};
    struct handler *h = NULL;
    bool ok = keys_read_secret(from->text, from->file, &secret, report);

    buf_char(&secret, '\0');
    if (ok && !secret.failed) {
        config->secret = secret.p;
        h = webhook_new(config);
        if (!h)
            buf_fmt(report, "[%s] secret: it is neither a text nor whsec_ and base64\n",
                    from->section);
    }
    buf_deinit(&secret);
    return h;
}

static bool make_webhook(struct crew *c, struct loop *loop, struct buf *report)
{
    const struct options *o = c->options;

    c->reach = reach_new(o->webhook_networks, o->webhook_networks_count);
    if (c->reach)
        c->webhook = make_calls(
            &(struct webhook_config){.loop = loop,
                                     .reach = c->reach,
                                     .ca_file = o->webhook_ca_file,
                                     .timeout_ms = o->webhook_timeout_ms,
                                     .per_host = o->webhook_per_host},
            &(struct secret_place){"webhook", o->webhook_secret, o->webhook_secret_file}, report);
    return c->webhook && worker_add(c->worker, &(struct bench_config){.handler = c->webhook,
                                                                      .queues = webhook_queues,
                                                                      .queue_count = 1,
                                                                      .places = o->webhook_places});
}

static bool make_exec(struct crew *c, struct loop *loop, struct buf *report)
{
    const struct options *o = c->options;

    if (access(o->worker_exec[0], X_OK) != 0) {
        buf_fmt(report, "[worker] exec: %s cannot be run\n", o->worker_exec[0]);
        return false;
    }
    c->exec = exec_new(&(struct exec_config){.loop = loop,
                                             .words = o->worker_exec,
                                             .word_count = o->worker_exec_count,
                                             .names = o->worker_exec_environment,
                                             .name_count = o->worker_exec_environment_count,
                                             .timeout_ms = o->worker_exec_timeout_ms,
                                             .patience_ms = PATIENCE_MS,
                                             .output_max = QUEUE_RESULT_MAX});
    for (size_t i = 0; i < o->worker_exec_queues_count; i++)
        c->exec_queues[i] = span_str(o->worker_exec_queues[i]);
    return c->exec &&
           worker_add(c->worker, &(struct bench_config){.handler = c->exec,
                                                        .queues = c->exec_queues,
                                                        .queue_count = o->worker_exec_queues_count,
                                                        .places = o->worker_exec_places});
}

static bool make_publish(struct crew *c, struct handler *publish)
{
    c->publish = publish;
    return worker_add(c->worker,
                      &(struct bench_config){.handler = publish,
                                             .queues = publish_queues,
                                             .queue_count = 2,
                                             .places = c->options->worker_publish_places});
}

/* Its URL is the operator's, so it may be anywhere. */
static bool make_notify(struct crew *c, const struct crew_config *config, struct buf *report)
{
    const struct options *o = c->options;
    bool own = *o->notify_secret || *o->notify_secret_file;
    struct handler *calls = make_calls(
        &(struct webhook_config){.loop = config->loop,
                                 .ca_file = o->webhook_ca_file,
                                 .timeout_ms = o->notify_timeout_ms},
        own ? &(struct secret_place){"notify", o->notify_secret, o->notify_secret_file}
            : &(struct secret_place){"webhook", o->webhook_secret, o->webhook_secret_file},
        report);

    if (calls)
        c->notify = notify_new(&(struct notify_config){.loop = config->loop,
                                                       .calls = calls,
                                                       .url = o->notify_url,
                                                       .delay_ms = o->notify_delay_ms,
                                                       .hub = config->hub,
                                                       .queues = config->queues});
    if (calls && !c->notify)
        calls->ops->free(calls);
    return c->notify && worker_add(c->worker, &(struct bench_config){.handler = c->notify,
                                                                     .queues = notify_queues,
                                                                     .queue_count = 1,
                                                                     .places = o->notify_places});
}

struct crew *crew_new(const struct crew_config *config, struct buf *report)
{
    struct crew *c = calloc(1, sizeof(*c));
    size_t said = report->n;

    if (!c)
        goto no_memory;
    c->options = config->options;
    c->worker = worker_new(&(struct worker_config){.loop = config->loop,
                                                   .source = config->source,
                                                   .lease_ms = c->options->worker_lease_ms,
                                                   .wait_ms = WAIT_MS,
                                                   .retry_ms = RETRY_MS});
    if (c->worker && make_webhook(c, config->loop, report) &&
        (!config->exec || !c->options->worker_exec_count || make_exec(c, config->loop, report)) &&
        (!config->publish || make_publish(c, config->publish)) &&
        (!config->hub || !*c->options->notify_url || make_notify(c, config, report))) {
        c->source = config->source;
        return c;
    }
    c->publish = NULL; /* still the caller's */
    crew_free(c);
no_memory:
    if (report->n == said)
        buf_lit(report, "no memory for a worker\n");
    return NULL;
}

static void handler_free(struct handler *h)
{
    if (h)
        h->ops->free(h);
}

void crew_free(struct crew *c)
{
    if (!c)
        return;
    worker_free(c->worker);
    handler_free(c->webhook);
    handler_free(c->exec);
    handler_free(c->publish);
    handler_free(c->notify);
    reach_free(c->reach);
    if (c->source)
        c->source->ops->free(c->source);
    free(c);
}

void crew_start(struct crew *c)
{
    if (c->notify)
        notify_start(c->notify);
    worker_start(c->worker);
}

struct worker *crew_worker(const struct crew *c)
{
    return c->worker;
}

const struct notify_counters *crew_notify(const struct crew *c)
{
    return c->notify ? notify_counters(c->notify) : NULL;
}

void crew_name(const struct options *o, char name[CREW_NAME_MAX])
{
    char host[CREW_NAME_MAX - 12] = "";

    if (*o->worker_name) {
        (void)snprintf(name, CREW_NAME_MAX, "%s", o->worker_name);
        return;
    }
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(name, CREW_NAME_MAX, "%s:%ld", host, (long)getpid());
}
