/* SPDX-License-Identifier: MIT */
#include "gateway/backplane.h"

#include "backplane/base/log.h"
#include "backplane/local.h"
#include "backplane/redis/tls.h"
#include "gateway/keys.h"

#include <stdio.h>

static bool read_url(struct redis_url *url, const struct redis_source *o, struct buf *report)
{
    struct buf text = {0}, why = {0};
    bool well = keys_read_secret(o->url, o->url_file, &text, report);
    if (well && !redis_url_parse(url, (struct span){text.p, text.n}, &why)) {
        buf_fmt(report, "[redis] url %.*s\n", (int)why.n, why.p ? why.p : "");
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

bool backplane_choose(struct chosen_backplane *b, const struct options *options, const char *node,
                      struct buf *report)
{
    const struct redis_source *o = &options->redis;
    *b = (struct chosen_backplane){.driver = &local_driver};
    if (options->backplane == BACKPLANE_LOCAL)
        return true;
    b->driver = &redis_driver;
    b->settings = &b->redis;
    redis_settings_defaults(&b->redis);
    b->redis.node = node;
    (void)snprintf(b->prefix, sizeof(b->prefix), "%s", o->prefix); /* at most 64 */
    b->redis.prefix = b->prefix;
    b->redis.memory_ms = o->remember_ms;
    b->redis.restart_keeps = o->appendfsync_always;
    struct redis_link_options *link = &b->redis.server.link;
    link->connect_ms = (uint32_t)o->connect_timeout_ms;
    link->command_ms = (uint32_t)o->command_timeout_ms;
    link->calls_max = o->commands;
    link->out_bytes_max = o->out_bytes;
    link->client_name = "madang";
    if (!read_url(&link->url, o, report))
        return false;
    if (link->url.transport == REDIS_TLS && !make_tls(b, o, report))
        return false;
    link->tls = b->tls;
    return true;
}

struct sequencer_config backplane_config(const struct chosen_backplane *b, const struct options *o,
                                         const char *node)
{
    return (struct sequencer_config){
        .driver = b->driver,
        .driver_settings = b->settings,
        .max_stream_bytes = o->max_stream_bytes,
        .hub_inbox_bytes = o->hub_inbox_bytes,
        .max_rooms = o->max_rooms,
        .node = node,
        .max_sanctions = o->max_sanctions,
    };
}

void backplane_deinit(struct chosen_backplane *b)
{
    redis_tls_free(b->tls);
    b->tls = NULL;
}

bool backplane_try(const struct chosen_backplane *b, const struct options *o, struct buf *report)
{
    struct buf why = {0};
    bool well = true;
    if (b->driver != &redis_driver)
        return true;
    enum redis_verdict v = redis_try(&b->redis, &why);
    if (v == REDIS_REFUSED || (v == REDIS_AWAY && o->redis.required)) {
        buf_fmt(report, "[redis] %.*s\n", (int)why.n, why.p ? why.p : "cannot be used");
        well = false;
    } else if (v == REDIS_AWAY) {
        log_warn("redis cannot be reached (%.*s): rooms can be used when it is there", (int)why.n,
                 why.p ? why.p : "");
    }
    buf_deinit(&why);
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
