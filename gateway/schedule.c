/* SPDX-License-Identifier: MIT */
#include "gateway/schedule.h"

#include "backplane/base/count.h"
#include "backplane/base/option.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY     86400L /* seconds */
#define MINUTE  60L
#define FIELDS  5
#define LATEST  221845392000000ULL /* ms: the year 9000 */
#define DAYS_ON (41 * 366)         /* between two 29ths of February on a Sunday, 2100 included */

/* ---- reading -------------------------------------------------------------------------------- */

enum { FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_WEEKDAY };

/* What a field may hold. Names stand for the numbers from `least` on. */
struct field {
    const char *what;
    unsigned least, most;
    const char *names; /* three letters each; or NULL */
};

static const struct field fields[FIELDS] = {
    [FIELD_MINUTE] = {"minute", 0, 59, NULL},
    [FIELD_HOUR] = {"hour", 0, 23, NULL},
    [FIELD_DAY] = {"day of the month", 1, 31, NULL},
    [FIELD_MONTH] = {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    [FIELD_WEEKDAY] = {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

static bool fail(const struct field *f, const char *text, struct buf *why)
{
    buf_fmt(why, "%s ", f->what);
    option_quote(why, text);
    buf_fmt(why,
            " cannot be used; allowed: * or %u to %u%s, ranges such as %u-%u, steps behind "
            "them such as */2, and lists of these between commas",
            f->least, f->most, f->names ? " or names of three letters" : "", f->least, f->most);
    return false;
}

static bool read_name(const struct field *f, const char **p, unsigned *n)
{
    if (!f->names || !isalpha((unsigned char)**p) || strlen(*p) < 3)
        return false;
    for (const char *name = f->names; *name; name += 3) {
        if (strncasecmp(name, *p, 3) != 0)
            continue;
        *n = f->least + (unsigned)(name - f->names) / 3;
        *p += 3;
        return true;
    }
    return false;
}

static bool read_number(const char **p, unsigned *n)
{
    const char *from = *p;
    for (*n = 0; isdigit((unsigned char)**p) && *p - from < 3; ++*p)
        *n = *n * 10 + (unsigned)(**p - '0');
    return *p > from;
}

static bool read_value(const struct field *f, const char **p, unsigned *n)
{
    return (read_name(f, p, n) || read_number(p, n)) && *n >= f->least && *n <= f->most;
}

/* One item of a list: `*`, 5, 1-5, each but a single number with a step. */
static bool read_item(const struct field *f, const char **p, uint64_t *set)
{
    unsigned from = f->least, to = f->most, step = 1;
    bool range = **p == '*';
    if (range)
        ++*p;
    else if (!read_value(f, p, &from))
        return false;
    else
        to = from;
    if (!range && **p == '-') {
        ++*p;
        range = true;
        if (!read_value(f, p, &to))
            return false;
        if (to == 0 && f->most == 7 && from) /* fri-sun */
            to = 7;
        if (to < from)
            return false;
    }
    if (**p == '/') {
        ++*p;
        if (!range || !read_number(p, &step) || !step)
            return false;
    }
    for (unsigned n = from; n <= to; n += step)
        *set |= 1ULL << n;
    return true;
}

static bool read_field(const struct field *f, const char *text, uint64_t *set)
{
    const char *p = text;
    *set = 0;
    do {
        if (!read_item(f, &p, set))
            return false;
    } while (*p++ == ',');
    return p[-1] == '\0';
}

/* Days of months, February in the longest year. */
static unsigned longest(unsigned month)
{
    static const unsigned char days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month];
}

/* A day that none of the months has never comes, unless a day of the week is enough. */
static bool comes(const struct schedule *s)
{
    for (unsigned m = 1; m <= 12; m++)
        if (s->months >> m & 1 && s->days & ((2ULL << longest(m)) - 1))
            return true;
    return !s->any_day && !s->any_weekday;
}

static bool parse_fields(struct schedule *s, char words[FIELDS][128], struct buf *why)
{
    uint64_t set[FIELDS];
    for (size_t i = 0; i < FIELDS; i++)
        if (!read_field(&fields[i], words[i], &set[i]))
            return fail(&fields[i], words[i], why);
    s->minutes = set[FIELD_MINUTE];
    s->hours = (uint32_t)set[FIELD_HOUR];
    s->days = (uint32_t)set[FIELD_DAY];
    s->months = (uint32_t)set[FIELD_MONTH];
    s->weekdays = (uint32_t)((set[FIELD_WEEKDAY] | set[FIELD_WEEKDAY] >> 7) & 0x7F);
    s->every_hour = words[FIELD_HOUR][0] == '*';
    s->any_day = words[FIELD_DAY][0] == '*';
    s->any_weekday = words[FIELD_WEEKDAY][0] == '*';
    if (comes(s))
        return true;
    buf_fmt(why, "it never comes: no month of \"%s\" has a day of \"%s\"", words[FIELD_MONTH],
            words[FIELD_DAY]);
    return false;
}

/* Words between blanks; false: more or fewer than `FIELDS`, or one too long. */
static bool split(char words[FIELDS][128], const char *text)
{
    size_t count = 0;
    for (const char *p = text + strspn(text, " \t"); *p; p += strspn(p, " \t")) {
        size_t n = strcspn(p, " \t");
        if (count == FIELDS || n >= sizeof(words[0]))
            return false;
        memcpy(words[count], p, n);
        words[count++][n] = '\0';
        p += n;
    }
    return count == FIELDS;
}

static bool parse_every(struct schedule *s, const char *text, struct buf *why)
{
    static const struct option every = {
        .key = "every",
        .type = OPTION_DURATION,
        OPTION_FIELD(struct schedule, every_ms),
        .min = SCHEDULE_EVERY_MIN,
        .max = SCHEDULE_EVERY_MAX,
    };
    buf_lit(why, "@every: ");
    if (!option_set(&every, s, text + strspn(text, " \t"), why))
        return false;
    buf_clear(why);
    return true;
}

bool schedule_parse(struct schedule *s, const char *text, struct buf *why)
{
    static const char *const words[][2] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    char list[FIELDS][128];
    memset(s, 0, sizeof(*s));
    if (strncmp(text, "@every", 6) == 0 && (text[6] == ' ' || text[6] == '\t'))
        return parse_every(s, text + 6, why);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(text, words[i][0]) == 0)
            text = words[i][1];
    if (split(list, text))
        return parse_fields(s, list, why);
    option_quote(why, text);
    buf_lit(why,
            " is no schedule; allowed: five fields (minute, hour, day of the month, month, day "
            "of the week), @hourly, @daily, @weekly, @monthly, @yearly, @every DURATION");
    return false;
}

/* ---- the calendar: days are counted from 1970-01-01 ----------------------------------------- */

struct date {
    long year;
    unsigned month, day, weekday;
};

/* Years begin in March, so that the day that comes and goes is the last one. */
static struct date date_of(long days)
{
    unsigned long n = (unsigned long)days + 719468; /* since 0000-03-01 */
    unsigned long era = n / 146097, in_era = n % 146097;
    unsigned long year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned long in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned long month = (5 * in_year + 2) / 153;
    struct date d = {.day = (unsigned)(in_year - (153 * month + 2) / 5 + 1),
                     .month = (unsigned)(month < 10 ? month + 3 : month - 9),
                     .weekday = (unsigned)((days + 4) % 7)};
    d.year = (long)(year + era * 400) + (d.month <= 2);
    return d;
}

static bool has_day(const struct schedule *s, long days)
{
    struct date d = date_of(days);
    bool day = s->days >> d.day & 1, weekday = s->weekdays >> d.weekday & 1;
    if (!(s->months >> d.month & 1))
        return false;
    return !s->any_day && !s->any_weekday ? day || weekday : day && weekday;
}

/* ---- zones ---------------------------------------------------------------------------------- */

/* By how many seconds the local time is ahead of UTC. */
static long ahead(long utc)
{
    time_t t = (time_t)utc;
    struct tm tm;
    return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* A day by local time, in seconds as if it were UTC. */
struct day {
    long begin;
    long before, after; /* how far ahead local time is, a day before and behind */
};

static struct day day_of(long days, bool local)
{
    struct day d = {.begin = days * DAY};
    if (local) {
        d.before = ahead(d.begin - DAY);
        d.after = ahead(d.begin + 2 * DAY);
    }
    return d;
}

/* When local time is `t`, on a day on which the clock is put forward or back, but not before what
 * may come after `after`; 0: it does not come. */
static long when(const struct schedule *s, const struct day *d, long t, long after)
{
    long early = t - d->before, late = t - d->after;
    bool is_early = ahead(early) == d->before, is_late = ahead(late) == d->after;
    if (!is_early && !is_late) /* it is passed over */
        return s->every_hour ? 0 : early;
    if (!is_late || (is_early && early > after))
        return early;
    return is_early && !s->every_hour ? 0 : late; /* if both, it was shown before */
}

/* The first time of that day after `after`; 0: none. */
static long in_day(const struct schedule *s, const struct day *d, long after)
{
    bool plain = d->before == d->after;
    long past = after + d->before - d->begin, first = 0;
    for (long m = plain && past > 0 ? past / MINUTE : 0; m < DAY / MINUTE; m++) {
        if (!(s->hours >> m / 60 & 1) || !(s->minutes >> m % 60 & 1))
            continue;
        long t = d->begin + m * MINUTE;
        long utc = plain ? t - d->before : when(s, d, t, after);
        if (plain && utc > after)
            return utc;
        if (utc > after && (!first || utc < first))
            first = utc;
    }
    return first;
}

/* The first time of day `n` after `after`; 0: none. *plain: it has 24 hours. */
static long in_date(const struct schedule *s, long n, bool local, long after, bool *plain)
{
    struct day d = day_of(n, local);
    *plain = d.before == d.after;
    return has_day(s, n) ? in_day(s, &d, after) : 0;
}

uint64_t schedule_next(const struct schedule *s, uint64_t after_ms, bool local)
{
    if (after_ms >= LATEST)
        return SCHEDULE_NEVER;
    if (s->every_ms)
        return (after_ms / s->every_ms + 1) * s->every_ms;
    long after = (long)(after_ms / 1000);
    long today = (after + (local ? ahead(after) : 0)) / DAY;
    bool plain;
    /* Where the clock is put back over midnight, days overlap. */
    for (long n = today ? today - 1 : 0; n <= today + DAYS_ON; n++) {
        if (!has_day(s, n))
            continue;
        long first = in_date(s, n, local, after, &plain);
        long other = first && !plain ? in_date(s, n + 1, local, after, &plain) : 0;
        if (first)
            return (uint64_t)(other && other < first ? other : first) * 1000;
    }
    return SCHEDULE_NEVER;
}
