/* SPDX-License-Identifier: MIT */
#include "gateway/exec.h"

#include "backplane/base/list.h"
#include "backplane/base/loop.h"
#include "gateway/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define OWN_VARIABLES 4

struct exec {
    struct handler handler;
    struct exec_config config;
    char **argv; /* the words, ended by NULL */
};

/* One program that runs. */
struct run {
    struct exec *of;
    struct attempt *attempt;
    struct child *child;
    struct timer timeout;
    bool late;
};

/* ---- its environment ------------------------------------------------------------------------ */

static char *variable(const char *name, struct span value)
{
    char *text = NULL;

    return asprintf(&text, "%s=%.*s", name, (int)value.n, value.p ? value.p : "") < 0 ? NULL : text;
}

static void environment_free(char **env, size_t n)
{
    for (size_t i = 0; env && i < n; i++)
        free(env[i]);
    free(env);
}

/* Ended by NULL; *count of them. NULL: no memory. */
static char **environment_of(const struct exec *x, const struct held *job, size_t *count)
{
    char deliveries[16];
    size_t n = 0;
    char **env = calloc(OWN_VARIABLES + x->config.name_count + 1, sizeof(*env));
    int digits = snprintf(deliveries, sizeof(deliveries), "%u", (unsigned)job->deliveries);

    if (!env)
        return NULL;
    env[n++] = variable("MADANG_JOB_ID", job->id);
    env[n++] = variable("MADANG_JOB_KIND", job->kind);
    env[n++] = variable("MADANG_JOB_QUEUE", job->queue);
    env[n++] = variable("MADANG_JOB_DELIVERY", (struct span){deliveries, (size_t)digits});
    for (size_t i = 0; i < x->config.name_count; i++) {
        const char *name = x->config.names[i];
        const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody changes it */
        if (value)
            env[n++] = variable(name, span_str(value));
    }
    *count = n;
    for (size_t i = 0; i < n; i++) {
        if (env[i])
            continue;
        environment_free(env, n);
        return NULL;
    }
    return env;
}

/* ---- one run -------------------------------------------------------------------------------- */

static void explain(const struct run *r, const struct child_end *how, struct buf *why)
{
    if (r->late)
        buf_fmt(why, "it took longer than %llu ms", (unsigned long long)r->of->config.timeout_ms);
    else if (how->signal)
        buf_fmt(why, "it was ended by signal %d", how->signal);
    else
        buf_fmt(why, "its exit code is %d", how->code);
    if (how->complaint.n) {
        buf_lit(why, ": ");
        buf_span(why, how->complaint);
    }
}

static void on_ended(void *owner, const struct child_end *how)
{
    struct run *r = owner;
    struct attempt *a = r->attempt;
    struct buf why = {0};
    struct outcome o = {END_DONE, 0, how->said};

    if (how->code != 0 || r->late) {
        explain(r, how, &why);
        bool useless = how->code == EX_DATAERR && !r->late;
        o = (struct outcome){useless ? END_REJECT : END_RETRY, WAIT_BACKOFF, {why.p, why.n}};
    }
    loop_cancel(r->of->config.loop, &r->timeout);
    free(r);
    attempt_end(a, &o);
    buf_deinit(&why);
}

static void on_timeout(struct timer *t)
{
    struct run *r = container_of(t, struct run, timeout);

    r->late = true;
    child_stop(r->child);
}

/* NULL: errno. */
static struct child *start(struct run *r)
{
    const struct exec_config *c = &r->of->config;
    const struct held *job = r->attempt->job;
    size_t variables = 0;
    char **env = environment_of(r->of, job, &variables);

    if (!env) {
        errno = ENOMEM;
        return NULL;
    }
    struct child *child = child_start(&(struct child_config){
        .loop = c->loop,
        .argv = r->of->argv,
        .env = env,
        .input = job->data,
        .said_max = c->output_max,
        .patience_ms = c->patience_ms,
        .ended = on_ended,
        .owner = r,
    });
    int kept = errno;
    environment_free(env, variables);
    errno = kept;
    return child;
}

static void begin(struct handler *h, struct attempt *a)
{
    struct run *r = calloc(1, sizeof(*r));
    char text[128];

    if (r) {
        r->of = container_of(h, struct exec, handler);
        r->attempt = a;
        r->child = start(r);
    }
    if (r && r->child) {
        a->state = r;
        loop_arm(r->of->config.loop, &r->timeout, r->of->config.timeout_ms, on_timeout);
        return;
    }
    const char *why = r ? strerror_r(errno, text, sizeof(text)) : "out of memory";
    free(r);
    attempt_end(a, &(struct outcome){END_RETRY, WAIT_BACKOFF, span_str(why)});
}

static void cancel(struct handler *h, struct attempt *a)
{
    (void)h;
    child_stop(((struct run *)a->state)->child);
}

static void exec_free(struct handler *h)
{
    struct exec *x = container_of(h, struct exec, handler);

    free(x->argv);
    free(x);
}

static const struct handler_ops ops = {"exec", begin, cancel, exec_free};

struct handler *exec_new(const struct exec_config *c)
{
    struct exec *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->handler.ops = &ops;
    x->config = *c;
    x->argv = calloc(c->word_count + 1, sizeof(*x->argv));
    if (!x->argv) {
        free(x);
        return NULL;
    }
    memcpy(x->argv, c->words, c->word_count * sizeof(*x->argv));
    return &x->handler;
}
