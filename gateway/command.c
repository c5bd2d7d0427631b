/* SPDX-License-Identifier: MIT */
#include "gateway/command.h"

#include "backplane/base/json.h"
#include "gateway/methods.h"

/* ---- fields --------------------------------------------------------------------------------- */

/* Strings without escapes, nearly all, are borrowed; others are decoded, which never makes them
 * longer: all of a command's fit, those of nested objects included. */
static bool read_string(struct hub *h, struct span v, struct span *out)
{
    if (!json_is_quoted(v))
        return false;
    if (!memchr(v.p, '\\', v.n)) {
        *out = (struct span){v.p + 1, v.n - 2};
        return true;
    }
    char *to = h->scratch + h->scratch_used;
    long n = json_unquote(v, to, h->scratch_bytes - h->scratch_used);
    if (n < 0)
        return false;
    *out = (struct span){to, (size_t)n};
    h->scratch_used += (size_t)n;
    return true;
}

static bool read_field(struct hub *h, struct span v, enum field_type type, void *out)
{
    switch (type) {
    case FIELD_RAW: *(struct span *)out = v; return true;
    case FIELD_STRING: return read_string(h, v, out);
    case FIELD_BOOL: return json_bool(v, out);
    case FIELD_U64: return json_u64(v, out);
    case FIELD_I64: return json_i64(v, out);
    case FIELD_OBJECT: *(struct span *)out = v; return v.p[0] == '{';
    }
    return false;
}

static const struct field *field_of(const struct field *fields, size_t count, struct span key)
{
    for (size_t i = 0; i < count; i++)
        if (span_eq(span_str(fields[i].name), key))
            return &fields[i];
    return NULL;
}

bool fields_read(struct session *s, struct span object, const struct field *fields, size_t count,
                 void *target)
{
    struct json_members it;
    struct span key, v;
    if (!json_members_begin(&it, object, JSON_MAX_DEPTH))
        return false;
    enum json_step step;
    while ((step = json_members_next(&it, &key, &v)) == JSON_MEMBER) {
        const struct field *f = field_of(fields, count, key);
        if (!f || (f->type != FIELD_RAW && span_eq(v, SPAN("null"))))
            continue;
        if (!read_field(s->hub, v, f->type, (char *)target + f->at))
            return false;
    }
    return step == JSON_END;
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
    d.method->run(s, &c);
}
