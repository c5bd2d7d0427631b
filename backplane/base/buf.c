/* SPDX-License-Identifier: MIT */
#include "backplane/base/buf.h"

#include "backplane/base/hex.h"
#include "backplane/base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAP 256

void buf_deinit(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}

/* The slow half of buf_reserve: at least doubles, so that appending is linear over all. */
static bool buf_grow(struct buf *b, size_t more)
{
    size_t need = b->n + more;
    size_t cap = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;

    if (need < more)
        goto fail;
    if (cap < FIRST_CAP)
        cap = FIRST_CAP;
    if (cap < need)
        cap = need;
    char *p = realloc(b->p, cap);
    if (!p)
        goto fail;
    b->p = p;
    b->cap = cap;
    return true;

fail:
    b->failed = true;
    return false;
}

bool buf_reserve(struct buf *b, size_t more)
{
    if (b->failed)
        return false;
    return b->cap - b->n >= more || buf_grow(b, more);
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0 || !buf_reserve(b, n))
        return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buf_span(struct buf *b, struct span s)
{
    buf_add(b, s.p, s.n);
}

void buf_str(struct buf *b, const char *s)
{
    buf_span(b, span_str(s));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

size_t u64_text(char out[U64_TEXT_MAX], uint64_t v)
{
    char digits[U64_TEXT_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

void buf_u64(struct buf *b, uint64_t v)
{
    if (buf_reserve(b, U64_TEXT_MAX))
        b->n += u64_text(b->p + b->n, v);
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if (!buf_reserve(b, (size_t)n + 1)) /* vsnprintf terminates */
        return;
    va_start(args, fmt);
    int written = vsnprintf(b->p + b->n, (size_t)n + 1, fmt, args);
    va_end(args);
    if (written == n)
        b->n += (size_t)n;
    else
        b->failed = true;
}

/* Appends the one byte that cannot stand for itself in a JSON string. */
static void json_escape(struct buf *b, unsigned char c)
{
    static const char names[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

    if (c >= 0x80) {
        buf_lit(b, UTF8_REPLACEMENT);
    } else if (c >= 0x20 || names[c]) {
        buf_add(b, (char[]){'\\', c >= 0x20 ? (char)c : names[c]}, 2);
    } else {
        buf_lit(b, "\\u00");
        buf_add(b, (char[]){hex_digit(c >> 4), hex_digit(c)}, 2);
    }
}

void buf_json(struct buf *b, struct span s)
{
    buf_reserve(b, s.n + 2); /* one growth for the usual text, which needs no escapes */
    buf_char(b, '"');
    while (s.n) {
        size_t run = json_plain(s);
        /* Multibyte characters pass through; utf8_seq is 1 for ASCII, which needs its escape
         * here. */
        size_t seq;
        while (run < s.n && (seq = utf8_seq((struct span){s.p + run, s.n - run})) > 1)
            run += seq;
        buf_add(b, s.p, run);
        s = (struct span){s.p + run, s.n - run};
        if (s.n && json_plain(s) == 0) {
            json_escape(b, (unsigned char)*s.p);
            s = (struct span){s.p + 1, s.n - 1};
        }
    }
    buf_char(b, '"');
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

void buf_json_oneline(struct buf *b, struct span json)
{
    /* Most texts have none, and memchr is many times faster than looking at each byte. */
    if (json.n == 0 || (!memchr(json.p, '\n', json.n) && !memchr(json.p, '\r', json.n))) {
        buf_span(b, json);
        return;
    }
    buf_reserve(b, json.n);
    while (json.n) {
        size_t run = 0;
        while (run < json.n && !is_line_end(json.p[run]))
            run++;
        buf_add(b, json.p, run);
        while (run < json.n && is_line_end(json.p[run]))
            run++;
        json = (struct span){json.p + run, json.n - run};
    }
}
