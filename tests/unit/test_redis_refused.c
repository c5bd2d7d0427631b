/* SPDX-License-Identifier: MIT */
/* Servers that do not take us, or that we do not take: each in one sentence. And TLS. */
#include "backplane/redis/link.h"
#include "backplane/redis/tls.h"

#include "tests/unit/link_kit.h"

static struct redis_process redis;
static char tls_dir[] = "/tmp/madang_tls_XXXXXX";
static uint16_t tls_port;

/* Runs a shell command in the folder of certificates. */
static void run(const char *command)
{
    char line[1024];

    (void)snprintf(line, sizeof(line), "cd %s && { %s; } >log 2>&1", tls_dir, command);
    const char *const args[] = {"sh", "-c", line, NULL};
    if (run_program(args) != 0)
        fail_msg("%s", line);
}

static const char *file(const char *name)
{
    static char paths[4][96];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", tls_dir, name);
    return path;
}

/* Two authorities; a certificate of the first for "redis.test" and 127.0.0.1; one of a client. */
static void make_certificates(void)
{
    assert_non_null(mkdtemp(tls_dir));
    run("for a in ca other; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        "-nodes "
        "-days 2 -subj /CN=$a -keyout $a.key -out $a.pem; done");
    run("printf 'subjectAltName=DNS:redis.test,IP:127.0.0.1' >names; for n in server client; do "
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$n -keyout "
        "$n.key "
        "-out $n.csr && openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -days 2 -extfile "
        "names "
        "-out $n.pem; done");
}

static int start(void **state)
{
    char port[8], ca[96], cert[96], key[96];

    make_certificates();
    tls_port = free_port();
    (void)snprintf(port, sizeof(port), "%u", tls_port);
    (void)snprintf(ca, sizeof(ca), "%s", file("ca.pem"));
    (void)snprintf(cert, sizeof(cert), "%s", file("server.pem"));
    (void)snprintf(key, sizeof(key), "%s", file("server.key"));
    const char *const args[] = {"--tls-port",
                                port,
                                "--tls-cert-file",
                                cert,
                                "--tls-key-file",
                                key,
                                "--tls-ca-cert-file",
                                ca,
                                "--tls-auth-clients",
                                "optional",
                                NULL};
    redis_start(&redis, args);
    return loop_start(state);
}

static int finish(void **state)
{
    int rc = loop_finish(state);

    redis_stop(&redis);
    run("rm -f ./*");
    (void)rmdir(tls_dir);
    return rc;
}

static int settle(void **state)
{
    (void)state;
    loop_settle(&loop);
    return 0;
}

static void assert_url_fails(const char *url, enum redis_fault fault, const char *why)
{
    struct redis_link_options o = options_of(url);

    o.url.port = redis.port;
    assert_fails(&o, fault, why);
}

static void test_wrong_credentials(void **state)
{
    const char *wrong = "the password or the user name is wrong";
    (void)state;

    assert_url_fails("redis://:pw@127.0.0.1", FAULT_REFUSED,
                     "a password was given, but the server has none for this user");
    assert_url_fails("redis://nobody:pw@127.0.0.1", FAULT_REFUSED, wrong);
    (void)redis_say(&redis, "CONFIG SET requirepass secret");
    assert_url_fails("redis://:pw@127.0.0.1", FAULT_REFUSED, wrong);
    assert_url_fails("redis://127.0.0.1", FAULT_REFUSED,
                     "the server wants a password, and the URL has none");
    struct redis_link_options o = options_of("redis://:secret@127.0.0.1");
    o.url.port = redis.port;
    open_up(&o);
    struct asked reset;
    struct span words[] = {SPAN("CONFIG"), SPAN("SET"), SPAN("requirepass"), {"", 0}};
    ask_words(&reset, words, 4);
    assert_reply(&reset, "OK");
    redis_link_close(test_link);
}

static void test_an_acl_user_logs_in_with_the_rights_it_has(void **state)
{
    struct asked a;
    (void)state;

    (void)redis_say(&redis, "ACL SETUSER low on >secret ~* &* +ping");
    struct redis_link_options o = options_of("redis://low:secret@127.0.0.1");
    o.url.port = redis.port;
    o.client_name = "gateway";
    open_up(&o); /* CLIENT, ROLE and INFO are denied, and done without */
    assert_false(redis_link_facts(test_link)->known);
    ask(&a, "PING");
    assert_reply(&a, "PONG");
    redis_link_close(test_link);
    (void)redis_say(&redis, "ACL DELUSER low");
}

static void test_databases(void **state)
{
    struct asked a;
    (void)state;

    assert_url_fails("redis://127.0.0.1/16", FAULT_REFUSED, "it has no database of this number");
    struct redis_link_options o = options_of("redis://127.0.0.1/15");
    o.url.port = redis.port;
    open_up(&o);
    ask(&a, "SET here 1");
    assert_reply(&a, "OK");
    assert_string_equal(redis_say(&redis, "EXISTS here"), ":0");
    redis_link_close(test_link);
}

static void test_the_client_has_a_name(void **state)
{
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    o.client_name = "madang:one";
    open_up(&o);
    ask(&a, "CLIENT GETNAME");
    assert_reply(&a, "madang:one");
    redis_link_close(test_link);
}

static void test_a_replica_is_refused_unless_wanted(void **state)
{
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    (void)redis_say(&redis, "REPLICAOF 127.0.0.1 1");
    assert_fails(&o, FAULT_REFUSED, "it is a replica of 127.0.0.1:1, not a master");
    o.expect = EXPECT_ANY;
    open_up(&o);
    assert_string_equal(redis_link_facts(test_link)->role, "slave");
    redis_link_close(test_link);
    (void)redis_say(&redis, "REPLICAOF NO ONE");
}

static void test_a_server_that_evicts_is_refused_or_reported(void **state)
{
    struct redis_link_options o = options_of(redis.url);
    struct buf text = {0};
    const char *why = "it may drop messages when its memory is full (maxmemory-policy "
                      "allkeys-lru); set maxmemory-policy noeviction there";
    (void)state;

    (void)redis_say(&redis, "CONFIG SET maxmemory-policy allkeys-lru maxmemory 100mb");
    assert_fails(&o, FAULT_REFUSED, why);
    o.eviction = EVICTION_REPORTED;
    open_up(&o);
    assert_true(redis_facts_evicts(redis_link_facts(test_link)));
    redis_facts_explain_eviction(redis_link_facts(test_link), &text);
    buf_char(&text, '\0');
    assert_string_equal(text.p, why);
    buf_deinit(&text);
    redis_link_close(test_link);
    (void)redis_say(&redis, "CONFIG SET maxmemory-policy noeviction");
    o.eviction = EVICTION_REFUSED;
    open_up(&o);
    redis_link_close(test_link);
    (void)redis_say(&redis, "CONFIG SET maxmemory 0");
}

static void test_cluster_mode_is_refused(void **state)
{
    char port[8];
    const char *const cluster[] = {"--cluster-enabled", "yes", "--cluster-port", port, NULL};
    struct redis_process r;
    (void)state;

    (void)snprintf(port, sizeof(port), "%u", free_port()); /* its default may not exist */
    redis_start(&r, cluster);
    struct redis_link_options o = options_of(r.url);
    assert_fails(&o, FAULT_REFUSED, "it is in cluster mode, which is not supported");
    o.url.database = 1;
    assert_fails(&o, FAULT_REFUSED, "it is in cluster mode, which is not supported");
    redis_stop(&r);
}

static void test_a_sentinel_is_not_a_server(void **state)
{
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    o.expect = EXPECT_SENTINEL;
    assert_fails(&o, FAULT_REFUSED, "it is a Redis server, not a Sentinel");
}

static void test_nobody_there(void **state)
{
    char url[64];
    (void)state;

    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%u", free_port());
    struct redis_link_options o = options_of(url);
    assert_fails(&o, FAULT_AWAY, "cannot connect: connection refused");
    o = options_of("unix:///nowhere/at/all");
    assert_fails(&o, FAULT_AWAY, "cannot connect: no such file or directory");
    o = options_of("redis://name.invalid");
    open_with(&o);
    WAIT_FOR(downs);
    assert_non_null(strstr(last_why, "the name name.invalid cannot be resolved: "));
    redis_link_close(test_link);
}

static void test_closing_while_a_name_is_looked_up_waits_for_the_lookup(void **state)
{
    struct redis_link_options o = options_of("redis://name.invalid");
    (void)state;

    open_with(&o);
    (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    redis_link_close(test_link);
    assert_int_equal(loop_deinit(&loop), 0);
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(ups + downs, 0);
}

static void test_all_addresses_of_a_name_are_tried(void **state)
{
    struct redis_link_options o = options_of("redis://localhost"); /* ::1 first, if at all */
    (void)state;

    o.url.port = redis.port; /* listens on 127.0.0.1 only */
    for (int i = 0; i < 3; i++) {
        open_up(&o);
        redis_link_close(test_link);
    }
}

static struct redis_link_options tls_link(const struct redis_tls_options *tls)
{
    struct redis_link_options o = options_of("rediss://127.0.0.1");
    struct buf why = {0};

    o.url.port = tls_port;
    o.tls = redis_tls_new(tls, &why);
    if (!o.tls)
        fail_msg("%.*s", (int)why.n, why.p);
    buf_deinit(&why);
    return o;
}

static void close_tls(struct redis_link_options *o)
{
    redis_link_close(test_link);
    loop_settle(&loop);
    redis_tls_free(o->tls);
}

static void test_tls_carries_calls_of_any_size(void **state)
{
    static char large[3000000];
    static struct asked set, get, pings[500];
    struct span words[] = {SPAN("SET"), SPAN("large"), {large, sizeof(large)}};
    struct redis_link_options o = tls_link(&(struct redis_tls_options){.ca_file = file("ca.pem")});
    (void)state;

    memset(large, 'x', sizeof(large));
    open_up(&o);
    ask_words(&set, words, 3);
    ask(&get, "GET large");
    for (int i = 0; i < 500; i++)
        ask(&pings[i], "PING");
    assert_reply(&set, "OK");
    WAIT_FOR(pings[499].ended);
    assert_int_equal(get.reply.text.n, sizeof(large));
    assert_memory_equal(get.reply.text.p, large, sizeof(large));
    redis_reply_deinit(&get.reply);
    for (int i = 0; i < 500; i++)
        assert_reply(&pings[i], "PONG");
    close_tls(&o);
}

static void assert_tls_fails(const struct redis_tls_options *tls, const char *why)
{
    struct redis_link_options o = tls_link(tls);

    open_with(&o);
    WAIT_FOR(downs);
    assert_int_equal(ups, 0);
    if (!strstr(last_why, why))
        fail_msg("'%s' does not say '%s'", last_why, why);
    close_tls(&o);
}

static void test_tls_verifies_who_is_there(void **state)
{
    (void)state;
    assert_tls_fails(&(struct redis_tls_options){.ca_file = file("other.pem")},
                     "its certificate is not accepted: ");
    assert_tls_fails(&(struct redis_tls_options){.ca_file = NULL},
                     "its certificate is not accepted: ");
    assert_tls_fails(
        &(struct redis_tls_options){.ca_file = file("ca.pem"), .server_name = "elsewhere.test"},
        "its certificate is not accepted: hostname mismatch");
    assert_tls_fails(
        &(struct redis_tls_options){.ca_file = file("ca.pem"), .server_name = "127.0.0.2"},
        "its certificate is not accepted: IP address mismatch");
}

static void test_tls_takes_another_name_or_none_if_told_so(void **state)
{
    (void)state;
    struct redis_link_options o = tls_link(
        &(struct redis_tls_options){.ca_file = file("ca.pem"), .server_name = "redis.test"});
    open_up(&o);
    close_tls(&o);
    o = tls_link(&(struct redis_tls_options){.insecure = true, .server_name = "elsewhere.test"});
    open_up(&o);
    close_tls(&o);
}

static void test_tls_shows_a_client_certificate_where_one_is_wanted(void **state)
{
    (void)state;
    (void)redis_say(&redis, "CONFIG SET tls-auth-clients yes");
    struct redis_link_options o =
        tls_link(&(struct redis_tls_options){.ca_file = file("ca.pem"),
                                             .cert_file = file("client.pem"),
                                             .key_file = file("client.key")});
    open_up(&o);
    close_tls(&o);
    o = tls_link(&(struct redis_tls_options){.ca_file = file("ca.pem")});
    open_with(&o);
    WAIT_FOR(downs);
    assert_int_equal(ups, 0);
    close_tls(&o);
    (void)redis_say(&redis, "CONFIG SET tls-auth-clients optional");
}

static void test_tls_to_a_port_without_it_is_told(void **state)
{
    struct redis_link_options o = tls_link(&(struct redis_tls_options){.ca_file = file("ca.pem")});
    (void)state;

    o.url.port = redis.port;
    o.connect_ms = 500; /* it says nothing */
    open_with(&o);
    WAIT_FOR(downs);
    assert_int_equal(ups, 0);
    if (!strstr(last_why, "TLS"))
        fail_msg("%s", last_why);
    close_tls(&o);
}

static void test_a_port_with_tls_is_told_from_one_without(void **state)
{
    struct redis_link_options o = options_of("redis://127.0.0.1");
    (void)state;

    o.url.port = tls_port;
    open_with(&o);
    WAIT_FOR(downs);
    assert_int_equal(ups, 0);
    if (!strstr(last_why, "does it want TLS (rediss://)?"))
        fail_msg("%s", last_why);
    redis_link_close(test_link);
}

static void assert_no_tls(const struct redis_tls_options *o, const char *reason)
{
    struct buf why = {0};

    assert_null(redis_tls_new(o, &why));
    buf_char(&why, '\0');
    if (!strstr(why.p, reason))
        fail_msg("'%s' does not say '%s'", why.p, reason);
    buf_deinit(&why);
}

static void test_files_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    assert_no_tls(&(struct redis_tls_options){.ca_file = "/nowhere"},
                  "the CA file /nowhere cannot be used: ");
    assert_no_tls(
        &(struct redis_tls_options){.cert_file = file("ca.key"), .key_file = file("ca.key")},
        "ca.key cannot be used: ");
    assert_no_tls(
        &(struct redis_tls_options){.cert_file = file("client.pem"), .key_file = file("ca.key")},
        "the key ");
    assert_no_tls(&(struct redis_tls_options){.cert_file = file("client.pem")},
                  "a client certificate and its key must be given together");
}

#define TEST(f) cmocka_unit_test_teardown(f, settle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_wrong_credentials),
        TEST(test_an_acl_user_logs_in_with_the_rights_it_has),
        TEST(test_databases),
        TEST(test_the_client_has_a_name),
        TEST(test_a_replica_is_refused_unless_wanted),
        TEST(test_a_server_that_evicts_is_refused_or_reported),
        TEST(test_cluster_mode_is_refused),
        TEST(test_a_sentinel_is_not_a_server),
        TEST(test_nobody_there),
        TEST(test_closing_while_a_name_is_looked_up_waits_for_the_lookup),
        TEST(test_all_addresses_of_a_name_are_tried),
        TEST(test_tls_carries_calls_of_any_size),
        TEST(test_tls_verifies_who_is_there),
        TEST(test_tls_takes_another_name_or_none_if_told_so),
        TEST(test_tls_shows_a_client_certificate_where_one_is_wanted),
        TEST(test_tls_to_a_port_without_it_is_told),
        TEST(test_a_port_with_tls_is_told_from_one_without),
        TEST(test_files_that_cannot_be_used_are_named),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
