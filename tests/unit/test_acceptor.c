/* SPDX-License-Identifier: MIT */
/* The hubs here are only an inbox and counters: what reaches a hub is taken by the test, on the
 * same thread, while the main loop is turned by hand. */
#include "gateway/acceptor.h"

#include "backplane/base/loop.h"
#include "gateway/arrival.h"
#include "gateway/hub.h"
#include "tests/unit/loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HUBS        2
#define TAKEN_MAX   512
#define PATIENCE_MS 30000
/* Without a store: whoever else has one in the same folder looks who listens beside it. */
#define LISTEN_V4 "[gateway]\nlisten = 127.0.0.1:0\nstore = none\n"

struct fixture {
    struct loop main_loop, hub_loop; /* the second is woken, but never runs */
    struct hub hubs[HUBS];
    struct inbox *inboxes[HUBS];
    struct gateway gateway;
    struct options *options;
    struct acceptor *acceptor;
    int taken
        [TAKEN_MAX]; /* descriptors that reached a hub, in the order in which they were found */
    int taken_by[TAKEN_MAX];
    size_t taken_count;
    size_t sheds; /* times a hub was told to make room */
};

/* Plain checks, since some of this runs in a forked child, which tells by its exit code. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            give_up(__LINE__, #condition);                                                         \
    } while (0)

static pid_t test_process;

static void give_up(int line, const char *condition)
{
    if (getpid() == test_process)
        fail_msg("line %d: %s (errno %d)", line, condition, errno);
    (void)fprintf(stderr, "child, line %d: %s (errno %d)\n", line, condition, errno);
    _exit(1);
}

static void begin(struct fixture *f, const char *config)
{
    struct buf report = {0};

    *f = (struct fixture){0};
    CHECK(loop_init(&f->main_loop) == 0);
    CHECK(loop_init(&f->hub_loop) == 0);
    CHECK(options_load_text(&f->options, "test", span_str(config), &report));
    f->gateway.settings = settings_new(f->options, &report);
    CHECK(f->gateway.settings);
    buf_deinit(&report);
    f->gateway.main_loop = &f->main_loop;
    f->gateway.hub_count = HUBS;
    for (uint32_t i = 0; i < HUBS; i++) {
        inbox_init(&f->hubs[i].inbox, &f->hub_loop);
        f->inboxes[i] = &f->hubs[i].inbox;
        f->gateway.hubs[i] = &f->hubs[i];
    }
}

static void open_acceptor(struct fixture *f)
{
    struct buf error = {0};

    f->acceptor = acceptor_open(&f->gateway, f->inboxes, &error);
    if (!f->acceptor)
        (void)fprintf(stderr, "%.*s\n", (int)error.n, error.p);
    CHECK(f->acceptor);
    CHECK(error.n == 0);
}

/* Takes what reached the hubs, without telling their counters. */
static void take(struct fixture *f)
{
    for (int h = 0; h < HUBS; h++) {
        struct entry *e = inbox_take(&f->hubs[h].inbox);
        while (e) {
            struct arrival *s = (struct arrival *)e;
            e = e->next;
            if (s->entry.kind == HUB_SHED) {
                f->sheds++;
                free(s);
                continue;
            }
            CHECK(s->entry.kind == HUB_SOCKET);
            CHECK(f->taken_count < TAKEN_MAX);
            f->taken_by[f->taken_count] = h;
            f->taken[f->taken_count++] = s->fd;
            s->fd = -1;
            arrival_free(s);
        }
    }
}

static void end(struct fixture *f)
{
    if (f->acceptor)
        acceptor_stop(f->acceptor);
    take(f);
    acceptor_free(f->acceptor);
    while (f->taken_count > 0)
        close(f->taken[--f->taken_count]);
    for (int h = 0; h < HUBS; h++)
        inbox_deinit(&f->hubs[h].inbox);
    CHECK(loop_deinit(&f->main_loop) == 0); /* no handle was forgotten */
    CHECK(loop_deinit(&f->hub_loop) == 0);
    settings_unref(f->gateway.settings);
}

/* Turns the main loop for so long, and takes what comes. */
static void run_for(struct fixture *f, uint64_t ms)
{
    uint64_t until = uv_hrtime() / 1000000 + ms;

    do {
        uv_run(&f->main_loop.uv, UV_RUN_NOWAIT);
        take(f);
        (void)poll(NULL, 0, 1);
    } while (uv_hrtime() / 1000000 < until);
}

/* … until so many have been taken, at most for a generous time. */
static void run_until_taken(struct fixture *f, size_t n)
{
    for (int i = 0; i < 30000 && f->taken_count < n; i++)
        run_for(f, 1);
    CHECK(f->taken_count == n);
}

/* As the loop runs it when serving: it sleeps when there is nothing. Returns its turns. */
static uint64_t turns_in(struct fixture *f, uint64_t ms)
{
    uint64_t before = f->main_loop.turns, until = uv_hrtime() / 1000000 + ms;

    do {
        uv_run(&f->main_loop.uv, UV_RUN_ONCE); /* wakes for the retry timer and the heartbeat */
        take(f);
    } while (uv_hrtime() / 1000000 < until);
    return f->main_loop.turns - before;
}

static int client(struct fixture *f)
{
    int fd = loopback_client(acceptor_port(f->acceptor), AF_INET);

    CHECK(fd >= 0);
    return fd;
}

/* True if the other side closes the connection, within so many ms. */
static bool is_closed(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;

    errno = 0; /* at the end of the stream recv leaves it alone */
    return poll(&p, 1, ms) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN;
}

static void close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* What a hub counts when it takes over the descriptor and when it loses it. */
static void hub_opens(struct hub *h, bool handshake)
{
    counter_add(&h->counters.sockets_opened, 1);
    counter_add(&h->counters.handshakes, handshake);
}

static void hub_closes(struct hub *h)
{
    counter_add(&h->counters.sockets_closed, 1);
}

/* Runs `body` in a child, where limits can be lowered. */
static void in_child(void (*body)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- accepting ---- */

static void an_acceptor_that_cannot_listen_leaves_nothing(void **state)
{
    struct fixture f, g;
    struct buf config = {0}, error = {0};

    (void)state;
    begin(&f, LISTEN_V4);
    open_acceptor(&f);
    buf_str(&config, "[gateway]\nlisten = 127.0.0.1:0 ");
    acceptor_addresses(f.acceptor, false, &config);
    buf_add(&config, "\n", 2);
    begin(&g, config.p);
    assert_null(acceptor_open(&g.gateway, g.inboxes, &error));
    buf_char(&error, '\0');
    assert_non_null(strstr(error.p, "Address already in use"));
    assert_non_null(strstr(error.p, strrchr(g.options->listen[1], ':')));
    end(&g); /* and the address that was free is closed again */
    end(&f);
    buf_deinit(&config);
    buf_deinit(&error);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    CHECK(getsockopt(fd, level, name, &value, &len) == 0);
    return value;
}

static void an_accepted_socket_is_set_up(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, LISTEN_V4);
    open_acceptor(&f);
    int fd = client(&f);
    run_until_taken(&f, 1);
    int got = f.taken[0];
    assert_true(fcntl(got, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option_of(got, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(got, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(got, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option_of(got, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
    assert_int_equal(option_of(got, SOL_SOCKET, SO_SNDBUF), 2 * 65536); /* the kernel doubles it */
    assert_int_equal(send(got, "x", 1, 0), 1);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close(fd);
    end(&f);
}

static void hubs_take_turns(void **state)
{
    struct fixture f;
    int clients[8];
    size_t per_hub[HUBS] = {0};

    (void)state;
    begin(&f, LISTEN_V4);
    open_acceptor(&f);
    for (size_t i = 0; i < 8; i++)
        clients[i] = client(&f);
    run_until_taken(&f, 8);
    for (size_t i = 0; i < 8; i++)
        per_hub[f.taken_by[i]]++;
    assert_int_equal(per_hub[0], 4);
    assert_int_equal(per_hub[1], 4);
    assert_int_equal(counter_get(&acceptor_counters(f.acceptor)->accepted), 8);
    close_all(clients, 8);
    end(&f);
}

static void a_crowd_is_let_in_over_several_turns(void **state)
{
    struct fixture f;
    int clients[200];

    (void)state;
    begin(&f, LISTEN_V4);
    open_acceptor(&f);
    for (size_t i = 0; i < 200; i++)
        clients[i] = client(&f);
    uv_run(&f.main_loop.uv, UV_RUN_NOWAIT);
    take(&f);
    assert_in_range(f.taken_count, 1, 199); /* other sockets get their turn in between */
    run_until_taken(&f, 200);
    assert_int_equal(counter_get(&acceptor_counters(f.acceptor)->pauses), 0);
    close_all(clients, 200);
    end(&f);
}

static void after_stop_nobody_gets_in(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, LISTEN_V4);
    open_acceptor(&f);
    uint16_t port = acceptor_port(f.acceptor);
    int fd = client(&f);
    run_until_taken(&f, 1);
    acceptor_stop(f.acceptor);
    assert_int_equal(loopback_client(port, AF_INET), -1);
    assert_int_equal(errno, ECONNREFUSED);
    run_for(&f, 10);
    end(&f); /* stops once more */
    close(fd);
}

/* ---- limits ---- */

static void connections_wait_while_there_are_enough(void **state)
{
    struct fixture f;
    int clients[5];

    (void)state;
    begin(&f, LISTEN_V4 "max_connections = 2\n");
    open_acceptor(&f);
    for (size_t i = 0; i < 5; i++)
        clients[i] = client(&f);
    run_until_taken(&f, 2);
    hub_opens(&f.hubs[0], false);
    hub_opens(&f.hubs[1], false);
    uint64_t turns = turns_in(&f, 500);
    assert_in_range(turns, 1, 60); /* no spin, although three are waiting */
    assert_int_equal(f.taken_count, 2);
    assert_in_range(counter_get(&acceptor_counters(f.acceptor)->pauses), 1, 2);
    assert_int_equal(counter_get(&acceptor_counters(f.acceptor)->refused), 0);
    assert_true(f.sheds >= HUBS); /* whoever is silent is to make room */

    hub_closes(&f.hubs[1]); /* one goes, one comes */
    run_until_taken(&f, 3);
    run_for(&f, 300);
    assert_int_equal(f.taken_count, 3);

    hub_opens(&f.hubs[0], false);
    for (int h = 0; h < HUBS; h++)
        hub_closes(&f.hubs[h]);
    run_until_taken(&f, 5);
    close_all(clients, 5);
    end(&f);
}

static void connections_wait_while_hubs_are_behind(void **state)
{
    struct fixture f;
    int clients[4];

    (void)state;
    begin(&f, LISTEN_V4 "[client]\nhandshakes = 2\n");
    open_acceptor(&f);
    for (size_t i = 0; i < 4; i++)
        clients[i] = client(&f);
    run_until_taken(&f, 2); /* not opened by the hubs yet */
    run_for(&f, 300);
    assert_int_equal(f.taken_count, 2);
    hub_opens(&f.hubs[0], true); /* how long its handshake takes is the hub's affair */
    run_until_taken(&f, 3);
    run_for(&f, 300);
    assert_int_equal(f.taken_count, 3);
    hub_opens(&f.hubs[1], true);
    run_until_taken(&f, 4);
    close_all(clients, 4);
    end(&f);
}

/* ---- no descriptors left ---- */

#define FILLERS_MAX 256

static size_t fill_descriptors(int *fillers)
{
    struct rlimit limit;
    size_t n = 0;
    int highest = dup(STDERR_FILENO);

    CHECK(highest >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
    close(highest);
    limit.rlim_cur = (rlim_t)highest + 16;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (n < FILLERS_MAX && (fillers[n] = dup(STDERR_FILENO)) >= 0)
        n++;
    CHECK(n > 2 && n < FILLERS_MAX && errno == EMFILE);
    return n;
}

static void no_descriptors_child(void)
{
    struct fixture f;
    int clients[5], fillers[FILLERS_MAX];

    begin(&f, LISTEN_V4);
    open_acceptor(&f);
    const struct acceptor_counters *c = acceptor_counters(f.acceptor);
    for (size_t i = 0; i < 5; i++)
        clients[i] = client(&f);
    size_t n = fill_descriptors(fillers);

    uint64_t turns = turns_in(&f, 500);
    CHECK(turns < 60);
    CHECK(counter_get(&c->accepted) == 0);
    CHECK(counter_get(&c->refused) == 5);
    CHECK(counter_get(&c->pauses) == 1);
    for (size_t i = 0; i < 5; i++)
        CHECK(is_closed(clients[i], PATIENCE_MS));

    close(fillers[--n]); /* for this new client; then there are none again */
    int late = client(&f);
    CHECK(turns_in(&f, 500) < 60);
    CHECK(is_closed(late, PATIENCE_MS));
    CHECK(counter_get(&c->refused) == 6); /* so the spare one had been taken back */

    close(late);
    close(fillers[--n]);
    late = client(&f); /* one for it, one for us */
    run_until_taken(&f, 1);
    CHECK(!is_closed(late, 300));
    close_all(fillers, n);
    close_all(clients, 5);
    close(late);
    end(&f);
}

static void without_descriptors_it_refuses_and_recovers(void **state)
{
    (void)state;
    in_child(no_descriptors_child);
}

/* Below the descriptors in use, the limit makes even the spare one be lost. */
static void no_spare_child(void)
{
    struct fixture f;
    struct rlimit limit, low;

    begin(&f, LISTEN_V4);
    open_acceptor(&f);
    const struct acceptor_counters *c = acceptor_counters(f.acceptor);
    int waiting = client(&f);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    low = limit;
    low.rlim_cur = 3;
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    CHECK(turns_in(&f, 500) < 60);
    CHECK(counter_get(&c->accepted) == 0 && counter_get(&c->refused) == 0);
    CHECK(counter_get(&c->pauses) > 1);

    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    run_until_taken(&f, 1); /* the one that waited is let in after all */
    close(waiting);
    end(&f);
}

static void without_its_spare_it_waits_and_recovers(void **state)
{
    (void)state;
    in_child(no_spare_child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acceptor_that_cannot_listen_leaves_nothing),
        cmocka_unit_test(an_accepted_socket_is_set_up),
        cmocka_unit_test(hubs_take_turns),
        cmocka_unit_test(a_crowd_is_let_in_over_several_turns),
        cmocka_unit_test(after_stop_nobody_gets_in),
        cmocka_unit_test(connections_wait_while_there_are_enough),
        cmocka_unit_test(connections_wait_while_hubs_are_behind),
        cmocka_unit_test(without_descriptors_it_refuses_and_recovers),
        cmocka_unit_test(without_its_spare_it_waits_and_recovers),
    };
    test_process = getpid();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
