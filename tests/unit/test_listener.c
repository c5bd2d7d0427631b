/* SPDX-License-Identifier: MIT */
#include "backplane/base/count.h"
#include "gateway/listener.h"

#include "tests/unit/loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

static bool machine_has_v6(void)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&v6, sizeof(v6)) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

static void assert_address(const struct listener *l, const char *host, unsigned port)
{
    struct buf got = {0};
    char want[64];

    assert_in_range(snprintf(want, sizeof(want), "%s:%u", host, port), 1, sizeof(want) - 1);
    listener_address(l, &got);
    buf_char(&got, '\0');
    assert_false(got.failed);
    assert_string_equal(got.p, want);
    buf_deinit(&got);
}

/* As listeners_open(), which takes the words of the options and so no constants. */
static size_t open_all(const char *const *addresses, size_t n, struct listener *out,
                       struct buf *error)
{
    char *copies[4];

    assert_true(n <= COUNT_OF(copies));
    for (size_t i = 0; i < n; i++)
        assert_non_null(copies[i] = strdup(addresses[i]));
    size_t count = listeners_open(copies, n, out, error);
    for (size_t i = 0; i < n; i++)
        free(copies[i]);
    return count;
}

/* An attempt that has to fail; the words are in the sentence that says why. */
static void assert_fails(const char *const *addresses, size_t n, const char *first,
                         const char *second)
{
    struct listener l[4];
    struct buf error = {0};

    assert_int_equal(open_all(addresses, n, l, &error), 0);
    buf_char(&error, '\0');
    if (!strstr(error.p, first) || !strstr(error.p, second))
        fail_msg("\"%s\" does not name %s and %s", error.p, first, second);
    buf_deinit(&error);
}

static void a_port_of_zero_becomes_a_real_one(void **state)
{
    const char *addresses[] = {"127.0.0.1:0", "127.0.0.2:0"};
    struct listener l[COUNT_OF(addresses)];
    struct buf error = {0};

    (void)state;
    assert_int_equal(open_all(addresses, 2, l, &error), 2);
    assert_int_not_equal(listener_port(&l[0]), 0);
    assert_int_not_equal(listener_port(&l[1]), 0);
    assert_address(&l[0], "127.0.0.1", listener_port(&l[0]));
    assert_address(&l[1], "127.0.0.2", listener_port(&l[1]));
    assert_true(fcntl(l[0].fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(l[0].fd, F_GETFD) & FD_CLOEXEC);
    listener_close(&l[0]);
    listener_close(&l[0]); /* harmless */
    listener_close(&l[1]);
    assert_int_equal(error.n, 0);
}

static void twins_share_a_port(void **state)
{
    const char *addresses[] = {"127.0.0.1:0", "[::1]:0"};
    struct listener l[COUNT_OF(addresses)];
    struct buf error = {0};

    (void)state;
    if (!machine_has_v6())
        skip();
    assert_int_equal(open_all(addresses, 2, l, &error), 2);
    unsigned port = listener_port(&l[0]);
    assert_address(&l[0], "127.0.0.1", port);
    assert_address(&l[1], "[::1]", port);
    int v4 = loopback_client((uint16_t)port, AF_INET);
    int v6 = loopback_client((uint16_t)port, AF_INET6);
    assert_true(v4 >= 0 && v6 >= 0);
    close(v4);
    close(v6);
    listener_close(&l[0]);
    listener_close(&l[1]);
}

static void a_v6_socket_leaves_v4_alone(void **state)
{
    const char *addresses[] = {"[::]:0"};
    struct listener l[COUNT_OF(addresses)];
    struct buf error = {0};

    (void)state;
    if (!machine_has_v6())
        skip();
    assert_int_equal(open_all(addresses, 1, l, &error), 1);
    assert_int_equal(loopback_client(listener_port(&l[0]), AF_INET), -1);
    assert_int_equal(errno, ECONNREFUSED);
    int fd = loopback_client(listener_port(&l[0]), AF_INET6);
    assert_true(fd >= 0);
    close(fd);
    listener_close(&l[0]);
}

static void an_address_in_use_is_named_and_the_others_closed(void **state)
{
    const char *free_one[] = {"127.0.0.1:0"};
    char taken[32], again[32];
    struct listener mine[2];
    struct buf error = {0};

    (void)state;
    assert_int_equal(open_all(free_one, 1, mine, &error), 1);
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", listener_port(&mine[0]));
    (void)snprintf(again, sizeof(again), "127.0.0.2:%u", listener_port(&mine[0]));
    const char *both[] = {again, taken};
    assert_fails(both, 2, taken, "Address already in use");
    const char *first[] = {again}; /* it was open for a moment, and is free once more */
    assert_int_equal(open_all(first, 1, &mine[1], &error), 1);
    listener_close(&mine[0]);
    listener_close(&mine[1]);
}

static void an_address_that_is_not_ours_is_named(void **state)
{
    const char *addresses[] = {"192.0.2.1:0"};

    (void)state;
    assert_fails(addresses, 1, "192.0.2.1:0", "no such address");
}

/* Leaves the rest of a restart to the system: connections of the last process do not hinder it. */
static void a_port_can_be_taken_again_at_once(void **state)
{
    const char *any[] = {"127.0.0.1:0"};
    char text[32];
    struct listener l;
    struct buf error = {0};

    (void)state;
    assert_int_equal(open_all(any, 1, &l, &error), 1);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", listener_port(&l));
    int client = loopback_client(listener_port(&l), AF_INET);
    assert_true(client >= 0);
    int served = accept4(l.fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(served >= 0);
    close(served); /* ours first, so that it is we who wait */
    close(client);
    listener_close(&l);
    const char *same[] = {text};
    assert_int_equal(open_all(same, 1, &l, &error), 1);
    listener_close(&l);
}

/* ---- without IPv6 ---- */

/* From here on socket(AF_INET6) fails as on a machine without IPv6. */
static void take_v6_away(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(code), code};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    assert_false(machine_has_v6());
}

static void twins_without_v6(void **state)
{
    const char *both[] = {"127.0.0.1:0", "[::1]:0"};
    const char *v6_alone[] = {"[::1]:0"};
    const char *no_twins[] = {"127.0.0.2:0", "[::1]:0"};
    struct listener l[2];
    struct buf error = {0};

    (void)state;
    take_v6_away();
    assert_int_equal(open_all(both, 2, l, &error), 1);
    assert_address(&l[0], "127.0.0.1", listener_port(&l[0]));
    int fd = loopback_client(listener_port(&l[0]), AF_INET);
    assert_true(fd >= 0);
    close(fd);
    listener_close(&l[0]);
    assert_int_equal(error.n, 0);
    assert_fails(v6_alone, 1, "[::1]:0",
                 "no IPv6"); /* this was asked for, and must not be left out */
    assert_fails(no_twins, 2, "[::1]:0", "no IPv6");
}

/* In a child, since a process cannot get back what it has given up. */
static void a_machine_without_v6_listens_on_v4_only(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct CMUnitTest inner[] = {cmocka_unit_test(twins_without_v6)};
        _exit(cmocka_run_group_tests_name("without IPv6", inner, NULL, NULL));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- unix sockets ---- */

/* A new folder, and "unix:" and a path in it. */
static void place(char *folder, char *text, size_t cap)
{
    (void)snprintf(folder, cap, "/tmp/madang-listener-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(text, cap, "unix:%s/sock", folder);
}

static void open_one(const char *text, struct listener *l)
{
    struct buf error = {0};

    if (open_all(&text, 1, l, &error) != 1)
        fail_msg("%.*s", (int)error.n, error.p);
}

static void a_unix_socket_has_its_mode_and_goes_with_its_listener(void **state)
{
    char folder[64], text[80];
    struct listener l;
    struct stat st;
    mode_t before = umask(0077);

    (void)state;
    place(folder, text, sizeof(folder));
    open_one(text, &l);
    assert_int_equal(stat(text + 5, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0660);
    assert_int_equal(listener_port(&l), 0);
    struct buf shown = {0};
    listener_address(&l, &shown);
    assert_true(span_eq((struct span){shown.p, shown.n}, span_str(text)));
    buf_deinit(&shown);
    listener_close(&l);
    assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
    (void)umask(before);
}

static void only_a_socket_that_nobody_serves_is_replaced(void **state)
{
    char folder[64], text[80];
    struct listener first, second, third;

    (void)state;
    place(folder, text, sizeof(folder));
    open_one(text, &first);
    const char *words[] = {text};
    assert_fails(words, 1, text, "another program listens there");
    close(first.fd); /* as when its process was killed */
    open_one(text, &second);
    assert_int_equal(unlink(text + 5), 0);
    open_one(text, &third);
    listener_close(&second); /* the file is not its own any more */
    assert_int_equal(access(text + 5, F_OK), 0);
    listener_close(&third);
    assert_int_equal(rmdir(folder), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    char folder[64], text[80];

    (void)state;
    place(folder, text, sizeof(folder));
    int fd = open(text + 5, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    const char *words[] = {text};
    assert_fails(words, 1, text, "no socket");
    assert_int_equal(unlink(text + 5), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_fails(words, 1, text, "the folder for the socket does not exist");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_of_zero_becomes_a_real_one),
        cmocka_unit_test(twins_share_a_port),
        cmocka_unit_test(a_v6_socket_leaves_v4_alone),
        cmocka_unit_test(an_address_in_use_is_named_and_the_others_closed),
        cmocka_unit_test(an_address_that_is_not_ours_is_named),
        cmocka_unit_test(a_port_can_be_taken_again_at_once),
        cmocka_unit_test(a_machine_without_v6_listens_on_v4_only),
        cmocka_unit_test(a_unix_socket_has_its_mode_and_goes_with_its_listener),
        cmocka_unit_test(only_a_socket_that_nobody_serves_is_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
