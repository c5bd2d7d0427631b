/* SPDX-License-Identifier: MIT */
/* json.h: a validating span scanner for JSON (RFC 8259).
 *
 * It finds where values begin and end and lets them pass on byte for byte; it
 * builds no tree and allocates nothing. What it accepts is exactly JSON: the
 * grammar, well-formed UTF-8 (no surrogates, no overlong forms), no raw control
 * characters inside strings. A lone \uD800 escape is grammatical and passes.
 * Nesting is bounded by the caller. Keys that occur twice are the caller's business.
 * Nothing is read outside the given span. Pure functions; any thread.
 */
#ifndef MADANG_BASE_JSON_H
#define MADANG_BASE_JSON_H

#include "backplane/base/span.h"
#include "backplane/base/utf8.h"

#include <stdint.h>

/* A depth of 1 allows `[]` and `{}`, 2 allows `[[]]`, 0 only scalars. A max_depth above this
 * constant counts as this constant. */
#define JSON_MAX_DEPTH 64

/* Length of the one value at the start of s, leading white space not allowed; 0 if there is none.
 * What follows the value is not looked at: `1x` has a value of length 1. */
size_t json_value(struct span s, int max_depth);

/* True if s is one value with nothing but white space around it. On success *value is the value
 * alone. */
bool json_document(struct span s, int max_depth, struct span *value);

/* Walks the members of an object. `key` is the raw text between the quotes (escapes not resolved).
 * The spans handed out point into s; the fields are private. */
struct json_members {
    struct span rest;
    int max_depth; /* of the values: one less than that of the walk */
    int state;
};

/* Starts a walk; false if s (white space around allowed) does not begin with an object, or
 * max_depth, which counts the object itself, is 0. A walk ends with JSON_END exactly if
 * json_document() accepts s. */
bool json_members_begin(struct json_members *it, struct span s, int max_depth);

enum json_step { JSON_MEMBER, JSON_END, JSON_BAD };

/* One step: JSON_MEMBER fills key and value (value validated), JSON_END after the closing brace
 * and nothing but white space behind it, JSON_BAD at the first byte that is not JSON. Both ends
 * are final: further steps return the same. The outputs are set with JSON_MEMBER only. */
enum json_step json_members_next(struct json_members *it, struct span *key, struct span *value);

/* The same for arrays. */
bool json_items_begin(struct json_members *it, struct span s, int max_depth);
enum json_step json_items_next(struct json_members *it, struct span *value);

/* Typed readers of one validated value. They return false, and leave *out alone, if the value
 * has another type or is out of range. `1.0` and `1e3` are not plain integers. */
bool json_is_quoted(struct span v);
bool json_bool(struct span v, bool *out);
bool json_u64(struct span v, uint64_t *out); /* plain non-negative integer */
bool json_i64(struct span v, int64_t *out);  /* plain integer */

/* Decodes a JSON string value into UTF-8. Returns the number of bytes written (never more than
 * v.n), or -1 if v is no string, does not fit `cap`, or holds an escaped lone surrogate; out may
 * then have been written to. The result is not terminated and may hold NUL bytes (\u0000). */
long json_unquote(struct span v, char *out, size_t cap);

/* Length of the run at the start of s that stands for itself inside a JSON string and is ASCII. */
size_t json_plain(struct span s);

#endif
