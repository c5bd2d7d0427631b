/* SPDX-License-Identifier: MIT */
/* redis_kit.h: a real redis-server of a test, and a blocking client of it.
 *
 * A server has its own folder, with its unix socket in it, and a port that the kernel found free.
 * It dies with the test.
 */
#ifndef MADANG_TESTS_UNIT_REDIS_KIT_H
#define MADANG_TESTS_UNIT_REDIS_KIT_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define REDIS_ARGS_MAX 32

struct redis_process {
    pid_t pid;
    uint16_t port;
    char dir[48], socket[64], url[80]; /* url: of the socket */
};

static inline uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* Reads what the server logs up to the line that says that its unix socket is ready, in the words
 * of 7.0 or of later versions. */
static inline void redis_await(int fd)
{
    char log[16384];
    size_t n = 0;

    while (n < sizeof(log) - 1) {
        ssize_t got = read(fd, log + n, sizeof(log) - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        log[n] = '\0';
        if (strstr(log, "to accept connections at /") || strstr(log, "to accept connections unix"))
            return;
    }
    log[n] = '\0';
    fail_msg("redis-server did not start:\n%s", log);
}

static inline void redis_exec(const struct redis_process *r, const char *const *extra)
{
    char port[8];
    const char *args[REDIS_ARGS_MAX] = {
        "redis-server", "--port", port,     "--bind", "127.0.0.1",  "--unixsocket", r->socket,
        "--dir",        r->dir,   "--save", "",       "--loglevel", "notice"};
    size_t n = 0;

    (void)snprintf(port, sizeof(port), "%u", r->port);
    while (args[n])
        n++;
    for (; extra && *extra && n < REDIS_ARGS_MAX - 1; extra++)
        args[n++] = *extra;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execvp(args[0], (char *const *)args);
    _exit(127);
}

/* Starts it again with its folder and port, and waits until it takes connections. */
static inline void redis_restart(struct redis_process *r, const char *const *extra)
{
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        redis_exec(r, extra);
    }
    close(out[1]);
    redis_await(out[0]);
    close(out[0]); /* from here on its log goes nowhere; the server ignores SIGPIPE */
}

/* From here on a write to a connection that the other side has closed is an error, as in the
 * gateway, and no signal that ends the test. */
static inline void redis_start(struct redis_process *r, const char *const *extra)
{
    (void)signal(SIGPIPE, SIG_IGN);
    *r = (struct redis_process){.port = free_port()};
    (void)snprintf(r->dir, sizeof(r->dir), "/tmp/madang_redis_XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->socket, sizeof(r->socket), "%s/s", r->dir);
    (void)snprintf(r->url, sizeof(r->url), "unix://%s", r->socket);
    redis_restart(r, extra);
}

static inline void redis_kill(struct redis_process *r)
{
    if (r->pid <= 0)
        return;
    (void)kill(r->pid, SIGKILL);
    (void)waitpid(r->pid, NULL, 0);
    r->pid = 0;
}

/* Runs a program to its end; its exit status. */
static inline int run_program(const char *const *args)
{
    pid_t pid;
    int status = -1;

    assert_int_equal(posix_spawnp(&pid, args[0], NULL, NULL, (char *const *)args, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void redis_stop(struct redis_process *r)
{
    const char *const args[] = {"rm", "-rf", r->dir, NULL};

    redis_kill(r);
    if (r->dir[0])
        assert_int_equal(run_program(args), 0);
    r->dir[0] = '\0';
}

/* One inline command ("CLIENT KILL TYPE pubsub") of another client; the first line of the answer,
 * which must not be an error; static. */
static inline const char *redis_say(const struct redis_process *r, const char *command)
{
    static char answer[512];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n = 0;

    memcpy(a.sun_path, r->socket, sizeof(r->socket));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(write(fd, command, strlen(command)), strlen(command));
    assert_int_equal(write(fd, "\r\n", 2), 2);
    while (n < sizeof(answer) - 1 && read(fd, answer + n, 1) == 1 && answer[n] != '\n')
        n++;
    close(fd);
    answer[n] = '\0';
    if (n > 0 && answer[n - 1] == '\r')
        answer[n - 1] = '\0';
    if (answer[0] == '-')
        fail_msg("%s: %s", command, answer);
    return answer;
}

#endif
