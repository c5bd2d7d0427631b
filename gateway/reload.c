/* SPDX-License-Identifier: MIT */
#include "gateway/reload.h"

#include "backplane/base/log.h"

/* The table of descriptors is made at the start, and does not grow. */
static void bound_connections(struct options *o, uint32_t most, struct buf *changes)
{
    if (o->max_connections <= most)
        return;
    buf_fmt(changes,
            "[gateway] max_connections: only up to %u; more takes effect after a restart\n", most);
    o->max_connections = most;
}

bool reload_prepare(struct reload *r, const struct settings *now, const struct jwks *jwks,
                    const struct options_sources *from, uint32_t connections)
{
    struct options *o = NULL;
    if (!options_reload(&o, now->options, from, &r->report, &r->changes))
        return false;
    bound_connections(o, connections, &r->changes);
    r->settings = settings_new(o, &r->report);
    return r->settings && jwks_prepare(jwks, o, &r->keys, &r->report);
}

/* The next line of `rest`, without its end. */
static bool next_line(struct span *rest, struct span *line)
{
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    *line = (struct span){rest->p, end ? (size_t)(end - rest->p) : rest->n};
    size_t used = line->n + (end != NULL);
    *rest = (struct span){rest->p + used, rest->n - used};
    return used > 0;
}

void reload_log(const struct reload *r, bool ok)
{
    struct buf warning = {0};
    struct span rest = {r->report.p, r->report.n}, line;
    while (!ok && next_line(&rest, &line))
        log_error("configuration: %.*s", (int)line.n, line.p);
    if (!ok) {
        log_error("the configuration was read again and cannot be used: nothing has changed");
        return;
    }
    settings_warn(r->settings, &warning);
    rest = (struct span){warning.p, warning.n};
    while (next_line(&rest, &line))
        log_warn("%.*s", (int)line.n, line.p);
    buf_deinit(&warning);
    rest = (struct span){r->changes.p, r->changes.n};
    while (next_line(&rest, &line))
        log_info("configuration: %.*s", (int)line.n, line.p);
}

void reload_deinit(struct reload *r)
{
    settings_unref(r->settings);
    keys_unref(r->keys);
    buf_deinit(&r->report);
    buf_deinit(&r->changes);
}
