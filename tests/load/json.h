/* SPDX-License-Identifier: MIT */
/*
 * Finding values inside JSON text without building anything.
 *
 * The scanner trusts the text to be JSON: it finds where values begin and end, and answers
 * "not there" for anything it cannot follow. It is used for the first copy of each publication
 * and for replies; every further copy is compared byte by byte instead (check.h).
 */
#ifndef LOAD_JSON_H
#define LOAD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes, not terminated. */
struct span {
    const char *p;
    size_t n;
};

bool span_is(struct span span, const char *text);
bool span_equal(struct span a, struct span b);
bool span_starts(struct span span, const char *text);

/* The value of a member of an object, quotes included for a string. */
bool json_member(struct span object, const char *key, struct span *out);

/* The next element of an array; *at is NULL before the first. */
bool json_element(struct span array, const char **at, struct span *out);

bool json_number(struct span object, const char *key, uint64_t *out);

/* A string member without its quotes, escapes left as they are. */
bool json_text(struct span object, const char *key, struct span *out);

#endif
