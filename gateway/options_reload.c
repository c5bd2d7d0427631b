/* SPDX-License-Identifier: MIT */
/* options_reload.c: options that are read again while the gateway serves. */
#include "gateway/options_private.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define AFTER_RESTART "; takes effect after a restart"

static const struct option_section *const SERVERS = &option_sections[SECTION_SERVERS];

/* ---- two configurations side by side ---- */

/* The value as text, terminated; wiped by drop(). */
static const char *text_of(const struct option *option, const void *target, struct buf *b)
{
    option_get(option, target, b);
    buf_char(b, '\0');
    return b->failed ? "" : b->p;
}

static void drop(struct buf *b)
{
    if (b->p)
        OPENSSL_cleanse(b->p, b->n);
    buf_deinit(b);
}

/* One option in two configurations; rooms by their place in each. */
struct pair {
    const struct option_section *section;
    const struct option *option;
    const struct options *now, *fresh;
    size_t now_room, fresh_room;
};

/* Appends how the option changed, without end of line; false if it did not. */
static bool tell_change(const struct pair *p, struct buf *text)
{
    struct buf a = {0}, b = {0};
    const char *from = text_of(p->option, options_view(p->now, p->section, p->now_room), &a);
    const char *to = text_of(p->option, options_view(p->fresh, p->section, p->fresh_room), &b);
    bool differs = strcmp(from, to) != 0;
    if (differs) {
        options_title(p->fresh, p->section, p->option, p->fresh_room, text);
        if (p->option->secret)
            buf_lit(text, ": changed");
        else
            buf_fmt(text, ": changed from %s to %s", *from ? from : "nothing",
                    *to ? to : "nothing");
    }
    if (a.failed || b.failed)
        text->failed = true;
    drop(&a);
    drop(&b);
    return differs;
}

static void tell_item(const struct options *now, const struct options *fresh,
                      const struct option_section *s, size_t item, struct buf *text)
{
    const char *name = options_item_name(fresh, s, item);
    size_t before = options_item_at(now, s, name);
    if (before == options_item_count(now, s)) {
        buf_fmt(text, "[%s %s]: new\n", s->name, name);
        return;
    }
    for (size_t i = 0; i < s->count; i++)
        if (tell_change(&(struct pair){s, &s->list[i], now, fresh, before, item}, text))
            buf_char(text, '\n');
}

/* Of a section whose items may come and go. */
static void tell_items(const struct options *now, const struct options *fresh,
                       const struct option_section *s, struct buf *text)
{
    for (size_t i = 0; i < options_item_count(fresh, s); i++)
        tell_item(now, fresh, s, i, text);
    for (size_t i = 0; i < options_item_count(now, s); i++) {
        const char *name = options_item_name(now, s, i);
        if (options_item_at(fresh, s, name) == options_item_count(fresh, s))
            buf_fmt(text, "[%s %s]: gone\n", s->name, name);
    }
}

static bool same_server(const struct options *now, const struct options *fresh, size_t i)
{
    struct buf text = {0};
    bool same = strcmp(now->redis.places[i].name, fresh->redis.places[i].name) == 0;
    for (size_t j = 0; same && j < SERVERS->count; j++)
        same = !tell_change(&(struct pair){SERVERS, &SERVERS->list[j], now, fresh, i, i}, &text);
    drop(&text);
    return same;
}

/* One line if the named servers are others, or in another order; true then. */
static bool tell_servers(const struct options *now, const struct options *fresh, struct buf *text)
{
    bool same = now->redis.place_count == fresh->redis.place_count;
    for (size_t i = 0; same && i < now->redis.place_count; i++)
        same = same_server(now, fresh, i);
    if (!same)
        buf_lit(text, "[redis NAME]: changed" AFTER_RESTART "\n");
    return !same;
}

/* Addresses speak TLS, or not, from the start on. */
static bool turns_tls(const struct options *now, const struct options *fresh)
{
    return !*now->tls_cert != !*fresh->tls_cert;
}

static bool is_live(const struct option_section *s, const struct option *o,
                    const struct options *now, const struct options *fresh)
{
    bool turned = s == &option_sections[SECTION_TLS] && turns_tls(now, fresh);
    return option_is_live(s, o) && !turned;
}

/* A line for each option that differs; true if one of them may not change while serving. */
static bool compare(const struct options *now, const struct options *fresh, struct buf *text)
{
    bool restart = false;
    for (size_t i = 0; i < SECTION_ROOMS; i++) {
        const struct option_section *s = &option_sections[i];
        for (size_t j = 0; j < s->count; j++) {
            const struct option *o = &s->list[j];
            if (!tell_change(&(struct pair){s, o, now, fresh, 0, 0}, text))
                continue;
            bool live = is_live(s, o, now, fresh);
            restart |= !live;
            buf_str(text, live ? "\n" : AFTER_RESTART "\n");
        }
    }
    tell_items(now, fresh, &option_sections[SECTION_ROOMS], text);
    tell_items(now, fresh, &option_sections[SECTION_QUEUES], text);
    tell_items(now, fresh, &option_sections[SECTION_CRON], text);
    return tell_servers(now, fresh, text) || restart;
}

/* ---- what stays as it is ---- */

static bool keep_one(struct options *o, const struct options *now, const struct option_section *s,
                     const struct option *option, size_t i)
{
    struct buf value = {0}, why = {0};
    struct origin *to = options_origin(o, s, option, i);
    const struct origin *from = options_origin(now, s, option, i);
    const char *text = text_of(option, options_view(now, s, i), &value);
    char *where = from->where ? strdup(from->where) : NULL;
    bool ok = !value.failed && (where || !from->where);
    if (ok) {
        option_clear(option, options_target(o, s, i));
        ok = option_set(option, options_target(o, s, i), text, &why);
        free(to->where);
        *to = (struct origin){from->source, where};
    } else {
        free(where);
    }
    drop(&value);
    buf_deinit(&why);
    return ok;
}

static bool keep_servers(struct options *o, const struct options *now)
{
    options_drop_items(o, SERVERS);
    for (size_t i = 0; i < now->redis.place_count; i++) {
        if (!options_add_item(o, SERVERS, now->redis.places[i].name))
            return false;
        for (size_t j = 0; j < SERVERS->count; j++)
            if (!keep_one(o, now, SERVERS, &SERVERS->list[j], i))
                return false;
    }
    return true;
}

bool options_keep(struct options *o, const struct options *now)
{
    bool keep_tls = turns_tls(now, o);
    for (size_t i = 0; i < SECTION_ROOMS; i++) {
        const struct option_section *s = &option_sections[i];
        bool all = i == SECTION_TLS && keep_tls;
        for (size_t j = 0; j < s->count; j++)
            if ((all || !option_is_live(s, &s->list[j])) && !keep_one(o, now, s, &s->list[j], 0))
                return false;
    }
    return keep_servers(o, now);
}

/* ---- the door ---- */

bool options_reload(struct options **out, const struct options *now,
                    const struct options_sources *from, struct buf *report, struct buf *changes)
{
    struct options *fresh = NULL;
    if (!options_load(&fresh, from->argc, from->argv, from->env, report))
        return false;
    if (!compare(now, fresh, changes)) {
        *out = fresh;
        return true;
    }
    /* It would do after a restart. Until then it must also fit to what stays. */
    options_free(fresh);
    bool ok = options_load_keeping(out, now, from, report);
    if (!ok)
        buf_lit(report, "(with the old values of options that take effect after a restart)\n");
    return ok;
}
