/* SPDX-License-Identifier: MIT */
#include "gateway/fields.h"

#include "backplane/base/json.h"

/* Strings without escapes, nearly all, are borrowed; others are decoded, which never makes them
 * longer. */
bool field_string(struct scratch *mem, struct span v, struct span *out)
{
    if (!json_is_quoted(v))
        return false;
    if (!memchr(v.p, '\\', v.n)) {
        *out = (struct span){v.p + 1, v.n - 2};
        return true;
    }
    long n = json_unquote(v, mem->at, (size_t)(mem->end - mem->at));
    if (n < 0)
        return false;
    *out = (struct span){mem->at, (size_t)n};
    mem->at += n;
    return true;
}

static bool read_field(struct scratch *mem, struct span v, enum field_type type, void *out)
{
    switch (type) {
    case FIELD_RAW: *(struct span *)out = v; return true;
    case FIELD_STRING: return field_string(mem, v, out);
    case FIELD_BOOL: return json_bool(v, out);
    case FIELD_U64: return json_u64(v, out);
    case FIELD_I64: return json_i64(v, out);
    case FIELD_OBJECT: *(struct span *)out = v; return v.p[0] == '{';
    case FIELD_ARRAY: *(struct span *)out = v; return v.p[0] == '[';
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

bool fields_decode(struct scratch *mem, struct span object, const struct field *fields,
                   size_t count, void *target)
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
        if (!read_field(mem, v, f->type, (char *)target + f->at))
            return false;
    }
    return step == JSON_END;
}
