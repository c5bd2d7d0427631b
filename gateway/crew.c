/* SPDX-License-Identifier: MIT */
#include "gateway/crew.h"

#include "backplane/base/buf.h"
#include "gateway/exec.h"
#include "gateway/keys.h"
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
    struct handler *publish, *webhook, *exec;
    struct span exec_queues[QUEUE_NAMES_MAX];
};

static const struct span publish_queues[] = {SPAN_INIT(QUEUE_PUBLISH), SPAN_INIT(QUEUE_CLIENTS)};
static const struct span webhook_queues[] = {SPAN_INIT(QUEUE_WEBHOOK)};

static bool make_webhook(struct crew *c, struct loop *loop, struct buf *report)
{
    const struct options *o = c->options;
    struct buf secret = {0};
    bool ok = keys_read_secret(o->webhook_secret, o->webhook_secret_file, &secret, report);

    buf_char(&secret, '\0');
    c->reach = reach_new(o->webhook_networks, o->webhook_networks_count);
    if (ok && c->reach && !secret.failed) {
        c->webhook = webhook_new(&(struct webhook_config){.loop = loop,
                                                          .reach = c->reach,
                                                          .secret = secret.p,
                                                          .ca_file = o->webhook_ca_file,
                                                          .timeout_ms = o->webhook_timeout_ms,
                                                          .per_host = o->webhook_per_host});
        if (!c->webhook)
            buf_lit(report, "[webhook] secret: it is neither a text nor whsec_ and base64\n");
    }
    buf_deinit(&secret);
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
        (!config->publish || make_publish(c, config->publish))) {
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
    reach_free(c->reach);
    if (c->source)
        c->source->ops->free(c->source);
    free(c);
}

struct worker *crew_worker(const struct crew *c)
{
    return c->worker;
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
