/* SPDX-License-Identifier: MIT */
#include "gateway/child.h"

#include "backplane/base/count.h"
#include "backplane/base/list.h"
#include "backplane/base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_MAX       16384 /* bytes of one read */
#define NOT_THERE_CODE 127

enum { OUTPUT, COMPLAINT, EXIT, WATCHES };

/* A descriptor that is listened to. */
struct watch {
    uv_poll_t poll;
    struct child *child;
    int fd;
};

struct child {
    struct child_config config;
    pid_t pid; /* and of its group */
    struct watch watch[WATCHES];
    size_t open; /* watches that are not closed */
    struct timer patience;
    struct buf said, complaint;
    struct child_end end;
};

/* ---- its end -------------------------------------------------------------------------------- */

static void watch_gone(uv_handle_t *h)
{
    struct watch *w = container_of((uv_poll_t *)h, struct watch, poll);
    struct child *c = w->child;

    (void)close(w->fd);
    if (--c->open)
        return;
    loop_cancel(c->config.loop, &c->patience);
    c->end.said = (struct span){c->said.p, c->said.n};
    c->end.complaint = (struct span){c->complaint.p, c->complaint.n};
    c->config.ended(c->config.owner, &c->end);
    buf_deinit(&c->said);
    buf_deinit(&c->complaint);
    free(c);
}

static void unwatch(struct watch *w)
{
    if (!uv_is_closing((uv_handle_t *)&w->poll))
        uv_close((uv_handle_t *)&w->poll, watch_gone);
}

/* ---- what it says --------------------------------------------------------------------------- */

static void hear(struct child *c, bool complaint, const char *p, size_t n)
{
    struct buf *b = complaint ? &c->complaint : &c->said;

    if (complaint) { /* the newest count */
        buf_add(b, p, n);
        if (b->n > CHILD_COMPLAINT_MAX) {
            memmove(b->p, b->p + b->n - CHILD_COMPLAINT_MAX, CHILD_COMPLAINT_MAX);
            b->n = CHILD_COMPLAINT_MAX;
        }
        return;
    }
    size_t room = c->config.said_max - b->n;
    c->end.cut |= n > room;
    buf_add(b, p, n < room ? n : room);
}

/* One read; false: there is nothing more for now. */
static bool read_some(struct watch *w)
{
    struct child *c = w->child;
    char bytes[READ_MAX];
    ssize_t n = read(w->fd, bytes, sizeof(bytes));

    if (n > 0)
        hear(c, w == &c->watch[COMPLAINT], bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        unwatch(w);
    return n > 0;
}

static void on_output(uv_poll_t *p, int status, int events)
{
    (void)status, (void)events;
    (void)read_some(container_of(p, struct watch, poll));
}

/* Its process number is not given to others before it is waited for, so its group is ended first.
 * What it said before it ended is in the pipes; nobody is left to write more. */
static void on_exit_seen(uv_poll_t *p, int status, int events)
{
    struct child *c = container_of(p, struct watch, poll)->child;
    siginfo_t info = {0};

    (void)status, (void)events;
    (void)kill(-c->pid, SIGKILL);
    if (waitid(P_PIDFD, (id_t)c->watch[EXIT].fd, &info, WEXITED) == 0) {
        c->end.code = info.si_code == CLD_EXITED ? info.si_status : -1;
        c->end.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    }
    for (int i = OUTPUT; i <= COMPLAINT; i++) {
        struct watch *w = &c->watch[i];
        for (int reads = 0; !uv_is_closing((uv_handle_t *)&w->poll) && reads < 64; reads++)
            if (!read_some(w))
                break;
        unwatch(w);
    }
    unwatch(&c->watch[EXIT]);
}

/* ---- its beginning -------------------------------------------------------------------------- */

/* In the new process: only what is safe between fork and exec. */
static _Noreturn void become(const struct child_config *config, const int fds[3], pid_t parent)
{
    static const char complaint[] = "the program cannot be run\n";
    sigset_t none;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we could ask */
        _exit(NOT_THERE_CODE);
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0)
            _exit(NOT_THERE_CODE);
    (void)close_range(3, ~0U, 0);
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execve(config->argv[0], config->argv, config->env);
    if (write(STDERR_FILENO, complaint, sizeof(complaint) - 1) < 0)
        _exit(NOT_THERE_CODE);
    _exit(NOT_THERE_CODE);
}

/* A file in memory that holds the bytes, to be read from its start; -1: errno. */
static int file_of(struct span input)
{
    int fd = memfd_create("madang-job", MFD_CLOEXEC);

    for (size_t at = 0; fd >= 0 && at < input.n;) {
        ssize_t n = write(fd, input.p + at, input.n - at);
        if (n < 0) {
            (void)close(fd);
            return -1;
        }
        at += (size_t)n;
    }
    if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* What the new process gets, and what we keep of it. */
struct ends {
    int in, out[2], err[2];
};

static void close_all(struct ends *e)
{
    int *const all[] = {&e->in, &e->out[0], &e->out[1], &e->err[0], &e->err[1]};

    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (*all[i] >= 0)
            (void)close(*all[i]);
}

static bool open_ends(struct ends *e, struct span input)
{
    e->in = file_of(input);
    return e->in >= 0 && pipe2(e->out, O_CLOEXEC) == 0 && pipe2(e->err, O_CLOEXEC) == 0 &&
           fcntl(e->out[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(e->err[0], F_SETFL, O_NONBLOCK) == 0;
}

/* Forks with all signals blocked: our handlers must not run in the new process. */
static pid_t fork_quietly(sigset_t *before)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, before);
    return fork();
}

/* False: errno. */
static bool spawn(struct child *c)
{
    sigset_t before;
    struct ends e = {-1, {-1, -1}, {-1, -1}};
    pid_t parent = getpid();

    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    c->pid = open_ends(&e, c->config.input) ? fork_quietly(&before) : -1;
    if (c->pid == 0)
        become(&c->config, (int[3]){e.in, e.out[1], e.err[1]}, parent);
    int kept = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (c->pid > 0)
        (void)setpgid(c->pid, c->pid); /* whoever comes first: it may be stopped from here on */
    c->watch[EXIT].fd = c->pid > 0 ? pidfd_open(c->pid, 0) : -1;
    if (c->watch[EXIT].fd >= 0) {
        c->watch[OUTPUT].fd = e.out[0];
        c->watch[COMPLAINT].fd = e.err[0];
        e.out[0] = e.err[0] = -1;
    } else if (c->pid > 0) {
        kept = errno;
        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
    }
    close_all(&e);
    errno = kept;
    return c->watch[EXIT].fd >= 0;
}

static void on_patience(struct timer *t)
{
    struct child *c = container_of(t, struct child, patience);

    (void)kill(-c->pid, SIGKILL);
}

struct child *child_start(const struct child_config *config)
{
    struct child *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->config = *config;
    c->end.code = -1;
    if (!spawn(c)) {
        int kept = errno;
        free(c);
        errno = kept;
        return NULL;
    }
    c->open = WATCHES;
    for (int i = 0; i < WATCHES; i++) {
        struct watch *w = &c->watch[i];
        w->child = c;
        /* It takes memory and a descriptor that polls, and this one does. */
        if (uv_poll_init(&config->loop->uv, &w->poll, w->fd))
            abort();
        (void)uv_poll_start(&w->poll, UV_READABLE, i == EXIT ? on_exit_seen : on_output);
    }
    return c;
}

void child_stop(struct child *c)
{
    if (uv_is_closing((uv_handle_t *)&c->watch[EXIT].poll) || timer_armed(&c->patience))
        return;
    (void)kill(-c->pid, SIGTERM);
    loop_arm(c->config.loop, &c->patience, c->config.patience_ms, on_patience);
}
