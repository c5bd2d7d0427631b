/* SPDX-License-Identifier: MIT */
#include "gateway/command.h"

#include "backplane/base/json.h"
#include "gateway/methods.h"

bool fields_read(struct session *s, struct span object, const struct field *fields, size_t count,
                 void *target)
{
    struct hub *h = s->hub;
    struct scratch mem = {h->scratch + h->scratch_used, h->scratch + h->scratch_bytes};
    bool ok = object_read(&mem, object, fields, count, target);
    h->scratch_used = (size_t)(mem.at - h->scratch);
    return ok;
}

/* ---- the command ---------------------------------------------------------------------------- */

struct decoded {
    uint64_t id;
    const struct method *method; /* NULL: none */
    struct span params;
};

static bool decode(struct span line, struct decoded *d)
{
    struct json_members it;
    struct span key, v;
    if (!json_members_begin(&it, line, JSON_MAX_DEPTH))
        return false;
    enum json_step step;
    while ((step = json_members_next(&it, &key, &v)) == JSON_MEMBER) {
        if (span_eq(key, SPAN("id"))) {
            if (!json_u64(v, &d->id) || d->id > UINT32_MAX)
                return false;
            continue;
        }
        const struct method *m = method_find(key);
        if (!m || span_eq(v, SPAN("null")) || (d->method && d->method < m))
            continue;
        d->method = m;
        d->params = v;
    }
    return step == JSON_END;
}

static bool is_pong(const struct decoded *d)
{
    return !d->id && !(d->method && method_is_send(d->method));
}

void command_run(struct session *s, struct span line)
{
    struct decoded d = {0};
    counter_add(&s->hub->counters.commands, 1);
    s->hub->scratch_used = 0;
    if (!decode(line, &d)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    bool connecting = d.method && method_is_connect(d.method);
    if (connecting == (s->client != NULL)) { /* before connect, or connect twice */
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    if (is_pong(&d) && !connecting) {
        session_pong(s);
        return;
    }
    if (!d.method || (!d.id && !method_is_send(d.method))) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    struct command c = {(uint32_t)d.id, d.params};
    if (!connecting && !throttle_admits(s, d.method, c.id))
        return;
    d.method->run(s, &c);
}
