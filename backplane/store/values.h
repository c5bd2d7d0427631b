/* SPDX-License-Identifier: MIT */
/* values.h: values of statements, by position. */
#ifndef MADANG_BACKPLANE_STORE_VALUES_H
#define MADANG_BACKPLANE_STORE_VALUES_H

#include "backplane/base/span.h"

#include <sqlite3.h>
#include <stdint.h>

/* Values are bound where they lie: they outlive the step. A bad bind shows in the step. */
static inline void bind_blob(sqlite3_stmt *s, int i, struct span b)
{
    (void)sqlite3_bind_blob64(s, i, b.n ? b.p : "", b.n, SQLITE_STATIC);
}

static inline void bind_number(sqlite3_stmt *s, int i, uint64_t n)
{
    (void)sqlite3_bind_int64(s, i, (int64_t)n);
}

static inline struct span column_blob(sqlite3_stmt *s, int i)
{
    const char *p = sqlite3_column_blob(s, i);
    return (struct span){p ? p : "", (size_t)sqlite3_column_bytes(s, i)};
}

static inline uint64_t column_number(sqlite3_stmt *s, int i)
{
    return (uint64_t)sqlite3_column_int64(s, i);
}

#endif
