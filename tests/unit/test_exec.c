/* SPDX-License-Identifier: MIT */
#include "backplane/base/list.h"
#include "gateway/exec.h"
#include "tests/unit/loop_kit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct trial {
    struct attempt attempt;
    struct held *job;
    bool over;
    enum end_kind kind;
    char text[200000];
    size_t n;
};

static struct trial the; /* the only one at a time */

static void ended(struct attempt *a, const struct outcome *o)
{
    struct trial *t = container_of(a, struct trial, attempt);

    assert_false(t->over);
    assert_true(o->text.n < sizeof(t->text));
    t->over = true;
    t->kind = o->kind;
    t->n = o->text.n;
    memcpy(t->text, o->text.p ? o->text.p : "", o->text.n);
    t->text[t->n] = '\0';
    loop_stop(&loop);
}

static void begin(struct handler *h, const char *data, size_t n)
{
    the = (struct trial){.attempt.end = ended};
    the.job = held_new(&(struct held){.id = SPAN("_exec:5"),
                                      .token = SPAN("1.2"),
                                      .queue = SPAN("_exec"),
                                      .kind = SPAN("resize"),
                                      .data = {data, n},
                                      .deliveries = 2});
    assert_non_null(the.job);
    the.attempt.job = the.job;
    h->ops->begin(h, &the.attempt);
}

static struct handler *script(const char *text, struct exec_config c)
{
    static char shell[] = "/bin/sh", option[] = "-c", body[1024];
    static char *words[] = {shell, option, body};

    (void)snprintf(body, sizeof(body), "%s", text);
    c.loop = &loop;
    c.words = words;
    c.word_count = 3;
    c.timeout_ms = c.timeout_ms ? c.timeout_ms : 60000;
    c.patience_ms = c.patience_ms ? c.patience_ms : 60000;
    c.output_max = c.output_max ? c.output_max : 65536;
    struct handler *h = exec_new(&c);
    assert_non_null(h);
    return h;
}

static void finish(struct handler *h)
{
    while (!the.over)
        loop_run(&loop);
    free(the.job);
    h->ops->free(h);
    /* Nothing of it is left: neither a zombie nor a child that runs. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* Runs it to its end. */
static void run(const char *text, struct exec_config c, const char *data)
{
    struct handler *h = script(text, c);

    begin(h, data, strlen(data));
    finish(h);
}

static void test_data_goes_in_and_the_result_comes_out(void **state)
{
    (void)state;
    run("tr a-z A-Z", (struct exec_config){0}, "{\"a\":1}");
    assert_int_equal(the.kind, END_DONE);
    assert_string_equal(the.text, "{\"A\":1}");
}

static void test_data_that_is_not_read_does_no_harm(void **state)
{
    size_t n = 4 << 20;
    char *data = malloc(n);
    struct handler *h;

    (void)state;
    memset(data, '1', n);
    h = script("wc -c", (struct exec_config){0});
    begin(h, data, n);
    finish(h);
    assert_string_equal(the.text, "4194304\n");
    h = script("exit 0", (struct exec_config){0});
    begin(h, data, n);
    finish(h);
    assert_int_equal(the.kind, END_DONE);
    free(data);
}

static void test_the_environment_is_empty_but_for_what_is_named(void **state)
{
    char kept[] = "EXEC_TEST_KEPT", absent[] = "EXEC_TEST_ABSENT";
    char *names[] = {kept, absent};

    (void)state;
    /* NOLINTBEGIN(concurrency-mt-unsafe): one thread */
    (void)setenv("EXEC_TEST_KEPT", "yes", 1);
    (void)setenv("EXEC_TEST_SECRET", "no", 1);
    /* NOLINTEND(concurrency-mt-unsafe) */
    /* The shell adds variables of its own to what it was given. */
    run("tr '\\0' '\\n' </proc/$$/environ | sort",
        (struct exec_config){.names = names, .name_count = 2}, "");
    assert_string_equal(the.text, "EXEC_TEST_KEPT=yes\nMADANG_JOB_DELIVERY=2\n"
                                  "MADANG_JOB_ID=_exec:5\nMADANG_JOB_KIND=resize\n"
                                  "MADANG_JOB_QUEUE=_exec\n");
}

static void test_no_descriptor_is_inherited(void **state)
{
    int leak = dup(STDERR_FILENO); /* not closed on exec */

    (void)state;
    assert_true(leak > 2);
    run("ls /proc/$$/fd", (struct exec_config){0}, "");
    assert_string_equal(the.text, "0\n1\n2\n");
    (void)close(leak);
}

static void test_how_it_ends_decides(void **state)
{
    static const struct {
        const char *text;
        enum end_kind kind;
        const char *why;
    } rows[] = {
        {"echo it broke >&2; exit 3", END_RETRY, "its exit code is 3: it broke\n"},
        {"echo no picture >&2; exit 65", END_REJECT, "its exit code is 65: no picture\n"},
        {"kill -SEGV $$", END_RETRY, "it was ended by signal 11"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        run(rows[i].text, (struct exec_config){0}, "");
        assert_int_equal(the.kind, rows[i].kind);
        assert_string_equal(the.text, rows[i].why);
    }
}

static void test_a_program_that_is_not_there_is_a_failure(void **state)
{
    char path[] = "/nonexistent/program";
    char *words[] = {path};
    struct handler *h;

    (void)state;
    h = exec_new(&(struct exec_config){.loop = &loop,
                                       .words = words,
                                       .word_count = 1,
                                       .timeout_ms = 60000,
                                       .patience_ms = 60000,
                                       .output_max = 100});
    begin(h, "", 0);
    finish(h);
    assert_int_equal(the.kind, END_RETRY);
    assert_string_equal(the.text, "its exit code is 127: the program cannot be run\n");
}

static void test_a_flood_of_output_is_cut_off(void **state)
{
    (void)state;
    run("yes | head -c 3000000; yes no | head -c 100000 >&2", (struct exec_config){0}, "");
    assert_int_equal(the.kind, END_DONE);
    assert_int_equal(the.n, 65536);
    run("yes no | head -c 100000 >&2; printf 'at last' >&2; exit 1", (struct exec_config){0}, "");
    assert_true(the.n < 1100);
    assert_string_equal(the.text + the.n - 7, "at last");
}

static void test_what_it_leaves_running_is_ended_with_it(void **state)
{
    (void)state;
    run("sleep 1000 & echo $!", (struct exec_config){0}, "");
    assert_int_equal(the.kind, END_DONE);
    long pid = strtol(the.text, NULL, 10);
    assert_true(pid > 1);
    while (kill((pid_t)pid, 0) == 0) /* init takes a moment to bury it */
        (void)usleep(1000);
    assert_int_equal(errno, ESRCH);
}

static void test_it_is_ended_when_it_takes_too_long(void **state)
{
    (void)state;
    run("sleep 1000", (struct exec_config){.timeout_ms = 100}, "");
    assert_int_equal(the.kind, END_RETRY);
    assert_string_equal(the.text, "it took longer than 100 ms");
}

/* Gives up the job when the program has made the file. */
static void cancel_when_there(struct handler *h, const char *file)
{
    begin(h, file, strlen(file));
    while (access(file, F_OK) != 0)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    h->ops->cancel(h, &the.attempt);
    h->ops->cancel(h, &the.attempt); /* once is enough */
    finish(h);
    (void)unlink(file);
}

static void test_it_is_asked_to_end_when_the_lease_is_lost(void **state)
{
    char file[] = "/tmp/exec_test_XXXXXX";

    (void)state;
    (void)close(mkstemp(file));
    (void)unlink(file);
    cancel_when_there(script("trap 'echo asked >&2; exit 9' TERM; read f; : >$f; "
                             "while :; do sleep 0.01; done",
                             (struct exec_config){0}),
                      file);
    /* The shell may tell first that its sleep was ended. */
    assert_memory_equal(the.text, "its exit code is 9: ", 20);
    assert_non_null(strstr(the.text, "asked\n"));
    /* With all that it has started. */
    cancel_when_there(
        script("sleep 1000 & read f; : >$f; sleep 1000; wait", (struct exec_config){0}), file);
    assert_string_equal(the.text, "it was ended by signal 15");
}

static void test_it_is_ended_even_if_it_does_not_want_to(void **state)
{
    char file[] = "/tmp/exec_test_XXXXXX";

    (void)state;
    (void)close(mkstemp(file));
    (void)unlink(file);
    cancel_when_there(script("trap '' TERM; read f; : >$f; while :; do sleep 0.01; done",
                             (struct exec_config){.patience_ms = 100}),
                      file);
    assert_string_equal(the.text, "it was ended by signal 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_goes_in_and_the_result_comes_out),
        cmocka_unit_test(test_data_that_is_not_read_does_no_harm),
        cmocka_unit_test(test_the_environment_is_empty_but_for_what_is_named),
        cmocka_unit_test(test_no_descriptor_is_inherited),
        cmocka_unit_test(test_how_it_ends_decides),
        cmocka_unit_test(test_a_program_that_is_not_there_is_a_failure),
        cmocka_unit_test(test_a_flood_of_output_is_cut_off),
        cmocka_unit_test(test_what_it_leaves_running_is_ended_with_it),
        cmocka_unit_test(test_it_is_ended_when_it_takes_too_long),
        cmocka_unit_test(test_it_is_asked_to_end_when_the_lease_is_lost),
        cmocka_unit_test(test_it_is_ended_even_if_it_does_not_want_to),
    };
    alarm(100);
    return cmocka_run_group_tests(tests, loop_set_up, loop_tear_down);
}
