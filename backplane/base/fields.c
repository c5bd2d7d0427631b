/* SPDX-License-Identifier: MIT */
#include "backplane/base/fields.h"

#include "backplane/base/json.h"

#include <stdlib.h>

#define NUMBER_MAX  64
#define SECONDS_MAX 1e15 /* beyond any date: such a number stands for "never" */

/* Strings without escapes, nearly all, are borrowed; others are decoded, which never makes them
 * longer. */
bool string_read(struct scratch *mem, struct span value, struct span *out)
{
    if (!json_is_quoted(value))
        return false;
    if (!memchr(value.p, '\\', value.n)) {
        *out = (struct span){value.p + 1, value.n - 2};
        return true;
    }
    long n = json_unquote(value, mem->at, (size_t)(mem->end - mem->at));
    if (n < 0)
        return false;
    *out = (struct span){mem->at, (size_t)n};
    mem->at += n;
    return true;
}

static bool read_seconds(struct span v, int64_t *out)
{
    char text[NUMBER_MAX];
    if (v.n >= sizeof(text) || !(v.p[0] == '-' || (v.p[0] >= '0' && v.p[0] <= '9')))
        return false;
    memcpy(text, v.p, v.n);
    text[v.n] = '\0';
    double d = strtod(text, NULL);
    *out = (int64_t)(d > SECONDS_MAX ? SECONDS_MAX : d < -SECONDS_MAX ? -SECONDS_MAX : d);
    return true;
}

static bool read_field(struct scratch *mem, struct span v, enum field_type type, void *out)
{
    switch (type) {
    case FIELD_RAW: *(struct span *)out = v; return true;
    case FIELD_STRING: return string_read(mem, v, out);
    case FIELD_BOOL: return json_bool(v, out);
    case FIELD_U64: return json_u64(v, out);
    case FIELD_I64: return json_i64(v, out);
    case FIELD_OBJECT: *(struct span *)out = v; return v.p[0] == '{';
    case FIELD_ARRAY: *(struct span *)out = v; return v.p[0] == '[';
    case FIELD_SECONDS: return read_seconds(v, out);
    }
    return false;
}

const char *field_type_text(enum field_type type)
{
    static const char *const texts[] = {
        [FIELD_RAW] = "any JSON",       [FIELD_STRING] = "a string",
        [FIELD_BOOL] = "true or false", [FIELD_U64] = "a whole number, not below 0",
        [FIELD_I64] = "a whole number", [FIELD_OBJECT] = "an object",
        [FIELD_ARRAY] = "an array",     [FIELD_SECONDS] = "a number",
    };
    return texts[type];
}

static const struct field *field_of(const struct field *fields, size_t count, struct span key)
{
    for (size_t i = 0; i < count; i++)
        if (span_eq(span_str(fields[i].name), key))
            return &fields[i];
    return NULL;
}

bool object_read(struct scratch *mem, struct span object, const struct field *fields, size_t count,
                 void *target)
{
    struct json_members it;
    struct span key, v;
    struct scratch rest = *mem;
    if (!json_members_begin(&it, object, JSON_MAX_DEPTH))
        return false;
    enum json_step step;
    while ((step = json_members_next(&it, &key, &v)) == JSON_MEMBER) {
        const struct field *f = field_of(fields, count, key);
        if (!f || (f->type != FIELD_RAW && span_eq(v, SPAN("null"))))
            continue;
        if (!read_field(&rest, v, f->type, (char *)target + f->at))
            return false;
    }
    if (step != JSON_END)
        return false;
    *mem = rest;
    return true;
}

const struct field *object_wrong(struct scratch mem, struct span object, const struct field *fields,
                                 size_t count)
{
    struct span none;
    if (!object_read(&mem, object, NULL, 0, &none))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        union {
            struct span span;
            uint64_t u64;
            int64_t i64;
            bool flag;
        } value;
        struct field alone = {fields[i].name, fields[i].type, 0};
        struct scratch again = mem;
        if (!object_read(&again, object, &alone, 1, &value))
            return &fields[i];
    }
    return NULL;
}
