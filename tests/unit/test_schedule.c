/* SPDX-License-Identifier: MIT */
/* Schedules: what is read and refused, and when they come: in UTC, and where the clock is put
 * forward and back, compared with a walk over all minutes. */
#include "gateway/schedule.h"

#include "tests/unit/core_kit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE_MS 60000ULL

/* Zones by rules of their own, so that no files of zones are needed. */
#define NEW_YORK  "EST5EDT,M3.2.0,M11.1.0"
#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3"
#define LORD_HOWE "LHST-10:30LHDT-11,M10.1.0,M4.1.0"
#define AT_NIGHT  "NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01" /* the day begins twice */
#define SKIPPED   "BRT3BRST,M10.3.0/0,M2.3.0/0"         /* a day begins at 1:00 */

static void set_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0); /* NOLINT(concurrency-mt-unsafe): one thread */
    tzset();
}

static struct schedule parsed(const char *text)
{
    struct schedule s;
    struct buf why = {0};
    if (!schedule_parse(&s, text, &why))
        fail_msg("%s: %.*s", text, (int)why.n, why.p);
    assert_int_equal(why.n, 0);
    buf_deinit(&why);
    return s;
}

/* 2026-11-22 is a Sunday. Anything in the zone that is set. */
static uint64_t at(int year, int month, int day, int hour, int minute)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_isdst = -1};
    return (uint64_t)mktime(&tm) * 1000;
}

static void assert_next(const char *text, uint64_t after, uint64_t expected)
{
    struct schedule s = parsed(text);
    uint64_t next = schedule_next(&s, after, false);
    if (next != expected)
        fail_msg("%s after %" PRIu64 ": %" PRIu64 " instead of %" PRIu64, text, after, next,
                 expected);
}

/* ---- what is read --------------------------------------------------------------------------- */

static void fields_hold_numbers_names_ranges_steps_and_lists(void **state)
{
    (void)state;
    struct schedule s = parsed("*/15 9-17/4,20 1,15 jan-mar,DEC mon,Wed,5-7");
    assert_int_equal(s.minutes, 1ULL | 1ULL << 15 | 1ULL << 30 | 1ULL << 45);
    assert_int_equal(s.hours, 1U << 9 | 1U << 13 | 1U << 17 | 1U << 20);
    assert_int_equal(s.days, 1U << 1 | 1U << 15);
    assert_int_equal(s.months, 1U << 1 | 1U << 2 | 1U << 3 | 1U << 12);
    assert_int_equal(s.weekdays, 1U | 1U << 1 | 1U << 3 | 1U << 5 | 1U << 6);
    assert_false(s.any_day || s.any_weekday || s.every_hour);
    s = parsed("  0\t* * *   fri-sun ");
    assert_int_equal(s.weekdays, 1U | 1U << 5 | 1U << 6);
    assert_true(s.any_day && !s.any_weekday && s.every_hour);
    assert_int_equal(s.days, 0xFFFFFFFEU);
    assert_int_equal(s.months, 0x1FFE);
}

static void words_stand_for_fields(void **state)
{
    static const char *const pairs[][2] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct schedule a = parsed(pairs[i][0]), b = parsed(pairs[i][1]);
        assert_memory_equal(&a, &b, sizeof(a));
    }
    assert_int_equal(parsed("@every 90s").every_ms, 90000);
    assert_int_equal(parsed("@every   12h").every_ms, 12 * 3600000);
}

static void assert_refused(const char *text, const char *expected)
{
    struct schedule s;
    struct buf why = {0};
    if (schedule_parse(&s, text, &why))
        fail_msg("%s was taken", text);
    buf_char(&why, '\0');
    if (!strstr(why.p, expected))
        fail_msg("%s: %s", text, why.p);
    assert_null(strchr(why.p, '\n'));
    buf_deinit(&why);
}

static void what_makes_no_sense_is_refused_in_words(void **state)
{
    (void)state;
    assert_refused("", "is no schedule");
    assert_refused("* * * *", "is no schedule");
    assert_refused("* * * * * *", "is no schedule");
    assert_refused("@often", "is no schedule");
    assert_refused("@every", "is no schedule");
    assert_refused("@every 10ms", "@every: ");
    assert_refused("@every never", "@every: ");
    assert_refused("60 * * * *", "minute \"60\" cannot be used; allowed: * or 0 to 59");
    assert_refused("* 24 * * *", "hour \"24\"");
    assert_refused("* * 0 * *", "day of the month \"0\"");
    assert_refused("* * * 13 *", "month \"13\"");
    assert_refused("* * * foo *", "month \"foo\" cannot be used; allowed: * or 1 to 12 or names");
    assert_refused("* * * * 8", "day of the week \"8\"");
    assert_refused("5/10 * * * *", "minute \"5/10\"");
    assert_refused("*/0 * * * *", "minute \"*/0\"");
    assert_refused("9-5 * * * *", "minute \"9-5\"");
    assert_refused("1,,2 * * * *", "minute \"1,,2\"");
    assert_refused("1, * * * *", "minute \"1,\"");
    assert_refused("-1 * * * *", "minute \"-1\"");
    assert_refused("** * * * *", "minute \"**\"");
    assert_refused("jan * * * *", "minute \"jan\"");
}

static void days_that_never_come_are_refused(void **state)
{
    (void)state;
    assert_refused("0 0 30 2 *", "it never comes: no month of \"2\" has a day of \"30\"");
    assert_refused("0 0 31 4,6,9,nov *", "it never comes");
    (void)parsed("0 0 29 2 *");
    (void)parsed("0 0 31 4,5 *");
    (void)parsed("0 0 30 2 mon"); /* every Monday in February */
}

/* ---- when they come ------------------------------------------------------------------------- */

static void times_come_in_order(void **state)
{
    (void)state;
    set_zone("UTC0");
    uint64_t noon = at(2026, 11, 22, 12, 0);
    assert_next("* * * * *", noon, noon + MINUTE_MS);
    assert_next("* * * * *", noon + 1, noon + MINUTE_MS);
    assert_next("* * * * *", noon - 1, noon);
    assert_next("*/5 * * * *", noon + 59 * MINUTE_MS, at(2026, 11, 22, 13, 0));
    assert_next("30 9 * * mon-fri", noon, at(2026, 11, 23, 9, 30));
    assert_next("0 0 1 * *", noon, at(2026, 12, 1, 0, 0));
    assert_next("0 0 1 1 *", noon, at(2027, 1, 1, 0, 0));
    assert_next("0 0 31 * *", noon, at(2026, 12, 31, 0, 0));
    assert_next("0 0 29 2 *", noon, at(2028, 2, 29, 0, 0));
    assert_next("0 0 29 2 *", at(2096, 3, 1, 0, 0), at(2104, 2, 29, 0, 0));   /* 2100 has none */
    assert_next("0 0 29 2 */7", at(2088, 3, 1, 0, 0), at(2128, 2, 29, 0, 0)); /* a Sunday */
}

/* Both days said: one is enough. One said: that one. */
static void days_follow_the_rule_of_crontab(void **state)
{
    (void)state;
    set_zone("UTC0");
    uint64_t noon = at(2026, 11, 22, 12, 0); /* Sunday */
    assert_next("0 0 13 * fri", noon, at(2026, 11, 27, 0, 0));
    assert_next("0 0 24 * fri", noon, at(2026, 11, 24, 0, 0));
    assert_next("0 0 * * fri", noon, at(2026, 11, 27, 0, 0));
    assert_next("0 0 13 * *", noon, at(2026, 12, 13, 0, 0));
    assert_next("0 0 */31 * mon", noon, at(2027, 2, 1, 0, 0)); /* the first, if it is a Monday */
}

static void every_is_counted_from_the_beginning_of_time(void **state)
{
    (void)state;
    assert_next("@every 90s", 0, 90000);
    assert_next("@every 90s", 89999, 90000);
    assert_next("@every 90s", 90000, 180000);
    assert_next("@every 12h", 1795300000000ULL, 1795305600000ULL);
}

static void after_the_last_year_nothing_comes(void **state)
{
    (void)state;
    struct schedule s = parsed("* * * * *");
    assert_true(schedule_next(&s, UINT64_MAX, false) == SCHEDULE_NEVER);
    s = parsed("@every 1s");
    assert_true(schedule_next(&s, UINT64_MAX - 5, false) == SCHEDULE_NEVER);
}

/* ---- where the clock is put forward and back ------------------------------------------------ */

static void assert_local(const char *text, uint64_t after, uint64_t expected)
{
    struct schedule s = parsed(text);
    uint64_t next = schedule_next(&s, after, true);
    if (next != expected)
        fail_msg("%s after %" PRIu64 ": %" PRIu64 " instead of %" PRIu64, text, after, next,
                 expected);
}

/* On 2026-03-29 2:00 becomes 3:00; on 2026-10-25 3:00 becomes 2:00. */
static void fixed_times_come_once_a_day(void **state)
{
    (void)state;
    set_zone(BERLIN);
    uint64_t put_forward = at(2026, 3, 29, 0, 0) + 120 * MINUTE_MS; /* 3:00, which was 2:00 */
    assert_local("30 2 * * *", at(2026, 3, 28, 2, 30), put_forward + 30 * MINUTE_MS);
    assert_local("30 2 * * *", put_forward + 30 * MINUTE_MS, at(2026, 3, 30, 2, 30));
    assert_local("30 2,3 * * *", at(2026, 3, 28, 12, 0), put_forward + 30 * MINUTE_MS);
    assert_local("30 2,3 * * *", put_forward + 30 * MINUTE_MS, at(2026, 3, 30, 2, 30));
    uint64_t two = at(2026, 10, 25, 0, 0) + 120 * MINUTE_MS; /* the first time */
    assert_local("30 2 * * *", at(2026, 10, 24, 12, 0), two + 30 * MINUTE_MS);
    assert_local("30 2 * * *", two + 30 * MINUTE_MS, at(2026, 10, 26, 2, 30));
    assert_local("0 3 * * *", two, two + 120 * MINUTE_MS);
}

static void every_hour_follows_the_time_that_is_shown(void **state)
{
    (void)state;
    set_zone(BERLIN);
    uint64_t put_forward = at(2026, 3, 29, 0, 0) + 120 * MINUTE_MS;
    assert_local("*/30 * * * *", put_forward - 30 * MINUTE_MS, put_forward);
    assert_local("30 * * * *", put_forward - 30 * MINUTE_MS, put_forward + 30 * MINUTE_MS);
    uint64_t two = at(2026, 10, 25, 0, 0) + 120 * MINUTE_MS;
    assert_local("30 * * * *", two, two + 30 * MINUTE_MS);
    assert_local("30 * * * *", two + 30 * MINUTE_MS, two + 90 * MINUTE_MS);
    assert_local("30 * * * *", two + 90 * MINUTE_MS, two + 150 * MINUTE_MS);
}

static bool shows(const struct schedule *s, uint64_t ms)
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    assert_non_null(localtime_r(&t, &tm));
    bool day = s->days >> tm.tm_mday & 1, weekday = s->weekdays >> tm.tm_wday & 1;
    bool both = s->any_day || s->any_weekday ? day && weekday : day || weekday;
    return tm.tm_sec == 0 && s->minutes >> tm.tm_min & 1 && s->hours >> tm.tm_hour & 1 &&
           s->months >> (tm.tm_mon + 1) & 1 && both;
}

/* What follows the shown time comes in exactly the minutes that show it, one after the other. */
static void every_hour_agrees_with_a_walk_over_all_minutes(void **state)
{
    static const char *const zones[] = {NEW_YORK, BERLIN, LORD_HOWE, AT_NIGHT, SKIPPED, "UTC0"};
    static const char *const texts[] = {"*/20 * * * *", "7 */3 * * sun", "0,59 * 1,25,29 * mon"};
    (void)state;
    for (size_t z = 0; z < COUNT_OF(zones); z++) {
        set_zone(zones[z]);
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            struct schedule s = parsed(texts[i]);
            uint64_t from = at(2026, 1, 1, 12, 0), end = at(2027, 1, 1, 12, 0);
            uint64_t next = schedule_next(&s, from, true);
            for (uint64_t t = from + MINUTE_MS; t < end; t += MINUTE_MS) {
                if (!shows(&s, t))
                    continue;
                if (next != t)
                    fail_msg("%s in %s: %" PRIu64 " instead of %" PRIu64, texts[i], zones[z], next,
                             t);
                next = schedule_next(&s, t, true);
            }
        }
    }
}

/* 365 days, 365 times, in order, and never twice on a day. */
static void fixed_times_come_each_day_in_every_zone(void **state)
{
    static const char *const zones[] = {NEW_YORK, BERLIN, LORD_HOWE, AT_NIGHT, SKIPPED};
    static const char *const texts[] = {"30 2 * * *", "0 0 * * *", "15 1 * * *", "45 23 * * *",
                                        "5 0 * * *"};
    (void)state;
    for (size_t z = 0; z < COUNT_OF(zones); z++) {
        set_zone(zones[z]);
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            struct schedule s = parsed(texts[i]);
            uint64_t t = at(2026, 1, 1, 12, 0);
            uint64_t end = at(2027, 1, 1, 12, 0);
            int count = 0;
            for (t = schedule_next(&s, t, true); t < end; t = schedule_next(&s, t, true))
                count++;
            if (count != 365)
                fail_msg("%s in %s: %d times", texts[i], zones[z], count);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_hold_numbers_names_ranges_steps_and_lists),
        cmocka_unit_test(words_stand_for_fields),
        cmocka_unit_test(what_makes_no_sense_is_refused_in_words),
        cmocka_unit_test(days_that_never_come_are_refused),
        cmocka_unit_test(times_come_in_order),
        cmocka_unit_test(days_follow_the_rule_of_crontab),
        cmocka_unit_test(every_is_counted_from_the_beginning_of_time),
        cmocka_unit_test(after_the_last_year_nothing_comes),
        cmocka_unit_test(fixed_times_come_once_a_day),
        cmocka_unit_test(every_hour_follows_the_time_that_is_shown),
        cmocka_unit_test(every_hour_agrees_with_a_walk_over_all_minutes),
        cmocka_unit_test(fixed_times_come_each_day_in_every_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
