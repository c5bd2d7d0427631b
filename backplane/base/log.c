/* SPDX-License-Identifier: MIT */
#include "backplane/base/log.h"

#include "backplane/base/utf8.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The size is PIPE_BUF: up to there, lines of several processes do not mix in a pipe. The tail is
 * kept free for what follows the message. */
#define LINE_MAX_BYTES  4096
#define LINE_TAIL_BYTES 64
#define TEXT_MAX_BYTES  2048
#define BURST           10
#define REFILL_MS       1000

const char *const log_level_words[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL};

static _Atomic int current_level = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards every log_site */

struct line {
    char p[LINE_MAX_BYTES];
    size_t n;
};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

static long long monotonic_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A bucket of BURST lines that regains one per REFILL_MS. False: leave this one out. Otherwise
 * *left_out is how many were left out since the last line of this site. */
static bool site_admits(struct log_site *site, enum log_level level, unsigned *left_out)
{
    bool admitted = true;

    *left_out = 0;
    if (level > LOG_WARN)
        return true;
    pthread_mutex_lock(&lock);
    long long now = monotonic_ms();
    long long regained = (now - site->window) / REFILL_MS;
    site->used = regained < site->used ? site->used - (unsigned)regained : 0;
    site->window = site->used ? site->window + regained * REFILL_MS : now;
    if (site->used < BURST) {
        site->used++;
        *left_out = site->dropped;
        site->dropped = 0;
    } else {
        site->dropped++;
        admitted = false;
    }
    pthread_mutex_unlock(&lock);
    return admitted;
}

static void line_add(struct line *l, const void *p, size_t n)
{
    size_t room = sizeof(l->p) - l->n;

    if (n > room)
        n = room;
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void line_fmt(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line_fmt(struct line *l, const char *fmt, ...)
{
    char text[128];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n > 0)
        line_add(l, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static void line_head(struct line *l, enum log_level level)
{
    struct timespec ts;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
    if (!gmtime_r(&ts.tv_sec, &tm))     /* a year beyond int */
        memset(&tm, 0, sizeof(tm));
    line_fmt(l, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %-5s ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000,
             log_level_words[level]);
}

/* C0, DEL, and C1 (U+0080 to U+009F), which terminals obey too. */
static bool is_control(const char *p, size_t seq)
{
    unsigned char c = (unsigned char)p[0];

    if (seq == 1)
        return c < 0x20 || c == 0x7F;
    return seq == 2 && c == 0xC2 && (unsigned char)p[1] < 0xA0;
}

/* The text with everything that could forge or garble a line as \xHH, up to `limit` bytes of line;
 * false if it had to be cut. */
static bool line_escaped(struct line *l, struct span text, size_t limit)
{
    while (text.n) {
        size_t seq = utf8_seq(text);
        bool escape = seq == 0 || is_control(text.p, seq);
        size_t step = seq ? seq : 1;
        if (l->n + 4 * step > limit)
            return false;
        for (size_t i = 0; escape && i < step; i++)
            line_fmt(l, "\\x%02x", (unsigned)(unsigned char)text.p[i]);
        if (!escape)
            line_add(l, text.p, step);
        text = (struct span){text.p + step, text.n - step};
    }
    return true;
}

/* Formats into text; *cut is set if it did not fit, and then no half character is left at its
 * end. */
static struct span format_text(char text[TEXT_MAX_BYTES], bool *cut, const char *fmt, va_list args)
{
    int n = vsnprintf(text, TEXT_MAX_BYTES, fmt, args);

    *cut = n >= TEXT_MAX_BYTES;
    if (n < 0)
        return SPAN("(a message that could not be formatted)");
    if (!*cut)
        return (struct span){text, (size_t)n};
    size_t end = TEXT_MAX_BYTES - 1, last = end - 1;
    while (end - last < 4 && utf8_is_tail((unsigned char)text[last]))
        last--;
    if (utf8_seq((struct span){text + last, end - last}) != end - last)
        end = last;
    return (struct span){text, end};
}

/* One write(2) per line. If it fails there is nobody left to tell. */
static void line_write(const struct line *l)
{
    ssize_t n;

    do
        n = write(STDERR_FILENO, l->p, l->n);
    while (n < 0 && errno == EINTR);
}

void log_line(struct log_site *site, enum log_level level, const char *fmt, ...)
{
    int saved_errno = errno; /* logging in front of a strerror must not spoil it */
    char text[TEXT_MAX_BYTES];
    struct line l;
    unsigned left_out;
    bool cut;
    va_list args;

    l.n = 0;
    if (!site_admits(site, level, &left_out))
        goto done;
    va_start(args, fmt);
    struct span message = format_text(text, &cut, fmt, args);
    va_end(args);
    line_head(&l, level);
    if (!line_escaped(&l, message, sizeof(l.p) - LINE_TAIL_BYTES) || cut)
        line_add(&l, "...", 3);
    if (left_out)
        line_fmt(&l, " (%u more like this were left out)", left_out);
    line_add(&l, "\n", 1);
    line_write(&l);
done:
    errno = saved_errno;
}
