/* SPDX-License-Identifier: MIT */
#include "gateway/settings.h"

#include <stdlib.h>

/* All of it, so that the report has everything that is wrong. */
static bool load(struct settings *s, struct buf *report)
{
    const struct options *o = s->options;
    bool ok = api_keys_load(&s->api_keys, o, report);
    s->trusted = networks_new(o->trusted_proxies, o->trusted_proxies_count);
    if (!s->trusted)
        buf_lit(report, "out of memory\n");
    if (*o->tls_cert)
        s->certificate = certificate_load(o->tls_cert, o->tls_key, report);
    return ok && s->trusted && (s->certificate || !*o->tls_cert);
}

struct settings *settings_new(struct options *o, struct buf *report)
{
    struct settings *s = calloc(1, sizeof(*s));
    if (!s) {
        buf_lit(report, "out of memory\n");
        options_free(o);
        return NULL;
    }
    s->refs = 1;
    s->options = o;
    if (load(s, report))
        return s;
    settings_unref(s);
    return NULL;
}

struct settings *settings_ref(struct settings *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void settings_unref(struct settings *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    api_keys_free(s->api_keys);
    networks_free(s->trusted);
    certificate_unref(s->certificate);
    options_free(s->options);
    free(s);
}

void settings_warn(const struct settings *s, struct buf *text)
{
    certificate_warn(s->certificate, s->options->tls_cert, text);
}
