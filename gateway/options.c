/* SPDX-License-Identifier: MIT */
#include "gateway/options.h"

#include "gateway/address.h"
#include "gateway/endpoint.h"
#include "gateway/options_private.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT_COLUMN 48

static const struct option_section *const ROOMS = &option_sections[SECTION_ROOMS];
static const struct option_section *const SERVERS = &option_sections[SECTION_SERVERS];

/* ---- the table and the struct ---- */

void *options_target(struct options *o, const struct option_section *s, size_t room)
{
    if (s == SERVERS)
        return &o->redis.places[room];
    return s == ROOMS ? (void *)&o->rules.list[room] : (void *)o;
}

const void *options_view(const struct options *o, const struct option_section *s, size_t room)
{
    if (s == SERVERS)
        return &o->redis.places[room];
    return s == ROOMS ? (const void *)&o->rules.list[room] : (const void *)o;
}

struct origin *options_origin(const struct options *o, const struct option_section *s,
                              const struct option *option, size_t room)
{
    size_t i = (size_t)(option - s->list);
    if (s == ROOMS)
        return &o->origins->rooms[room * ROOMS->count + i];
    if (s == SERVERS)
        return &o->origins->servers[room * SERVERS->count + i];
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

bool options_add_room(struct options *o, const char *name)
{
    size_t n = o->rules.count;
    struct room_rules *list = realloc(o->rules.list, (n + 1) * sizeof(*list));
    if (!list)
        return false;
    o->rules.list = list;
    size_t origins_bytes = ROOMS->count * sizeof(struct origin);
    struct origin *origins = realloc(o->origins->rooms, (n + 1) * origins_bytes);
    if (!origins)
        return false;
    o->origins->rooms = origins;
    memset(&origins[n * ROOMS->count], 0, origins_bytes);
    list[n] = (struct room_rules){0};
    memcpy(list[n].name, name, strlen(name) + 1);
    o->rules.count = n + 1;
    return set_defaults(o, ROOMS, n);
}

bool options_add_server(struct options *o, const char *name)
{
    size_t n = o->redis.place_count;
    struct redis_place *list = realloc(o->redis.places, (n + 1) * sizeof(*list));
    if (!list)
        return false;
    o->redis.places = list;
    size_t origins_bytes = SERVERS->count * sizeof(struct origin);
    struct origin *origins = realloc(o->origins->servers, (n + 1) * origins_bytes);
    if (!origins)
        return false;
    o->origins->servers = origins;
    memset(&origins[n * SERVERS->count], 0, origins_bytes);
    list[n] = (struct redis_place){0};
    memcpy(list[n].name, name, strlen(name) + 1);
    o->redis.place_count = n + 1;
    return set_defaults(o, SERVERS, n);
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
    bool ok = o->origins && o->origins->plain && options_add_room(o, "");
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

void options_drop_servers(struct options *o)
{
    for (size_t i = 0; i < o->redis.place_count; i++)
        free_section(o, SERVERS, i);
    free(o->redis.places);
    o->redis.places = NULL;
    o->redis.place_count = 0;
}

void options_free(struct options *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->rules.count; i++)
        free_section(o, ROOMS, i);
    options_drop_servers(o);
    for (size_t i = 0; o->origins && o->origins->plain && i < SECTION_ROOMS; i++)
        free_section(o, &option_sections[i], 0);
    if (o->origins) {
        free(o->origins->plain);
        free(o->origins->rooms);
        free(o->origins->servers);
    }
    free(o->origins);
    free(o->rules.list);
    free(o);
}

const char *options_item_name(const struct options *o, const struct option_section *s, size_t room)
{
    if (s == SERVERS)
        return o->redis.places[room].name;
    return s == ROOMS ? o->rules.list[room].name : "";
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
    for (size_t i = 0; i < o->rules.count; i++) {
        const char *name = o->rules.list[i].name;
        buf_fmt(text, "\n[%s%s%s]\n", ROOMS->name, *name ? " " : "", name);
        print_section(o, ROOMS, i, text);
    }
    for (size_t i = 0; i < o->redis.place_count; i++) {
        buf_fmt(text, "\n[%s %s]\n", SERVERS->name, o->redis.places[i].name);
        print_section(o, SERVERS, i, text);
    }
}

bool options_have_store(const struct options *o)
{
    return o->backplane == BACKPLANE_LOCAL && strcmp(o->store, "none") != 0;
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
