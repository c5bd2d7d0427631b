/* SPDX-License-Identifier: MIT */
/* schedule.h: times that come again, as crontab writes them.
 *
 * A schedule is one of
 *   five fields   minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or jan to
 *                 dec), day of the week (0-7 or sun to sat; 0 and 7 are Sunday); each is `*`, or a
 *                 list of numbers and ranges, with a step behind `*` or a range: `*`/5, 1-5,
 *                 8-18/2, mon,thu
 *   a word        @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly
 *   @every TIME   90s, 10m, 12h: whole multiples of it since 1970, so that it does not matter who
 *                 counts, and since when
 *
 * If both days are restricted, that is, neither begins with `*`, one of them is enough; if one is,
 * it alone decides (POSIX, crontab).
 *
 * In UTC every day has 24 hours. By local time a day may lack an hour, or have one twice:
 *   - If the hours begin with `*`, the schedule follows the time that is shown: what the clock
 *     passes over does not come, and what it shows twice comes twice. So "every ten minutes" is
 *     every ten minutes.
 *   - Otherwise each time comes once a day: what the clock passes over comes as much later as it
 *     was put forward (2:30 at 3:30), and what it shows twice comes the first time.
 *
 * Pure, but for the zone of the process. Times are ms since 1970.
 */
#ifndef MADANG_GATEWAY_SCHEDULE_H
#define MADANG_GATEWAY_SCHEDULE_H

#include "backplane/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_NEVER     UINT64_MAX
#define SCHEDULE_EVERY_MIN 1000ULL
#define SCHEDULE_EVERY_MAX (366 * 86400000ULL)

struct schedule {
    uint64_t every_ms; /* 0: by the fields */
    uint64_t minutes;  /* bit n: minute n, … */
    uint32_t hours, days, months, weekdays;
    bool any_day, any_weekday; /* the field began with `*` */
    bool every_hour;           /* so did the hours */
};

/* False: it is none, or none of its days exists; `why` gets one line without end. */
bool schedule_parse(struct schedule *s, const char *text, struct buf *why)
    __attribute__((warn_unused_result));

/* The first time after `after_ms`; SCHEDULE_NEVER past the year 9000. */
uint64_t schedule_next(const struct schedule *s, uint64_t after_ms, bool local);

#endif
