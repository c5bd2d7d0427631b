/* SPDX-License-Identifier: MIT */
#include "backplane/base/count.h"

#include "gateway/options_private.h"

#include "backplane/redis.h"
#include "gateway/endpoint.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct field {
    enum section_id section;
    const char *key;
};

/* `less` must be less than `more`, or may equal it. */
struct order {
    struct field less, more;
    bool may_equal;
};

static const struct order ORDERS[] = {
    {{SECTION_CLIENT, "command_size"}, {SECTION_CLIENT, "frame_size"}, true},
    {{SECTION_CLIENT, "credits"}, {SECTION_HUB, "credits"}, true},
    {{SECTION_CLIENT, "pong_timeout"}, {SECTION_CLIENT, "ping_interval"}, false},
    {{SECTION_CLIENT, "queue_bytes"}, {SECTION_HUB, "queue_bytes"}, true},
    {{SECTION_GATEWAY, "drain_delay"}, {SECTION_GATEWAY, "shutdown_timeout"}, false},
};

/* Room switches that make no sense without a stream. */
static const char *const NEED_HISTORY[] = {
    "allow_positioning",
    "allow_recovery",
    "force_positioning",
    "force_recovery",
};

static const struct option_section *const ROOMS = &option_sections[SECTION_ROOMS];

/* "[client] pong_timeout (8s, default)" */
static void describe(const struct options *o, const struct option_section *s, const char *key,
                     size_t room, struct buf *text)
{
    const struct option *option = options_find(s, key);
    const char *where = options_origin(o, s, option, room)->where;
    options_title(o, s, option, room, text);
    buf_lit(text, " (");
    option_get(option, options_view(o, s, room), text);
    buf_fmt(text, ", %s)", where ? where : "default");
}

static size_t check_orders(const struct options *o, struct buf *report)
{
    size_t errors = 0;
    for (size_t i = 0; i < COUNT_OF(ORDERS); i++) {
        const struct order *r = &ORDERS[i];
        const struct option_section *ls = &option_sections[r->less.section];
        const struct option_section *ms = &option_sections[r->more.section];
        uint64_t less = option_number(options_find(ls, r->less.key), o);
        uint64_t more = option_number(options_find(ms, r->more.key), o);
        if (less < more || (r->may_equal && less == more))
            continue;
        errors++;
        describe(o, ls, r->less.key, 0, report);
        buf_str(report, r->may_equal ? " must not be more than " : " must be less than ");
        describe(o, ms, r->more.key, 0, report);
        buf_char(report, '\n');
    }
    return errors;
}

/* Lists have a least length, which shows only when all sources have spoken. */
static size_t check_complete(const struct options *o, struct buf *report)
{
    size_t errors = 0;
    for (size_t i = 0; i < SECTION_ROOMS; i++) {
        const struct option_section *s = &option_sections[i];
        for (size_t j = 0; j < s->count; j++) {
            struct buf why = {0};
            if (!option_complete(&s->list[j], o, &why)) {
                const char *where = options_origin(o, s, &s->list[j], 0)->where;
                errors++;
                buf_fmt(report, "%s: ", where ? where : "default");
                options_title(o, s, &s->list[j], 0, report);
                buf_lit(report, ": ");
                buf_add(report, why.p, why.n);
                buf_char(report, '\n');
            }
            buf_deinit(&why);
        }
    }
    return errors;
}

static bool is_said(const struct options *o, const char *key, size_t room)
{
    return options_origin(o, ROOMS, options_find(ROOMS, key), room)->source != FROM_DEFAULT;
}

static bool is_on(const struct options *o, const char *key, size_t room)
{
    const char *rules = options_view(o, ROOMS, room);
    return *(const bool *)(const void *)(rules + options_find(ROOMS, key)->offset);
}

/* Tokens are for real use, where nothing is open that was not opened: switches are off, and no room
 * has a stream. Limits keep their defaults. */
static void close_room(struct options *o, size_t room)
{
    for (size_t i = 0; i < ROOMS->count; i++) {
        const struct option *option = &ROOMS->list[i];
        bool opens = option->type == OPTION_BOOL || option->type == OPTION_NAME ||
                     strcmp(option->key, "history_size") == 0;
        if (opens && !is_said(o, option->key, room))
            option_clear(option, &o->rules.list[room]);
    }
}

/* A user's personal room is for that user. */
static void settle_personal_room(struct options *o)
{
    const char *name = o->personal_room_namespace;
    for (size_t i = 0; o->personal_room && i < o->rules.count; i++)
        if (strcmp(o->rules.list[i].name, name) == 0 &&
            !is_said(o, "allow_user_limited_channels", i))
            o->rules.list[i].allow_user_limited_channels = true;
}

/* Who says `history_size = 0` need not also say what follows from it. */
static void settle_room(struct options *o, size_t room)
{
    struct room_rules *r = &o->rules.list[room];
    if (r->history_size == 0 && !is_said(o, "history_bytes", room))
        r->history_bytes = 0;
    if (r->history_bytes == 0 && !is_said(o, "history_size", room))
        r->history_size = 0;
    for (size_t i = 0; r->history_size == 0 && i < COUNT_OF(NEED_HISTORY); i++)
        if (!is_said(o, NEED_HISTORY[i], room))
            option_clear(options_find(ROOMS, NEED_HISTORY[i]), r);
}

static size_t room_error(const struct options *o, size_t room, const char *key, const char *what,
                         struct buf *report)
{
    describe(o, ROOMS, key, room, report);
    buf_fmt(report, " %s\n", what);
    return 1;
}

static size_t check_room(const struct options *o, size_t room, struct buf *report)
{
    const struct room_rules *r = &o->rules.list[room];
    size_t errors = 0;
    if ((r->history_size == 0) != (r->history_bytes == 0))
        return room_error(o, room, r->history_size ? "history_size" : "history_bytes",
                          "needs the other of history_size and history_bytes: set both, or none",
                          report);
    for (size_t i = 0; r->history_size == 0 && i < COUNT_OF(NEED_HISTORY); i++)
        if (is_on(o, NEED_HISTORY[i], room))
            errors += room_error(o, room, NEED_HISTORY[i],
                                 "needs a stream: set history_size and history_bytes", report);
    if (r->history_bytes > o->max_stream_bytes)
        errors += room_error(o, room, "history_bytes",
                             "must not be more than [backplane] max_stream_bytes", report);
    if (r->force_push_join_leave && !r->join_leave)
        errors += room_error(o, room, "force_push_join_leave", "needs join_leave", report);
    return errors;
}

/* localhost stands for both loopback addresses. */
static bool spread_localhost(char ***words, size_t *count)
{
    char **list = *count ? calloc(*count * 2, sizeof(*list)) : NULL;
    size_t n = 0;
    bool ok = list || *count == 0;
    for (size_t i = 0; ok && i < *count; i++) {
        struct buf text = {0};
        for (size_t number = 0; ok && endpoint_spread((*words)[i], number, &text); number++) {
            ok = !text.failed;
            list[n++] = text.p;
            text = (struct buf){0};
        }
    }
    char **old = ok ? *words : list;
    size_t old_count = ok ? *count : n;
    if (ok) {
        *words = list;
        *count = n;
    }
    for (size_t i = 0; i < old_count; i++)
        free(old[i]);
    free(old);
    return ok;
}

/* Hosts and origins are compared without regard to case: browsers send them in lower case. */
static void lower(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (char *p = list[i]; *p; p++)
            *p = (char)tolower((unsigned char)*p);
}

static size_t jwt_error(const struct options *o, const char *key, const char *what,
                        struct buf *report)
{
    describe(o, &option_sections[SECTION_JWT], key, 0, report);
    buf_fmt(report, " %s\n", what);
    return 1;
}

static bool has_keys(const struct key_sources *k)
{
    return *k->hmac_secret || *k->hmac_secret_file || k->public_key_files_count || *k->jwks;
}

static size_t check_jwt(const struct options *o, struct buf *report)
{
    static const struct {
        const char *value, *file;
    } pairs[] = {
        {"hmac_secret", "hmac_secret_file"},
        {"hmac_previous_secret", "hmac_previous_secret_file"},
        {"subscription_hmac_secret", "subscription_hmac_secret_file"},
        {"subscription_hmac_previous_secret", "subscription_hmac_previous_secret_file"},
    };
    const struct option_section *s = &option_sections[SECTION_JWT];
    size_t errors = 0;
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        if (!option_is_empty(options_find(s, pairs[i].value), o) &&
            !option_is_empty(options_find(s, pairs[i].file), o))
            errors += jwt_error(o, pairs[i].file, "and the secret itself: set one of them", report);
    if (o->auth == AUTH_JWT && !has_keys(&o->jwt)) {
        buf_lit(report, "auth jwt needs a key: set [jwt] hmac_secret, hmac_secret_file, "
                        "public_key_files or jwks\n");
        errors++;
    }
    return errors;
}

static size_t check_tls(const struct options *o, struct buf *report)
{
    const struct option_section *s = &option_sections[SECTION_TLS];
    if (!*o->tls_cert == !*o->tls_key)
        return 0;
    const char *set = *o->tls_cert ? "cert" : "key", *missing = *o->tls_cert ? "key" : "cert";
    describe(o, s, set, 0, report);
    buf_fmt(report, " needs [tls] %s too\n", missing);
    return 1;
}

static size_t place_error(const struct redis_place *p, const char *what, struct buf *report)
{
    buf_fmt(report, "[redis%s%s] %s\n", *p->name ? " " : "", p->name, what);
    return 1;
}

static size_t check_sentinels(const struct redis_place *p, struct buf *report)
{
    bool password = *p->sentinel_password, file = *p->sentinel_password_file;
    if (p->sentinels_count && !*p->master)
        return place_error(p, "sentinels need to know which master is meant: set master", report);
    if (!p->sentinels_count && (*p->master || *p->sentinel_user || password || file))
        return place_error(p, "master and sentinel_… need sentinels to be asked: set sentinels",
                           report);
    if (password && file)
        return place_error(p,
                           "sentinel_password and sentinel_password_file are both given: set "
                           "one of them",
                           report);
    return 0;
}

static size_t check_place(const struct options *o, const struct redis_place *p, struct buf *report)
{
    bool url = *p->url, file = *p->url_file, named = *p->name;
    bool known = url || file || p->sentinels_count;
    if (url && file)
        return place_error(p, "url and url_file are both given: set one of them", report);
    if (named && !known)
        return place_error(p, "needs to say where the server is: set url or url_file", report);
    if (o->backplane == BACKPLANE_REDIS && !known && !o->redis.place_count) {
        buf_lit(report, "backplane redis needs to know where the server is: set [redis] url or "
                        "url_file\n");
        return 1;
    }
    if (named || !known || !o->redis.place_count)
        return check_sentinels(p, report);
    buf_fmt(report,
            "[redis] %s and [redis %s] are both given: give the one a name too, as a section "
            "(that of a server without a name is \"" REDIS_DEFAULT_NAME "\")\n",
            url    ? "url"
            : file ? "url_file"
                   : "sentinels",
            o->redis.places[0].name);
    return 1;
}

static size_t check_redis(const struct options *o, struct buf *report)
{
    size_t errors = check_place(o, &o->redis.only, report);
    for (size_t i = 0; i < o->redis.place_count; i++)
        errors += check_place(o, &o->redis.places[i], report);
    return errors;
}

/* The personal room must be one that rules exist for, and that is the user's own. */
static size_t check_personal_room(const struct options *o, struct buf *report)
{
    const struct option_section *client = &option_sections[SECTION_CLIENT];
    for (size_t i = 0; o->personal_room && i < o->rules.count; i++) {
        if (strcmp(o->rules.list[i].name, o->personal_room_namespace) != 0)
            continue;
        return o->rules.list[i].allow_user_limited_channels
                   ? 0
                   : room_error(o, i, "allow_user_limited_channels",
                                "must be on: personal_room uses it", report);
    }
    if (!o->personal_room)
        return 0;
    describe(o, client, "personal_room_namespace", 0, report);
    buf_lit(report, " has no section [rooms NAME]\n");
    return 1;
}

/* A call that is given up must leave time to say so. */
static size_t check_timeout(const struct options *o, enum section_id section, uint64_t timeout_ms,
                            struct buf *report)
{
    if (timeout_ms < o->worker_lease_ms / 2)
        return 0;
    describe(o, &option_sections[section], "timeout", 0, report);
    buf_lit(report, " must be less than half of ");
    describe(o, &option_sections[SECTION_WORKER], "lease", 0, report);
    buf_char(report, '\n');
    return 1;
}

static size_t cron_error(const struct options *o, size_t entry, const char *key, const char *what,
                         struct buf *report)
{
    describe(o, &option_sections[SECTION_CRON], key, entry, report);
    buf_fmt(report, ": %s\n", what);
    return 1;
}

/* Reads the schedule of an entry. */
static size_t settle_cron(struct options *o, size_t entry, struct buf *report)
{
    struct cron_entry *e = &o->cron[entry];
    struct buf why = {0};
    size_t errors = 0;
    if (!*e->queue)
        errors += cron_error(o, entry, "queue", "say which queue the job is put into", report);
    if (!*e->kind)
        errors += cron_error(o, entry, "kind", "say of which kind the job is", report);
    if (!*e->schedule) {
        errors += cron_error(o, entry, "schedule", "say when the job is put", report);
    } else if (!schedule_parse(&e->when, e->schedule, &why)) {
        buf_char(&why, '\0');
        errors += cron_error(o, entry, "schedule", why.failed ? "out of memory" : why.p, report);
    }
    buf_deinit(&why);
    return errors;
}

static size_t check_cron(struct options *o, struct buf *report)
{
    size_t errors = 0;
    for (size_t i = 0; i < o->cron_count; i++)
        errors += settle_cron(o, i, report);
    if (!o->cron_count || options_have_queues(o))
        return errors;
    buf_fmt(report, "[cron %s] needs queues, and with [gateway] store = none there are none\n",
            o->cron[0].name);
    return errors + 1;
}

static size_t notify_error(const struct options *o, const char *key, const char *what,
                           struct buf *report)
{
    describe(o, &option_sections[SECTION_NOTIFY], key, 0, report);
    buf_fmt(report, " %s\n", what);
    return 1;
}

/* What is to be told is kept until it was, and somebody has to do it. */
static size_t check_notify(const struct options *o, struct buf *report)
{
    size_t errors = 0;

    if (!*o->notify_url)
        return 0;
    errors += check_timeout(o, SECTION_NOTIFY, o->notify_timeout_ms, report);
    if (*o->notify_secret && *o->notify_secret_file)
        errors += notify_error(o, "secret_file", "and the secret itself: set one of them", report);
    if (!options_have_queues(o))
        errors += notify_error(o, "url", "needs a store: set [gateway] store", report);
    if (o->backplane == BACKPLANE_LOCAL && !o->worker_enabled)
        errors += notify_error(o, "url", "needs [worker] enabled: nobody else calls it", report);
    /* The job of a room with a longer name would be looked for on another server than the room's:
     * a key cannot be that long. */
    if (o->backplane == BACKPLANE_REDIS && o->redis.place_count > 1 &&
        o->channel_max_length > QUEUE_KEY_MAX)
        errors += notify_error(
            o, "url", "needs channel_max_length of at most 255 over several servers", report);
    return errors;
}

/* As with rooms: nothing is open that was not opened. */
static void close_jobs(struct options *o)
{
    const struct option_section *s = &option_sections[SECTION_JOBS];
    const struct option *kinds = options_find(s, "kinds");
    if (options_origin(o, s, kinds, 0)->source == FROM_DEFAULT)
        option_clear(kinds, o);
}

size_t options_settle(struct options *o, struct buf *report)
{
    size_t errors = check_complete(o, report) + check_orders(o, report) + check_jwt(o, report) +
                    check_tls(o, report) + check_redis(o, report) +
                    check_timeout(o, SECTION_WEBHOOK, o->webhook_timeout_ms, report) +
                    check_notify(o, report) + check_cron(o, report);
    if (o->auth == AUTH_JWT)
        close_jobs(o);
    for (size_t i = 0; o->auth == AUTH_JWT && i < o->rules.count; i++)
        close_room(o, i);
    settle_personal_room(o);
    errors += check_personal_room(o, report);
    for (size_t i = 0; i < o->rules.count; i++) {
        settle_room(o, i);
        errors += check_room(o, i, report);
    }
    lower(o->public_names, o->public_names_count);
    lower(o->allowed_origins, o->allowed_origins_count);
    if (errors == 0 && !(spread_localhost(&o->listen, &o->listen_count) &&
                         spread_localhost(&o->internal_listen, &o->internal_listen_count))) {
        buf_lit(report, "out of memory\n");
        return 1;
    }
    return errors;
}
