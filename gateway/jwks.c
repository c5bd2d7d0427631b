/* SPDX-License-Identifier: MIT */
#include "gateway/jwks.h"

#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "gateway/fetch.h"

#include <stdlib.h>

#define SET_BYTES_MAX (256 * 1024)
#define FETCH_MS      10000

struct jwks {
    struct loop *loop;
    struct settings *settings; /* references, both; keys may be NULL */
    struct keys *keys;         /* the latest */
    struct buf sets[KEY_USES]; /* texts of the sets they were made of */
    void (*changed)(void *owner, struct keys *keys);
    void *owner;
    struct timer timer;
    bool reading;
    bool stale;        /* what is being read is for settings that are gone */
    uint64_t began_ms; /* the last reading */
    /* the pool's thread, while reading */
    uv_work_t work;
    atomic_bool cancel;
    struct settings *asked; /* a reference: what the reading is for */
    struct buf fresh[KEY_USES];
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

static void drop_sets(struct buf sets[KEY_USES])
{
    for (int use = 0; use < KEY_USES; use++)
        buf_deinit(&sets[use]);
}

/* ---- reading; on a thread of the pool ---- */

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

/* All sets, or none: keys of different times are not mixed. */
static void read_all(uv_work_t *work)
{
    struct jwks *j = container_of(work, struct jwks, work);
    const struct options *o = j->asked->options;
    bool ok = true;
    for (int use = 0; use < KEY_USES; use++) {
        const char *source = source_of(o, use);
        ok = ok && (!*source || read_set(j, source, &j->fresh[use]));
    }
    if (ok)
        j->made = keys_new(o, j->fresh, &j->report);
}

/* ---- on the loop ---- */

static void begin(struct jwks *j);

static void due(struct timer *t)
{
    begin(container_of(t, struct jwks, timer));
}

static void begin_later(struct jwks *j, uint64_t ms)
{
    loop_arm(j->loop, &j->timer, ms, due);
}

/* What was read takes the place of what there was; if reading failed, that stays. */
static void take(struct jwks *j)
{
    if (j->report.n)
        log_warn("JWK sets are not renewed: %.*s", (int)j->report.n - 1, j->report.p);
    if (!j->made)
        return;
    j->made->read_ms = j->began_ms;
    keys_unref(j->keys);
    j->keys = keys_ref(j->made);
    drop_sets(j->sets);
    for (int use = 0; use < KEY_USES; use++) {
        j->sets[use] = j->fresh[use];
        j->fresh[use] = (struct buf){0};
    }
}

static void read_done(uv_work_t *work, int status)
{
    struct jwks *j = container_of(work, struct jwks, work);
    bool again = j->stale;
    j->reading = j->stale = false;
    if (status == 0 && !again)
        take(j);
    keys_unref(j->made);
    j->made = NULL;
    drop_sets(j->fresh);
    buf_deinit(&j->report);
    settings_unref(j->asked);
    j->asked = NULL;
    if (!j->changed)
        return;
    if (again) {
        begin(j);
        return;
    }
    j->changed(j->owner, j->keys);
    begin_later(j, j->settings->options->jwks_refresh_ms);
}

static void begin(struct jwks *j)
{
    loop_cancel(j->loop, &j->timer);
    if (j->reading || !has_sets(j->settings->options))
        return;
    j->began_ms = monotonic_us() / 1000;
    atomic_store(&j->cancel, false);
    j->asked = settings_ref(j->settings);
    j->reading = uv_queue_work(&j->loop->uv, &j->work, read_all, read_done) == 0;
    if (j->reading)
        return;
    settings_unref(j->asked);
    j->asked = NULL;
    begin_later(j, j->settings->options->jwks_refresh_ms);
}

void jwks_start(struct jwks *j, void (*changed)(void *owner, struct keys *keys), void *owner)
{
    j->changed = changed;
    j->owner = owner;
    begin(j);
}

void jwks_want(struct jwks *j)
{
    if (j->reading || !has_sets(j->settings->options))
        return;
    uint64_t age = monotonic_us() / 1000 - j->began_ms,
             cooldown = j->settings->options->jwks_cooldown_ms;
    if (age >= cooldown)
        begin(j);
    else
        begin_later(j, cooldown - age);
}

void jwks_stop(struct jwks *j)
{
    if (!j)
        return;
    j->changed = NULL;
    loop_cancel(j->loop, &j->timer);
    atomic_store(&j->cancel, true);
    if (j->reading)
        (void)uv_cancel((uv_req_t *)&j->work);
    while (j->reading)
        (void)uv_run(&j->loop->uv, UV_RUN_ONCE);
}

/* ---- settings come and go ---- */

/* Files must be right; of URLs there is what was read last from the same one, if anything. */
static bool first_set(const struct jwks *j, const struct options *o, int use, struct buf *set,
                      struct buf *report)
{
    const char *source = source_of(o, use);
    if (!*source)
        return true;
    if (!is_url(source))
        return keys_read_file(source, SET_BYTES_MAX, set, report);
    bool same = j && j->settings && strcmp(source, source_of(j->settings->options, use)) == 0;
    if (same)
        buf_add(set, j->sets[use].p, j->sets[use].n);
    return !set->failed;
}

bool jwks_prepare(const struct jwks *j, const struct options *o, struct keys **keys,
                  struct buf *report)
{
    struct buf sets[KEY_USES] = {0};
    bool ok = true;
    *keys = NULL;
    if (o->auth == AUTH_GUEST || !keys_configured(o)) /* nobody looks at tokens */
        return true;
    for (int use = 0; ok && use < KEY_USES; use++)
        ok = first_set(j, o, use, &sets[use], report);
    ok = ok && (*keys = keys_new(o, sets, report));
    drop_sets(sets);
    return ok;
}

void jwks_use(struct jwks *j, struct settings *s, struct keys *keys)
{
    for (int use = 0; j->settings && use < KEY_USES; use++)
        if (strcmp(source_of(s->options, use), source_of(j->settings->options, use)) != 0)
            buf_deinit(&j->sets[use]);
    settings_unref(j->settings);
    keys_unref(j->keys);
    j->settings = settings_ref(s);
    j->keys = keys;
    if (j->reading) {
        j->stale = true;
        atomic_store(&j->cancel, true);
    } else if (j->changed) {
        begin(j);
    }
}

/* ---- life ---- */

struct jwks *jwks_new(struct loop *loop)
{
    struct jwks *j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    fetch_global_init();
    j->loop = loop;
    return j;
}

void jwks_free(struct jwks *j)
{
    if (!j)
        return;
    keys_unref(j->keys);
    settings_unref(j->settings);
    drop_sets(j->sets);
    free(j);
}
