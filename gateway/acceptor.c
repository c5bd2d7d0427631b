/* SPDX-License-Identifier: MIT */
#include "gateway/acceptor.h"

#include "backplane/base/inbox.h"
#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "gateway/arrival.h"
#include "gateway/hub.h"
#include "gateway/listener.h"
#include "gateway/porch.h"
#include "gateway/store_socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_CALLBACK 64
#define RETRY_MS             100
#define BEHIND_RETRY_MS      10    /* hubs take over what waits within a turn or two */
#define SAY_AGAIN_MS         60000 /* how often the log repeats why accepting is paused */

/* Why accepting is paused. */
enum pause {
    PAUSE_CONNECTIONS,
    PAUSE_HANDSHAKES,
    PAUSE_DESCRIPTORS,
    PAUSE_MEMORY,
    PAUSE_FAILING,
    PAUSES
};

static const char *const pause_words[PAUSES] = {
    [PAUSE_CONNECTIONS] = "max_connections is reached; new connections wait until others end",
    [PAUSE_HANDSHAKES] = "as many connections as allowed ([client] handshakes) have not been taken "
                         "over by their hubs yet; new ones wait",
    [PAUSE_DESCRIPTORS] = "no file descriptors are left, connections are refused; raise the limit "
                          "of open files or lower max_connections",
    [PAUSE_MEMORY] = "the system is out of memory for sockets; new connections wait",
    [PAUSE_FAILING] = "the system accepts connections, but each of them has failed meanwhile",
};

/* A listening socket in the loop. */
struct door {
    struct acceptor *acceptor;
    struct listener listener;
    bool internal;
    bool by_owner; /* the socket beside the store */
    bool secure;   /* speaks TLS */
    uv_poll_t poll;
};

struct acceptor {
    struct actor actor; /* only to flush the outboxes */
    struct gateway *gateway;
    struct outbox *to_hubs;
    struct porch *porch; /* connections that wait for their PROXY header */
    struct door *doors;
    size_t door_count;
    size_t handles; /* polls of doors that are not closed yet */
    uint32_t next_hub;
    int spare;  /* a descriptor to live on when none are left; -1: lost, taken again soon */
    bool freed; /* free when the last handle is closed */
    struct timer retry;
    uint64_t said_ms[PAUSES]; /* when the log last told; 0: never */
    struct acceptor_counters counters;
};

/* ---- how many more ---- */

static uint64_t left(uint64_t most, uint64_t used)
{
    return used < most ? most - used : 0;
}

/* How many connections may be accepted now; if none, *why says so. What hubs count lags behind
 * what was handed to them. */
static uint64_t room_left(const struct acceptor *a, enum pause *why)
{
    const struct options *o = a->gateway->settings->options;
    uint64_t handed = counter_get(&a->counters.accepted);
    uint64_t opened = 0, closed = 0;

    for (uint32_t i = 0; i < a->gateway->hub_count; i++) {
        const struct hub_counters *c = hub_counters(a->gateway->hubs[i]);
        opened += counter_get(&c->sockets_opened);
        closed += counter_get(&c->sockets_closed);
    }
    uint64_t waiting = porch_count(a->porch);
    uint64_t connections = left(o->max_connections, left(handed, closed) + waiting);
    uint64_t pending = left(o->handshakes, left(handed, opened));
    *why = connections == 0 ? PAUSE_CONNECTIONS : PAUSE_HANDSHAKES;
    return connections < pending ? connections : pending;
}

/* ---- pausing ---- */

static uint64_t retry_ms(enum pause why)
{
    return why == PAUSE_HANDSHAKES ? BEHIND_RETRY_MS : RETRY_MS;
}

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_retry(struct timer *t);

static void doors_open(struct acceptor *a)
{
    for (size_t i = 0; i < a->door_count; i++) {
        int rc = uv_poll_start(&a->doors[i].poll, UV_READABLE, on_readable);
        assert(rc == 0); /* it can only fail on a closing handle */
        (void)rc;
    }
}

static void pause_accepting(struct acceptor *a, enum pause why)
{
    uint64_t now = loop_now_ms(a->gateway->main_loop);

    for (size_t i = 0; i < a->door_count; i++)
        (void)uv_poll_stop(&a->doors[i].poll); /* always 0 */
    counter_add(&a->counters.pauses, 1);
    loop_arm(a->gateway->main_loop, &a->retry, retry_ms(why), on_retry);
    if (a->said_ms[why] == 0 || now - a->said_ms[why] >= SAY_AGAIN_MS) {
        a->said_ms[why] = now;
        log_warn("accepting is paused: %s", pause_words[why]);
    }
}

/* While there are max_connections, hubs cut those that say nothing. */
static void shed(struct acceptor *a)
{
    for (uint32_t i = 0; i < a->gateway->hub_count; i++) {
        struct entry *e = calloc(1, sizeof(*e));
        if (!e)
            return;
        e->kind = HUB_SHED;
        outbox_post(&a->to_hubs[i], e);
    }
}

static void take_spare(struct acceptor *a)
{
    if (a->spare < 0)
        a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_retry(struct timer *t)
{
    struct acceptor *a = container_of(t, struct acceptor, retry);
    enum pause why;

    take_spare(a);
    bool full = room_left(a, &why) == 0;
    if (full && why == PAUSE_CONNECTIONS)
        shed(a);
    if (full)
        loop_arm(a->gateway->main_loop, t, retry_ms(why), on_retry);
    else
        doors_open(a);
}

/* ---- accepting ---- */

static int accept_one(const struct door *d, struct address *peer)
{
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof(from);
    int fd = accept4(d->listener.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    *peer = address_of((const struct sockaddr *)&from);
    return fd;
}

static void refuse(struct acceptor *a, int fd)
{
    close(fd);
    counter_add(&a->counters.refused, 1);
}

/* No descriptors are left: takes those who wait at this door with the spare one, and closes them,
 * so that they learn of it at once instead of waiting for a timeout. */
static void refuse_waiting(struct acceptor *a, const struct door *d)
{
    if (a->spare < 0)
        return;
    close(a->spare);
    a->spare = -1;
    for (int i = 0; i < ACCEPTS_PER_CALLBACK; i++) {
        struct address peer;
        int fd = accept_one(d, &peer);
        if (fd < 0)
            break;
        refuse(a, fd);
    }
    take_spare(a);
}

static void hand_over(struct acceptor *a, struct arrival *arrival)
{
    arrival->entry.kind = HUB_SOCKET;
    counter_add(&a->counters.accepted, 1);
    outbox_post(&a->to_hubs[a->next_hub], &arrival->entry);
    a->next_hub = (a->next_hub + 1) % a->gateway->hub_count;
}

/* Who it is, is known. For whom a trusted proxy has come is known at the handshake. */
static void admit(struct acceptor *a, struct arrival *arrival)
{
    const struct settings *s = a->gateway->settings;

    arrival->client = arrival->peer;
    arrival->trusted = networks_have(s->trusted, &arrival->peer);
    if (arrival->trusted ||
        crowd_enter(a->gateway->crowd, &arrival->client, s->options->max_connections_per_address,
                    &arrival->counted_in)) {
        hand_over(a, arrival);
        return;
    }
    crowd_refused(&arrival->client);
    counter_add(&a->counters.crowded, 1);
    arrival_free(arrival);
}

static void bad_header(struct acceptor *a, struct arrival *arrival, const char *why)
{
    struct buf text = {0};

    address_write(&arrival->peer, &text);
    log_warn("a connection from %.*s is closed: %s", (int)text.n, text.p ? text.p : "", why);
    buf_deinit(&text);
    counter_add(&a->counters.bad_headers, 1);
    arrival_free(arrival);
}

static void on_header(void *owner, struct arrival *arrival, bool ok)
{
    if (ok)
        admit(owner, arrival);
    else
        bad_header(owner, arrival, "its PROXY header is missing, wrong or late");
}

/* Where it says first whom it comes from, if it may. */
static void enter_porch(struct acceptor *a, struct arrival *arrival)
{
    const struct settings *s = a->gateway->settings;

    if (s->options->trusted_proxies_count && !networks_have(s->trusted, &arrival->peer))
        bad_header(a, arrival, "PROXY headers are taken from trusted_proxies only");
    else
        porch_enter(a->porch, arrival, s->options->handshakes);
}

static void let_in(const struct door *d, int fd, const struct address *peer)
{
    struct arrival *arrival = arrival_new(fd);

    if (!arrival) {
        refuse(d->acceptor, fd);
        return;
    }
    arrival->peer = *peer;
    arrival->internal = d->internal;
    arrival->by_owner = d->by_owner;
    arrival->secure = d->secure;
    if (d->listener.at.proxied)
        enter_porch(d->acceptor, arrival);
    else
        admit(d->acceptor, arrival);
}

/* After a failed accept: whether to try the next one. */
static bool go_on(struct acceptor *a, const struct door *d, int error)
{
    switch (error) {
    case EAGAIN: return false;
    case EMFILE:
    case ENFILE:
        refuse_waiting(a, d);
        pause_accepting(a, PAUSE_DESCRIPTORS);
        return false;
    case ENOBUFS:
    case ENOMEM: pause_accepting(a, PAUSE_MEMORY); return false;
    default: /* the waiting connection failed meanwhile (accept(2) lists how), and is gone */
        return true;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    const struct door *d = poll->data;
    struct acceptor *a = d->acceptor;
    enum pause why;

    (void)status; /* an error on a listening socket shows in accept too */
    (void)events;
    uint64_t room = room_left(a, &why);
    if (room == 0) {
        pause_accepting(a, why);
        return;
    }
    bool any = false;
    for (uint64_t i = 0; i < room && i < ACCEPTS_PER_CALLBACK; i++) {
        struct address peer;
        int fd = accept_one(d, &peer);
        any = any || fd >= 0;
        if (fd >= 0)
            let_in(d, fd, &peer);
        else if (!go_on(a, d, errno))
            return;
    }
    if (!any)
        pause_accepting(a, PAUSE_FAILING); /* whatever it is, it may not keep the loop busy */
}

/* ---- life ---- */

static bool turn(struct actor *self)
{
    (void)self;
    return false;
}

static void flush(struct actor *self)
{
    struct acceptor *a = container_of(self, struct acceptor, actor);

    for (uint32_t i = 0; i < a->gateway->hub_count; i++)
        outbox_flush(&a->to_hubs[i]);
}

static void destroy(struct acceptor *a)
{
    porch_free(a->porch);
    free(a->doors);
    free(a->to_hubs);
    free(a);
}

static void on_closed(uv_handle_t *handle)
{
    struct acceptor *a = ((struct door *)handle->data)->acceptor;

    a->handles--;
    if (a->handles == 0 && a->freed)
        destroy(a);
}

/* Puts every listener into the loop. On failure those in it are known by a->handles. */
static bool watch(struct acceptor *a, struct buf *error)
{
    for (size_t i = 0; i < a->door_count; i++) {
        struct door *d = &a->doors[i];
        d->acceptor = a;
        d->poll.data = d;
        int rc = uv_poll_init(&a->gateway->main_loop->uv, &d->poll, d->listener.fd);
        if (rc != 0) {
            buf_fmt(error, "cannot watch a listening socket: %s", uv_strerror(rc));
            return false;
        }
        a->handles++;
    }
    return true;
}

static bool open_list(struct acceptor *a, char *const *words, size_t count, bool internal,
                      struct buf *error)
{
    struct listener *listeners = calloc(count, sizeof(*listeners));

    if (!listeners) {
        buf_str(error, "out of memory");
        return false;
    }
    size_t n = listeners_open(words, count, listeners, error);
    for (size_t i = 0; i < n; i++)
        a->doors[a->door_count++] = (struct door){
            .listener = listeners[i],
            .internal = internal,
            .secure =
                a->gateway->settings->certificate && !internal && listener_port(&listeners[i]),
        };
    free(listeners);
    return n > 0;
}

/* The command line tools come by a socket beside the store. Without it the gateway serves all the
 * same. */
static void open_owners_door(struct acceptor *a)
{
    struct door *d = &a->doors[a->door_count];
    char path[PATH_MAX];
    struct buf why = {0};

    if (!options_have_store(a->gateway->settings->options))
        return;
    *d = (struct door){.internal = true, .by_owner = true};
    if (!store_socket_path(a->gateway->settings->options->store, path))
        buf_lit(&why, "its path is too long");
    else if (listener_open_private(path, &d->listener, &why))
        a->door_count++;
    if (why.n)
        log_warn("madang queue and other commands cannot reach this gateway by a socket beside its "
                 "store: %.*s",
                 (int)why.n, why.p);
    buf_deinit(&why);
}

static bool open_doors(struct acceptor *a, struct buf *error)
{
    const struct options *o = a->gateway->settings->options;

    a->doors = calloc(o->listen_count + o->internal_listen_count + 1, sizeof(*a->doors));
    if (!a->doors) {
        buf_str(error, "out of memory");
        return false;
    }
    return open_list(a, o->listen, o->listen_count, false, error) &&
           (o->internal_listen_count == 0 ||
            open_list(a, o->internal_listen, o->internal_listen_count, true, error)) &&
           (open_owners_door(a), watch(a, error));
}

struct acceptor *acceptor_open(struct gateway *g, struct inbox *const *hub_inboxes,
                               struct buf *error)
{
    struct acceptor *a = calloc(1, sizeof(*a));

    if (!a)
        goto no_memory;
    a->gateway = g;
    a->spare = -1;
    a->actor = (struct actor){.turn = turn, .flush = flush};
    a->porch = porch_new(g->main_loop, on_header, a);
    a->to_hubs = calloc(g->hub_count, sizeof(*a->to_hubs));
    if (!a->porch || !a->to_hubs)
        goto no_memory;
    for (uint32_t i = 0; i < g->hub_count; i++)
        outbox_init(&a->to_hubs[i], g->main_loop, hub_inboxes[i]);
    loop_add(g->main_loop, &a->actor);
    take_spare(a);
    if (open_doors(a, error)) {
        doors_open(a);
        return a;
    }
    acceptor_stop(a);
    acceptor_free(a);
    return NULL;

no_memory:
    if (a)
        destroy(a);
    buf_str(error, "out of memory");
    return NULL;
}

void acceptor_stop(struct acceptor *a)
{
    loop_cancel(a->gateway->main_loop, &a->retry);
    for (size_t i = 0; i < a->door_count; i++) {
        uv_handle_t *handle = (uv_handle_t *)&a->doors[i].poll;
        if (i < a->handles && !uv_is_closing(handle))
            uv_close(handle, on_closed);
        listener_close(&a->doors[i].listener);
    }
    porch_stop(a->porch);
    flush(&a->actor); /* what was accepted in this turn still goes to its hub */
    loop_remove(a->gateway->main_loop, &a->actor);
    if (a->spare >= 0)
        close(a->spare);
    a->spare = -1;
}

void acceptor_free(struct acceptor *a)
{
    if (!a)
        return;
    a->freed = true;
    if (a->handles == 0)
        destroy(a);
}

const struct acceptor_counters *acceptor_counters(const struct acceptor *a)
{
    return &a->counters;
}

void acceptor_addresses(const struct acceptor *a, bool internal, struct buf *out)
{
    const char *between = "";

    for (size_t i = 0; i < a->door_count; i++) {
        if (a->doors[i].internal != internal || a->doors[i].by_owner)
            continue;
        buf_str(out, between);
        listener_address(&a->doors[i].listener, out);
        between = " ";
    }
}

uint16_t acceptor_port(const struct acceptor *a)
{
    for (size_t i = 0; i < a->door_count; i++) {
        const struct listener *l = &a->doors[i].listener;
        if (!a->doors[i].internal && !l->at.proxied && listener_port(l) != 0)
            return listener_port(l);
    }
    return 0;
}
