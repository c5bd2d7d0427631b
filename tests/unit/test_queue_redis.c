/* SPDX-License-Identifier: MIT */
/* test_queue_redis.c: what is particular to queues over Redis: several gateways, several servers,
 * scripts that are forgotten, a memory that is full, and how durable a put is known to be.
 */
#include "backplane/queue_redis.h"

#include "tests/unit/queue_kit.h"

/* ---- a gateway beside the one under test ----------------------------------------------------- */

static struct queue_driver *second;
static struct driver *second_rooms;
static struct actor second_actor;
static size_t second_ready;

static void on_second_ready(void *owner, struct span queue, size_t count)
{
    (void)owner;
    assert_true(!count || span_eq(queue, SPAN("q")));
    second_ready += count;
}

static bool second_turn(struct actor *a)
{
    (void)a;
    return second_rooms->ops->turn(second_rooms, 0);
}

static void open_second(void)
{
    static const struct queue_events seen = {on_second_ready};
    static const struct driver_events none = {0};
    static struct redis_settings settings;
    const struct queue_config c = {.events = &seen};
    const struct driver_config rooms_config = {
        .events = &none, .loop = &loop, .settings = &settings};
    second_ready = 0;
    settings = queue_settings;
    settings.node = "second";
    assert_int_equal(redis_driver.open(&second_rooms, &rooms_config), OK);
    second_actor = (struct actor){.turn = second_turn};
    loop_add(&loop, &second_actor);
    second = second_rooms->ops->queues(second_rooms, &c);
    assert_non_null(second);
    await_calm(second);
}

static void close_second(void)
{
    second->ops->stop(second);
    loop_remove(&loop, &second_actor);
    second_rooms->ops->stop(second_rooms);
    second->ops->close(second);
    second_rooms->ops->close(second_rooms);
    loop_settle(&loop);
}

static void what_one_gateway_makes_ready_wakes_those_of_another(void **state)
{
    (void)state;
    open_second();
    put_text("q", "1");
    while (!second_ready)
        turn_once();
    put_text("q", "2"); /* there was one already: who looks finds both */
    assert_int_equal(take("q", 1, 1000), 1);
    assert_true(taken.more);
    const struct job *j = taken.jobs[0];
    assert_int_equal(settle_job(QUEUE_RELEASE, j), SETTLED_OK);
    assert_int_equal(take("q", 5, 1000), 2);
    assert_int_equal(second_ready, 1);
    assert_int_equal(settle_job(QUEUE_RELEASE, taken.jobs[0]), SETTLED_OK);
    while (second_ready < 2)
        turn_once();
    struct queue_job later = {.data = SPAN("3"), .delay_ms = 50};
    assert_int_equal(take("q", 5, 1000), 1);
    assert_int_equal(put("q", &later), PUT_OK);
    pass(60); /* whoever sweeps tells all */
    while (second_ready < 3)
        turn_once();
    control("q", QUEUE_PAUSE);
    put_text("q", "4");
    assert_int_equal(take("q", 5, 1000), 0);
    control("q", QUEUE_RESUME);
    while (second_ready < 5)
        turn_once();
    close_second();
}

static void a_queue_that_nobody_takes_from_is_swept_by_the_clock(void **state)
{
    (void)state;
    (void)put_text("q", "1");
    take_one("q", 50);
    struct queue_job later = {.data = SPAN("2"), .delay_ms = 30, .ttl_ms = 60};
    assert_int_equal(put("q", &later), PUT_OK);
    clock_now += 1000;
    tell_time();
    struct queue_stats s = {0};
    do { /* the driver's own timer */
        uv_run(&loop.uv, UV_RUN_ONCE);
        assert_int_equal(run(&s.op, QUEUE_STATS, "q"), OK);
    } while (s.number[NUMBER_lapsed] < 1 || s.number[NUMBER_dead] < 1);
    assert_int_equal(s.number[NUMBER_leased], 0);
}

static void a_queue_of_other_programs_has_the_usual_rules(void **state)
{
    (void)state;
    char command[512], rules_text[256] = "";
    const struct queue_rules *r = &queue_default_rules;
    const uint64_t v[] = {r->max_failures, r->max_deliveries, r->backoff_ms, r->backoff_cap_ms,
                          r->max_jobs,     r->max_bytes,      r->max_data,   r->key_ms,
                          r->dead_ms,      r->dead_jobs,      r->result_ms,  r->drop_expired,
                          r->max_inflight};
    for (size_t i = 0; i < COUNT_OF(v); i++)
        (void)snprintf(rules_text + strlen(rules_text), sizeof(rules_text) - strlen(rules_text),
                       "%s%llu", i ? " " : "", (unsigned long long)v[i]);
    struct queue_job j = {.kind = SPAN("k")};
    struct queue_put p = {.jobs = &j, .count = 1}; /* says nothing of rules */
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), OK);
    (void)snprintf(command, sizeof(command),
                   "EVAL \"return redis.call('HGET',KEYS[1],'rules')==ARGV[1]"
                   " and 1 or 0\" 1 %s:queue:q \"%s\"",
                   queue_prefix, rules_text);
    assert_string_equal(redis_say(&queue_servers[0], command), ":1");
}

/* ---- what a server does to us ---------------------------------------------------------------- */

static void scripts_that_are_forgotten_are_not_noticed(void **state) /* R3 */
{
    (void)state;
    static const char *const commands[] = {"SCRIPT FLUSH", "FUNCTION FLUSH", "CONFIG RESETSTAT"};
    for (int i = 0; i < 30; i++) {
        uint64_t id = put_text("q", "1");
        (void)redis_say(&queue_servers[0], commands[i % 3]);
        const struct job *j = take_one("q", 60000);
        assert_int_equal(j->id, id);
        (void)redis_say(&queue_servers[0], commands[(i + 1) % 3]);
        assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
    }
    assert_int_equal(stats("q").number[NUMBER_acked], 30);
}

static void a_full_memory_refuses_puts_while_the_queue_drains(void **state) /* R6 */
{
    (void)state;
    log_set_level(LOG_ERROR); /* it is told, once */
    for (int i = 0; i < 4; i++)
        put_text("q", "1");
    assert_int_equal(take("q", 2, 60000), 2);
    struct queue_item dead = {.id = taken.jobs[0]->id, .fatal = true};
    dead.token = span_str(taken.jobs[0]->token);
    (void)redis_say(&queue_servers[0], "CONFIG SET maxmemory 1");
    struct queue_job j = {.data = SPAN("2")};
    assert_int_equal(put("q", &j), PUT_FULL);
    assert_int_equal(settle_item("q", QUEUE_NACK, &dead), SETTLED_OK);
    assert_int_equal(settle_job(QUEUE_ACK, taken.jobs[1]), SETTLED_OK);
    assert_int_equal(take("q", 1, 60000), 1);
    assert_int_equal(settle_job(QUEUE_EXTEND, taken.jobs[0]), SETTLED_OK);
    assert_int_equal(settle_job(QUEUE_RELEASE, taken.jobs[0]), SETTLED_OK);
    control("q", QUEUE_PAUSE);
    control("q", QUEUE_RESUME);
    assert_int_equal(take("q", 5, 60000), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(settle_job(QUEUE_ACK, taken.jobs[i]), SETTLED_OK);
    struct queue_pick all = {.max = 10};
    assert_int_equal(run(&all.op, QUEUE_PURGE, "q"), OK);
    assert_int_equal(all.changed, 1);
    assert_int_equal(put("q", &j), PUT_FULL);
    (void)redis_say(&queue_servers[0], "CONFIG SET maxmemory 0");
    assert_int_equal(put("q", &j), PUT_OK);
    struct queue_stats s = stats("q");
    assert_int_equal(s.number[NUMBER_ready], 1);
    assert_int_equal(s.number[NUMBER_acked], 3);
    log_set_level(LOG_WARN);
}

static enum durability durability_of_a_put(void)
{
    struct queue_job j = {.kind = SPAN("k")};
    struct queue_put p = {.jobs = &j, .count = 1};
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), OK);
    return p.durable;
}

static void a_put_is_told_to_be_as_durable_as_is_known(void **state)
{
    (void)state;
    assert_int_equal(durability_of_a_put(), DURABLE_MEM);
    (void)redis_say(&queue_servers[0], "CONFIG SET appendonly yes");
    open_again();
    assert_int_equal(durability_of_a_put(), DURABLE_OS);
    queue_settings.restart_keeps = true;
    assert_int_equal(durability_of_a_put(), DURABLE_FSYNC);
    queue_settings.restart_keeps = false;
    (void)redis_say(&queue_servers[0], "CONFIG SET appendonly no");
    (void)redis_say(&queue_servers[0], "ACL SETUSER default -info");
    open_again();
    assert_int_equal(durability_of_a_put(), DURABLE_UNKNOWN);
    (void)redis_say(&queue_servers[0], "ACL SETUSER default +info");
}

/* ---- several servers ------------------------------------------------------------------------- */

static uint64_t put_so(const char *group, const char *key)
{
    struct queue_job j = {.group = span_str(group), .key = span_str(key), .data = SPAN("x")};
    assert_int_equal(put("q", &j), PUT_OK);
    return j.id;
}

static void jobs_spread_over_the_servers_and_groups_and_keys_do_not(void **state)
{
    (void)state;
    size_t at[2] = {0};
    uint64_t ids[80];
    for (size_t i = 0; i < 20; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "n%zu", i);
        ids[4 * i] = put_so("", "");
        ids[4 * i + 1] = put_so(name, "");
        ids[4 * i + 2] = put_so(name, "");
        ids[4 * i + 3] = put_so("", name);
        assert_int_equal(ids[4 * i + 1] % 16, ids[4 * i + 2] % 16);
        assert_int_equal(ids[4 * i + 2] % 16, ids[4 * i + 3] % 16);
        struct queue_job same = {.key = span_str(name)};
        assert_int_equal(put("q", &same), PUT_REPEATED);
        assert_int_equal(same.id, ids[4 * i + 3]);
    }
    for (size_t i = 0; i < 80; i++) {
        assert_true(ids[i] < 1ULL << 53);
        at[ids[i] % 16]++;
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(ids[i], ids[k]);
    }
    assert_true(at[0] > 10 && at[1] > 10);
    struct queue_stats s = stats("q");
    assert_int_equal(s.number[NUMBER_ready], 60);
    assert_int_equal(s.number[NUMBER_blocked], 20);
    for (size_t done = 0; done < 80;) { /* both are taken from, and each ack finds its server */
        assert_true(take("q", 7, 60000) > 0);
        struct queue_item items[7] = {{0}};
        struct queue_settle acks = {.items = items, .count = taken.count};
        for (size_t i = 0; i < taken.count; i++) {
            items[i].id = taken.jobs[i]->id;
            items[i].token = span_str(taken.jobs[i]->token);
        }
        assert_int_equal(run(&acks.op, QUEUE_ACK, "q"), OK);
        for (size_t i = 0; i < acks.count; i++)
            assert_int_equal(items[i].status, SETTLED_OK);
        done += acks.count;
    }
    assert_int_equal(stats("q").number[NUMBER_acked], 80);
}

static void what_is_said_of_a_queue_holds_on_all_servers(void **state)
{
    (void)state;
    uint64_t ids[12];
    for (size_t i = 0; i < 12; i++)
        ids[i] = put_so("", "");
    control("q", QUEUE_PAUSE);
    assert_int_equal(take("q", 12, 60000), 0);
    control("q", QUEUE_DRAIN);
    for (size_t i = 0; i < 4; i++) {
        struct queue_job j = {.data = SPAN("no")};
        assert_int_equal(put("q", &j), PUT_DRAINING);
    }
    control("q", QUEUE_RESUME);
    assert_int_equal(take("q", 12, 60000), 12);
    for (size_t i = 0; i < 12; i++) {
        struct queue_item item = {.id = taken.jobs[i]->id, .fatal = true};
        item.token = span_str(taken.jobs[i]->token);
        assert_int_equal(settle_item("q", QUEUE_NACK, &item), SETTLED_OK);
    }
    struct queue_list list = {.max = 9};
    assert_int_equal(run(&list.op, QUEUE_DEAD, "q"), OK);
    assert_int_equal(list.count, 9);
    for (size_t i = 1; i < 9; i++)
        assert_true(list.jobs[i]->id > list.jobs[i - 1]->id);
    queue_op_deinit(&list.op);
    struct queue_pick some = {.ids = (uint64_t[]){ids[0], ids[1], ids[2], 15}, .count = 4};
    assert_int_equal(run(&some.op, QUEUE_RETRY, "q"), OK);
    assert_int_equal(some.changed, 3);
    struct queue_pick rest = {.max = 8};
    assert_int_equal(run(&rest.op, QUEUE_PURGE, "q"), OK);
    assert_int_equal(rest.changed, 8);
    assert_int_equal(stats("q").number[NUMBER_dead], 1);
    assert_int_equal(settle("q", QUEUE_CANCEL, ids[0], ""), SETTLED_OK);
    assert_int_equal(settle("q", QUEUE_CANCEL, ids[0] | 15, ""), SETTLED_GONE); /* of no server */
}

static void a_server_that_is_away_takes_its_jobs_along_and_no_others(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    const char *groups[2] = {NULL, NULL};
    static char names[64][8];
    for (size_t i = 0; i < 64 && !(groups[0] && groups[1]); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "g%zu", i);
        groups[put_so(names[i], "") % 16] = names[i];
    }
    assert_true(groups[0] && groups[1]);
    while (take("q", 64, 60000) > 0)
        ;
    redis_kill(&queue_servers[1]);
    while (!counter_get(&rooms->counters.away))
        uv_run(&loop.uv, UV_RUN_ONCE);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(put_so("", "") % 16, 0);
    struct queue_job homeless = {.kind = SPAN("k"), .group = span_str(groups[1])};
    struct queue_put p = {.jobs = &homeless, .count = 1};
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), ERR_INTERNAL);
    assert_int_equal(take("q", 64, 60000), 8);
    struct queue_item items[] = {{.id = taken.jobs[0]->id}, {.id = 1 + 16}};
    items[0].token = span_str(taken.jobs[0]->token);
    struct queue_settle acks = {.items = items, .count = 2};
    assert_int_equal(run(&acks.op, QUEUE_ACK, "q"), ERR_INTERNAL); /* nobody knows of one of them */
    acks.count = 1;
    assert_int_equal(run(&acks.op, QUEUE_ACK, "q"), OK);
    assert_int_equal(items[0].status, SETTLED_GONE); /* the other one had been done all the same */
    redis_restart(&queue_servers[1], NULL);
    await_calm(driver);
    (void)put_so(groups[1], "");
    log_set_level(LOG_WARN);
}

int main(void)
{
    const struct CMUnitTest one[] = {
        TEST(what_one_gateway_makes_ready_wakes_those_of_another),
        TEST(a_queue_that_nobody_takes_from_is_swept_by_the_clock),
        TEST(a_queue_of_other_programs_has_the_usual_rules),
        TEST(scripts_that_are_forgotten_are_not_noticed),
        TEST(a_full_memory_refuses_puts_while_the_queue_drains),
        TEST(a_put_is_told_to_be_as_durable_as_is_known),
    };
    const struct CMUnitTest two[] = {
        TEST(jobs_spread_over_the_servers_and_groups_and_keys_do_not),
        TEST(what_is_said_of_a_queue_holds_on_all_servers),
        TEST(a_server_that_is_away_takes_its_jobs_along_and_no_others),
    };
    int failed = over_redis(one, COUNT_OF(one));
    queue_server_count = QUEUE_SERVERS;
    return failed + over_redis(two, COUNT_OF(two));
}
