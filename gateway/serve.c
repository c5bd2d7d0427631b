/* SPDX-License-Identifier: MIT */
/* The order of things, once each way:
 *
 * up:    limits → loops → sequencer → hubs (with their library contexts) → worker, cron →
 *        threads → what others have ordered is known → listening sockets → ready → both begin
 * down:  not ready, cron ends → drain_delay → stop accepting → paced closes (3001), and the worker
 *        gives back what it has → worker's thread → hubs' threads → sequencer's thread → library
 *        contexts, one after the other on this thread
 *
 * The way down has one deadline, shutdown_timeout: what is left then is cut. A second signal cuts
 * at once.
 */
#include "gateway/serve.h"

#include "backplane/base/log.h"
#include "gateway/acceptor.h"
#include "gateway/backplane.h"
#include "gateway/banner.h"
#include "gateway/cron.h"
#include "gateway/crowd.h"
#include "gateway/descriptors.h"
#include "gateway/heap.h"
#include "gateway/hub.h"
#include "gateway/identity.h"
#include "gateway/jwks.h"
#include "gateway/keys.h"
#include "gateway/options.h"
#include "gateway/reload.h"
#include "gateway/serve_worker.h"
#include "gateway/signals.h"
#include "gateway/socket.h"
#include "gateway/thread.h"
#include "gateway/tickets.h"
#include "gateway/told.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* After everything was cut, sessions have this long to come to their end. */
#define CUT_MS 2000

/* One hub and its thread. */
struct seat {
    struct hub *hub;
    struct loop loop;
    bool has_loop;
    struct thread thread;
    struct outbox from_main, to_main;
    struct entry empty; /* to main: the last session is gone */
    struct entry want;  /* to main: JWK sets are to be read again; answered with HUB_RENEW */
    atomic_bool wanted; /* … and that is under way */
};

/* What main finds in its inbox. */
enum { MAIN_EMPTY, MAIN_WANT_KEYS, MAIN_RENEWED, MAIN_WORKER_STOPPED };

struct server {
    struct gateway gateway;
    struct actor actor;
    struct inbox inbox;
    struct loop loop, sequencer_loop;
    bool has_sequencer_loop;
    struct thread sequencer_thread;
    struct seat seats[HUBS_MAX];
    uint32_t empty_hubs;
    struct serve_worker *worker; /* NULL: there is none */
    struct cron *cron;
    struct entry worker_stopped;
    bool worker_busy;  /* it has begun, and not stopped */
    uint32_t to_renew; /* hubs that have not taken the settings of a SIGHUP yet */
    struct signals signals;
    struct timer drain_delay, deadline;
    struct jwks *jwks;
    struct chosen_backplane backplane;
    struct tickets *tickets; /* the latest */
    struct timer rotation;
    const struct options_sources *sources;
    struct heap_watch heap;
    bool waiting; /* until sessions may come */
    bool stopping, cut;
    uint32_t most_connections; /* max_connections of the start */
    bool on_terminal;          /* at the start */
    int exit_code;
};

static const struct options *options_of(const struct server *sv)
{
    return sv->gateway.settings->options;
}

/* ---- down ----------------------------------------------------------------------------------- */

/* Called by a hub on its own thread. */
static void hub_renewed(void *owner, struct renewal *r)
{
    struct seat *seat = owner;
    r->entry.kind = MAIN_RENEWED;
    outbox_post(&seat->to_main, &r->entry);
    outbox_flush(&seat->to_main);
}

/* Called by a hub on its own thread. The entry is posted again only once main has taken it. */
static void want_keys(void *owner)
{
    struct seat *seat = owner;
    if (atomic_exchange(&seat->wanted, true))
        return;
    outbox_post(&seat->to_main, &seat->want);
    outbox_flush(&seat->to_main);
}

static void order_hubs(struct server *sv, uint32_t kind)
{
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++) {
        struct entry *e = calloc(1, sizeof(*e));
        if (!e) {
            log_error("no memory for an orderly end: ending at once");
            _exit(EXIT_FAILURE);
        }
        e->kind = kind;
        outbox_post(&sv->seats[i].from_main, e);
    }
}

static void too_late(struct timer *t)
{
    (void)t;
    log_error("sessions did not end even after they were cut: ending without them");
    _exit(EXIT_FAILURE);
}

static void cut(struct server *sv)
{
    if (sv->cut)
        return;
    sv->cut = true;
    loop_cancel(&sv->loop, &sv->drain_delay);
    acceptor_stop(sv->gateway.acceptor);
    order_hubs(sv, HUB_CUT);
    if (sv->worker_busy)
        serve_worker_stop(sv->worker, true);
    loop_arm(&sv->loop, &sv->deadline, CUT_MS, too_late);
}

static void deadline_passed(struct timer *t)
{
    struct server *sv = container_of(t, struct server, deadline);
    log_warn("shutdown_timeout is over: cutting the sessions that are left");
    cut(sv);
}

static void begin_drain(struct timer *t)
{
    struct server *sv = container_of(t, struct server, drain_delay);
    acceptor_stop(sv->gateway.acceptor);
    order_hubs(sv, HUB_DRAIN);
}

static void stop(struct server *sv)
{
    if (sv->waiting) {
        sv->stopping = true;
        return;
    }
    if (sv->stopping) {
        log_warn("asked to stop a second time: cutting all sessions");
        cut(sv);
        return;
    }
    sv->stopping = true;
    log_info("stopping: sessions are closed with 3001 and may come back elsewhere");
    atomic_store(&sv->gateway.phase, PHASE_DRAINING);
    cron_stop(sv->cron);
    if (sv->worker_busy)
        serve_worker_stop(sv->worker, false);
    /* Cutting belongs to the time allowed too. */
    uint64_t allowed = options_of(sv)->shutdown_timeout_ms;
    uint64_t cutting = CUT_MS < allowed / 2 ? CUT_MS : allowed / 2;
    loop_arm(&sv->loop, &sv->deadline, allowed - cutting, deadline_passed);
    if (options_of(sv)->drain_delay_ms)
        loop_arm(&sv->loop, &sv->drain_delay, options_of(sv)->drain_delay_ms, begin_drain);
    else
        begin_drain(&sv->drain_delay);
}

/* A terminal that is closed sends SIGHUP too, to end what was run in it. */
static bool terminal_is_gone(const struct server *sv)
{
    return sv->on_terminal && !isatty(STDERR_FILENO);
}

/* Called by a hub on its own thread. */
static void hub_empty(void *owner)
{
    struct seat *seat = owner;
    outbox_post(&seat->to_main, &seat->empty);
    outbox_flush(&seat->to_main);
}

static void on_renewed(struct server *sv, struct renewal *r)
{
    if (r->reload && --sv->to_renew == 0) {
        log_info("the configuration was read again and is in force, with all files that it names");
        log_set_level((enum log_level)options_of(sv)->log_level);
    }
    renewal_free(r);
}

static void take_inbox(struct server *sv)
{
    for (struct entry *e = inbox_take(&sv->inbox), *next; e; e = next) {
        next = e->next;
        if (e->kind == MAIN_EMPTY) {
            sv->empty_hubs++;
        } else if (e->kind == MAIN_WORKER_STOPPED) {
            sv->worker_busy = false;
        } else if (e->kind == MAIN_RENEWED) {
            on_renewed(sv, container_of(e, struct renewal, entry));
        } else {
            atomic_store(&container_of(e, struct seat, want)->wanted, false);
            jwks_want(sv->jwks);
        }
    }
}

static bool is_open(const struct server *sv)
{
    return counter_get(&sequencer_counters(sv->gateway.sequencer)->open);
}

static bool turn(struct actor *a)
{
    struct server *sv = container_of(a, struct server, actor);
    take_inbox(sv);
    if (sv->waiting && (sv->stopping || is_open(sv)))
        loop_stop(&sv->loop);
    if (sv->stopping && sv->empty_hubs == sv->gateway.hub_count && !sv->worker_busy)
        loop_stop(&sv->loop);
    return false;
}

static void flush(struct actor *a)
{
    struct server *sv = container_of(a, struct server, actor);
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++)
        outbox_flush(&sv->seats[i].from_main);
}

/* Everything that was begun ends, however far it got. No other thread runs when contexts are
 * closed. */
static void server_deinit(struct server *sv)
{
    serve_worker_join(sv->worker);
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++)
        thread_end(&sv->seats[i].thread);
    thread_end(&sv->sequencer_thread);
    flush(&sv->actor);
    take_inbox(sv);
    /* The library closes a descriptor twice: nothing may be connecting to servers by then. */
    sequencer_stop(sv->gateway.sequencer);
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++) {
        struct seat *seat = &sv->seats[i];
        if (!seat->hub)
            continue;
        hub_close(seat->hub);
        loop_settle(&seat->loop);
        hub_free(seat->hub);
    }
    if (!serve_worker_free(sv->worker))
        sv->exit_code = EXIT_FAILURE;
    cron_free(sv->cron);
    sequencer_free(sv->gateway.sequencer);
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++)
        if (sv->seats[i].has_loop && loop_deinit(&sv->seats[i].loop))
            sv->exit_code = EXIT_FAILURE;
    if (sv->has_sequencer_loop && loop_deinit(&sv->sequencer_loop))
        sv->exit_code = EXIT_FAILURE;
}

/* ---- new settings --------------------------------------------------------------------------- */

static void hand_out(struct server *sv, const struct renewals *all, const struct renewal *what)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct renewal *r = all->list[i];
        r->settings = what->settings ? settings_ref(what->settings) : NULL;
        r->keys = what->keys ? keys_ref(what->keys) : NULL;
        r->has_keys = what->has_keys;
        r->tickets = tickets_ref(what->tickets);
        r->reload = what->settings != NULL;
        outbox_post(&sv->seats[i].from_main, &r->entry);
    }
}

/* New keys for all hubs, or the old ones again. */
static void hand_out_keys(void *owner, struct keys *keys)
{
    struct server *sv = owner;
    struct renewals all;
    if (renewals_new(&all, sv->gateway.hub_count))
        hand_out(sv, &all, &(struct renewal){.has_keys = true, .keys = keys});
    else
        log_error("no memory to hand out keys: tokens are checked with the ones before");
}

/* New keys of tickets for all hubs; without them the old ones stay for a while longer. */
static void rotate_tickets(struct timer *t)
{
    struct server *sv = container_of(t, struct server, rotation);
    struct renewals all;
    struct tickets *fresh = tickets_new(sv->tickets);
    loop_arm(&sv->loop, t, TICKETS_MS, rotate_tickets);
    if (!fresh || !renewals_new(&all, sv->gateway.hub_count)) {
        log_error("no memory for new keys of TLS tickets: the ones before stay in use");
        tickets_unref(fresh);
        return;
    }
    tickets_unref(sv->tickets);
    sv->tickets = fresh;
    hand_out(sv, &all, &(struct renewal){.tickets = fresh});
}

/* Everything is read and made before any of it is put in force. */
static void reload(struct server *sv)
{
    struct reload fresh = {0};
    struct renewals all;
    bool ok =
        reload_prepare(&fresh, sv->gateway.settings, sv->jwks, sv->sources, sv->most_connections);
    if (ok && !renewals_new(&all, sv->gateway.hub_count)) {
        buf_lit(&fresh.report, "out of memory\n");
        ok = false;
    }
    reload_log(&fresh, ok);
    if (ok) {
        settings_unref(sv->gateway.settings);
        sv->gateway.settings = settings_ref(fresh.settings);
        counter_set(&sv->gateway.max_connections, options_of(sv)->max_connections);
        if (options_of(sv)->log_level > (int)log_get_level())
            log_set_level((enum log_level)options_of(sv)->log_level);
        hand_out(
            sv, &all,
            &(struct renewal){.settings = fresh.settings, .has_keys = true, .keys = fresh.keys});
        sv->to_renew += sv->gateway.hub_count;
        jwks_use(sv->jwks, fresh.settings, fresh.keys ? keys_ref(fresh.keys) : NULL);
        cron_use(sv->cron, fresh.settings);
    }
    reload_deinit(&fresh);
}

/* ---- up ------------------------------------------------------------------------------------- */

static bool loop_ok(struct loop *l, const char *what)
{
    int rc = loop_init(l);
    if (rc)
        log_error("no event loop for %s: %s", what, uv_strerror(rc));
    return rc == 0;
}

static bool make_sequencer(struct server *sv)
{
    bool own = sv->gateway.hub_count > 1;
    struct loop *loop = own ? &sv->sequencer_loop : &sv->seats[0].loop;
    if (own && !(sv->has_sequencer_loop = loop_ok(loop, "the sequencer")))
        return false;
    struct sequencer_config c = backplane_config(&sv->backplane, options_of(sv), &sv->gateway);
    sv->gateway.sequencer_loop = loop;
    return sequencer_new(&sv->gateway.sequencer, loop, &c) == OK;
}

static bool make_hubs(struct server *sv)
{
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++) {
        struct seat *seat = &sv->seats[i];
        if (hub_new(&seat->hub, &seat->loop, &sv->gateway, sv->gateway.sequencer))
            return false;
        sv->gateway.hubs[i] = seat->hub;
        seat->hub->on_empty = hub_empty;
        seat->hub->renewed = hub_renewed;
        seat->hub->want_keys = want_keys;
        seat->hub->owner = seat;
        seat->empty.kind = MAIN_EMPTY;
        seat->want.kind = MAIN_WANT_KEYS;
        outbox_init(&seat->from_main, &sv->loop, hub_inbox(seat->hub));
        outbox_init(&seat->to_main, &seat->loop, &sv->inbox);
        if (hub_open(seat->hub))
            return false;
    }
    return true;
}

static bool make_worker(struct server *sv)
{
    sv->worker_stopped.kind = MAIN_WORKER_STOPPED;
    return serve_worker_open(&sv->worker, &sv->gateway, &sv->inbox, &sv->worker_stopped);
}

static bool make_cron(struct server *sv)
{
    sv->cron = cron_new(
        &(struct cron_config){.loop = &sv->loop, .desk = sequencer_queues(sv->gateway.sequencer)});
    sv->gateway.cron = sv->cron;
    return sv->cron != NULL;
}

static bool make_loops(struct server *sv)
{
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++) {
        struct seat *seat = &sv->seats[i];
        if (!(seat->has_loop = loop_ok(&seat->loop, "a hub")))
            return false;
    }
    return true;
}

static bool start_threads(struct server *sv)
{
    bool ok = !sv->has_sequencer_loop || thread_start(&sv->sequencer_thread, &sv->sequencer_loop);
    for (uint32_t i = 0; ok && i < sv->gateway.hub_count; i++)
        ok = thread_start(&sv->seats[i].thread, &sv->seats[i].loop);
    if (ok && sv->worker)
        ok = serve_worker_run(sv->worker);
    return ok;
}

static bool make_keys(struct server *sv)
{
    struct buf report = {0};
    struct keys *keys = NULL;
    sv->jwks = jwks_new(&sv->loop);
    bool ok = sv->jwks && jwks_prepare(sv->jwks, options_of(sv), &keys, &report);
    if (ok) {
        sv->gateway.keys = keys ? keys_ref(keys) : NULL;
        jwks_use(sv->jwks, sv->gateway.settings, keys);
    } else {
        log_error("%.*s", (int)report.n, report.p ? report.p : "no memory for keys");
    }
    buf_deinit(&report);
    return ok;
}

static bool listen_all(struct server *sv)
{
    struct inbox *inboxes[HUBS_MAX];
    struct buf error = {0};
    for (uint32_t i = 0; i < sv->gateway.hub_count; i++)
        inboxes[i] = hub_inbox(sv->seats[i].hub);
    sv->gateway.acceptor = acceptor_open(&sv->gateway, inboxes, &error);
    if (!sv->gateway.acceptor)
        log_error("%.*s", (int)error.n, error.p ? error.p : "");
    buf_deinit(&error);
    return sv->gateway.acceptor != NULL;
}

static void on_signal(void *owner, int number)
{
    struct server *sv = owner;
    if (number != SIGHUP || terminal_is_gone(sv))
        stop(sv);
    else if (!sv->stopping)
        reload(sv);
}

/* False: it was asked to stop meanwhile. */
static bool await_opening(struct server *sv)
{
    sv->waiting = !is_open(sv);
    if (sv->waiting)
        loop_run(&sv->loop);
    sv->waiting = false;
    return !sv->stopping;
}

static void serve(struct server *sv)
{
    jwks_start(sv->jwks, hand_out_keys, sv);
    if (sv->tickets)
        loop_arm(&sv->loop, &sv->rotation, TICKETS_MS, rotate_tickets);
    heap_watch_start(&sv->heap, &sv->gateway);
    atomic_store(&sv->gateway.phase, PHASE_READY);
    banner_print(&sv->gateway);
    if (sv->worker) {
        sv->worker_busy = true;
        serve_worker_begin(sv->worker);
    }
    cron_use(sv->cron, sv->gateway.settings);
    loop_run(&sv->loop);
    loop_cancel(&sv->loop, &sv->deadline);
    loop_cancel(&sv->loop, &sv->rotation);
    heap_watch_stop(&sv->heap);
    jwks_stop(sv->jwks);
    sv->exit_code = EXIT_SUCCESS;
}

/* All threads run. */
static void go_on(struct server *sv)
{
    signals_watch(&sv->signals, &sv->loop, on_signal, sv);
    if (!await_opening(sv))
        sv->exit_code = EXIT_SUCCESS;
    else if (listen_all(sv))
        serve(sv);
    signals_end(&sv->signals);
}

static bool make_settings(struct server *sv, struct options *o)
{
    struct buf report = {0};
    sv->gateway.settings = settings_new(o, &report);
    if (!sv->gateway.settings)
        log_error("%.*s", (int)report.n, report.p ? report.p : "");
    buf_deinit(&report);
    return sv->gateway.settings != NULL;
}

static bool make_tickets(struct server *sv)
{
    if (!sv->gateway.settings->certificate)
        return true;
    sv->tickets = tickets_new(NULL);
    sv->gateway.tickets = tickets_ref(sv->tickets);
    if (!sv->tickets)
        log_error("no memory or randomness for keys of TLS tickets");
    return sv->tickets != NULL;
}

static bool make_crowd(struct server *sv)
{
    sv->gateway.crowd = crowd_new();
    if (!sv->gateway.crowd)
        log_error("no memory to count connections");
    return sv->gateway.crowd != NULL;
}

/* The options become the server's; NULL: what was wrong was logged. */
static struct server *server_new(struct options *o, const struct options_sources *sources)
{
    struct server *sv = calloc(1, sizeof(*sv));
    if (!sv)
        options_free(o);
    if (!sv || !make_settings(sv, o)) {
        free(sv);
        return NULL;
    }
    sv->exit_code = EXIT_FAILURE;
    sv->sources = sources;
    sv->most_connections = o->max_connections;
    sv->on_terminal = isatty(STDERR_FILENO);
    counter_set(&sv->gateway.max_connections, o->max_connections);
    sv->gateway.main_loop = &sv->loop;
    sv->gateway.hub_count = options_hubs(o);
    sv->gateway.started_ms = wall_ms();
    random_uuid(sv->gateway.node);
    return sv;
}

/* Main's loop is there. All that was made is gone at the end, however far it got. */
static void run(struct server *sv)
{
    inbox_init(&sv->inbox, &sv->loop);
    sv->actor.turn = turn;
    sv->actor.flush = flush;
    loop_add(&sv->loop, &sv->actor);
    if (make_crowd(sv) && make_keys(sv) && make_tickets(sv) &&
        backplane_begin(&sv->backplane, options_of(sv), sv->gateway.node) && make_loops(sv) &&
        make_sequencer(sv) && make_hubs(sv) && make_worker(sv) && make_cron(sv) &&
        start_threads(sv))
        go_on(sv);
    server_deinit(sv);
    if (sv->gateway.acceptor)
        acceptor_free(sv->gateway.acceptor);
    loop_remove(&sv->loop, &sv->actor);
    if (loop_deinit(&sv->loop))
        sv->exit_code = EXIT_FAILURE;
    inbox_deinit(&sv->inbox);
    backplane_deinit(&sv->backplane);
    jwks_free(sv->jwks);
}

int serve_run(struct options *o, const struct options_sources *sources)
{
    struct server *sv = server_new(o, sources);
    if (!sv)
        return EXIT_FAILURE;
    descriptors_limit(o);
    socket_global_init();
    if (loop_ok(&sv->loop, "the main thread"))
        run(sv);
    keys_unref(sv->gateway.keys);
    tickets_unref(sv->tickets);
    tickets_unref(sv->gateway.tickets);
    settings_unref(sv->gateway.settings);
    crowd_free(sv->gateway.crowd);
    int code = sv->exit_code;
    free(sv);
    return code;
}
