/* SPDX-License-Identifier: MIT */
#include "backplane/store/records.h"

#include "backplane/store/values.h"

#include <stdlib.h>

enum err records_put(struct file *f, struct span stream, struct span name, struct span data)
{
    sqlite3_stmt *s = file_statement(f, "REPLACE INTO record VALUES(?1,?2,?3)");
    if (!s)
        return ERR_INTERNAL;
    bind_blob(s, 1, stream);
    bind_blob(s, 2, name);
    bind_blob(s, 3, data);
    return file_run(f, s);
}

enum err records_erase(struct file *f, struct span stream, struct span name)
{
    sqlite3_stmt *s = file_statement(f, "DELETE FROM record WHERE stream=?1 AND name=?2");
    if (!s)
        return ERR_INTERNAL;
    bind_blob(s, 1, stream);
    bind_blob(s, 2, name);
    return file_run(f, s);
}

/* The first record behind this one; false: there is none, or *e. */
static bool step(struct file *f, struct span stream, struct span name, sqlite3_stmt **s,
                 enum err *e)
{
    *s = file_statement(f, "SELECT stream, name, data FROM record WHERE (stream, name)>(?1, ?2)"
                           " ORDER BY stream, name LIMIT 1");
    *e = *s ? OK : ERR_INTERNAL;
    if (!*s)
        return false;
    bind_blob(*s, 1, stream);
    bind_blob(*s, 2, name);
    return file_row(f, *s, e);
}

/* One after the other, so that each may go when it has been told. */
enum err records_each(struct file *f,
                      bool (*told)(void *owner, struct span stream, struct span data), void *owner)
{
    char *key = NULL;
    struct span stream = {0}, name = {0};
    sqlite3_stmt *s;
    enum err e;
    while (step(f, stream, name, &s, &e)) {
        struct span found = column_blob(s, 0), label = column_blob(s, 1);
        char *at = malloc(found.n + label.n + 1), *next = at;
        if (!at) {
            e = ERR_INTERNAL;
            break;
        }
        stream = span_copy(&at, found);
        name = span_copy(&at, label);
        free(key);
        key = next;
        bool keep = told(owner, stream, column_blob(s, 2));
        (void)sqlite3_reset(s); /* tells of the step again */
        if (!keep && (e = records_erase(f, stream, name)))
            break;
    }
    free(key);
    return e;
}
