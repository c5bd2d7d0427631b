/* SPDX-License-Identifier: MIT */
/* The JSON scanner against jansson: what one accepts the other must, but for differences that are
 * listed here, and both must find the same values. Whatever the input, the scanner may only hand
 * out spans inside it, and what buf_json makes of it must be JSON.
 */
#include "backplane/base/buf.h"
#include "backplane/base/json.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>

static bool inside(struct span inner, struct span outer)
{
    return inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n;
}

/* True if the bytes from `from` to `to` are the characters of `tokens` with white space around. */
static bool is_gap(const char *from, const char *to, const char *tokens)
{
    for (const char *p = from; p < to; p++) {
        if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
            continue;
        if (*p != *tokens++)
            return false;
    }
    return *tokens == '\0';
}

/* How many containers are nested at the deepest, counted in the text: of two equal keys jansson
 * keeps one, so its tree may be less deep. */
static int depth_of(struct span text)
{
    int depth = 0, deepest = 0;
    bool quoted = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{'))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!quoted && (c == ']' || c == '}'))
            depth--;
    }
    return deepest;
}

/* A \u escape of a surrogate, in any spelling. */
static bool has_surrogate_escape(struct span s)
{
    for (size_t i = 0; i + 4 <= s.n; i++)
        if (memcmp(s.p + i, "\\u", 2) == 0 && (s.p[i + 2] | 0x20) == 'd' &&
            strchr("89aAbBcCdDeEfF", s.p[i + 3]))
            return true;
    return false;
}

/* Why jansson refuses what the grammar allows. */
static bool known_refusal(const json_error_t *error, struct span s)
{
    switch (json_error_code(error)) {
    case json_error_numeric_overflow: /* an integer beyond 64 bits, a real beyond double */
    case json_error_null_byte_in_key: return true;
    case json_error_invalid_syntax: /* a lone surrogate */
        return strstr(error->text, "invalid Unicode") && has_surrogate_escape(s);
    default: return false;
    }
}

/* The decoded string, which must be UTF-8 and no longer than its text. The caller frees out->p. */
static void decode(struct span v, struct buf *out)
{
    MUST(buf_reserve(out, v.n));
    long n = json_unquote(v, out->p, v.n);
    MUST(n >= 0 && (size_t)n + 2 <= v.n);
    out->n = (size_t)n;
    MUST(utf8_valid((struct span){out->p, out->n}));
    if (n > 0) {
        char *tight = malloc((size_t)n);
        MUST(tight && json_unquote(v, tight, (size_t)n) == n);
        MUST(json_unquote(v, tight, (size_t)n - 1) == -1);
        free(tight);
    }
}

static void compare(struct span v, const json_t *other);

static void compare_array(struct span v, const json_t *other)
{
    struct json_members it;
    struct span item;
    const char *behind = v.p;
    enum json_step step;
    size_t n = 0;

    MUST(json_items_begin(&it, v, JSON_MAX_DEPTH));
    for (; (step = json_items_next(&it, &item)) == JSON_MEMBER; n++) {
        MUST(inside(item, v) && is_gap(behind, item.p, n ? "," : "["));
        compare(item, json_array_get(other, n));
        behind = item.p + item.n;
    }
    MUST(step == JSON_END && n == json_array_size(other));
    MUST(is_gap(behind, v.p + v.n, n ? "]" : "[]"));
}

/* jansson keeps the last of equal keys, so values are compared if there are none. */
static void compare_object(struct span v, const json_t *other)
{
    struct json_members it;
    struct span key, value;
    struct buf name = {0};
    enum json_step step;
    size_t n = 0;

    MUST(json_members_begin(&it, v, JSON_MAX_DEPTH));
    while ((step = json_members_next(&it, &key, &value)) == JSON_MEMBER)
        n++;
    MUST(step == JSON_END && n >= json_object_size(other));
    bool unique = n == json_object_size(other);

    const char *behind = v.p;
    MUST(json_members_begin(&it, v, JSON_MAX_DEPTH));
    for (n = 0; json_members_next(&it, &key, &value) == JSON_MEMBER; n++) {
        struct span quoted = {key.p - 1, key.n + 2};
        MUST(inside(quoted, v) && inside(value, v));
        MUST(is_gap(behind, quoted.p, n ? "," : "{"));
        MUST(is_gap(quoted.p + quoted.n, value.p, ":"));
        buf_clear(&name);
        decode(quoted, &name);
        json_t *there = json_object_getn(other, name.p, name.n);
        MUST(there);
        if (unique)
            compare(value, there);
        behind = value.p + value.n;
    }
    MUST(is_gap(behind, v.p + v.n, n ? "}" : "{}"));
    buf_deinit(&name);
}

static void compare_number(struct span v, const json_t *other)
{
    int64_t i = 0;
    uint64_t u = 0;
    bool whole = json_i64(v, &i);

    MUST(whole == json_is_integer(other));
    if (!whole)
        return;
    MUST(i == json_integer_value(other));
    if (v.p[0] != '-')
        MUST(json_u64(v, &u) && u == (uint64_t)i);
    else
        MUST(!json_u64(v, &u));
}

static void compare_string(struct span v, const json_t *other)
{
    struct buf text = {0};

    decode(v, &text);
    MUST(text.n == json_string_length(other));
    MUST(text.n == 0 || memcmp(text.p, json_string_value(other), text.n) == 0);
    buf_deinit(&text);
}

static void compare(struct span v, const json_t *other)
{
    bool flag;

    MUST(other && v.n > 0 && json_value(v, JSON_MAX_DEPTH) == v.n);
    MUST(json_is_quoted(v) == json_is_string(other));
    MUST(json_bool(v, &flag) == json_is_boolean(other));
    if (json_is_boolean(other))
        MUST(flag == json_is_true(other));
    switch (json_typeof(other)) {
    case JSON_OBJECT: compare_object(v, other); break;
    case JSON_ARRAY: compare_array(v, other); break;
    case JSON_STRING: compare_string(v, other); break;
    case JSON_INTEGER:
    case JSON_REAL: compare_number(v, other); break;
    case JSON_TRUE:
    case JSON_FALSE: break;
    case JSON_NULL: MUST(span_eq(v, SPAN("null"))); break;
    }
}

/* Our verdict against jansson's. */
static void judge(struct span s)
{
    struct span value = {NULL, 0};
    bool ours = json_document(s, JSON_MAX_DEPTH, &value);
    json_error_t error;

    if (memchr(s.p, '\0', s.n)) { /* to jansson it can be the end of the text; JSON has none */
        MUST(!ours);
        return;
    }
    json_t *theirs = json_loadb(s.p, s.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (ours && !theirs) {
        MUST(known_refusal(&error, s));
    } else if (!ours && theirs) {
        MUST(depth_of(s) > JSON_MAX_DEPTH);
    } else if (ours) {
        int depth = depth_of(s);
        MUST(inside(value, s));
        MUST(is_gap(s.p, value.p, "") && is_gap(value.p + value.n, s.p + s.n, ""));
        MUST(depth <= JSON_MAX_DEPTH && json_document(s, depth, &value));
        MUST(!json_document(s, depth - 1, &value));
        compare(value, theirs);
    }
    json_decref(theirs);
}

/* A walk over anything: it ends, and ends well exactly if the whole is JSON. */
static void walk(struct span s)
{
    struct json_members it;
    struct span key, value, all;
    enum json_step step;
    bool ours = json_document(s, JSON_MAX_DEPTH, &all);

    if (json_members_begin(&it, s, JSON_MAX_DEPTH)) {
        while ((step = json_members_next(&it, &key, &value)) == JSON_MEMBER)
            MUST(inside(key, s) && inside(value, s));
        MUST((step == JSON_END) == ours);
    }
    if (json_items_begin(&it, s, JSON_MAX_DEPTH)) {
        while ((step = json_items_next(&it, &value)) == JSON_MEMBER)
            MUST(inside(value, s));
        MUST((step == JSON_END) == ours);
    }
    MUST(json_value(s, JSON_MAX_DEPTH) <= s.n);
}

/* The readers on what nobody has validated: they may say anything but read outside. */
static void read_unvalidated(struct span s)
{
    char out[64];
    bool flag;
    uint64_t u;
    int64_t i;
    long n = json_unquote(s, out, sizeof(out));

    MUST(n >= -1 && n <= (long)sizeof(out) && n <= (long)s.n);
    MUST(json_u64(s, &u) <= json_i64(s, &i) || u > INT64_MAX);
    MUST(!json_bool(s, &flag) || s.n >= 4);
    MUST(json_plain(s) <= s.n);
}

/* Any bytes, written as a JSON string and read back. */
static void write_and_read(struct span s)
{
    struct buf text = {0}, back = {0};
    struct span value;

    buf_json(&text, s);
    MUST(!text.failed);
    struct span written = {text.p, text.n};
    MUST(json_document(written, 0, &value) && value.n == text.n);
    decode(value, &back);
    if (utf8_valid(s))
        MUST(span_eq((struct span){back.p, back.n}, s));
    buf_deinit(&text);
    buf_deinit(&back);
}

/* Without its line ends a document is still the same document. */
static void put_on_one_line(struct span s)
{
    struct buf text = {0};
    struct span value, line_value;

    if (!json_document(s, JSON_MAX_DEPTH, &value))
        return;
    buf_json_oneline(&text, value);
    struct span line = {text.p, text.n};
    MUST(!memchr(line.p, '\n', line.n) && !memchr(line.p, '\r', line.n));
    MUST(json_document(line, JSON_MAX_DEPTH, &line_value) && line_value.n == line.n);
    json_t *a = json_loadb(value.p, value.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *b = json_loadb(line.p, line.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    MUST(!a == !b && (!a || json_equal(a, b)));
    json_decref(a);
    json_decref(b);
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span s = {size ? (const char *)data : "", size};

    judge(s);
    walk(s);
    read_unvalidated(s);
    write_and_read(s);
    put_on_one_line(s);
    return 0;
}
