/* SPDX-License-Identifier: MIT */
#include "gateway/backplane.h"

#include "backplane/base/log.h"
#include "backplane/caused.h"
#include "backplane/local.h"
#include "backplane/redis/tls.h"
#include "gateway/describe.h"
#include "gateway/keys.h"

#include <stdio.h>
#include <string.h>

/* How long orders of other gateways are waited for before there are sessions; where a server could
 * not be reached that is to be expected. */
#define PATIENCE_MS      10000
#define PATIENCE_AWAY_MS 1000

/* "[redis]" or "[redis NAME]" */
static void begin_line(const struct redis_place *p, struct buf *report)
{
    buf_fmt(report, "[redis%s%s] ", *p->name ? " " : "", p->name);
}

static bool read_url(struct redis_url *url, const struct redis_place *p, struct buf *report)
{
    struct buf text = {0}, why = {0};
    bool well = keys_read_secret(p->url, p->url_file, &text, report);
    if (well && !text.n)
        buf_lit(&text, "redis://sentinels"); /* they tell the host; nobody logs in */
    if (well && !redis_url_parse(url, (struct span){text.p, text.n}, &why)) {
        begin_line(p, report);
        buf_fmt(report, "url %.*s\n", (int)why.n, why.p ? why.p : "");
        well = false;
    }
    buf_deinit(&text);
    buf_deinit(&why);
    return well;
}

static bool make_tls(struct chosen_backplane *b, const struct redis_source *o, struct buf *report)
{
    struct redis_tls_options tls = {
        .ca_file = o->tls_ca_file,
        .cert_file = o->tls_cert_file,
        .key_file = o->tls_key_file,
        .server_name = o->tls_server_name,
        .insecure = o->tls_insecure,
    };
    struct buf why = {0};
    b->tls = redis_tls_new(&tls, &why);
    if (!b->tls)
        buf_fmt(report, "[redis] %.*s\n", (int)why.n, why.p ? why.p : "no memory for TLS");
    buf_deinit(&why);
    return b->tls != NULL;
}

static bool copy_text(char *to, size_t size, struct span text)
{
    if (text.n >= size)
        return false;
    if (text.n)
        memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return true;
}

static bool add_sentinels(struct redis_server_options *server, const struct redis_place *p,
                          struct buf *report)
{
    struct redis_sentinel_options *s = &server->sentinels;
    struct buf password = {0};
    if (!p->sentinels_count)
        return true;
    s->count = p->sentinels_count;
    for (size_t i = 0; i < s->count; i++)
        (void)redis_address_parse(&s->list[i], p->sentinels[i]); /* was checked */
    (void)snprintf(s->master, sizeof(s->master), "%s", p->master);
    s->link = server->link;
    bool well =
        keys_read_secret(p->sentinel_password, p->sentinel_password_file, &password, report);
    if (well &&
        (!copy_text(s->link.url.user, sizeof(s->link.url.user), span_str(p->sentinel_user)) ||
         !copy_text(s->link.url.password, sizeof(s->link.url.password),
                    (struct span){password.p, password.n}))) {
        begin_line(p, report);
        buf_lit(report, "sentinel_user or sentinel_password is too long\n");
        well = false;
    }
    if (well && server->link.url.transport == REDIS_UNIX) {
        begin_line(p, report);
        buf_lit(report, "a unix socket and sentinels do not go together\n");
        well = false;
    }
    buf_deinit(&password);
    return well;
}

static bool add_server(struct chosen_backplane *b, const struct redis_source *o,
                       const struct redis_place *p, struct buf *report)
{
    char *name = b->names[b->redis.server_count];
    (void)snprintf(name, sizeof(b->names[0]), "%s", *p->name ? p->name : REDIS_DEFAULT_NAME);
    struct redis_server_options *server = &redis_settings_add(&b->redis, name)->server;
    struct redis_link_options *link = &server->link;
    link->connect_ms = (uint32_t)o->connect_timeout_ms;
    link->command_ms = (uint32_t)o->command_timeout_ms;
    link->calls_max = o->commands;
    link->out_bytes_max = o->out_bytes;
    link->client_name = "madang";
    if (!read_url(&link->url, p, report))
        return false;
    if (link->url.transport == REDIS_TLS && !b->tls && !make_tls(b, o, report))
        return false;
    link->tls = b->tls;
    return add_sentinels(server, p, report);
}

static void choose_store(struct chosen_backplane *b, const struct options *o)
{
    if (!options_have_store(o))
        return;
    b->driver = &kept_driver;
    b->kept = (struct kept_settings){
        .path = o->store, .full = o->durability == DURABILITY_FULL, .remember_ms = o->remember_ms};
    b->settings = &b->kept;
}

bool backplane_choose(struct chosen_backplane *b, const struct options *options, const char *node,
                      struct buf *report)
{
    const struct redis_source *o = &options->redis;
    bool well = true;
    *b = (struct chosen_backplane){.driver = &local_driver};
    if (options->backplane == BACKPLANE_LOCAL) {
        choose_store(b, options);
        return true;
    }
    b->driver = &redis_driver;
    b->settings = &b->redis;
    redis_settings_defaults(&b->redis);
    b->redis.node = node;
    (void)snprintf(b->prefix, sizeof(b->prefix), "%s", o->prefix); /* at most 64 */
    b->redis.prefix = b->prefix;
    b->redis.memory_ms = o->remember_ms;
    b->redis.restart_keeps = o->appendfsync_always;
    if (!o->place_count)
        return add_server(b, o, &o->only, report);
    for (size_t i = 0; i < o->place_count; i++)
        well &= add_server(b, o, &o->places[i], report);
    return well;
}

/* Main looks whether it may go on. */
static void opened(void *gateway)
{
    loop_wake(((struct gateway *)gateway)->main_loop);
}

struct sequencer_config backplane_config(const struct chosen_backplane *b, const struct options *o,
                                         struct gateway *g)
{
    if (*o->notify_url && !o->worker_enabled) /* with a store that is refused */
        log_warn("[notify] url is set and [worker] enabled is off: who is away is told of by other "
                 "gateways, or not at all");
    return (struct sequencer_config){
        .driver = b->driver,
        .driver_settings = b->settings,
        .max_stream_bytes = o->max_stream_bytes,
        .hub_inbox_bytes = o->hub_inbox_bytes,
        .max_rooms = o->max_rooms,
        .node = g->node,
        .notify_delay_ms = *o->notify_url ? o->notify_delay_ms : 0,
        .notify_rules = *options_queue_rules(o, SPAN(NOTIFY_QUEUE)),
        .describe = describe_gateway,
        .opened = opened,
        .patience_ms = b->away ? PATIENCE_AWAY_MS : PATIENCE_MS,
        .owner = g,
        .max_sanctions = o->max_sanctions,
    };
}

void backplane_deinit(struct chosen_backplane *b)
{
    redis_tls_free(b->tls);
    b->tls = NULL;
}

static bool try_server(struct chosen_backplane *b, const struct options *o, size_t i,
                       struct buf *report)
{
    struct buf why = {0}, label = {0};
    bool well = true;
    redis_member_label(&b->redis.servers[i], &label);
    enum redis_verdict v = redis_try(&b->redis, i, &why);
    if (v == REDIS_REFUSED || (v == REDIS_AWAY && o->redis.required)) {
        buf_fmt(report, "[%.*s] %.*s\n", (int)label.n, label.p, (int)why.n,
                why.p ? why.p : "cannot be used");
        well = false;
    } else if (v == REDIS_AWAY) {
        b->away = true;
        log_warn("%.*s cannot be reached (%.*s): %s can be used when it is there", (int)label.n,
                 label.p, (int)why.n, why.p ? why.p : "",
                 b->redis.server_count > 1 ? "its rooms" : "rooms");
    }
    buf_deinit(&why);
    buf_deinit(&label);
    return well;
}

bool backplane_try(struct chosen_backplane *b, const struct options *o, struct buf *report)
{
    bool well = true;
    for (size_t i = 0; b->driver == &redis_driver && i < b->redis.server_count; i++)
        well &= try_server(b, o, i, report);
    return well;
}

bool backplane_begin(struct chosen_backplane *b, const struct options *o, const char *node)
{
    struct buf report = {0};
    bool ok = backplane_choose(b, o, node, &report) && backplane_try(b, o, &report);
    while (report.n && report.p[report.n - 1] == '\n')
        report.n--;
    if (!ok)
        log_error("%.*s", (int)report.n, report.p ? report.p : "");
    buf_deinit(&report);
    return ok;
}
