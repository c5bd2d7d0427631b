/* SPDX-License-Identifier: MIT */
#include "backplane/redis_servers.h"

#include "backplane/queue/queue.h"
#include "backplane/redis_servers_private.h"
#include "backplane/seq_control.h"

#define SCAN_COUNT SPAN("500")

static void complain(struct servers *v, size_t i, struct span why)
{
    struct buf label = {0};
    redis_member_label(servers_member(v, i), &label);
    buf_fmt(v->report, "[%.*s] %.*s\n", (int)label.n, label.p ? label.p : "", (int)why.n,
            why.n ? why.p : "");
    buf_deinit(&label);
}

struct redis_reply *servers_ask(struct servers *v, size_t i, const struct span *words, size_t n)
{
    struct buf why = {0};
    struct redis_reply *r = redis_talk_ask(v->talk[i], words, n, &why);
    if (!r)
        complain(v, i, (struct span){why.p, why.n});
    buf_deinit(&why);
    return r;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

/* Connects to all; false: not all. */
static bool begin(struct servers *v, const struct redis_settings *to,
                  const struct redis_member *leaves, struct buf *report)
{
    bool well = true;
    *v = (struct servers){.to = to, .leaves = leaves, .report = report};
    buf_fmt(&v->key, "%s:servers", to->prefix);
    redis_settings_set(to, &v->new_set);
    for (size_t i = 0; i < servers_asked(v); i++) {
        struct buf why = {0};
        enum redis_verdict verdict;
        v->talk[i] = redis_talk_open(&servers_member(v, i)->server, &verdict, &why);
        if (!v->talk[i])
            complain(v, i, servers_span(&why));
        well &= v->talk[i] != NULL;
        buf_deinit(&why);
    }
    return well && !v->key.failed && !v->new_set.failed;
}

static void end(struct servers *v)
{
    for (size_t i = 0; i < servers_asked(v); i++)
        redis_talk_close(v->talk[i]);
    buf_deinit(&v->old_set);
    buf_deinit(&v->new_set);
    buf_deinit(&v->key);
}

static const struct redis_reply *get_set(struct servers *v, size_t i)
{
    struct span words[] = {SPAN("GET"), servers_span(&v->key)};
    return servers_ask(v, i, words, 2);
}

bool redis_servers_show(const struct redis_settings *s, struct buf *text, struct buf *report)
{
    struct servers v;
    bool well = begin(&v, s, NULL, report);
    for (size_t i = 0; i < s->server_count; i++) {
        const struct redis_reply *r = v.talk[i] ? get_set(&v, i) : NULL;
        if (v.talk[i] && !r)
            well = false;
        if (!r)
            continue;
        struct span set = redis_reply_text(r);
        buf_fmt(text, "%-16s ", s->servers[i].name);
        redis_url_show(&s->servers[i].server.link.url, text);
        if (r->type == REPLY_NIL)
            buf_lit(text, "  belongs to no set yet\n");
        else
            buf_fmt(text, "  belongs to: %.*s\n", (int)set.n, set.p);
    }
    end(&v);
    return well;
}

/* ---- what was ------------------------------------------------------------------------------- */

/* The names of the set before, from those of the set to be. False: they do not go together. */
static bool find_old(struct servers *v, enum servers_change change, const char *name)
{
    const struct redis_settings *to = v->to;
    size_t n = 0;
    bool has = false, gone = change == SERVERS_REMOVE;
    for (size_t i = 0; i < to->server_count; i++) {
        const char *one = to->servers[i].name;
        bool same = strcmp(one, name) == 0;
        has |= same;
        if (gone && !same && strcmp(name, one) < 0) {
            v->old_names[n++] = name;
            gone = false;
        }
        if (!same && n < REDIS_SERVERS_MAX)
            v->old_names[n++] = one;
    }
    if (gone && n < REDIS_SERVERS_MAX)
        v->old_names[n++] = name;
    if (has != (change == SERVERS_ADD)) {
        buf_fmt(v->report,
                has ? "the configuration still names %s: take its section out first\n"
                    : "the configuration does not name %s: add a section [redis %s] first\n",
                name, name);
        return false;
    }
    if (n == 0) {
        buf_lit(v->report, "there was no server before: gateways begin a set by themselves\n");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        rendezvous_add(&v->before, span_str(v->old_names[i]));
        buf_fmt(&v->old_set, "%s%s", i ? " " : "", v->old_names[i]);
    }
    return !v->old_set.failed;
}

static bool was_there(const struct servers *v, const char *name)
{
    for (size_t i = 0; i < v->before.count; i++)
        if (strcmp(v->old_names[i], name) == 0)
            return true;
    return false;
}

/* Whether what a server stores goes together with the change. */
static bool fits(struct servers *v, size_t i, const struct redis_reply *r, bool *known)
{
    struct span set = redis_reply_text(r);
    bool member = was_there(v, v->to->servers[i].name);
    v->has_new[i] = r->type == REPLY_STRING && span_eq(set, servers_span(&v->new_set));
    bool has_old = r->type == REPLY_STRING && span_eq(set, servers_span(&v->old_set));
    *known |= member && (has_old || v->has_new[i]);
    if (!member || has_old || v->has_new[i] || r->type == REPLY_NIL)
        return true; /* one that is new may have belonged to any set */
    struct buf why = {0};
    buf_fmt(&why, "belongs to \"%.*s\", neither to \"%.*s\" nor to \"%.*s\": one server at a time",
            (int)set.n, set.p, (int)v->old_set.n, v->old_set.p, (int)v->new_set.n, v->new_set.p);
    complain(v, i, servers_span(&why));
    buf_deinit(&why);
    return false;
}

/* Every server must belong to the old set, to the new one, or to none, and some to the old one: a
 * configuration could name anything. */
static bool check_sets(struct servers *v)
{
    bool well = true, known = false;
    for (size_t i = 0; i < v->to->server_count; i++) {
        const struct redis_reply *r = get_set(v, i);
        well &= r && fits(v, i, r, &known);
    }
    if (well && !known)
        buf_fmt(v->report, "no server says that it belongs to \"%.*s\": is that the set?\n",
                (int)v->old_set.n, v->old_set.p);
    return well && known;
}

/* Whether the server that leaves is one of those that stay, by another name: what is written to it
 * for a while is seen there. */
static bool stays(struct servers *v, bool *found)
{
    size_t last = v->to->server_count;
    struct buf key = {0}, word = {0};
    buf_fmt(&key, "%s:servers.leaves", v->to->prefix);
    buf_fmt(&word, "%016llx", (unsigned long long)queue_random());
    struct span set[] = {SPAN("SET"), servers_span(&key), servers_span(&word), SPAN("EX"),
                         SPAN("60")};
    struct span get[] = {SPAN("GET"), servers_span(&key)};
    struct span forget[] = {SPAN("DEL"), servers_span(&key)};
    bool well = !key.failed && !word.failed && servers_ask(v, last, set, 5);
    for (size_t i = 0; well && i < last; i++) {
        const struct redis_reply *r = servers_ask(v, i, get, 2);
        well = r != NULL;
        *found |= r && span_eq(redis_reply_text(r), servers_span(&word));
    }
    well = well && servers_ask(v, last, forget, 2);
    buf_deinit(&key);
    buf_deinit(&word);
    return well;
}

/* Who leaves must be the one that did belong to the old set, under whatever name it is reached:
 * what a server has that stays would be taken from it. */
static bool check_leaving(struct servers *v)
{
    size_t last = v->to->server_count;
    const struct redis_reply *r = v->leaves ? get_set(v, last) : NULL;
    if (!v->leaves || !r)
        return !v->leaves;
    if (r->type != REPLY_STRING || !span_eq(redis_reply_text(r), servers_span(&v->old_set))) {
        struct span set = redis_reply_text(r);
        struct buf why = {0};
        buf_fmt(&why, "belongs to \"%.*s\", not to \"%.*s\": is that the server?", (int)set.n,
                set.n ? set.p : "", (int)v->old_set.n, v->old_set.p);
        complain(v, last, servers_span(&why));
        buf_deinit(&why);
        return false;
    }
    bool found = false, well = stays(v, &found);
    if (found)
        complain(v, last, SPAN("is a server that stays, by another name"));
    return well && !found;
}

/* ---- all rooms of a server ------------------------------------------------------------------ */

/* The prefix and the kind, with what a pattern would take for its own escaped. */
static void pattern(const struct servers *v, const char *kind, struct buf *out)
{
    for (const char *p = v->to->prefix; *p; p++) {
        if (strchr("*?[]\\^", *p))
            buf_char(out, '\\');
        buf_char(out, *p);
    }
    buf_fmt(out, ":%s:*", kind);
}

static bool visit_some(struct servers *v, size_t i, const struct redis_reply *keys, size_t skip,
                       servers_visit *visit)
{
    bool well = true;
    for (size_t k = 0; well && keys && keys->type == REPLY_ARRAY && k < keys->count; k++) {
        struct span key = redis_reply_text(redis_reply_item(keys, k));
        if (key.n >= skip)
            well = visit(v, i, (struct span){key.p + skip, key.n - skip});
    }
    return well;
}

bool servers_each_room(struct servers *v, size_t i, const char *kind, servers_visit *visit)
{
    struct buf match = {0}, cursor = {0};
    struct redis_reply slice = {0};
    size_t skip = strlen(v->to->prefix) + strlen(kind) + 2;
    bool well = true;
    pattern(v, kind, &match);
    buf_char(&cursor, '0');
    do {
        struct span words[] = {SPAN("SCAN"),         servers_span(&cursor), SPAN("MATCH"),
                               servers_span(&match), SPAN("COUNT"),         SCAN_COUNT};
        struct redis_reply *r = match.failed || cursor.failed ? NULL : servers_ask(v, i, words, 6);
        if (!r) {
            well = false;
            break;
        }
        redis_reply_move(&slice, r);
        buf_clear(&cursor);
        buf_span(&cursor, redis_reply_text(redis_reply_item(&slice, 0)));
        well = visit_some(v, i, redis_reply_item(&slice, 1), skip, visit);
        redis_reply_deinit(&slice);
    } while (well && !span_eq(servers_span(&cursor), SPAN("0")));
    buf_deinit(&match);
    buf_deinit(&cursor);
    return well;
}

/* ---- leftovers ------------------------------------------------------------------------------ */

static bool unlink_room(struct servers *v, size_t i, struct span room)
{
    static const char *const kinds[] = {"room", "stream", "keys"};
    struct buf keys[3] = {{0}, {0}, {0}};
    struct span words[4] = {SPAN("UNLINK")};
    bool well = true;
    for (size_t k = 0; k < 3; k++) {
        buf_fmt(&keys[k], "%s:%s:", v->to->prefix, kinds[k]);
        buf_span(&keys[k], room);
        well &= !keys[k].failed;
        words[1 + k] = servers_span(&keys[k]);
    }
    well = well && servers_ask(v, i, words, 4);
    for (size_t k = 0; k < 3; k++)
        buf_deinit(&keys[k]);
    v->removed += well;
    return well;
}

/* A room that the old set keeps elsewhere. */
static bool remove_leftover(struct servers *v, size_t i, struct span room)
{
    const char *home = v->old_names[redis_home(&v->before, room)];
    return strcmp(home, v->to->servers[i].name) == 0 || unlink_room(v, i, room);
}

/* ---- what moves along ----------------------------------------------------------------------- */

/* Bans, mutes and slow mode are kept on the first server. If that is another one from now on, they
 * are copied to it, unless the old one is gone. */
static bool move_records(struct servers *v)
{
    struct buf key = {0};
    size_t from = 0;
    while (from < servers_asked(v) && strcmp(servers_member(v, from)->name, v->old_names[0]) != 0)
        from++;
    if (from == 0 || from == servers_asked(v))
        return true;
    buf_fmt(&key, "%s:records:%s", v->to->prefix, CONTROL_STREAM);
    struct span get[] = {SPAN("HGETALL"), servers_span(&key)};
    struct redis_reply *r = key.failed ? NULL : servers_ask(v, from, get, 2);
    bool well = r != NULL;
    for (size_t i = 0; well && r->type == REPLY_ARRAY && i + 1 < r->count; i += 2) {
        struct span set[] = {SPAN("HSET"), servers_span(&key),
                             redis_reply_text(redis_reply_item(r, i)),
                             redis_reply_text(redis_reply_item(r, i + 1))};
        well = servers_ask(v, 0, set, 4) != NULL;
    }
    buf_deinit(&key);
    return well;
}

/* ---- the change ----------------------------------------------------------------------------- */

/* Servers that the old set has, or those that it has not. */
static bool store(struct servers *v, bool old)
{
    for (size_t i = 0; i < v->to->server_count; i++) {
        struct span words[] = {SPAN("SET"), servers_span(&v->key), servers_span(&v->new_set)};
        if (was_there(v, v->to->servers[i].name) == old && !servers_ask(v, i, words, 3)) {
            buf_lit(v->report, "the change is half done: give the same command again\n");
            return false;
        }
    }
    return true;
}

/* True: it was made before, and nothing but what moves along may be left to do. */
static bool is_made(const struct servers *v)
{
    bool made = true;
    for (size_t i = 0; i < v->to->server_count; i++)
        made &= v->has_new[i];
    return made;
}

static bool make(struct servers *v)
{
    bool well = true;
    for (size_t i = 0; well && i < v->to->server_count; i++)
        well = servers_each_room(v, i, "room", remove_leftover);
    return well && move_records(v) && store(v, false) && store(v, true);
}

static bool carry_out(struct servers *v, struct buf *text)
{
    bool made = is_made(v);
    int new_n = (int)v->new_set.n;
    if (!made && !make(v))
        return false;
    if (!servers_move_followers(v)) {
        buf_lit(v->report, "not all followers went along: give the same command again\n");
        return false;
    }
    if (made)
        buf_fmt(text, "the servers are \"%.*s\" already", new_n, v->new_set.p);
    else
        buf_fmt(text,
                "the servers were \"%.*s\" and are \"%.*s\" now; %zu rooms that were left over "
                "were removed",
                (int)v->old_set.n, v->old_set.p, new_n, v->new_set.p, v->removed);
    if (v->moved || !made)
        buf_fmt(text, "; %zu followers went along with rooms that move", v->moved);
    else
        buf_lit(text, "; nothing was changed");
    buf_str(text, made ? "\n"
                       : "\nrestart every gateway with the new configuration: until then it serves "
                         "no rooms\n");
    return true;
}

bool redis_servers_change(const struct redis_settings *s, const struct servers_wish *wish,
                          struct buf *text, struct buf *report)
{
    struct servers v;
    bool well = begin(&v, s, wish->leaves, report) && find_old(&v, wish->change, wish->name) &&
                check_sets(&v) && check_leaving(&v) && carry_out(&v, text);
    if (well && wish->change == SERVERS_REMOVE && !wish->leaves)
        buf_fmt(text,
                "followers of rooms that %s kept are lost with it: nobody can say how many%s\n",
                wish->name,
                strcmp(v.old_names[0], wish->name) == 0 ? "; and so are bans, mutes and slow mode"
                                                        : "");
    end(&v);
    return well;
}
