/* SPDX-License-Identifier: MIT */
#include "gateway/options.h"

#include "gateway/address.h"
#include "gateway/endpoint.h"
#include "gateway/options_private.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMENT_COLUMN   48
#define HUBS_DEFAULT_MAX 8

static const struct option_section *const ROOMS = &option_sections[SECTION_ROOMS];

/* A section with items: where its list is, in the options and, of where values came from, in the
 * origins. Every item begins with its name. */
struct many {
    size_t list, count, origins, item_bytes;
};

#define MANY(list_, count_, origins_)                                                              \
    {                                                                                              \
        offsetof(struct options, list_), offsetof(struct options, count_),                         \
            offsetof(struct options_origins, origins_), sizeof(*((struct options *)0)->list_)      \
    }

static const struct many *many_of(const struct option_section *s)
{
    static const struct many table[] = {
        [0] = MANY(rules.list, rules.count, rooms),
        [SECTION_SERVERS - SECTION_ROOMS] = MANY(redis.places, redis.place_count, servers),
        [SECTION_QUEUES - SECTION_ROOMS] = MANY(named_queues, named_queue_count, queues),
        [SECTION_CRON - SECTION_ROOMS] = MANY(cron, cron_count, cron),
    };
    return s < ROOMS ? NULL : &table[s - ROOMS];
}

/* What stands at an offset: a list, a count. */
static char **list_at(void *of, size_t at)
{
    return (char **)(void *)((char *)of + at);
}

static size_t *count_at(struct options *o, const struct many *m)
{
    return (size_t *)(void *)((char *)o + m->count);
}

static char *item_at(const struct options *o, const struct many *m, size_t i)
{
    const char *at = (const char *)o + m->list;
    return *(char *const *)(const void *)at + i * m->item_bytes;
}

/* ---- the table and the struct ---- */

void *options_target(struct options *o, const struct option_section *s, size_t room)
{
    const struct many *m = many_of(s);
    return m ? (void *)item_at(o, m, room) : (void *)o;
}

const void *options_view(const struct options *o, const struct option_section *s, size_t room)
{
    const struct many *m = many_of(s);
    return m ? (const void *)item_at(o, m, room) : (const void *)o;
}

struct origin *options_origin(const struct options *o, const struct option_section *s,
                              const struct option *option, size_t room)
{
    const struct many *m = many_of(s);
    size_t i = (size_t)(option - s->list);
    if (m)
        return (struct origin *)(void *)*list_at(o->origins, m->origins) + room * s->count + i;
    for (const struct option_section *before = option_sections; before != s; before++)
        i += before->count;
    return &o->origins->plain[i];
}

const struct option *options_find(const struct option_section *s, const char *key)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->list[i].key, key) == 0)
            return &s->list[i];
    return NULL;
}

/* Sets every option of a section to its default. The table's own texts are in order (a test says
 * so), hence false means that memory ran out. */
static bool set_defaults(struct options *o, const struct option_section *s, size_t room)
{
    struct buf why = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < s->count; i++)
        ok = option_set(&s->list[i], options_target(o, s, room), s->list[i].initial, &why);
    buf_deinit(&why);
    return ok;
}

static bool grow(char **list, size_t bytes, size_t more)
{
    char *grown = realloc(*list, bytes + more);
    if (!grown)
        return false;
    memset(grown + bytes, 0, more);
    *list = grown;
    return true;
}

bool options_add_item(struct options *o, const struct option_section *s, const char *name)
{
    const struct many *m = many_of(s);
    size_t n = *count_at(o, m), origins_bytes = s->count * sizeof(struct origin);
    if (!grow(list_at(o, m->list), n * m->item_bytes, m->item_bytes) ||
        !grow(list_at(o->origins, m->origins), n * origins_bytes, origins_bytes))
        return false;
    memcpy(item_at(o, m, n), name, strlen(name) + 1);
    *count_at(o, m) = n + 1;
    return set_defaults(o, s, n);
}

size_t options_item_count(const struct options *o, const struct option_section *s)
{
    const char *at = (const char *)o + many_of(s)->count;
    return *(const size_t *)(const void *)at;
}

size_t options_item_at(const struct options *o, const struct option_section *s, const char *name)
{
    size_t i = 0;
    while (i < options_item_count(o, s) && strcmp(options_item_name(o, s, i), name) != 0)
        i++;
    return i;
}

struct options *options_new(void)
{
    struct options *o = calloc(1, sizeof(*o));
    size_t plain = 0;
    for (size_t i = 0; i < SECTION_ROOMS; i++)
        plain += option_sections[i].count;
    if (!o)
        return NULL;
    o->origins = calloc(1, sizeof(*o->origins));
    if (o->origins)
        o->origins->plain = calloc(plain, sizeof(*o->origins->plain));
    bool ok = o->origins && o->origins->plain && options_add_item(o, ROOMS, "");
    for (size_t i = 0; ok && i < SECTION_ROOMS; i++)
        ok = set_defaults(o, &option_sections[i], 0);
    if (ok)
        return o;
    options_free(o);
    return NULL;
}

static void free_section(struct options *o, const struct option_section *s, size_t room)
{
    for (size_t i = 0; i < s->count; i++) {
        option_clear(&s->list[i], options_target(o, s, room));
        struct origin *origin = options_origin(o, s, &s->list[i], room);
        free(origin->where);
        origin->where = NULL;
    }
}

void options_drop_items(struct options *o, const struct option_section *s)
{
    const struct many *m = many_of(s);
    for (size_t i = 0; i < *count_at(o, m); i++)
        free_section(o, s, i);
    free(*list_at(o, m->list));
    *list_at(o, m->list) = NULL;
    *count_at(o, m) = 0;
}

void options_free(struct options *o)
{
    if (!o)
        return;
    for (size_t i = SECTION_ROOMS; i < SECTION_COUNT; i++)
        options_drop_items(o, &option_sections[i]);
    for (size_t i = 0; o->origins && o->origins->plain && i < SECTION_ROOMS; i++)
        free_section(o, &option_sections[i], 0);
    if (o->origins) {
        free(o->origins->plain);
        for (size_t i = SECTION_ROOMS; i < SECTION_COUNT; i++)
            free(*list_at(o->origins, many_of(&option_sections[i])->origins));
    }
    free(o->origins);
    free(o);
}

const char *options_item_name(const struct options *o, const struct option_section *s, size_t room)
{
    const struct many *m = many_of(s);
    return m ? item_at(o, m, room) : "";
}

void options_title(const struct options *o, const struct option_section *s,
                   const struct option *option, size_t room, struct buf *text)
{
    const char *name = options_item_name(o, s, room);
    buf_fmt(text, "[%s%s%s] %s", s->name, *name ? " " : "", name, option->key);
}

/* Appends one line: key, value, and behind it the source. A prefix makes it a comment. */
static void print_line(const char *prefix, const char *key, const char *value, const char *where,
                       struct buf *text)
{
    size_t begin = text->n;
    buf_fmt(text, "%s%s = %s", prefix, key, value);
    while (!text->failed && text->n - begin < COMMENT_COLUMN)
        buf_char(text, ' ');
    buf_lit(text, " ; ");
    for (const char *p = where ? where : "default"; *p; p++) /* a file's name may hold anything */
        buf_char(text, (unsigned char)*p < 0x20 || *p == 0x7F ? '?' : *p);
    buf_char(text, '\n');
}

static void print_section(const struct options *o, const struct option_section *s, size_t room,
                          struct buf *text)
{
    struct buf value = {0};
    for (size_t i = 0; i < s->count; i++) {
        const struct option *option = &s->list[i];
        const void *target = options_view(o, s, room);
        const char *where = options_origin(o, s, option, room)->where;
        size_t words = 0;
        char *const *list =
            option->type == OPTION_LIST ? option_words(option, target, &words) : NULL;
        for (size_t j = 0; j < words; j++) /* a line each: a line of a file has a limit */
            print_line("", option->key, list[j], where, text);
        if (words)
            continue;
        buf_clear(&value);
        option_get(option, target, &value);
        bool hide = option->secret && value.n;
        if (hide) {
            OPENSSL_cleanse(value.p, value.n);
            buf_clear(&value);
            buf_lit(&value, "(not shown)");
        }
        buf_char(&value, '\0');
        if (value.failed)
            text->failed = true;
        else
            print_line(hide ? "; " : "", option->key, value.p, where, text);
    }
    buf_deinit(&value);
}

void options_print(const struct options *o, struct buf *text)
{
    for (size_t i = 0; i < SECTION_ROOMS; i++) {
        buf_fmt(text, "%s[%s]\n", i ? "\n" : "", option_sections[i].name);
        print_section(o, &option_sections[i], 0, text);
    }
    for (const struct option_section *m = ROOMS; m < option_sections + SECTION_COUNT; m++) {
        for (size_t i = 0; i < options_item_count(o, m); i++) {
            const char *name = options_item_name(o, m, i);
            buf_fmt(text, "\n[%s%s%s]\n", m->name, *name ? " " : "", name);
            print_section(o, m, i, text);
        }
    }
}

uint32_t options_hubs(const struct options *o)
{
    if (o->hubs)
        return o->hubs;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > HUBS_DEFAULT_MAX ? HUBS_DEFAULT_MAX : (uint32_t)cores;
}

bool options_have_store(const struct options *o)
{
    return o->backplane == BACKPLANE_LOCAL && strcmp(o->store, "none") != 0;
}

bool options_have_queues(const struct options *o)
{
    return o->backplane == BACKPLANE_REDIS || options_have_store(o);
}

const struct queue_rules *options_queue_rules(const struct options *o, struct span name)
{
    for (size_t i = 0; i < o->named_queue_count; i++)
        if (span_eq(span_str(o->named_queues[i].name), name))
            return &o->named_queues[i].rules;
    return &o->queue;
}

bool options_listens_beyond_loopback(const struct options *o)
{
    for (size_t i = 0; i < o->listen_count; i++) {
        struct endpoint e;
        if (!endpoint_parse(o->listen[i], &e) || e.address.ss_family == AF_UNIX)
            continue;
        struct address host = address_of((const struct sockaddr *)&e.address);
        if (!address_is_loopback(&host))
            return true;
    }
    return false;
}
