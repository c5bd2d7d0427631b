/* SPDX-License-Identifier: MIT */
/* fuzz_schedule.c: schedules as anybody may write them.
 *
 * Whatever the text: it is refused in one line of plain text, or it comes, later each time, and at
 * whole minutes that the fields name.
 */
#include "gateway/schedule.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborting is how a fuzzer reports; the condition stands in the trace. */
static void must(bool condition)
{
    if (!condition)
        abort();
}

static void check_times(const struct schedule *s)
{
    uint64_t t = 1795300000123ULL;
    for (int i = 0; i < 5; i++) {
        uint64_t next = schedule_next(s, t, false);
        must(next > t && next != SCHEDULE_NEVER);
        must(next == schedule_next(s, next - 1, false));
        time_t at = (time_t)(next / 1000);
        struct tm tm;
        must(gmtime_r(&at, &tm) != NULL);
        if (!s->every_ms)
            must(next % 60000 == 0 && s->minutes >> tm.tm_min & 1 && s->hours >> tm.tm_hour & 1 &&
                 s->months >> (tm.tm_mon + 1) & 1);
        t = next;
    }
    must(schedule_next(s, t, true) > t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schedule s;
    struct buf why = {0};
    char *text = calloc(1, size + 1);
    must(text != NULL);
    if (size)
        memcpy(text, data, size);
    if (schedule_parse(&s, text, &why)) {
        must(why.n == 0);
        check_times(&s);
    } else {
        must(why.n > 0);
        for (size_t i = 0; i < why.n; i++)
            must((unsigned char)why.p[i] >= 0x20);
    }
    buf_deinit(&why);
    free(text);
    return 0;
}
