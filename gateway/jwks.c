/* SPDX-License-Identifier: MIT */
#include "gateway/jwks.h"

#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "gateway/fetch.h"

#include <stdlib.h>

#define SET_BYTES_MAX (256 * 1024)
#define FETCH_MS      10000

struct jwks {
    const struct options *options;
    struct loop *loop;
    void (*changed)(void *owner, struct keys *keys);
    void *owner;
    struct keys *keys; /* the latest, a reference */
    struct timer timer;
    bool reading, wanted;
    uint64_t began_ms; /* the last reading */
    /* the pool's thread, while reading */
    uv_work_t work;
    atomic_bool cancel;
    struct keys *made;
    struct buf report;
};

static bool is_url(const char *source)
{
    return strstr(source, "://") != NULL;
}

/* The set that a use has for itself, or "". */
static const char *source_of(const struct options *o, int use)
{
    const struct key_sources *s = keys_sources(o, (enum key_use)use);
    bool shared = use != KEYS_CONNECTION && s == keys_sources(o, KEYS_CONNECTION);
    return shared ? "" : s->jwks;
}

static bool has_sets(const struct options *o)
{
    return *source_of(o, KEYS_CONNECTION) || *source_of(o, KEYS_SUBSCRIPTION);
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* ---- reading; on a thread of the pool but for the first time ---- */

static bool read_set(struct jwks *j, const char *source, struct buf *set)
{
    const struct fetch_limits limits = {SET_BYTES_MAX, FETCH_MS, &j->cancel};
    struct buf why = {0};
    if (!is_url(source))
        return keys_read_file(source, SET_BYTES_MAX, set, &j->report);
    bool ok = fetch(source, &limits, set, &why);
    if (!ok)
        buf_fmt(&j->report, "%s: %.*s\n", source, (int)why.n, why.p ? why.p : "");
    buf_deinit(&why);
    return ok;
}

static struct keys *make_keys(struct jwks *j, const struct buf sets[KEY_USES])
{
    return keys_new(j->options, sets, &j->report);
}

/* All sets, or none: keys of different times are not mixed. */
static void read_all(uv_work_t *work)
{
    struct jwks *j = container_of(work, struct jwks, work);
    struct buf fresh[KEY_USES] = {0};
    bool ok = true;
    for (int use = 0; use < KEY_USES; use++) {
        const char *source = source_of(j->options, use);
        ok = ok && (!*source || read_set(j, source, &fresh[use]));
    }
    if (ok)
        j->made = make_keys(j, fresh);
    for (int use = 0; use < KEY_USES; use++)
        buf_deinit(&fresh[use]);
}

/* ---- on the loop ---- */

static void begin(struct jwks *j);

static void due(struct timer *t)
{
    begin(container_of(t, struct jwks, timer));
}

static void read_done(uv_work_t *work, int status)
{
    struct jwks *j = container_of(work, struct jwks, work);
    j->reading = false;
    if (j->report.n && status == 0)
        log_warn("JWK sets are not renewed: %.*s", (int)j->report.n - 1, j->report.p);
    buf_deinit(&j->report);
    if (j->made) {
        j->made->read_ms = j->began_ms;
        keys_unref(j->keys);
        j->keys = j->made;
        j->made = NULL;
    }
    if (!j->changed)
        return;
    j->changed(j->owner, j->keys);
    loop_arm(j->loop, &j->timer, j->options->jwks_refresh_ms, due);
}

static void begin(struct jwks *j)
{
    if (j->reading)
        return;
    j->began_ms = now_ms();
    j->reading = uv_queue_work(&j->loop->uv, &j->work, read_all, read_done) == 0;
    if (!j->reading)
        loop_arm(j->loop, &j->timer, j->options->jwks_refresh_ms, due);
}

void jwks_start(struct jwks *j, struct loop *loop, void (*changed)(void *owner, struct keys *keys),
                void *owner)
{
    if (!j)
        return;
    j->loop = loop;
    j->changed = changed;
    j->owner = owner;
    begin(j);
}

void jwks_want(struct jwks *j)
{
    if (!j || j->reading)
        return;
    uint64_t age = now_ms() - j->began_ms;
    if (age >= j->options->jwks_cooldown_ms)
        begin(j);
    else
        loop_arm(j->loop, &j->timer, j->options->jwks_cooldown_ms - age, due);
}

void jwks_stop(struct jwks *j)
{
    if (!j || !j->loop)
        return;
    j->changed = NULL;
    loop_cancel(j->loop, &j->timer);
    atomic_store(&j->cancel, true);
    (void)uv_cancel((uv_req_t *)&j->work);
    while (j->reading)
        (void)uv_run(&j->loop->uv, UV_RUN_ONCE);
}

/* ---- life ---- */

/* Files must be right from the start; URLs are read once the gateway serves. */
static bool read_files(struct jwks *j, struct buf sets[KEY_USES])
{
    bool ok = true;
    for (int use = 0; ok && use < KEY_USES; use++) {
        const char *source = source_of(j->options, use);
        ok = !*source || is_url(source) || read_set(j, source, &sets[use]);
    }
    return ok;
}

enum err jwks_open(struct jwks **out, struct keys **keys, const struct options *o,
                   struct buf *report)
{
    struct buf sets[KEY_USES] = {0};
    struct jwks *j = calloc(1, sizeof(*j));
    if (!j)
        return ERR_INTERNAL;
    j->options = o;
    bool ok = read_files(j, sets) && (j->keys = make_keys(j, sets));
    for (int use = 0; use < KEY_USES; use++)
        buf_deinit(&sets[use]);
    if (ok)
        *keys = keys_ref(j->keys);
    else
        buf_add(report, j->report.p, j->report.n ? j->report.n - 1 : 0);
    if (ok && has_sets(o)) {
        fetch_global_init();
        *out = j;
        return OK;
    }
    jwks_free(j);
    return ok ? OK : ERR_INTERNAL;
}

void jwks_free(struct jwks *j)
{
    if (!j)
        return;
    keys_unref(j->keys);
    buf_deinit(&j->report);
    free(j);
}
