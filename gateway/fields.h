/* SPDX-License-Identifier: MIT */
/* fields.h: the members of a JSON object, read into a struct by a table. */
#ifndef MADANG_GATEWAY_FIELDS_H
#define MADANG_GATEWAY_FIELDS_H

#include "backplane/base/span.h"

enum field_type {
    FIELD_RAW,
    FIELD_STRING,
    FIELD_BOOL,
    FIELD_U64,
    FIELD_I64,
    FIELD_OBJECT,
    FIELD_ARRAY
};

/* Where a member of an object goes. Strings are borrowed from the object, or decoded into scratch
 * memory; raw values, objects and arrays are borrowed. null counts as absent, but for FIELD_RAW. */
struct field {
    const char *name;
    enum field_type type;
    size_t at; /* offset in the target struct: struct span, bool, uint64_t, int64_t */
};

/* Memory for decoded strings: as large as the text that they come from is always enough. */
struct scratch {
    char *at, *end;
};

/* Fills a zeroed struct; false: not an object, or a member has another type. */
bool fields_decode(struct scratch *mem, struct span object, const struct field *fields,
                   size_t count, void *target);

/* The text of one JSON string; false: it is none, or holds what is no text. */
bool field_string(struct scratch *mem, struct span v, struct span *out);

#endif
