/* SPDX-License-Identifier: MIT */
/* buf.h: growable bytes, for building replies and documents.
 *
 * A zeroed struct is an empty buffer. Out of memory sticks: `failed` is set,
 * further appends do nothing, and the caller checks once at the end. The bytes
 * are not terminated. A buffer belongs to one thread.
 */
#ifndef MADANG_BASE_BUF_H
#define MADANG_BASE_BUF_H

#include "backplane/base/span.h"

#include <stdint.h>

struct buf {
    char *p;
    size_t n, cap;
    bool failed;
};

void buf_deinit(struct buf *b);               /* frees; the buffer is empty and usable again */
void buf_clear(struct buf *b);                /* n = 0, keeps the memory, clears `failed` */
bool buf_reserve(struct buf *b, size_t more); /* room for `more` bytes after n; false: failed */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_span(struct buf *b, struct span s);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v); /* decimal, without printf */
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* s as a JSON string, quotes included. Valid UTF-8 passes through; each byte that is none
 * becomes U+FFFD. */
void buf_json(struct buf *b, struct span s);

/* JSON text with CR and LF between tokens removed: a raw newline would split a protocol frame.
 * `json` has been validated, so no CR or LF can be inside a string. */
void buf_json_oneline(struct buf *b, struct span json);

/* v in decimal, not terminated; returns its length. */
#define U64_TEXT_MAX 20
size_t u64_text(char out[U64_TEXT_MAX], uint64_t v);

#define buf_lit(b, literal) buf_add((b), "" literal, sizeof(literal) - 1)

#endif
