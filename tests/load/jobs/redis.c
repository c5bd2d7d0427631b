/* SPDX-License-Identifier: MIT */
/* madang-jobs-redis --port PORT [--jobs N] [--turns N]: how fast jobs go through the driver over
 * Redis.
 *
 * 32 jobs to a call, one call under way. Beside it, turn by turn, a bare loop runs the same scripts
 * over a socket of its own and looks at no more of the answers than it must: which jobs it got.
 * Prints JSON. Every job that was put must be handed out and acked, once.
 */
#include "backplane/redis.h"
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "backplane/base/map.h"
#include "backplane/queue_redis.h"
#include "backplane/redis_scripts.h"
#include "tests/load/jobs/turns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH      32
#define DATA_BYTES 200
#define KEYS       17

static struct loop loop;
static struct driver *rooms;
static struct queue_driver *driver;
static struct redis_settings settings;
static char data[DATA_BYTES];
static size_t jobs = 20000, turns = 5, wrong;
static unsigned long port;

/* ---- through the driver ---------------------------------------------------------------------- */

static size_t under_way;

static void op_done(struct queue_op *op)
{
    wrong += op->error != OK;
    under_way--;
}

static void run(struct queue_op *op, enum queue_verb verb)
{
    op->verb = verb;
    op->queue.name = SPAN("bench");
    op->done = op_done;
    under_way++;
    queue_begin(driver, op);
}

static void until_done(void)
{
    while (under_way)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

static double driver_puts(void)
{
    static struct queue_job batch[BATCH];
    double began = now_s();
    for (size_t done = 0; done < jobs; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            batch[i] = (struct queue_job){.kind = SPAN("bench"), .data = {data, sizeof(data)}};
        struct queue_put put = {.jobs = batch, .count = BATCH};
        run(&put.op, QUEUE_PUT);
        until_done();
        for (size_t i = 0; i < BATCH; i++)
            wrong += batch[i].status != PUT_OK;
    }
    return (double)jobs / (now_s() - began);
}

/* The ack of a batch and the take of the next leave together. */
static double driver_takes(void)
{
    static struct queue_item items[BATCH];
    static struct queue_ref from = {.name = SPAN_INIT("bench")};
    struct queue_take take = {.queues = &from, .queue_count = 1, .max = BATCH, .lease_ms = 60000};
    struct queue_settle ack = {.items = items};
    size_t acked = 0;
    double began = now_s();
    run(&take.op, QUEUE_TAKE);
    until_done();
    while (take.count) {
        struct queue_take held = take;
        for (size_t i = 0; i < held.count; i++)
            items[i] =
                (struct queue_item){.id = held.jobs[i]->id, .token = span_str(held.jobs[i]->token)};
        ack.count = held.count;
        run(&ack.op, QUEUE_ACK);
        run(&take.op, QUEUE_TAKE);
        until_done();
        for (size_t i = 0; i < held.count; i++)
            acked += items[i].status == SETTLED_OK;
        queue_op_deinit(&held.op);
    }
    wrong += acked != jobs;
    return (double)jobs / (now_s() - began);
}

/* ---- bare ------------------------------------------------------------------------------------ */

static int bare;
static struct buf out;
static char in[1 << 20];
static size_t in_at, in_n;

static void bare_open(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    bare = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(bare >= 0 && connect(bare, (struct sockaddr *)&a, sizeof(a)) == 0, "connecting");
    need(setsockopt(bare, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0, "TCP_NODELAY");
}

static void word(struct span s)
{
    buf_fmt(&out, "$%zu\r\n", s.n);
    buf_span(&out, s);
    buf_lit(&out, "\r\n");
}

static void number(uint64_t v)
{
    char text[U64_TEXT_MAX];
    word((struct span){text, u64_text(text, v)});
}

/* The beginning of a call of a script with the keys of a queue, and with n words to come. */
static void call(enum redis_script_id script, size_t n)
{
    static const char *const kinds[KEYS] = {
        "bare:jobs",           "bare:queues",        "bare:queues.due",
        "bare:queue:b",        "bare:queue.job:b",   "bare:queue.data:b",
        "bare:queue.ready:b",  "bare:queue.lease:b", "bare:queue.delayed:b",
        "bare:queue.expire:b", "bare:queue.group:b", "bare:queue.blocked:b",
        "bare:queue.key:b",    "bare:queue.ends:b",  "bare:queue.result:b",
        "bare:queue.dead:b",   "bare:queue.buried:b"};
    buf_fmt(&out, "*%zu\r\n", 3 + KEYS + n);
    word(SPAN("EVALSHA"));
    word(span_str(redis_script(script)->sha));
    number(KEYS);
    for (size_t i = 0; i < KEYS; i++)
        word(span_str(kinds[i]));
}

static void flush(void)
{
    need(!out.failed, "building a call");
    for (size_t at = 0; at < out.n;) {
        ssize_t n = write(bare, out.p + at, out.n - at);
        need(n > 0, "writing");
        at += (size_t)n;
    }
    buf_clear(&out);
}

static char next_char(void)
{
    if (in_at == in_n) {
        ssize_t n = read(bare, in, sizeof(in));
        need(n > 0, "reading");
        in_at = 0;
        in_n = (size_t)n;
    }
    return in[in_at++];
}

/* One item of an answer: its number, or of a text its length; the text's beginning into `text`. */
static long item(char text[64])
{
    char kind = next_char();
    long v = 0, sign = 1;
    need(kind != '-', "a bare call");
    for (char c; (c = next_char()) != '\r';) {
        if (c == '-')
            sign = -1;
        else
            v = v * 10 + (c - '0');
    }
    (void)next_char();
    for (long i = 0; kind == '$' && i < v + 2; i++) {
        char c = next_char();
        if (text && i < 63 && i < v) {
            text[i] = c;
            text[i + 1] = '\0';
        }
    }
    return sign * v;
}

static void bare_load(enum redis_script_id script)
{
    buf_lit(&out, "*3\r\n");
    word(SPAN("SCRIPT"));
    word(SPAN("LOAD"));
    word(redis_script(script)->text);
    flush();
    (void)item(NULL);
}

static double bare_puts(void)
{
    double began = now_s();
    for (size_t done = 0; done < jobs; done += BATCH) {
        call(SCRIPT_QUEUE_PUT, 3 + 3 * BATCH);
        word(SPAN("bare"));
        word(SPAN("b"));
        word(SPAN(""));
        for (size_t i = 0; i < BATCH; i++) {
            word(SPAN("bench"));
            word((struct span){data, sizeof(data)});
            word(SPAN(""));
        }
        flush();
        need(item(NULL) == 2 + 2 * BATCH, "a bare put");
        for (size_t i = 0; i < 2 + 2 * BATCH; i++)
            (void)item(NULL);
    }
    return (double)jobs / (now_s() - began);
}

struct held {
    char id[64], token[64];
};

static void ask_take(void)
{
    call(SCRIPT_QUEUE_TAKE, 9);
    word(SPAN("bare"));
    number(0);
    number(BATCH);
    number(0);
    number(60000);
    word(SPAN("w"));
    word(SPAN("0123456789abcdef"));
    word(SPAN("b"));
    word(SPAN(""));
}

static size_t read_take(struct held held[BATCH])
{
    long n = item(NULL) - 2;
    (void)item(NULL);
    (void)item(NULL);
    for (long i = 0; i < n; i++) {
        long parts = item(NULL);
        (void)item(NULL);
        (void)item(held[i].id);
        (void)item(held[i].token);
        for (long k = 3; k < parts; k++)
            (void)item(NULL);
    }
    return (size_t)n;
}

static void ask_ack(const struct held held[BATCH], size_t n)
{
    call(SCRIPT_QUEUE_SETTLE, 5 + 4 * n);
    word(SPAN("bare"));
    word(SPAN("b"));
    word(SPAN(""));
    number(0);
    word(SPAN("ack"));
    for (size_t i = 0; i < n; i++) {
        word(span_str(held[i].id));
        word(span_str(held[i].token));
        word(SPAN(""));
        word(SPAN(""));
    }
}

static double bare_takes(void)
{
    static struct held held[BATCH];
    size_t acked = 0;
    double began = now_s();
    ask_take();
    flush();
    for (size_t n = read_take(held); n;) {
        ask_ack(held, n);
        ask_take();
        flush();
        long answers = item(NULL);
        for (long i = 0; i < answers; i++) {
            char text[64] = "";
            (void)item(text);
            acked += strcmp(text, "ok") == 0;
        }
        n = read_take(held);
    }
    wrong += acked != jobs;
    return (double)jobs / (now_s() - began);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void measure(void)
{
    static const turns_run runs[TURNS_RUNS] = {driver_puts, bare_puts, driver_takes, bare_takes};
    struct turns t;
    turns_measure(&t, turns, runs);
    printf("{\"jobs\":%zu,\"turns\":%zu,\"wrong\":%zu", jobs, turns, wrong);
    turns_print(&t);
    printf("}\n");
}

static bool rooms_turn(struct actor *a)
{
    (void)a;
    return rooms->ops->turn(rooms, 0);
}

static struct actor rooms_actor = {.turn = rooms_turn};

static void open_all(void)
{
    static const struct driver_events none = {0};
    static char url[64];
    const struct queue_config config = {.events = &no_news};
    const struct driver_config rooms_config = {
        .events = &none, .loop = &loop, .settings = &settings};
    struct buf why = {0};
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%lu", port);
    redis_settings_defaults(&settings);
    settings.node = "bench";
    struct redis_member *m = redis_settings_add(&settings, REDIS_DEFAULT_NAME);
    need(redis_url_parse(&m->server.link.url, span_str(url), &why), "reading the address");
    need(loop_init(&loop) == 0, "making a loop");
    need(redis_driver.open(&rooms, &rooms_config) == OK, "opening the driver of rooms");
    loop_add(&loop, &rooms_actor);
    driver = queue_redis_new(&config, rooms);
    need(driver, "opening the driver");
    while (counter_get(&rooms->counters.away) || driver->pending)
        uv_run(&loop.uv, UV_RUN_ONCE);
    bare_open();
    bare_load(SCRIPT_QUEUE_PUT);
    bare_load(SCRIPT_QUEUE_TAKE);
    bare_load(SCRIPT_QUEUE_SETTLE);
}

static void close_all(void)
{
    driver->ops->stop(driver);
    loop_remove(&loop, &rooms_actor);
    rooms->ops->stop(rooms);
    driver->ops->close(driver);
    rooms->ops->close(rooms);
    (void)close(bare);
    buf_deinit(&out);
    need(loop_deinit(&loop) == 0, "the end of the loop");
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0)
            port = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--jobs") == 0)
            jobs = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--turns") == 0)
            turns = strtoul(argv[i + 1], NULL, 10);
    }
    jobs -= jobs % BATCH;
    need(port && jobs >= BATCH && turns >= 1 && turns <= TURNS_MAX, "reading the options");
    memset(data, 'x', sizeof(data));
    log_set_level(LOG_WARN);
    map_seed();
    open_all();
    measure();
    close_all();
    return wrong != 0;
}
