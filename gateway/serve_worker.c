/* SPDX-License-Identifier: MIT */
#include "gateway/serve_worker.h"

#include "backplane/base/log.h"
#include "backplane/queue_desk.h"
#include "gateway/crew.h"
#include "gateway/gateway.h"
#include "gateway/hub.h"
#include "gateway/job_publish.h"
#include "gateway/source_desk.h"
#include "gateway/thread.h"

#include <stdlib.h>

/* What it finds in its inbox. */
enum { TOLD_BEGIN, TOLD_STOP, TOLD_NOW, TOLD_BACK };

struct serve_worker {
    struct handler publish;
    struct loop loop;
    struct actor actor;
    struct inbox inbox;
    struct thread thread;
    struct settings *settings; /* those of the start */
    struct queue_window window;
    struct crew *crew;
    char name[CREW_NAME_MAX];
    struct outbox from_main, to_main;
    struct errands errands; /* to the first hub */
    struct entry begin, stop, now, *stopped;
};

/* ---- publications --------------------------------------------------------------------------- */

/* One that a hub is asked for. */
struct publishing {
    struct job_publish publish;
    struct attempt *attempt;
};

static void on_published(struct errand *e)
{
    struct job_publish *j = container_of(e, struct job_publish, errand);
    struct publishing *p = container_of(j, struct publishing, publish);
    struct attempt *a = p->attempt;
    struct outcome o = {END_DONE, 0, {0}};
    struct buf text = {0};

    if (j->error) {
        o.kind = err_temporary(j->error) ? END_RETRY : END_REJECT;
        o.wait_ms = WAIT_BACKOFF;
        buf_str(&text, j->why ? j->why : err_text(j->error));
    } else if (j->offset) {
        buf_fmt(&text, "{\"offset\":%llu}", (unsigned long long)j->offset);
    }
    o.text = (struct span){text.p, text.n};
    free(j->words);
    free(p);
    attempt_end(a, &o);
    buf_deinit(&text);
}

static void begin(struct handler *h, struct attempt *a)
{
    struct serve_worker *w = container_of(h, struct serve_worker, publish);
    struct publishing *p = calloc(1, sizeof(*p));

    if (!p) {
        attempt_end(a, &(struct outcome){END_RETRY, WAIT_BACKOFF, SPAN("out of memory")});
        return;
    }
    p->attempt = a;
    p->publish.job = a->job;
    p->publish.errand.run = job_publish_run;
    p->publish.errand.done = on_published;
    errand_send(&w->errands, &p->publish.errand);
}

/* It ends soon by itself. */
static void cancel(struct handler *h, struct attempt *a)
{
    (void)h, (void)a;
}

static void no_free(struct handler *h)
{
    (void)h; /* it is a part of the serve_worker */
}

static const struct handler_ops publish_ops = {"publish", begin, cancel, no_free};

/* ---- its turn ------------------------------------------------------------------------------- */

static void on_stopped(void *owner)
{
    struct serve_worker *w = owner;

    outbox_post(&w->to_main, w->stopped);
}

static void handle(struct serve_worker *w, struct entry *e)
{
    struct worker *worker = crew_worker(w->crew);

    if (e->kind == TOLD_BACK)
        errand_take_back(e);
    else if (e->kind == TOLD_BEGIN)
        crew_start(w->crew);
    else
        worker_stop(worker, e->kind == TOLD_STOP ? w->settings->options->worker_grace_ms : 0,
                    on_stopped, w);
}

static bool turn(struct actor *a)
{
    struct serve_worker *w = container_of(a, struct serve_worker, actor);

    for (struct entry *e = inbox_take(&w->inbox), *next; e; e = next) {
        next = e->next;
        handle(w, e);
    }
    return false;
}

static void flush(struct actor *a)
{
    struct serve_worker *w = container_of(a, struct serve_worker, actor);

    errands_flush(&w->errands);
    outbox_flush(&w->to_main);
}

/* ---- main's --------------------------------------------------------------------------------- */

static void tell(struct serve_worker *w, struct entry *e, uint32_t kind)
{
    e->kind = kind;
    outbox_post(&w->from_main, e);
    outbox_flush(&w->from_main);
}

void serve_worker_begin(struct serve_worker *w)
{
    tell(w, &w->begin, TOLD_BEGIN);
}

void serve_worker_stop(struct serve_worker *w, bool now)
{
    if (now)
        tell(w, &w->now, TOLD_NOW);
    else
        tell(w, &w->stop, TOLD_STOP);
}

bool serve_worker_run(struct serve_worker *w)
{
    return thread_start(&w->thread, &w->loop);
}

void serve_worker_join(struct serve_worker *w)
{
    if (w)
        thread_end(&w->thread);
}

static bool make_crew(struct serve_worker *w)
{
    struct buf report = {0};
    struct job_source *source = source_desk_new(&w->window, w->name);

    w->publish.ops = &publish_ops;
    if (source)
        w->crew = crew_new(&(struct crew_config){.loop = &w->loop,
                                                 .source = source,
                                                 .options = w->settings->options,
                                                 .publish = &w->publish,
                                                 .hub = &w->errands,
                                                 .queues = &w->window},
                           &report);
    if (source && !w->crew)
        source->ops->free(source);
    if (!w->crew)
        log_error("the worker cannot be made: %.*s", (int)report.n, report.p ? report.p : "");
    buf_deinit(&report);
    return w->crew != NULL;
}

bool serve_worker_free(struct serve_worker *w)
{
    if (!w)
        return true;
    crew_free(w->crew);
    queue_window_close(&w->window);
    loop_remove(&w->loop, &w->actor);
    for (struct entry *e = inbox_take(&w->inbox); e; e = e->next)
        continue; /* what was told to one that had ended is embedded in it */
    loop_settle(&w->loop);
    bool ok = loop_deinit(&w->loop) == 0;
    inbox_deinit(&w->inbox);
    settings_unref(w->settings);
    free(w);
    return ok;
}

static struct serve_worker *make(struct gateway *g, struct inbox *main, struct entry *stopped)
{
    struct serve_worker *w = calloc(1, sizeof(*w));

    if (!w || loop_init(&w->loop)) {
        log_error("no memory or event loop for the worker");
        free(w);
        return NULL;
    }
    inbox_init(&w->inbox, &w->loop);
    w->settings = settings_ref(g->settings);
    w->stopped = stopped;
    crew_name(w->settings->options, w->name);
    outbox_init(&w->from_main, main->loop, &w->inbox);
    outbox_init(&w->to_main, &w->loop, main);
    errands_init(&w->errands, &w->inbox, TOLD_BACK, g->hubs[0]);
    queue_window_open(&w->window, sequencer_queues(g->sequencer), &w->loop);
    w->actor.turn = turn;
    w->actor.flush = flush;
    loop_add(&w->loop, &w->actor);
    if (make_crew(w))
        return w;
    (void)serve_worker_free(w);
    return NULL;
}

bool serve_worker_open(struct serve_worker **out, struct gateway *g, struct inbox *main,
                       struct entry *stopped)
{
    *out = NULL;
    if (!g->settings->options->worker_enabled || !queue_desk_works(sequencer_queues(g->sequencer)))
        return true;
    *out = make(g, main, stopped);
    if (*out)
        g->worker = crew_worker((*out)->crew);
    if (*out)
        g->notify = crew_notify((*out)->crew);
    return *out != NULL;
}
