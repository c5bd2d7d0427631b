/* SPDX-License-Identifier: MIT */
#include "load/json.h"

#include <string.h>

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* Past the closing quote of the string that begins at p, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

static const char *skip_nested(const char *p, const char *end)
{
    unsigned depth = 0;
    while (p && p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return NULL;
}

/* Past the value that begins at p, or NULL. */
static const char *skip_value(const char *p, const char *end)
{
    if (p >= end)
        return NULL;
    if (*p == '"')
        return skip_string(p, end);
    if (*p == '{' || *p == '[')
        return skip_nested(p, end);
    while (p < end && !strchr(",}] \t\r\n", *p))
        p++;
    return p;
}

bool span_is(struct span span, const char *text)
{
    return span.n == strlen(text) && memcmp(span.p, text, span.n) == 0;
}

bool span_equal(struct span a, struct span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

bool span_starts(struct span span, const char *text)
{
    size_t n = strlen(text);
    return span.n >= n && memcmp(span.p, text, n) == 0;
}

/* One `"key":value` at p: its two spans, and where it ends, or NULL. */
static const char *read_member(const char *p, const char *end, struct span *key, struct span *value)
{
    if (p >= end || *p != '"')
        return NULL;
    const char *after = skip_string(p, end);
    if (!after)
        return NULL;
    *key = (struct span){p + 1, (size_t)(after - p) - 2};
    p = skip_space(after, end);
    if (p >= end || *p != ':')
        return NULL;
    p = skip_space(p + 1, end);
    after = skip_value(p, end);
    if (after)
        *value = (struct span){p, (size_t)(after - p)};
    return after;
}

bool json_member(struct span object, const char *key, struct span *out)
{
    const char *end = object.p + object.n;
    const char *p = skip_space(object.p, end);
    struct span name, value;
    if (p >= end || *p != '{')
        return false;
    for (p = skip_space(p + 1, end);; p = skip_space(p + 1, end)) {
        p = read_member(p, end, &name, &value);
        if (!p)
            return false;
        if (span_is(name, key)) {
            *out = value;
            return true;
        }
        p = skip_space(p, end);
        if (p >= end || *p != ',')
            return false;
    }
}

bool json_element(struct span array, const char **at, struct span *out)
{
    const char *end = array.p + array.n;
    const char *p = skip_space(*at ? *at : array.p, end);
    if (p >= end || *p != (*at ? ',' : '['))
        return false;
    p = skip_space(p + 1, end);
    if (p >= end || *p == ']')
        return false;
    const char *after = skip_value(p, end);
    if (!after)
        return false;
    *out = (struct span){p, (size_t)(after - p)};
    *at = after;
    return true;
}

bool json_number(struct span object, const char *key, uint64_t *out)
{
    struct span value;
    uint64_t number = 0;
    if (!json_member(object, key, &value) || value.n == 0)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(value.p[i] - '0');
    }
    *out = number;
    return true;
}

bool json_text(struct span object, const char *key, struct span *out)
{
    struct span value;
    if (!json_member(object, key, &value) || value.n < 2 || value.p[0] != '"')
        return false;
    *out = (struct span){value.p + 1, value.n - 2};
    return true;
}
