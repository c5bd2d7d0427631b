/* SPDX-License-Identifier: MIT */
#include "backplane/base/option.h"

#include "backplane/base/count.h"
#include "backplane/base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define QUOTE_MAX       80
#define WORD_SEPARATORS ", \t\v\f\r\n"

/* What a type does. `parse` leaves the target alone on failure. */
struct kind {
    const char *argument; /* in help, if the option has no words of its own */
    bool (*parse)(const struct option *o, void *field, const char *text, struct buf *why);
    void (*format)(const struct option *o, const void *field, uint64_t v, struct buf *text);
};

static const char *const EXAMPLES[OPTION_STRING + 1] = {
    [OPTION_DURATION] = "500ms, 25s, 2m, 24h",
    [OPTION_SIZE] = "512, 64KiB, 1MiB",
};

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: values are written with the largest unit that divides them. */
static const struct unit DURATIONS[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit SIZES[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};
static const struct unit ONES[] = {{"", 1}};

static const void *field_of(const struct option *o, const void *target)
{
    return (const char *)target + o->offset;
}

static void *field_at(const struct option *o, void *target)
{
    return (char *)target + o->offset;
}

static size_t *count_at(const struct option *o, void *target)
{
    return (size_t *)(void *)((char *)target + o->count_offset);
}

/* Numbers live in fields of 4 or 8 bytes. */
static void store(const struct option *o, void *field, uint64_t v)
{
    uint32_t narrow = (uint32_t)v;
    if (o->width == sizeof(narrow))
        memcpy(field, &narrow, sizeof(narrow));
    else
        memcpy(field, &v, sizeof(v));
}

static uint64_t fetch(const struct option *o, const void *field)
{
    uint32_t narrow = 0;
    uint64_t wide = 0;
    if (o->width == sizeof(wide)) {
        memcpy(&wide, field, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, field, sizeof(narrow));
    return narrow;
}

static void fail_memory(struct buf *why)
{
    buf_lit(why, "out of memory");
}

/* "25" is no duration; allowed: … */
static bool refuse(const struct option *o, const char *text, const char *what, struct buf *why)
{
    if (o->secret)
        buf_lit(why, "the value");
    else
        option_quote(why, text);
    buf_str(why, what);
    buf_lit(why, "; allowed: ");
    option_allowed(o, why);
    if (EXAMPLES[o->type])
        buf_fmt(why, ", as in %s", EXAMPLES[o->type]);
    return false;
}

/* ---- numbers with and without a unit ---- */

/* Decimal digits at the start of text; *rest is what follows. False if none or too large. */
static bool read_digits(const char *text, uint64_t *value, const char **rest)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    *rest = p;
    return p != text;
}

static bool read_units(const struct unit *units, size_t n, const char *text, uint64_t *value)
{
    uint64_t v;
    const char *rest;
    if (!read_digits(text, &v, &rest))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rest, units[i].name) != 0)
            continue;
        if (v > UINT64_MAX / units[i].factor)
            return false;
        *value = v * units[i].factor;
        return true;
    }
    return false;
}

static void write_units(const struct unit *units, size_t n, uint64_t v, struct buf *text)
{
    size_t i = 0;
    while (i + 1 < n && (v == 0 || v % units[i].factor != 0))
        i++;
    buf_u64(text, v / units[i].factor);
    buf_str(text, units[i].name);
}

static bool store_number(const struct option *o, void *field, uint64_t v, const char *text,
                         struct buf *why)
{
    if (v < o->min || v > o->max)
        return refuse(o, text, " is out of range", why);
    store(o, field, v);
    return true;
}

static bool parse_number(const struct option *o, void *field, const char *text, struct buf *why)
{
    uint64_t v;
    if (!read_units(ONES, COUNT_OF(ONES), text, &v))
        return refuse(o, text, " is not a number", why);
    return store_number(o, field, v, text, why);
}

static bool parse_duration(const struct option *o, void *field, const char *text, struct buf *why)
{
    uint64_t v;
    const char *rest;
    if (read_digits(text, &v, &rest) && *rest == '\0' && v != 0)
        return refuse(o, text, " has no unit", why);
    if (strcmp(text, "0") == 0)
        v = 0;
    else if (!read_units(DURATIONS, COUNT_OF(DURATIONS), text, &v))
        return refuse(o, text, " is not a duration", why);
    return store_number(o, field, v, text, why);
}

static bool parse_size(const struct option *o, void *field, const char *text, struct buf *why)
{
    uint64_t v;
    if (!read_units(SIZES, COUNT_OF(SIZES), text, &v))
        return refuse(o, text, " is not a size", why);
    return store_number(o, field, v, text, why);
}

static void format_number(const struct option *o, const void *field, uint64_t v, struct buf *text)
{
    (void)o;
    (void)field;
    buf_u64(text, v);
}

static void format_duration(const struct option *o, const void *field, uint64_t v, struct buf *text)
{
    (void)o;
    (void)field;
    if (v == 0)
        buf_lit(text, "0s");
    else
        write_units(DURATIONS, COUNT_OF(DURATIONS), v, text);
}

static void format_size(const struct option *o, const void *field, uint64_t v, struct buf *text)
{
    (void)o;
    (void)field;
    write_units(SIZES, COUNT_OF(SIZES), v, text);
}

/* ---- words ---- */

static bool parse_bool(const struct option *o, void *field, const char *text, struct buf *why)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *(bool *)field = i % 2;
        return true;
    }
    return refuse(o, text, " is neither on nor off", why);
}

static void format_bool(const struct option *o, const void *field, uint64_t v, struct buf *text)
{
    (void)o;
    (void)v;
    buf_str(text, *(const bool *)field ? "on" : "off");
}

/* The place of text among the choices, or -1. */
static int choice_of(const struct option *o, const char *text)
{
    for (int i = 0; o->choices[i]; i++)
        if (strcmp(text, o->choices[i]) == 0)
            return i;
    return -1;
}

static bool parse_choice(const struct option *o, void *field, const char *text, struct buf *why)
{
    int i = choice_of(o, text);
    if (i < 0)
        return refuse(o, text, " is not supported", why);
    store(o, field, (uint64_t)i);
    return true;
}

static void format_choice(const struct option *o, const void *field, uint64_t v, struct buf *text)
{
    (void)field;
    buf_str(text, o->choices[v]);
}

/* ---- text ---- */

static bool is_plain(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            return false;
    return utf8_valid(span_str(text));
}

static bool check_text(const struct option *o, const char *text, struct buf *why)
{
    if (!is_plain(text))
        return refuse(o, text, " is not plain UTF-8 text", why);
    if (o->choices && choice_of(o, text) < 0)
        return refuse(o, text, " is not supported", why);
    if (o->check && !o->check(text))
        return refuse(o, text, " cannot be used", why);
    return true;
}

static bool parse_string(const struct option *o, void *field, const char *text, struct buf *why)
{
    if (!check_text(o, text, why))
        return false;
    char *copy = strdup(text);
    if (!copy) {
        fail_memory(why);
        return false;
    }
    char **value = field;
    free(*value);
    *value = copy;
    return true;
}

static void format_string(const struct option *o, const void *field, uint64_t v, struct buf *text)
{
    (void)o;
    (void)v;
    const char *value = *(char *const *)field;
    buf_str(text, value ? value : "");
}

static bool parse_name(const struct option *o, void *field, const char *text, struct buf *why)
{
    if (!check_text(o, text, why))
        return false;
    size_t n = strlen(text);
    if (n >= o->width)
        return refuse(o, text, " is too long", why);
    memcpy(field, text, n + 1);
    return true;
}

static void format_name(const struct option *o, const void *field, uint64_t v, struct buf *text)
{
    (void)o;
    (void)v;
    buf_str(text, field);
}

/* ---- lists ---- */

static void free_words(char **words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(words[i]);
    free(words);
}

/* Copies the words of text into `words`, which has room, and counts them in *n. On failure the
 * words counted so far are still the caller's to free. */
static bool split(const struct option *o, const char *text, char **words, size_t *n,
                  struct buf *why)
{
    const char *p = text + strspn(text, WORD_SEPARATORS);
    while (*p) {
        size_t len = strcspn(p, WORD_SEPARATORS);
        char *word = strndup(p, len);
        if (!word) {
            fail_memory(why);
            return false;
        }
        words[(*n)++] = word;
        if (!check_text(o, word, why))
            return false;
        p += len;
        p += strspn(p, WORD_SEPARATORS);
    }
    return true;
}

static size_t count_words(const char *text)
{
    size_t n = 0;
    const char *p = text + strspn(text, WORD_SEPARATORS);
    for (; *p; n++) {
        p += strcspn(p, WORD_SEPARATORS);
        p += strspn(p, WORD_SEPARATORS);
    }
    return n;
}

/* Appends the words of text to the list, or leaves it as it was. */
static bool extend(const struct option *o, void *target, const char *text, struct buf *why)
{
    char ***list = field_at(o, target);
    size_t *count = count_at(o, target);
    size_t more = count_words(text);
    if (more > o->max || *count > o->max - more) {
        buf_fmt(why, "too many values; allowed: at most %llu", (unsigned long long)o->max);
        return false;
    }
    if (more == 0)
        return true;
    char **fresh = calloc(more, sizeof(*fresh));
    char **grown = fresh ? realloc(*list, (*count + more) * sizeof(*grown)) : NULL;
    if (grown)
        *list = grown;
    else
        fail_memory(why);
    size_t n = 0;
    if (!grown || !split(o, text, fresh, &n, why)) {
        free_words(fresh, n);
        return false;
    }
    memcpy(grown + *count, fresh, more * sizeof(*fresh));
    *count += more;
    free(fresh);
    return true;
}

/* ---- the door ---- */

static const struct kind KINDS[] = {
    [OPTION_BOOL] = {"on|off", parse_bool, format_bool},
    [OPTION_CHOICE] = {"WORD", parse_choice, format_choice},
    [OPTION_DURATION] = {"DURATION", parse_duration, format_duration},
    [OPTION_LIST] = {"LIST", NULL, NULL},
    [OPTION_NAME] = {"NAME", parse_name, format_name},
    [OPTION_NUMBER] = {"NUMBER", parse_number, format_number},
    [OPTION_SIZE] = {"SIZE", parse_size, format_size},
    [OPTION_STRING] = {"TEXT", parse_string, format_string},
};

bool option_set(const struct option *o, void *target, const char *text, struct buf *why)
{
    if (o->type == OPTION_LIST)
        return extend(o, target, text, why);
    return KINDS[o->type].parse(o, field_at(o, target), text, why);
}

bool option_complete(const struct option *o, const void *target, struct buf *why)
{
    size_t n;
    if (o->type != OPTION_LIST)
        return true;
    (void)option_words(o, target, &n);
    if (n >= o->min)
        return true;
    buf_lit(why, "no value is given; allowed: ");
    option_allowed(o, why);
    return false;
}

void option_clear(const struct option *o, void *target)
{
    void *field = field_at(o, target);
    if (o->type == OPTION_LIST) {
        free_words(*(char ***)field, *count_at(o, target));
        *count_at(o, target) = 0;
    }
    if (o->type == OPTION_STRING)
        free(*(char **)field);
    memset(field, 0, o->width);
}

uint64_t option_number(const struct option *o, const void *target)
{
    return fetch(o, field_of(o, target));
}

bool option_is_live(const struct option_section *s, const struct option *o)
{
    return (o->reload == RELOAD_AS_SECTION ? s->reload : o->reload) == RELOAD_LIVE;
}

bool option_is_empty(const struct option *o, const void *target)
{
    const char *const *text = field_of(o, target);
    return !*text || !**text;
}

char *const *option_words(const struct option *o, const void *target, size_t *count)
{
    *count = *(const size_t *)(const void *)((const char *)target + o->count_offset);
    return *(char *const *const *)field_of(o, target);
}

void option_get(const struct option *o, const void *target, struct buf *text)
{
    const void *field = field_of(o, target);
    if (o->type != OPTION_LIST) {
        bool is_number = o->type == OPTION_CHOICE || o->type == OPTION_DURATION ||
                         o->type == OPTION_NUMBER || o->type == OPTION_SIZE;
        KINDS[o->type].format(o, field, is_number ? fetch(o, field) : 0, text);
        return;
    }
    size_t n;
    char *const *words = option_words(o, target, &n);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(text, ' ');
        buf_str(text, words[i]);
    }
}

/* ---- words about an option ---- */

static void join_choices(const struct option *o, const char *joiner, struct buf *text)
{
    for (size_t i = 0; o->choices[i]; i++) {
        if (i)
            buf_str(text, joiner);
        buf_str(text, o->choices[i]);
    }
}

void option_allowed(const struct option *o, struct buf *text)
{
    const struct kind *k = &KINDS[o->type];
    if (o->choices) {
        join_choices(o, ", ", text);
    } else if (o->type == OPTION_BOOL) {
        buf_lit(text, "on, off");
    } else if (o->type == OPTION_LIST || o->type == OPTION_NAME || o->type == OPTION_STRING) {
        buf_str(text, o->allowed ? o->allowed : "any text");
    } else {
        k->format(o, NULL, o->min, text);
        buf_lit(text, " to ");
        k->format(o, NULL, o->max, text);
    }
}

void option_argument(const struct option *o, struct buf *text)
{
    if (o->argument)
        buf_str(text, o->argument);
    else if (o->choices)
        join_choices(o, "|", text);
    else
        buf_str(text, KINDS[o->type].argument);
}

/* Section (if it belongs to the name) and key, with every '_' and every letter as wanted. */
static void add_name(const struct option_section *s, const struct option *o, bool upper,
                     struct buf *text)
{
    const char *parts[] = {s->prefixed ? s->name : "", s->prefixed ? "_" : "", o->key};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        for (const char *p = parts[i]; *p; p++) {
            if (upper)
                buf_char(text, *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p);
            else
                buf_char(text, *p == '_' ? '-' : *p);
        }
    }
}

void option_flag(const struct option_section *s, const struct option *o, struct buf *text)
{
    buf_lit(text, "--");
    add_name(s, o, false, text);
}

void option_variable(const struct option_section *s, const struct option *o, struct buf *text)
{
    buf_lit(text, "MADANG_");
    add_name(s, o, true, text);
}

void option_quote(struct buf *b, const char *text)
{
    bool ascii_only = !utf8_valid(span_str(text)) || strstr(text, "\xC2");
    size_t n = strnlen(text, QUOTE_MAX + 1), shown = n > QUOTE_MAX ? QUOTE_MAX : n;
    while (!ascii_only && shown < n && shown && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--; /* no half characters */
    buf_char(b, '"');
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7F || (c >= 0x80 && ascii_only))
            buf_fmt(b, "\\x%02X", c);
        else
            buf_char(b, text[i]);
    }
    buf_str(b, shown < strlen(text) ? "…\"" : "\"");
}
