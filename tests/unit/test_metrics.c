/* SPDX-License-Identifier: MIT */
/* Run in the root of the sources: docs/METRICS.md is compared with what is written. */
#include "gateway/metrics.h"

#include "backplane/queue_desk.h"
#include "backplane/queue_gauges.h"
#include "tests/unit/served.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define METRICS_MAX 128
#define DOCUMENT    "docs/METRICS.md"

static struct served served;

/* A metric as it was announced in the text. */
struct announced {
    char name[80], type[16], help[160];
    size_t samples;
};

struct parsed {
    struct announced list[METRICS_MAX];
    size_t count;
};

/* The text, terminated; the caller frees it. */
static char *text_now(void)
{
    struct buf b = {0};

    metrics_write(&served.gateway, &b);
    buf_char(&b, '\0');
    assert_false(b.failed);
    return b.p;
}

static void parse_comment(const char *line, struct parsed *p)
{
    struct announced *a = &p->list[p->count];

    if (strncmp(line, "# HELP ", 7) == 0) {
        assert_true(p->count < METRICS_MAX);
        assert_int_equal(sscanf(line, "# HELP %79s %159[^\n]", a->name, a->help), 2);
        for (size_t i = 0; i < p->count; i++)
            assert_string_not_equal(p->list[i].name, a->name);
        return;
    }
    char name[80];
    assert_int_equal(sscanf(line, "# TYPE %79s %15s", name, a->type), 2);
    assert_string_equal(name, a->name); /* right behind its help */
    assert_true(strcmp(a->type, "counter") == 0 || strcmp(a->type, "gauge") == 0);
    p->count++;
}

/* name{label="value",…} number: of the metric announced last. */
static void parse_sample(const char *line, struct parsed *p)
{
    size_t n = strcspn(line, "{ ");
    const char *value = strrchr(line, ' ');

    assert_int_not_equal(p->count, 0);
    struct announced *a = &p->list[p->count - 1];
    assert_int_equal(n, strlen(a->name));
    assert_memory_equal(line, a->name, n);
    assert_int_equal(line[n] == '{', value[-1] == '}');
    assert_int_equal(strspn(value + 1, "0123456789."), strlen(value + 1));
    assert_true(isdigit((unsigned char)value[1]));
    a->samples++;
}

static void parse(struct parsed *p)
{
    char *text = text_now(), *save;

    *p = (struct parsed){0};
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (line[0] == '#')
            parse_comment(line, p);
        else
            parse_sample(line, p);
    }
    free(text);
}

static void the_text_is_as_prometheus_wants_it(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p);
    assert_true(p.count > 30);
    for (size_t i = 0; i < p.count; i++) {
        const struct announced *a = &p.list[i];
        size_t n = strlen(a->name);
        bool total = n > 6 && strcmp(a->name + n - 6, "_total") == 0;
        if (total != (strcmp(a->type, "counter") == 0))
            fail_msg("%s is a %s", a->name, a->type);
        assert_int_not_equal(a->samples, 0);
        assert_true(strncmp(a->name, "madang_", 7) == 0 || strncmp(a->name, "process_", 8) == 0);
    }
}

/* The number behind a metric with its labels. */
static double value_of(const char *metric)
{
    char *text = text_now(), *save;
    size_t n = strlen(metric);
    double value = -1;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, metric, n) == 0 && line[n] == ' ')
            value = strtod(line + n, NULL);
    free(text);
    if (value < 0)
        fail_msg("there is no %s", metric);
    return value;
}

static void hubs_are_summed_and_told_apart(void **state)
{
    (void)state;
    counter_set(&served.hubs[0].counters.sessions, 3);
    counter_set(&served.hubs[1].counters.sessions, 39);
    counter_set(&served.hubs[0].counters.rooms, 5);
    counter_set(&served.hubs[1].counters.rooms, 7);
    counter_set(&served.hubs[1].counters.closes[CLOSE_SLOW], 2);
    counter_set(&served.hubs[0].counters.closes[CLOSE_SLOW], 1);
    counter_set(&served.hubs[0].counters.sent_bytes, UINT32_MAX);
    counter_set(&served.hubs[1].counters.sent_bytes, UINT32_MAX);
    assert_true(value_of("madang_sessions") == 42);
    assert_true(value_of("madang_hub_sessions{hub=\"0\"}") == 3);
    assert_true(value_of("madang_hub_sessions{hub=\"1\"}") == 39);
    assert_true(value_of("madang_hub_rooms{hub=\"0\"}") == 5);
    assert_true(value_of("madang_hub_rooms{hub=\"1\"}") == 7);
    assert_true(value_of("madang_sent_bytes_total") == 2.0 * UINT32_MAX);
    assert_true(value_of("madang_closes_total{code=\"3008\",reason=\"slow\"}") == 3);
    assert_true(value_of("madang_closes_total{code=\"3001\",reason=\"shutdown\"}") == 0);
}

static void queues_are_told_by_name(void **state)
{
    (void)state;
    struct queue_gauges *w = queue_desk_gauges(sequencer_queues(served.gateway.sequencer));
    counter_set(&w->list[0].number[NUMBER_delayed], 5);
    counter_set(&w->list[0].number[NUMBER_acked], 7);
    counter_set(&w->list[0].oldest_ms, wall_ms() - 5000);
    assert_true(value_of("madang_queue_jobs{queue=\"a\\\"\\\\b\",state=\"delayed\"}") == 5);
    assert_true(value_of("madang_queue_events_total{queue=\"a\\\"\\\\b\",event=\"acked\"}") == 7);
    double age = value_of("madang_queue_oldest_ready_seconds{queue=\"a\\\"\\\\b\"}");
    assert_true(age >= 5 && age < 60);
}

static void the_process_is_measured(void **state)
{
    (void)state;
    double now = (double)wall_ms() / 1000;
    double start = value_of("process_start_time_seconds");
    assert_true(start <= now && start > now - 3600);
    assert_true(value_of("process_resident_memory_bytes") > 1 << 20);
    assert_true(value_of("process_cpu_seconds_total") < 3600);
    assert_true(value_of("process_max_fds") >= value_of("process_open_fds"));
    assert_true(value_of("madang_build_info{version=\"" MADANG_VERSION "\"}") == 1);
    assert_true(value_of("madang_max_connections") == served.options->max_connections);
}

static void descriptors_are_counted(void **state)
{
    int more[10];

    (void)state;
    double before = value_of("process_open_fds");
    for (size_t i = 0; i < 10; i++)
        assert_true((more[i] = dup(STDERR_FILENO)) >= 0);
    assert_true(value_of("process_open_fds") == before + 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(close(more[i]), 0);
}

static void seconds_have_all_their_digits(void **state)
{
    (void)state;
    served.gateway.started_ms = 1234567890007;
    char *text = text_now();
    assert_non_null(strstr(text, "\nprocess_start_time_seconds 1234567890.007\n"));
    free(text);
    served.gateway.started_ms = wall_ms();
}

static void readiness_and_heartbeats_are_told(void **state)
{
    (void)state;
    atomic_store(&served.hub_loops[1].heartbeat_ms, uv_hrtime() / 1000000 - 5000);
    double age = value_of("madang_heartbeat_age_seconds{thread=\"hub 1\"}");
    assert_true(age >= 5 && age < 60);
    assert_true(value_of("madang_ready") == 1);
    served.gateway.phase = PHASE_DRAINING;
    assert_true(value_of("madang_ready") == 0);
    served.gateway.phase = PHASE_READY;
}

/* ---- docs/METRICS.md ---- */

static char *document(void)
{
    struct buf b = {0};
    char chunk[4096];
    size_t n;
    FILE *f = fopen(DOCUMENT, "re");

    if (!f)
        fail_msg("%s is not here: run this in the root of the sources", DOCUMENT);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    assert_int_equal(ferror(f), 0);
    assert_int_equal(fclose(f), 0);
    buf_char(&b, '\0');
    assert_false(b.failed);
    return b.p;
}

static void every_metric_is_documented_and_no_other(void **state)
{
    struct parsed p;
    char *text = document();
    size_t rows = 0, missing = 0;

    (void)state;
    parse(&p);
    for (size_t i = 0; i < p.count; i++) {
        char row[300];
        int n = snprintf(row, sizeof(row), "\n| `%s` | %s | %s |", p.list[i].name, p.list[i].type,
                         p.list[i].help);
        assert_in_range(n, 1, sizeof(row) - 1);
        if (!strstr(text, row)) {
            print_error("%s lacks this row:%s\n", DOCUMENT, row);
            missing++;
        }
    }
    for (const char *at = text; (at = strstr(at, "\n| `")) != NULL; at++)
        rows++;
    free(text);
    assert_int_equal(missing, 0);
    assert_int_equal(rows, p.count); /* more: the document has what is not there */
}

static int set_up(void **state)
{
    (void)state;
    served_init(&served, "");
    struct queue_gauges *w = queue_desk_gauges(sequencer_queues(served.gateway.sequencer));
    w->list[0].name = (struct queue_name){.n = 4, .p = "a\"\\b"};
    atomic_store(&w->count, 1);
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
        cmocka_unit_test(the_text_is_as_prometheus_wants_it),
        cmocka_unit_test(hubs_are_summed_and_told_apart),
        cmocka_unit_test(queues_are_told_by_name),
        cmocka_unit_test(the_process_is_measured),
        cmocka_unit_test(descriptors_are_counted),
        cmocka_unit_test(seconds_have_all_their_digits),
        cmocka_unit_test(readiness_and_heartbeats_are_told),
        cmocka_unit_test(every_metric_is_documented_and_no_other),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
