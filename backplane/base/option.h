/* SPDX-License-Identifier: MIT */
/* option.h: the machinery of an option table.
 *
 * One entry says everything about an option: where its value lives in a struct, how its text is
 * read and written, what is allowed, and what it is for. Parsing, `--help`, the printed
 * configuration and the generated documentation all walk the same entries, so they cannot differ.
 *
 * Which struct it is and where texts come from (file, environment, flags) is the caller's business;
 * `target` below is a pointer to the struct that the offsets of the entry are about.
 *
 * Life: a zeroed target is valid; option_clear() frees what an entry owns in it (strings, lists).
 * Nothing here logs. Not for several threads at once on one target.
 */
#ifndef MADANG_BASE_OPTION_H
#define MADANG_BASE_OPTION_H

#include "backplane/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_BOOL,     /* bool: on, off (also true, false, yes, no) */
    OPTION_CHOICE,   /* an enum or int: the place of the word among `choices` */
    OPTION_DURATION, /* uint64_t, milliseconds: 500ms 25s 2m 24h, and a bare 0 */
    OPTION_LIST,     /* char **, owned, with a size_t count: words between commas or white space */
    OPTION_NAME,     /* char[width], terminated */
    OPTION_NUMBER,   /* uint32_t or uint64_t: plain decimal digits */
    OPTION_SIZE,     /* uint32_t or uint64_t, bytes: 512 64KiB 1MiB 2GiB */
    OPTION_STRING,   /* char *, owned; one of `choices` if there are any */
};

/* What becomes of an option that is changed while the process runs. */
enum option_reload {
    RELOAD_AS_SECTION,
    RELOAD_LIVE,   /* reading the configuration again is enough */
    RELOAD_RESTART /* it keeps its value until a restart; so does a section that says nothing */
};

struct option {
    const char *key; /* words joined by '_'; the flag and the variable derive from it */
    enum option_type type;
    size_t offset, width; /* OPTION_FIELD fills these */
    size_t count_offset;  /* OPTION_LIST: where the size_t is */
    uint64_t min, max;    /* numbers; sizes in bytes; durations in ms; lists: how many words */
    bool secret;          /* its value is not to be shown */
    enum option_reload reload;
    const char *const *choices;      /* NULL-terminated words */
    bool (*check)(const char *text); /* lists (per word), names, strings: further syntax, or NULL */
    const char *allowed;             /* says in words what `check` wants */
    const char *initial;             /* the default, as text */
    const char *argument;            /* stands for the value in help; NULL: made from the type */
    const char *help;                /* sentences, with the unit */
};

/* Bounds of durations in ms, of sizes in bytes. */
#define SECONDS(n) ((n)*1000ULL)
#define MINUTES(n) SECONDS((n)*60ULL)
#define HOURS(n)   MINUTES((n)*60ULL)
#define DAYS(n)    HOURS((n)*24ULL)
#define KIB(n)     ((n)*1024ULL)
#define MIB(n)     KIB((n)*1024ULL)
#define GIB(n)     MIB((n)*1024ULL)

#define OPTION_FIELD(type_, field_)                                                                \
    .offset = offsetof(type_, field_), .width = sizeof(((type_ *)0)->field_)
#define OPTION_LIST_FIELD(type_, field_)                                                           \
    OPTION_FIELD(type_, field_), .count_offset = offsetof(type_, field_##_count)

/* Options that stand under one [name] of the file. If `prefixed`, flag and variable carry the
 * section's name before the key, because other sections have keys of the same name. */
struct option_section {
    const char *name;
    bool prefixed;
    enum option_reload reload; /* of those options that do not say */
    const char *help;
    const struct option *list; /* alphabetical */
    size_t count;
};

/* Reads text into the target. A list grows by the words of text; everything else is replaced.
 * On failure the target is untouched, false is returned, and `why` gets what was wrong and what is
 * allowed (one line, no end of line). */
bool option_set(const struct option *o, void *target, const char *text, struct buf *why)
    __attribute__((warn_unused_result));

/* True if the value is within bounds taken as a whole (a list may be too short or too long, which
 * shows only at the end); else false, and `why` as above. */
bool option_complete(const struct option *o, const void *target, struct buf *why);

/* Frees what the target owns through o, and zeroes the value. */
void option_clear(const struct option *o, void *target);

/* Appends the value as text that option_set() reads back to the same value. */
void option_get(const struct option *o, const void *target, struct buf *text);

/* The value of a number, size, duration (ms) or choice. */
uint64_t option_number(const struct option *o, const void *target);

/* True if a string is empty. */
bool option_is_empty(const struct option *o, const void *target);

/* The words of a list; *count is how many. Borrowed from the target. */
char *const *option_words(const struct option *o, const void *target, size_t *count);

/* True if a new value takes effect without a restart. */
bool option_is_live(const struct option_section *s, const struct option *o);

/* Appends what is allowed: "1s to 1h"; "guest, insecure". */
void option_allowed(const struct option *o, struct buf *text);

/* Appends what stands for the value in help: "DURATION", "guest|insecure". */
void option_argument(const struct option *o, struct buf *text);

/* Appends the flag ("--hub-queue-bytes") and the variable ("MADANG_HUB_QUEUE_BYTES"). */
void option_flag(const struct option_section *s, const struct option *o, struct buf *text);
void option_variable(const struct option_section *s, const struct option *o, struct buf *text);

/* Appends text between quotes, cut to a readable length, with everything escaped that could
 * disturb a terminal or forge a line. */
void option_quote(struct buf *b, const char *text);

#endif
