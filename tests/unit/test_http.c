/* SPDX-License-Identifier: MIT */
#include "gateway/http.h"

#include "gateway/assets.h"
#include "gateway/pulse.h"
#include "tests/unit/served.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <cmocka.h>

static struct served served;

static struct http_request get(const char *path)
{
    return (struct http_request){.method = HTTP_GET,
                                 .path = span_str(path),
                                 .host = SPAN("localhost:8000"),
                                 .local_address = SPAN("127.0.0.1")};
}

static struct http_answer answer(struct http_request r)
{
    struct http_answer a;

    r.settings = served.gateway.settings;
    http_answer(&served.gateway, &r, &a);
    return a;
}

/* NULL: absent. A name that is there twice fails. */
static const char *header(const struct http_answer *a, const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < a->header_count; i++)
        if (strcasecmp(a->headers[i].name, name) == 0) {
            assert_null(found);
            found = a->headers[i].value;
        }
    return found;
}

static void assert_says(const struct http_answer *a, const char *words)
{
    if (!memmem(a->body.p, a->body.n, words, strlen(words)))
        fail_msg("\"%.*s\" does not say \"%s\"", (int)a->body.n, a->body.p, words);
}

/* ---- all answers ---- */

static void every_answer_is_hardened(void **state)
{
    static const char *const paths[] = {"/",        "/healthz", "/readyz",
                                        "/metrics", "/nothing", "/connection/websocket"};

    (void)state;
    for (int m = HTTP_GET; m <= HTTP_OTHER; m++) {
        for (size_t i = 0; i < 3 * sizeof(paths) / sizeof(paths[0]); i++) {
            struct http_request r = get(paths[i / 3]);
            r.method = m;
            if (i % 3 == 1)
                r.host = SPAN("evil.example");
            if (i % 3 == 2)
                r.origin = SPAN("http://evil.example");
            struct http_answer a = answer(r);
            assert_string_equal(header(&a, "Content-Security-Policy"), asset_policy);
            assert_string_equal(header(&a, "X-Content-Type-Options"), "nosniff");
            assert_string_equal(header(&a, "Referrer-Policy"), "no-referrer");
            assert_string_equal(header(&a, "Cross-Origin-Opener-Policy"), "same-origin");
            assert_string_equal(header(&a, "Cross-Origin-Resource-Policy"), "same-origin");
            assert_non_null(header(&a, "Content-Type"));
            assert_non_null(header(&a, "Cache-Control"));
            assert_true(a.header_count <= HTTP_HEADERS_MAX);
            http_answer_deinit(&a);
        }
    }
}

static void a_host_that_is_not_ours_is_told_what_to_set_on_every_route(void **state)
{
    static const char *const paths[] = {"/", "/healthz", "/metrics", "/connection/websocket", "/x"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct http_request r = get(paths[i]);
        r.host = SPAN("chat.example.org:8000");
        struct http_answer a = answer(r);
        assert_int_equal(a.status, 421);
        assert_says(&a, "--public-names chat.example.org,");
        assert_says(&a, "MADANG_PUBLIC_NAMES");
        http_answer_deinit(&a);
    }
}

static void a_host_that_is_no_name_is_not_repeated(void **state)
{
    static const char *const hosts[] = {NULL, "", "<script>", "a b", "x\ny", "[::2]", "a\"b"};

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct http_request r = get("/");
        r.host = span_str(hosts[i]);
        struct http_answer a = answer(r);
        assert_int_equal(a.status, 421);
        assert_says(&a, "The Host header is missing, or names a host that");
        assert_says(&a, "public_names");
        http_answer_deinit(&a);
    }
}

static void a_page_of_another_origin_may_not_read(void **state)
{
    struct http_request r = get("/metrics");

    (void)state;
    r.origin = SPAN("http://evil.example");
    struct http_answer a = answer(r);
    assert_int_equal(a.status, 403);
    assert_says(&a, "allowed_origins");
    http_answer_deinit(&a);
    r.origin = SPAN("http://localhost:8000");
    a = answer(r);
    assert_int_equal(a.status, 200);
    http_answer_deinit(&a);
}

static void what_is_not_there_is_said_plainly(void **state)
{
    static const char *const paths[] = {"/nothing", "/healthz/", "/Healthz", "/../etc/passwd",
                                        "",         "healthz",   "/index",   "//"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct http_answer a = answer(get(paths[i]));
        assert_int_equal(a.status, 404);
        assert_string_equal(header(&a, "Content-Type"), "text/plain; charset=utf-8");
        assert_says(&a, "There is nothing here");
        http_answer_deinit(&a);
    }
}

static void what_can_only_be_read_is_not_written(void **state)
{
    static const char *const paths[] = {"/healthz", "/readyz", "/metrics", "/connection/websocket"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct http_request r = get(paths[i]);
        r.method = HTTP_OTHER;
        struct http_answer a = answer(r);
        assert_int_equal(a.status, 405);
        assert_string_equal(header(&a, "Allow"), "GET, HEAD");
        http_answer_deinit(&a);
    }
}

static void the_websocket_address_asks_for_an_upgrade(void **state)
{
    struct http_answer a = answer(get("/connection/websocket"));

    (void)state;
    assert_int_equal(a.status, 426);
    assert_string_equal(header(&a, "Upgrade"), "websocket");
    http_answer_deinit(&a);
}

/* ---- the page ---- */

static void need_page(void)
{
    if (asset_count == 0)
        skip();
}

static void a_build_without_the_page_says_so(void **state)
{
    (void)state;
    if (asset_count > 0)
        skip();
    struct http_answer a = answer(get("/"));
    assert_int_equal(a.status, 404);
    assert_says(&a, "without the chat page");
    http_answer_deinit(&a);
}

static void the_page_comes_compressed_or_not(void **state)
{
    (void)state;
    need_page();
    struct http_request r = get("/");
    struct http_answer plain = answer(r);
    r.accepts_gzip = true;
    struct http_answer gzip = answer(r);
    assert_int_equal(plain.status, 200);
    assert_int_equal(gzip.status, 200);
    assert_string_equal(header(&plain, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(header(&plain, "Cache-Control"), "no-cache");
    assert_string_equal(header(&plain, "Vary"), "Accept-Encoding");
    assert_null(header(&plain, "Content-Encoding"));
    assert_says(&plain, "<html");
    assert_string_equal(header(&gzip, "Content-Encoding"), "gzip");
    assert_string_equal(header(&gzip, "Vary"), "Accept-Encoding");
    assert_memory_equal(gzip.body.p, "\x1f\x8b", 2);
    assert_string_equal(header(&gzip, "ETag"), header(&plain, "ETag"));
    http_answer_deinit(&plain);
    http_answer_deinit(&gzip);
}

static void every_file_of_the_page_is_served(void **state)
{
    size_t immutable = 0;

    (void)state;
    need_page();
    for (size_t i = 0; i < asset_count; i++) {
        struct http_answer a = answer(get(asset_table[i].path));
        bool for_ever = strstr(header(&a, "Cache-Control"), "immutable") != NULL;
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body.n, asset_table[i].plain_len);
        assert_string_equal(header(&a, "Content-Type"), asset_table[i].type);
        assert_int_equal(for_ever, asset_table[i].immutable);
        immutable += for_ever;
        http_answer_deinit(&a);
    }
    assert_int_not_equal(immutable, 0);
}

static void what_the_browser_has_is_not_sent_again(void **state)
{
    static const struct {
        const char *format; /* around the tag without W/ */
        int status;
    } rows[] = {
        {"W/%s", 304},
        {"%s", 304},
        {"\"x\", W/%s", 304},
        {"W/\"x\",%s", 304},
        {"*", 304},
        {"\"x\"", 200},
        {"", 200},
        {"\"", 200},
        {"\"%s", 200},
        {"W/", 200},
        {"x%.0s", 200},
        {"\"x, %.0s", 200},
        {"\"a\",\"b\",\"c\"", 200},
    };

    (void)state;
    need_page();
    struct http_answer first = answer(get("/"));
    const char *tag = header(&first, "ETag");
    assert_memory_equal(tag, "W/\"", 3);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_request r = get("/");
        struct buf value = {0};
        const char *at = strstr(rows[i].format, "%s");
        if (at) {
            buf_add(&value, rows[i].format, (size_t)(at - rows[i].format));
            buf_str(&value, tag + 2);
            buf_str(&value, at + 2);
        } else {
            buf_str(&value, rows[i].format);
        }
        r.if_none_match = (struct span){value.p, value.n};
        struct http_answer a = answer(r);
        if (a.status != rows[i].status)
            fail_msg("If-None-Match: %.*s gives %d", (int)value.n, value.p, a.status);
        assert_string_equal(header(&a, "ETag"), tag);
        assert_int_equal(a.body.n == 0, a.status == 304);
        http_answer_deinit(&a);
        buf_deinit(&value);
    }
    http_answer_deinit(&first);
}

static void head_tells_what_get_would(void **state)
{
    static const char *const paths[] = {"/", "/readyz", "/nothing"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct http_request r = get(paths[i]);
        struct http_answer full = answer(r);
        r.method = HTTP_HEAD;
        struct http_answer head = answer(r);
        assert_int_equal(head.status, full.status);
        assert_int_equal(head.body.n, full.body.n);
        assert_int_equal(head.header_count, full.header_count);
        for (size_t h = 0; h < full.header_count; h++)
            assert_string_equal(head.headers[h].value, full.headers[h].value);
        http_answer_deinit(&full);
        http_answer_deinit(&head);
    }
}

/* ---- health and readiness ---- */

static json_t *json_of(const struct http_answer *a)
{
    json_t *j = json_loadb(a->body.p, a->body.n, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(j);
    assert_string_equal(header(a, "Content-Type"), "application/json");
    assert_string_equal(header(a, "Cache-Control"), "no-store");
    return j;
}

static void beat(struct loop *l, uint64_t age_ms)
{
    atomic_store(&l->heartbeat_ms, uv_hrtime() / 1000000 - age_ms);
}

static void expect_health(int status, const char *word, const char *stuck)
{
    static const char *const names[] = {"main", "sequencer", "hub 0", "hub 1"};
    struct http_answer a = answer(get("/healthz"));
    json_t *j = json_of(&a);
    json_t *threads = json_object_get(j, "threads");

    assert_int_equal(a.status, status);
    assert_string_equal(json_string_value(json_object_get(j, "status")), word);
    assert_int_equal(json_array_size(threads), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *t = json_array_get(threads, i);
        bool late = json_integer_value(json_object_get(t, "age_ms")) > PULSE_STUCK_MS;
        assert_string_equal(json_string_value(json_object_get(t, "name")), names[i]);
        assert_int_equal(late, stuck && strcmp(stuck, names[i]) == 0);
    }
    json_decref(j);
    http_answer_deinit(&a);
}

static void expect_ready(int status, const char *word)
{
    struct http_answer a = answer(get("/readyz"));
    json_t *j = json_of(&a);

    assert_int_equal(a.status, status);
    assert_string_equal(json_string_value(json_object_get(j, "status")), word);
    assert_int_equal(json_array_size(json_object_get(j, "degraded")), 0);
    assert_true(json_is_array(json_object_get(j, "degraded")));
    json_decref(j);
    http_answer_deinit(&a);
}

static void health_has_a_heartbeat_per_thread(void **state)
{
    struct loop *loops[] = {&served.main_loop, &served.sequencer_loop, &served.hub_loops[0],
                            &served.hub_loops[1]};
    static const char *const names[] = {"main", "sequencer", "hub 0", "hub 1"};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        beat(loops[i], i * 1000);
    expect_health(200, "ok", NULL);
    expect_ready(200, "ready");
    for (size_t i = 0; i < 4; i++) {
        beat(loops[i], PULSE_STUCK_MS + 1000);
        expect_health(503, "stuck", names[i]);
        expect_ready(503, "stuck");
        beat(loops[i], 0);
    }
    expect_health(200, "ok", NULL);
}

static void with_one_hub_the_sequencer_has_no_thread(void **state)
{
    struct pulse list[PULSES_MAX];

    (void)state;
    served.gateway.sequencer_loop = &served.hub_loops[0];
    assert_int_equal(pulses(&served.gateway, list), 3);
    assert_string_equal(list[1].thread, "hub 0");
    served.gateway.sequencer_loop = &served.sequencer_loop;
}

static void readiness_follows_the_phase(void **state)
{
    struct loop *loops[] = {&served.main_loop, &served.sequencer_loop, &served.hub_loops[0],
                            &served.hub_loops[1]};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        beat(loops[i], 0);
    served.gateway.phase = PHASE_STARTING;
    expect_ready(503, "starting");
    served.gateway.phase = PHASE_DRAINING;
    expect_ready(503, "draining");
    expect_health(200, "ok", NULL);
    served.gateway.phase = PHASE_READY;
    expect_ready(200, "ready");
}

/* ---- handshakes ---- */

static void a_handshake_is_checked_before_it_goes_on(void **state)
{
    static const struct {
        const char *path, *host, *origin;
        enum http_method method;
        int status;
        const char *word;
    } rows[] = {
        {"/connection/websocket", "localhost:8000", NULL, HTTP_GET, 0, ""},
        {"/connection/websocket", "localhost:8000", "http://localhost:8000", HTTP_GET, 0, ""},
        {"/connection/websocket", "[::1]:8000", "http://[::1]:8000", HTTP_GET, 0, ""},
        {"/connection/websocket", "evil.example", NULL, HTTP_GET, 421, "public_names"},
        {"/connection/websocket", "evil.example", "http://evil.example", HTTP_GET, 421,
         "public_names"},
        {"/connection/websocket", NULL, NULL, HTTP_GET, 421, "public_names"},
        {"/connection/websocket", "localhost:8000", "http://evil.example", HTTP_GET, 403,
         "allowed_origins"},
        {"/connection/websocket", "localhost:8000", "null", HTTP_GET, 403, "allowed_origins"},
        {"/", "localhost:8000", NULL, HTTP_GET, 404, "/connection/websocket"},
        {"/connection/websocket/", "localhost:8000", NULL, HTTP_GET, 404, "/connection/websocket"},
        {"/connection/websocket", "localhost:8000", NULL, HTTP_OTHER, 405, "GET"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_request r = {.method = rows[i].method,
                                 .path = span_str(rows[i].path),
                                 .host = span_str(rows[i].host),
                                 .origin = span_str(rows[i].origin),
                                 .local_address = SPAN("127.0.0.1"),
                                 .settings = served.gateway.settings};
        const char *why = NULL;
        assert_int_equal(http_check_upgrade(&r, &why), rows[i].status);
        assert_non_null(strstr(why, rows[i].word));
        assert_int_equal(strlen(why) == 0, rows[i].status == 0);
    }
}

static int set_up(void **state)
{
    (void)state;
    served_init(&served, "");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    served_deinit(&served);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_hardened),
        cmocka_unit_test(a_host_that_is_not_ours_is_told_what_to_set_on_every_route),
        cmocka_unit_test(a_host_that_is_no_name_is_not_repeated),
        cmocka_unit_test(a_page_of_another_origin_may_not_read),
        cmocka_unit_test(what_is_not_there_is_said_plainly),
        cmocka_unit_test(what_can_only_be_read_is_not_written),
        cmocka_unit_test(the_websocket_address_asks_for_an_upgrade),
        cmocka_unit_test(a_build_without_the_page_says_so),
        cmocka_unit_test(the_page_comes_compressed_or_not),
        cmocka_unit_test(every_file_of_the_page_is_served),
        cmocka_unit_test(what_the_browser_has_is_not_sent_again),
        cmocka_unit_test(head_tells_what_get_would),
        cmocka_unit_test(health_has_a_heartbeat_per_thread),
        cmocka_unit_test(with_one_hub_the_sequencer_has_no_thread),
        cmocka_unit_test(readiness_follows_the_phase),
        cmocka_unit_test(a_handshake_is_checked_before_it_goes_on),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
