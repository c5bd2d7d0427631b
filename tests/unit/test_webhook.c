/* SPDX-License-Identifier: MIT */
#include "gateway/webhook.h"

#include "gateway/fetch.h"
#include "gateway/reach.h"
#include "tests/unit/http_stub.h"

#include <unistd.h>

#define ATTEMPTS_MAX 8

static struct loop loop;
static struct stub stub;
static struct reach *near, *far; /* with and without this machine */

struct
try {
    struct attempt attempt;
    struct held *job;
    bool over;
    enum end_kind kind;
    uint64_t wait_ms;
    char text[1024];
};

static void ended(struct attempt *a, const struct outcome *o)
{
    struct try *t = container_of(a, struct try, attempt);

    assert_false(t->over);
    t->over = true;
    t->kind = o->kind;
    t->wait_ms = o->wait_ms;
    (void)snprintf(t->text, sizeof(t->text), "%.*s", (int)o->text.n, o->text.p ? o->text.p : "");
    loop_stop(&loop);
}

static void begin(struct handler *h, struct try *t, const char *data)
{
    *t = (struct try){.attempt.end = ended};
    t->job = held_new(&(struct held){.id = SPAN("_webhook:77"),
                                     .token = SPAN("1.2"),
                                     .queue = SPAN("_webhook"),
                                     .kind = SPAN("webhook"),
                                     .data = span_str(data),
                                     .deliveries = 3});
    assert_non_null(t->job);
    t->attempt.job = t->job;
    h->ops->begin(h, &t->attempt);
}

static void wait_for(const struct try *t)
{
    while (!t->over)
        loop_run(&loop);
}

static void drop(struct try *t)
{
    free(t->job);
}

static uint64_t clock_2021(void)
{
    return 1614265330999;
}

static struct handler *open_hook(struct webhook_config c)
{
    c.loop = &loop;
    c.reach = c.reach ? c.reach : near;
    c.secret = c.secret ? c.secret : "";
    c.ca_file = "";
    c.timeout_ms = c.timeout_ms ? c.timeout_ms : 30000;
    struct handler *h = webhook_new(&c);
    assert_non_null(h);
    return h;
}

static void close_hook(struct handler *h)
{
    h->ops->free(h);
    stub_close(&stub, &loop);
}

/* A job for the stub: "{"url":…<more>}". */
static const char *job_for(const char *path, const char *more)
{
    static char text[1024];

    (void)snprintf(text, sizeof(text), "{\"url\":\"http://127.0.0.1:%u%s\"%s}", stub.port, path,
                   more);
    return text;
}

static void assert_header(const struct stub_peer *p, const char *name, const char *value)
{
    char *found = stub_header(p, name);

    if (!found || strcmp(found, value) != 0)
        fail_msg("%s is '%s', not '%s'", name, found ? found : "absent", value);
    free(found);
}

static void test_a_request_is_signed_as_the_specification_says(void **state)
{
    struct handler *h;
    struct try t;

    (void)state;
    stub_open(&stub, &loop);
    stub.answer = "HTTP/1.1 204 No Content\r\n\r\n";
    h = open_hook((struct webhook_config){.secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw==",
                                          .clock = clock_2021});
    begin(h, &t, job_for("/a?b=c", ",\"body\":{\"test\": 2432232314},\"headers\":{\"X-A\":\"b\"}"));
    wait_for(&t);
    assert_int_equal(t.kind, END_DONE);
    const struct stub_peer *p = stub.peers[0];
    assert_memory_equal(p->text.p, "POST /a?b=c HTTP/1.1\r\n", 22);
    assert_memory_equal(stub_body(p).p, "{\"test\": 2432232314}", stub_body(p).n);
    assert_header(p, "Content-Type", "application/json");
    assert_header(p, "Idempotency-Key", "_webhook:77");
    assert_header(p, "X-Delivery", "3");
    assert_header(p, "X-A", "b");
    assert_header(p, "webhook-id", "_webhook:77");
    assert_header(p, "webhook-timestamp", "1614265330");
    /* printf '%s' '_webhook:77.1614265330.{"test": 2432232314}' | openssl dgst -sha256 -mac HMAC
     * -macopt hexkey:31f290f6bf06298aab4f08d43c3f082cf648a362da2f -binary | base64 */
    assert_header(p, "webhook-signature", "v1,JtSWPtjDLL/WAcqSfFbRRMpsF7Eq385k3LRZAOM0gNA=");
    drop(&t);
    close_hook(h);
}

static void test_without_a_secret_nothing_is_signed(void **state)
{
    struct handler *h;
    struct try t;

    (void)state;
    stub_open(&stub, &loop);
    stub.answer = "HTTP/1.1 200 OK\r\n\r\nfine";
    h = open_hook((struct webhook_config){0});
    begin(h, &t, job_for("/", ",\"headers\":{\"content-type\":\"text/x\"}"));
    wait_for(&t);
    assert_int_equal(t.kind, END_DONE);
    char *signature = stub_header(stub.peers[0], "webhook-signature");
    assert_null(signature);
    free(signature);
    assert_header(stub.peers[0], "Content-Type", "text/x");
    assert_header(stub.peers[0], "Content-Length", "0");
    drop(&t);
    close_hook(h);
}

static void test_what_an_answer_means(void **state)
{
    static const struct {
        const char *answer;
        enum end_kind kind;
        uint64_t wait_ms;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", END_DONE, 0},
        {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n", END_RETRY, WAIT_BACKOFF},
        {"HTTP/1.1 400 Bad\r\n\r\nno such thing", END_REJECT, 0},
        {"HTTP/1.1 404 Not Found\r\nRetry-After: 3\r\n\r\n", END_REJECT, 0},
        {"HTTP/1.1 408 Timeout\r\n\r\n", END_RETRY, WAIT_BACKOFF},
        {"HTTP/1.1 410 Gone\r\n\r\n", END_REJECT, 0},
        {"HTTP/1.1 429 Many\r\nRetry-After: 7\r\n\r\n", END_RETRY, 7000},
        {"HTTP/1.1 500 Oops\r\n\r\n", END_RETRY, WAIT_BACKOFF},
        {"HTTP/1.1 503 Later\r\nRetry-After: Fri, 01 Jan 1999 00:00:00 GMT\r\n\r\n", END_RETRY,
         WAIT_BACKOFF},
        {"rubbish\r\n\r\n", END_RETRY, WAIT_BACKOFF},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", END_RETRY, WAIT_BACKOFF},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct try t;
        stub_open(&stub, &loop);
        stub.answer = rows[i].answer;
        struct handler *h = open_hook((struct webhook_config){0});
        begin(h, &t, job_for("/", ""));
        wait_for(&t);
        if (t.kind != rows[i].kind || (t.kind == END_RETRY && t.wait_ms != rows[i].wait_ms))
            fail_msg("%s: %d, wait %llu: %s", rows[i].answer, (int)t.kind,
                     (unsigned long long)t.wait_ms, t.text);
        assert_int_equal(stub.requests, 1); /* no redirect was followed */
        drop(&t);
        close_hook(h);
    }
}

static void test_what_was_answered_is_told_but_not_all_of_it(void **state)
{
    struct handler *h;
    struct try t;
    char *answer = malloc(100001);

    (void)state;
    memset(answer, 'x', 100000);
    answer[100000] = '\0';
    memcpy(answer, "HTTP/1.1 422 No\r\n\r\nbecause ", 27);
    stub_open(&stub, &loop);
    stub.answer = answer;
    h = open_hook((struct webhook_config){0});
    begin(h, &t, job_for("/", ""));
    wait_for(&t);
    assert_int_equal(t.kind, END_REJECT);
    assert_memory_equal(t.text, "the answer is 422: because xxx", 30);
    assert_true(strlen(t.text) < 600);
    drop(&t);
    close_hook(h);
    free(answer);
}

static void test_a_date_to_come_is_waited_for(void **state)
{
    struct handler *h;
    struct try t;
    char answer[128], date[64];
    time_t then = time(NULL) + 3600;
    struct tm parts;

    (void)state;
    (void)gmtime_r(&then, &parts);
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    (void)snprintf(answer, sizeof(answer), "HTTP/1.1 503 Later\r\nRetry-After: %s\r\n\r\n", date);
    stub_open(&stub, &loop);
    stub.answer = answer;
    h = open_hook((struct webhook_config){0});
    begin(h, &t, job_for("/", ""));
    wait_for(&t);
    assert_int_equal(t.kind, END_RETRY);
    assert_in_range(t.wait_ms, 3000000, 3600000);
    drop(&t);
    close_hook(h);
}

static void test_this_machine_is_not_called_under_any_name(void **state)
{
    static const char *const hosts[] = {
        "127.0.0.1",          "localhost",       "2130706433",         "0x7f.1", "0", "[::1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "user:word@127.0.0.1"};

    (void)state;
    stub_open(&stub, &loop);
    struct handler *h = open_hook((struct webhook_config){.reach = far});
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
        struct try t;
        char data[128];
        (void)snprintf(data, sizeof(data), "{\"url\":\"http://%s:%u/\"}", hosts[i], stub.port);
        begin(h, &t, data);
        wait_for(&t);
        if (t.kind != END_REJECT || !strstr(t.text, "private"))
            fail_msg("%s: %d %s", hosts[i], (int)t.kind, t.text);
        drop(&t);
    }
    assert_int_equal(stub.peer_count, 0); /* nobody has even connected */
    close_hook(h);
}

static void test_jobs_that_cannot_be_done_are_rejected(void **state)
{
    static const char *const jobs[] = {
        "1",
        "{}",
        "{\"url\":1}",
        "{\"url\":\"\"}",
        "{\"url\":\"nonsense\"}",
        "{\"url\":\"ftp://1.1.1.1/\"}",
        "{\"url\":\"file:///etc/passwd\"}",
        "{\"url\":\"gopher://1.1.1.1/\"}",
        "{\"url\":\"http://1.1.1.1\\u0000/\"}",
        "{\"url\":\"http://1.1.1.1/\",\"headers\":{\"Host\":\"x\"}}",
        "{\"url\":\"http://1.1.1.1/\",\"headers\":{\"webhook-id\":\"x\"}}",
        "{\"url\":\"http://1.1.1.1/\",\"headers\":{\"X\":\"a\\r\\nY: b\"}}",
        "{\"url\":\"http://1.1.1.1/\",\"headers\":{\"X: y\\r\\nZ\":\"a\"}}",
        "{\"url\":\"http://1.1.1.1/\",\"headers\":{\"X\":1}}",
    };

    (void)state;
    stub_open(&stub, &loop);
    struct handler *h = open_hook((struct webhook_config){0});
    for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++) {
        struct try t;
        begin(h, &t, jobs[i]);
        wait_for(&t);
        if (t.kind != END_REJECT || !*t.text)
            fail_msg("%s: %d %s", jobs[i], (int)t.kind, t.text);
        drop(&t);
    }
    close_hook(h);
}

static void test_a_target_that_is_slow_is_given_up(void **state)
{
    struct handler *h;
    struct try t;

    (void)state;
    stub_open(&stub, &loop);
    h = open_hook((struct webhook_config){0});
    begin(h, &t, job_for("/", ",\"timeout_ms\":100"));
    wait_for(&t);
    assert_int_equal(t.kind, END_RETRY);
    assert_int_equal(t.wait_ms, WAIT_BACKOFF);
    drop(&t);
    close_hook(h);
}

static void test_a_host_is_called_so_often_at_a_time(void **state)
{
    struct handler *h;
    struct try t[ATTEMPTS_MAX];

    (void)state;
    stub_open(&stub, &loop);
    h = open_hook((struct webhook_config){.per_host = 2});
    for (size_t i = 0; i < ATTEMPTS_MAX; i++)
        begin(h, &t[i], job_for("/", ""));
    for (size_t i = 0; i < ATTEMPTS_MAX; i++) {
        size_t under_way = ATTEMPTS_MAX - i < 2 ? ATTEMPTS_MAX - i : 2;
        while (stub.requests < i + under_way)
            (void)uv_run(&loop.uv, UV_RUN_ONCE);
        for (int turns = 0; turns < 20; turns++) /* more would have come by now */
            (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
        assert_int_equal(stub.requests, i + under_way);
        assert_true(stub_answer(&stub, "HTTP/1.1 200 OK\r\n\r\n"));
        while (!t[i].over)
            (void)uv_run(&loop.uv, UV_RUN_ONCE);
    }
    for (size_t i = 0; i < ATTEMPTS_MAX; i++)
        drop(&t[i]);
    close_hook(h);
}

static void test_a_cancelled_call_makes_room_for_the_next(void **state)
{
    struct handler *h;
    struct try first, second;

    (void)state;
    stub_open(&stub, &loop);
    h = open_hook((struct webhook_config){.per_host = 1});
    begin(h, &first, job_for("/", ""));
    while (stub.requests < 1)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    begin(h, &second, job_for("/", ""));
    h->ops->cancel(h, &first.attempt);
    assert_true(first.over);
    stub.answer = "HTTP/1.1 200 OK\r\n\r\n";
    wait_for(&second);
    assert_int_equal(second.kind, END_DONE);
    assert_int_equal(stub.requests, 2);
    drop(&first);
    drop(&second);
    close_hook(h);
}

static void test_a_secret_is_bytes_in_base64_or_a_text(void **state)
{
    (void)state;
    assert_true(webhook_secret_is("any text"));
    assert_true(webhook_secret_is("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw=="));
    assert_false(webhook_secret_is("whsec_%"));
    assert_false(webhook_secret_is("whsec_"));
}

static int set_up(void **state)
{
    char here[] = "127.0.0.0/8", *words[] = {here};

    (void)state;
    fetch_global_init();
    /* Nobody may lead us elsewhere. */
    /* NOLINTBEGIN(concurrency-mt-unsafe): one thread */
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:1", 1);
    /* NOLINTEND(concurrency-mt-unsafe) */
    near = reach_new(words, 1);
    far = reach_new(NULL, 0);
    return loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    reach_free(near);
    reach_free(far);
    return loop_deinit(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_signed_as_the_specification_says),
        cmocka_unit_test(test_without_a_secret_nothing_is_signed),
        cmocka_unit_test(test_what_an_answer_means),
        cmocka_unit_test(test_what_was_answered_is_told_but_not_all_of_it),
        cmocka_unit_test(test_a_date_to_come_is_waited_for),
        cmocka_unit_test(test_this_machine_is_not_called_under_any_name),
        cmocka_unit_test(test_jobs_that_cannot_be_done_are_rejected),
        cmocka_unit_test(test_a_target_that_is_slow_is_given_up),
        cmocka_unit_test(test_a_host_is_called_so_often_at_a_time),
        cmocka_unit_test(test_a_cancelled_call_makes_room_for_the_next),
        cmocka_unit_test(test_a_secret_is_bytes_in_base64_or_a_text),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
