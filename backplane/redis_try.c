/* SPDX-License-Identifier: MIT */
/* One connection, before anything else is begun, to see whether the server will do. */
#include "backplane/redis.h"

/* False: it belongs to another set, or does not say. */
static bool belongs(struct redis_talk *t, const struct redis_settings *s, struct buf *why)
{
    struct buf key = {0}, ours = {0};
    bool well = false;
    buf_fmt(&key, "%s:servers", s->prefix);
    redis_settings_set(s, &ours);
    struct span words[] = {SPAN("GET"), {key.p, key.n}};
    const struct redis_reply *r =
        key.failed || ours.failed ? NULL : redis_talk_ask(t, words, 2, why);
    if (r) {
        struct span set = redis_reply_text(r);
        well = r->type == REPLY_NIL || span_eq(set, (struct span){ours.p, ours.n});
        if (!well)
            buf_fmt(why,
                    "it belongs to the servers \"%.*s\", but this gateway is set up for \"%.*s\" "
                    "(`madang servers` changes that)",
                    (int)set.n, set.p, (int)ours.n, ours.p);
    }
    buf_deinit(&key);
    buf_deinit(&ours);
    return well;
}

enum redis_verdict redis_try(const struct redis_settings *s, size_t i, struct buf *why)
{
    enum redis_verdict verdict;
    struct redis_talk *t = redis_talk_open(&s->servers[i].server, &verdict, why);
    if (t && !belongs(t, s, why))
        verdict = REDIS_REFUSED;
    redis_talk_close(t);
    return verdict;
}
