/* SPDX-License-Identifier: MIT */
/* test_queue_redis_many.c: very many jobs that wait, are leased or dead cost the others
 * nothing, over Redis (S12). MADANG_TORTURE=1 has a million of each, and judges time more closely.
 *
 * Cost is what the server itself says: how many commands the scripts called, and how long they
 * took. Rounds in a queue with the many and in one without take turns, and of each the best counts:
 * other programs can make a round dearer, and none cheaper.
 */
#include "backplane/queue_redis.h"

#include "tests/unit/queue_kit.h"

enum { SLICE = 2000, ROUNDS = 200, LATER = 3600000 };

static struct redis_process *const server = &queue_servers[0];

static bool torture(void)
{
    return getenv("MADANG_TORTURE") != NULL; /* NOLINT(concurrency-mt-unsafe): one thread */
}

static int64_t number_said(const char *command)
{
    const char *answer = redis_say(server, command);
    assert_int_equal(answer[0], ':');
    return strtoll(answer + 1, NULL, 10);
}

/* ---- the many -------------------------------------------------------------------------------- */

/* Copies of one job, with ids of long before, each due one ms after the other. */
static void copy_job(uint64_t id, const char *set, int space, int from, int count)
{
    char command[1400];
    (void)snprintf(
        command, sizeof(command),
        "EVAL \"local id,set,from=ARGV[1],ARGV[3],tonumber(ARGV[4])"
        " local function key(k) return ARGV[2]..':queue.'..k..':q' end"
        " local packed,data=redis.call('HGET',key('job'),id),redis.call('HGET',key('data'),id)"
        " local due,j=tonumber(redis.call('ZSCORE',key(set),id)),cmsgpack.unpack(packed)"
        " for i=from,from+ARGV[5]-1 do"
        "  local copy=string.format('%%.0f',id-ARGV[6]*100000000-16*i)"
        "  j[3]=due+i"
        "  redis.call('HSET',key('job'),copy,cmsgpack.pack(j))"
        "  redis.call('HSET',key('data'),copy,data)"
        "  redis.call('ZADD',key(set),string.format('%%.0f',due+i),copy)"
        "  if set=='dead' then redis.call('ZADD',key('buried'),0,copy)"
        "  else redis.call('HINCRBY',ARGV[2]..':queue:q','bytes',#data) end"
        " end return 1\" 0 %016llu %s %s %d %d %d",
        (unsigned long long)id, queue_prefix, set, from, count, space);
    assert_int_equal(number_said(command), 1);
}

/* As many that wait, and that are dead; a tenth of that is leased. */
static void add_many(int many)
{
    struct queue_job later = {.data = SPAN("later"), .delay_ms = LATER};
    assert_int_equal(put("q", &later), PUT_OK);
    uint64_t dead = put_text("q", "dead");
    struct queue_item item = {.id = dead, .fatal = true};
    item.token = span_str(take_one("q", LATER)->token);
    assert_int_equal(settle_item("q", QUEUE_NACK, &item), SETTLED_OK);
    uint64_t leased = put_text("q", "leased");
    assert_int_equal(take_one("q", LATER)->id, leased);
    for (int from = 1; from < many; from += SLICE) {
        copy_job(later.id, "delayed", 1, from, SLICE);
        copy_job(dead, "dead", 2, from, SLICE);
        copy_job(leased, "lease", 3, from / 10 + 1, SLICE / 10);
    }
    struct queue_stats s = {0}; /* counting a million anew would hold the server up for seconds */
    assert_int_equal(run(&s.op, QUEUE_STATS, "q"), OK);
    assert_int_equal(s.number[NUMBER_delayed], many + 1);
    assert_int_equal(s.number[NUMBER_dead], many + 1);
    assert_int_equal(s.number[NUMBER_leased], many / 10 + 1);
}

/* ---- what others pay ------------------------------------------------------------------------- */

struct cost {
    int64_t calls, us;
};

/* Of a put, a take and an ack. */
static struct cost cost_of_round(const char *queue)
{
    (void)redis_say(server, "CONFIG RESETSTAT");
    uint64_t id = put_text(queue, "1");
    const struct job *j = take_one(queue, 60000);
    assert_int_equal(j->id, id);
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
    int64_t both = number_said(
        "EVAL \"local n,t=0,0 for c,k,u in string.gmatch(redis.call('INFO','commandstats'),"
        " 'cmdstat_([^:]+):calls=(%d+),usec=(%d+)')"
        " do if string.find(c,'^eval') then t=t+u else n=n+k end end return n*1000000+t\" 0");
    return (struct cost){both / 1000000, both % 1000000};
}

static void keep_best(struct cost *best, struct cost one)
{
    if (!best->calls || one.calls < best->calls)
        best->calls = one.calls;
    if (!best->us || one.us < best->us)
        best->us = one.us;
}

static void very_many_that_wait_are_leased_or_dead_cost_the_others_nothing(void **state)
{
    (void)state;
    int many = torture() ? 1000000 : 20000;
    rules.max_jobs = 4 * (uint64_t)many;
    rules.dead_jobs = 4 * (uint64_t)many;
    struct cost alone = {0}, among = {0};
    (void)cost_of_round("few"); /* it is there, and the scripts are known */
    add_many(many);
    for (int i = 0; i < ROUNDS; i++) {
        keep_best(&alone, cost_of_round("few"));
        keep_best(&among, cost_of_round("q"));
    }
    print_message("among %d: %lld commands, %lld us; alone: %lld, %lld\n", many,
                  (long long)among.calls, (long long)among.us, (long long)alone.calls,
                  (long long)alone.us);
    assert_true(alone.calls > 20 && alone.us > 0);
    assert_true(among.calls * 10 <= alone.calls * 12);
    /* A walk through them takes a hundred times as long. */
    assert_true(among.us * 10 <= alone.us * (torture() ? 15 : 50));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(very_many_that_wait_are_leased_or_dead_cost_the_others_nothing),
    };
    return over_redis(tests, COUNT_OF(tests));
}
