/* SPDX-License-Identifier: MIT */
/* log.h: one line per event, to standard error.
 *
 * `2026-11-21T14:03:07.123Z warn  hub 2: what happened, to what, what to do`.
 * Any thread may log. Control characters and invalid UTF-8 in the message are escaped, so
 * nothing a client sends can forge a line. Messages of warn and above made from one call site
 * are limited to a burst of 10 and then 1 per second; what was left out is counted and said with
 * the next one. A line is one write(2), which blocks if standard error is a pipe that nobody reads.
 */
#ifndef MADANG_BASE_LOG_H
#define MADANG_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One per call site, static: its rate limit. Guarded by the log's lock. */
struct log_site {
    long long window; /* monotonic ms up to which `used` has been regained */
    unsigned used, dropped;
};

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* The words of the levels, by level; then NULL. */
extern const char *const log_level_words[];

void log_line(struct log_site *site, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG_AT(level, ...)                                                                         \
    do {                                                                                           \
        static struct log_site site_;                                                              \
        if ((level) <= log_get_level())                                                            \
            log_line(&site_, (level), __VA_ARGS__);                                                \
    } while (0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)

#endif
