/* SPDX-License-Identifier: MIT */
/* fields.h: the members of a JSON object, read into a struct by a table. Pure; any thread. */
#ifndef MADANG_BASE_FIELDS_H
#define MADANG_BASE_FIELDS_H

#include "backplane/base/span.h"

/* Where decoded strings go: from `at` to `end`, owned by the caller. Decoding makes nothing longer,
 * so as many bytes as the object has suffice. */
struct scratch {
    char *at, *end;
};

enum field_type {
    FIELD_RAW,
    FIELD_STRING,
    FIELD_BOOL,
    FIELD_U64,
    FIELD_I64,
    FIELD_OBJECT,
    FIELD_ARRAY,
    FIELD_SECONDS /* a number, fraction cut off: int64_t */
};

/* Where a member goes. Strings without escapes and raw values are borrowed from the object, others
 * lie in the scratch memory. null counts as absent, but for FIELD_RAW. */
struct field {
    const char *name;
    enum field_type type;
    size_t at; /* offset in the target struct: struct span, bool, uint64_t, int64_t */
};

/* Fills a zeroed struct; false: not an object, or a member has another type. Of members of one name
 * the last counts. What is refused takes nothing of the scratch memory. */
bool object_read(struct scratch *mem, struct span object, const struct field *fields, size_t count,
                 void *target);

/* Why object_read refused it: the first field of the table that has another type there; NULL: it is
 * no object. */
const struct field *object_wrong(struct scratch mem, struct span object, const struct field *fields,
                                 size_t count);

/* What a member of that type has to be: "a string", "a whole number, not below 0", … */
const char *field_type_text(enum field_type type);

/* A JSON string as its bytes; false: it is none, or has a lone surrogate. */
bool string_read(struct scratch *mem, struct span value, struct span *out);

#endif
