/* SPDX-License-Identifier: MIT */
/* The scanner is a loop over two moves: down (open containers until a scalar is read) and up (close
 * them until a comma asks for the next value). Which containers are open is one bit each in a word,
 * so there is no recursion and no memory to run out of.
 *
 * Every scanning function takes (p, end) and returns the first byte behind what it read, or NULL.
 */
#include "backplane/base/json.h"

#include <assert.h>
#include <endian.h>

#define ONES      UINT64_C(0x0101010101010101)
#define HIGH_BITS (ONES * 0x80)

enum { FIRST, LATER, ENDED, BROKEN }; /* json_members.state */

struct open {         /* the containers around the current position */
    uint64_t objects; /* bit 0 is the innermost: 1 object, 0 array */
    int depth, max_depth;
};

static_assert(JSON_MAX_DEPTH <= 64, "one bit per open container");

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ' &&
           (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Marks (top bit of the byte) what ends a plain run: quote, backslash, control, non-ASCII. Only the
 * lowest mark is exact: a borrow out of it can set false ones above. */
static inline uint64_t run_ends(uint64_t w)
{
    return (w | (w - ONES * 0x20) | ((w ^ ONES * '"') - ONES) | ((w ^ ONES * '\\') - ONES)) &
           HIGH_BITS;
}

static inline const char *plain_run(const char *p, const char *end)
{
    uint64_t w;

    while (end - p >= (ptrdiff_t)sizeof(w)) {
        memcpy(&w, p, sizeof(w));
        uint64_t marks = run_ends(le64toh(w));
        if (marks)
            return p + __builtin_ctzll(marks) / 8;
        p += sizeof(w);
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\')
        p++;
    return p;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of four hex digits at p; -1 if they are not there. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* The character that backslash and c stand for; 0 if it is no short escape. */
static char short_escape(char c)
{
    static const char meaning[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                      ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    return meaning[(unsigned char)c];
}

/* p is at a backslash. */
static const char *scan_escape(const char *p, const char *end)
{
    if (end - p < 2)
        return NULL;
    if (short_escape(p[1]))
        return p + 2;
    return p[1] == 'u' && hex4(p + 2, end) >= 0 ? p + 6 : NULL;
}

static const char *scan_non_ascii(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p >= 0x80) {
        size_t n = utf8_seq((struct span){p, (size_t)(end - p)});
        if (n == 0)
            return NULL;
        p += n;
    }
    return p;
}

/* p is at an opening quote. */
static const char *scan_string(const char *p, const char *end)
{
    p++;
    while (p) {
        p = plain_run(p, end);
        if (p == end)
            return NULL;
        unsigned char c = (unsigned char)*p;
        if (c == '"')
            return p + 1;
        if (c < 0x20)
            return NULL;
        p = c == '\\' ? scan_escape(p, end) : scan_non_ascii(p, end);
    }
    return NULL;
}

/* One digit or more. */
static const char *scan_digits(const char *p, const char *end)
{
    const char *start = p;

    while (p < end && is_digit(*p))
        p++;
    return p == start ? NULL : p;
}

static const char *scan_number(const char *p, const char *end)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else
        p = scan_digits(p, end);
    if (p && p < end && *p == '.')
        p = scan_digits(p + 1, end);
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(p, end);
    }
    return p;
}

static const char *scan_word(const char *p, const char *end, struct span word)
{
    if ((size_t)(end - p) < word.n || memcmp(p, word.p, word.n) != 0)
        return NULL;
    return p + word.n;
}

/* p < end. */
static const char *scan_scalar(const char *p, const char *end)
{
    switch (*p) {
    case '"': return scan_string(p, end);
    case 't': return scan_word(p, end, SPAN("true"));
    case 'f': return scan_word(p, end, SPAN("false"));
    case 'n': return scan_word(p, end, SPAN("null"));
    default: return *p == '-' || is_digit(*p) ? scan_number(p, end) : NULL;
    }
}

/* A key, its colon and the space around them; *key_end is behind the closing quote. */
static const char *scan_key(const char *p, const char *end, const char **key_end)
{
    if (p == end || *p != '"')
        return NULL;
    *key_end = p = scan_string(p, end);
    if (!p)
        return NULL;
    p = skip_space(p, end);
    return p < end && *p == ':' ? skip_space(p + 1, end) : NULL;
}

/* Opens containers down to a scalar, which is read, or to an empty container, which `scan_up`
 * closes. */
static const char *scan_down(struct open *o, const char *p, const char *end)
{
    const char *key_end;

    while (p && p < end) {
        bool object = *p == '{';
        if (!object && *p != '[')
            return scan_scalar(p, end);
        if (o->depth == o->max_depth)
            return NULL;
        o->depth++;
        o->objects = o->objects << 1 | object;
        p = skip_space(p + 1, end);
        if (p < end && *p == (object ? '}' : ']'))
            return p;
        if (object)
            p = scan_key(p, end, &key_end);
    }
    return NULL;
}

/* Closes containers until all are closed or a comma announces another value; returns where that
 * starts. */
static const char *scan_up(struct open *o, const char *p, const char *end)
{
    const char *key_end;

    while (o->depth > 0) {
        bool object = o->objects & 1;
        p = skip_space(p, end);
        if (p == end)
            return NULL;
        if (*p == ',') {
            p = skip_space(p + 1, end);
            return object ? scan_key(p, end, &key_end) : p;
        }
        if (*p != (object ? '}' : ']'))
            return NULL;
        o->depth--;
        o->objects >>= 1;
        p++;
    }
    return p;
}

static const char *scan_value(const char *p, const char *end, int max_depth)
{
    struct open o = {.max_depth = max_depth < JSON_MAX_DEPTH ? max_depth : JSON_MAX_DEPTH};

    do {
        p = scan_down(&o, p, end);
        if (p)
            p = scan_up(&o, p, end);
    } while (p && o.depth > 0);
    return p;
}

size_t json_plain(struct span s)
{
    return s.n ? (size_t)(plain_run(s.p, s.p + s.n) - s.p) : 0;
}

size_t json_value(struct span s, int max_depth)
{
    if (s.n == 0 || max_depth < 0)
        return 0;
    const char *behind = scan_value(s.p, s.p + s.n, max_depth);
    return behind ? (size_t)(behind - s.p) : 0;
}

bool json_document(struct span s, int max_depth, struct span *value)
{
    if (s.n == 0)
        return false;
    const char *end = s.p + s.n;
    const char *start = skip_space(s.p, end);
    size_t n = json_value((struct span){start, (size_t)(end - start)}, max_depth);
    if (n == 0 || skip_space(start + n, end) != end)
        return false;
    *value = (struct span){start, n};
    return true;
}

static bool walk_begin(struct json_members *it, struct span s, int max_depth, char opening)
{
    *it = (struct json_members){.state = BROKEN};
    if (s.n == 0 || max_depth < 1)
        return false;
    const char *end = s.p + s.n;
    const char *p = skip_space(s.p, end);
    if (p == end || *p != opening)
        return false;
    it->rest = (struct span){p + 1, (size_t)(end - p - 1)};
    it->max_depth = (max_depth < JSON_MAX_DEPTH ? max_depth : JSON_MAX_DEPTH) - 1;
    it->state = FIRST;
    return true;
}

/* Steps to where the next key or value must start; NULL at the end or on an error, which is then in
 * it->state. */
static const char *walk_step(struct json_members *it, char closing)
{
    const char *end = it->rest.p + it->rest.n;
    const char *p = skip_space(it->rest.p, end);
    bool first = it->state == FIRST;

    it->state = BROKEN;
    if (p == end)
        return NULL;
    if (*p == closing) {
        it->state = skip_space(p + 1, end) == end ? ENDED : BROKEN;
        return NULL;
    }
    if (first)
        return p;
    return *p == ',' ? skip_space(p + 1, end) : NULL;
}

/* The next member (key not NULL) or item. Outputs are set on JSON_MEMBER only. */
static enum json_step walk_next(struct json_members *it, char closing, struct span *key,
                                struct span *value)
{
    if (it->state == ENDED || it->state == BROKEN)
        return it->state == ENDED ? JSON_END : JSON_BAD;

    const char *end = it->rest.p + it->rest.n;
    const char *start = walk_step(it, closing);
    if (!start)
        return it->state == ENDED ? JSON_END : JSON_BAD;
    const char *p = start, *key_end = NULL;
    if (key)
        p = scan_key(p, end, &key_end);
    const char *behind = p ? scan_value(p, end, it->max_depth) : NULL;
    if (!behind)
        return JSON_BAD;
    if (key)
        *key = (struct span){start + 1, (size_t)(key_end - start) - 2};
    *value = (struct span){p, (size_t)(behind - p)};
    it->rest = (struct span){behind, (size_t)(end - behind)};
    it->state = LATER;
    return JSON_MEMBER;
}

bool json_members_begin(struct json_members *it, struct span s, int max_depth)
{
    return walk_begin(it, s, max_depth, '{');
}

enum json_step json_members_next(struct json_members *it, struct span *key, struct span *value)
{
    return walk_next(it, '}', key, value);
}

bool json_items_begin(struct json_members *it, struct span s, int max_depth)
{
    return walk_begin(it, s, max_depth, '[');
}

enum json_step json_items_next(struct json_members *it, struct span *value)
{
    return walk_next(it, ']', NULL, value);
}

bool json_is_quoted(struct span v)
{
    return v.n >= 2 && v.p[0] == '"';
}

bool json_bool(struct span v, bool *out)
{
    bool yes = span_eq(v, SPAN("true"));

    if (!yes && !span_eq(v, SPAN("false")))
        return false;
    *out = yes;
    return true;
}

bool json_u64(struct span v, uint64_t *out)
{
    uint64_t n = 0;

    if (v.n == 0 || (v.n > 1 && v.p[0] == '0'))
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (!is_digit(v.p[i]))
            return false;
        unsigned digit = (unsigned)(v.p[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

bool json_i64(struct span v, int64_t *out)
{
    bool negative = v.n > 0 && v.p[0] == '-';
    struct span digits = negative ? (struct span){v.p + 1, v.n - 1} : v;
    uint64_t n;

    if (!json_u64(digits, &n) || n > (uint64_t)INT64_MAX + negative)
        return false;
    /* -1 first: the magnitude of INT64_MIN does not fit. */
    *out = negative && n ? -(int64_t)(n - 1) - 1 : (int64_t)n;
    return true;
}

/* Decodes the \u escape at p, two of them for a surrogate pair; NULL if it is malformed or
 * alone. */
static const char *decode_unicode(const char *p, const char *end, uint32_t *code_point)
{
    int32_t unit = hex4(p + 2, end);

    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
        return NULL;
    p += 6;
    *code_point = (uint32_t)unit;
    if (unit < 0xD800 || unit > 0xDBFF)
        return p;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return NULL;
    int32_t low = hex4(p + 2, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return NULL;
    *code_point = 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return p + 6;
}

/* Decodes the escape at p into out (at most 4 bytes, *n of them). */
static const char *decode_escape(const char *p, const char *end, char out[4], size_t *n)
{
    if (end - p < 2)
        return NULL;
    out[0] = short_escape(p[1]);
    *n = 1;
    if (out[0])
        return p + 2;
    uint32_t code_point;
    p = p[1] == 'u' ? decode_unicode(p, end, &code_point) : NULL;
    if (p)
        *n = utf8_encode(code_point, out);
    return p;
}

long json_unquote(struct span v, char *out, size_t cap)
{
    if (!json_is_quoted(v) || v.p[v.n - 1] != '"')
        return -1;

    const char *p = v.p + 1, *end = v.p + v.n - 1;
    size_t at = 0;
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((escape ? escape : end) - p);
        char decoded[4];
        size_t n = 0;
        if (run > cap - at)
            return -1;
        memcpy(out + at, p, run);
        at += run;
        p = escape ? decode_escape(escape, end, decoded, &n) : end;
        if (!p || n > cap - at)
            return -1;
        memcpy(out + at, decoded, n);
        at += n;
    }
    return (long)at;
}
