/* SPDX-License-Identifier: MIT */
#include "backplane/store/rows.h"

#include "backplane/store/values.h"

#include <string.h>

/* What one slice of sweeping looks at and throws away. */
#define SWEPT_ROOMS        200
#define SWEPT_PUBLICATIONS 256
#define SWEPT_KEYS         500

/* The one number of a query that has one or no row. */
static int64_t ask(struct file *f, sqlite3_stmt *s, enum err *e)
{
    *e = OK;
    int64_t n = file_row(f, s, e) ? sqlite3_column_int64(s, 0) : 0;
    if (s)
        (void)sqlite3_reset(s); /* tells of the step again */
    return n;
}

/* ---- rooms ----------------------------------------------------------------------------------- */

int64_t rows_last_room(struct file *f, enum err *e)
{
    return ask(f, file_statement(f, "SELECT max(id) FROM room"), e);
}

/* Copies, since a statement that is not reset holds up merging. */
static struct span keep_text(char *to, struct span text)
{
    size_t n = text.n < ROWS_EPOCH_MAX ? text.n : ROWS_EPOCH_MAX;
    memcpy(to, text.p, n);
    return (struct span){to, n};
}

bool rows_find_room(struct file *f, struct span name, struct room_found *found, enum err *e)
{
    sqlite3_stmt *s =
        file_statement(f, "SELECT id, epoch, generation, first, top, version, version_epoch,"
                          " written, ends FROM room WHERE name=?1");
    *e = ERR_INTERNAL;
    if (!s)
        return false;
    bind_blob(s, 1, name);
    *e = OK;
    if (!file_row(f, s, e))
        return false;
    found->row = (struct room_row){
        .id = sqlite3_column_int64(s, 0),
        .epoch = keep_text(found->epoch, column_blob(s, 1)),
        .generation = sqlite3_column_int64(s, 2),
        .first = column_number(s, 3),
        .top = column_number(s, 4),
        .version = column_number(s, 5),
        .version_epoch = keep_text(found->version_epoch, column_blob(s, 6)),
        .written = column_number(s, 7),
        .ends = column_number(s, 8),
    };
    (void)sqlite3_reset(s); /* tells of the step again */
    return true;
}

enum err rows_add_room(struct file *f, struct span name, const struct room_row *row)
{
    sqlite3_stmt *s = file_statement(f, "INSERT INTO room VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, row->id);
    bind_blob(s, 2, name);
    bind_blob(s, 3, row->epoch);
    (void)sqlite3_bind_int64(s, 4, row->generation);
    bind_number(s, 5, row->first);
    bind_number(s, 6, row->top);
    bind_number(s, 7, row->version);
    bind_blob(s, 8, row->version_epoch);
    bind_number(s, 9, row->written);
    bind_number(s, 10, row->ends);
    return file_run(f, s);
}

static enum err run_on_one(struct file *f, sqlite3_stmt *s)
{
    enum err e = file_run(f, s);
    return e ? e : file_changes(f) == 1 ? OK : ERR_INTERNAL;
}

enum err rows_move_room(struct file *f, const struct room_row *row)
{
    sqlite3_stmt *s =
        file_statement(f, "UPDATE room SET first=?2, top=?3, version=?4, version_epoch=?5,"
                          " written=?6, ends=?7 WHERE id=?1 AND top=?3-1");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, row->id);
    bind_number(s, 2, row->first);
    bind_number(s, 3, row->top);
    bind_number(s, 4, row->version);
    bind_blob(s, 5, row->version_epoch);
    bind_number(s, 6, row->written);
    bind_number(s, 7, row->ends);
    return run_on_one(f, s);
}

enum err rows_empty_room(struct file *f, int64_t id, uint64_t top)
{
    sqlite3_stmt *s = file_statement(f, "UPDATE room SET first=top+1 WHERE id=?1 AND top=?2");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, id);
    bind_number(s, 2, top);
    return run_on_one(f, s);
}

enum err rows_renew_room(struct file *f, int64_t id, struct span epoch, int64_t generation)
{
    sqlite3_stmt *s = file_statement(f, "UPDATE room SET epoch=?2, generation=?3, version=0,"
                                        " version_epoch=x'' WHERE id=?1");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, id);
    bind_blob(s, 2, epoch);
    (void)sqlite3_bind_int64(s, 3, generation);
    return run_on_one(f, s);
}

/* ---- publications ---------------------------------------------------------------------------- */

enum err rows_add_publication(struct file *f, int64_t room, const struct publication_row *p)
{
    sqlite3_stmt *s = file_statement(f, "INSERT INTO publication VALUES(?1,?2,?3,?4,?5,?6)");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, room);
    bind_number(s, 2, p->offset);
    if (p->sender)
        bind_blob(s, 3, (struct span){(const char *)p->sender, 16});
    bind_number(s, 4, p->digest);
    (void)sqlite3_bind_int(s, 5, p->delta);
    bind_blob(s, 6, p->body);
    return file_run(f, s);
}

enum err rows_write_body(struct file *f, int64_t room, uint64_t offset, struct span body)
{
    sqlite3_stmt *s =
        file_statement(f, "UPDATE publication SET body=?3, delta=0 WHERE room=?1 AND offset=?2");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, room);
    bind_number(s, 2, offset);
    bind_blob(s, 3, body);
    return file_run(f, s);
}

enum err rows_add_quiet(struct file *f, int64_t room, uint64_t offset)
{
    sqlite3_stmt *s = file_statement(f, "INSERT INTO quiet VALUES(?1,?2)");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, room);
    bind_number(s, 2, offset);
    return file_run(f, s);
}

static enum err drop_quiet(struct file *f, int64_t room, uint64_t from, uint64_t to)
{
    sqlite3_stmt *s =
        file_statement(f, "DELETE FROM quiet WHERE room=?1 AND offset>=?2 AND offset<?3");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, room);
    bind_number(s, 2, from);
    bind_number(s, 3, to);
    return file_run(f, s);
}

enum err rows_drop_publications(struct file *f, int64_t room, uint64_t from, uint64_t to)
{
    sqlite3_stmt *s =
        file_statement(f, "DELETE FROM publication WHERE room=?1 AND offset>=?2 AND offset<?3");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, room);
    bind_number(s, 2, from);
    bind_number(s, 3, to);
    enum err e = file_run(f, s);
    return e ? e : drop_quiet(f, room, from, to);
}

enum err rows_read_publications(struct file *f, const struct room_row *row,
                                bool (*told)(void *owner, const struct publication_row *p),
                                void *owner)
{
    enum err e = OK;
    bool more = true;
    uint64_t sender[2], next = row->top;
    sqlite3_stmt *s =
        file_statement(f, "SELECT offset, sender, digest, delta, body FROM publication"
                          " WHERE room=?1 AND offset>=?2 AND offset<=?3 ORDER BY offset DESC");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, row->id);
    bind_number(s, 2, row->first);
    bind_number(s, 3, row->top);
    while (more && file_row(f, s, &e)) {
        struct span key = column_blob(s, 1);
        bool keyed = key.n == sizeof(sender);
        if (keyed)
            memcpy(sender, key.p, sizeof(sender));
        struct publication_row p = {column_number(s, 0), keyed ? sender : NULL, column_number(s, 2),
                                    sqlite3_column_int(s, 3) != 0, column_blob(s, 4)};
        if (p.offset != next)
            break;
        next--;
        more = told(owner, &p);
    }
    (void)sqlite3_reset(s); /* tells of the last step again */
    if (!e && more && next >= row->first && next)
        file_damaged(f, "publications of a room are missing, and what came before them with them");
    return e;
}

/* ---- keys ------------------------------------------------------------------------------------ */

enum err rows_add_key(struct file *f, const struct key_row *k)
{
    sqlite3_stmt *s =
        file_statement(f, "INSERT INTO key(sender, until, offset, epoch) VALUES(?1,?2,?3,?4)");
    if (!s)
        return ERR_INTERNAL;
    bind_blob(s, 1, (struct span){(const char *)k->sender, sizeof(k->sender)});
    bind_number(s, 2, k->until);
    bind_number(s, 3, k->offset);
    bind_blob(s, 4, k->epoch);
    return file_run(f, s);
}

enum err rows_read_keys(struct file *f, uint64_t now, uint32_t most,
                        void (*told)(void *owner, const struct key_row *k), void *owner)
{
    enum err e = OK;
    sqlite3_stmt *s =
        file_statement(f, "SELECT sender, until, offset, epoch FROM key"
                          " WHERE id>(SELECT max(id) FROM key)-?1 AND until>?2 ORDER BY id");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int64(s, 1, most);
    bind_number(s, 2, now);
    while (file_row(f, s, &e)) {
        struct span sender = column_blob(s, 0);
        struct key_row k = {.until = column_number(s, 1),
                            .offset = column_number(s, 2),
                            .epoch = column_blob(s, 3)};
        if (sender.n != sizeof(k.sender))
            continue;
        memcpy(k.sender, sender.p, sizeof(k.sender));
        told(owner, &k);
    }
    return e;
}

static enum err sweep_keys(struct file *f, uint64_t now, uint32_t most)
{
    sqlite3_stmt *s =
        file_statement(f, "DELETE FROM key WHERE id IN (SELECT id FROM key ORDER BY id LIMIT ?1)"
                          " AND (until<=?2 OR id<=(SELECT max(id) FROM key)-?3)");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_int(s, 1, SWEPT_KEYS);
    bind_number(s, 2, now);
    (void)sqlite3_bind_int64(s, 3, most);
    return file_run(f, s);
}

/* ---- sweeping -------------------------------------------------------------------------------- */

struct sweep {
    struct file *f;
    uint64_t now, remember_ms;
    uint32_t budget; /* publications */
};

static uint64_t lowest_of(struct file *f, int64_t room, enum err *e)
{
    sqlite3_stmt *s = file_statement(f, "SELECT min(offset) FROM publication WHERE room=?1");
    if (s)
        (void)sqlite3_bind_int64(s, 1, room);
    return (uint64_t)ask(f, s, e);
}

static enum err drop_room(struct file *f, int64_t id)
{
    sqlite3_stmt *s = file_statement(f, "DELETE FROM room WHERE id=?1");
    if (s)
        (void)sqlite3_bind_int64(s, 1, id);
    return file_run(f, s);
}

/* What is to go may be more than a slice: *whole tells whether all of it went. */
static enum err sweep_room(struct sweep *w, const struct room_row *r, bool *whole)
{
    enum err e;
    bool old = r->ends && r->ends <= w->now;
    bool forgotten = (old || !r->ends) && r->written + w->remember_ms <= w->now;
    uint64_t to = old || forgotten ? r->top + 1 : r->first;
    uint64_t lowest = lowest_of(w->f, r->id, &e);
    if (!e && lowest && lowest < to) {
        uint64_t n = to - lowest < w->budget ? to - lowest : w->budget;
        *whole = n == to - lowest;
        e = rows_drop_publications(w->f, r->id, lowest, lowest + n);
        w->budget -= (uint32_t)n;
    }
    return !e && forgotten && *whole ? drop_room(w->f, r->id) : e;
}

static size_t next_rooms(struct file *f, int64_t cursor, struct room_row *rows, enum err *e)
{
    size_t n = 0;
    *e = OK;
    sqlite3_stmt *s = file_statement(f, "SELECT id, first, top, written, ends FROM room"
                                        " WHERE id>?1 ORDER BY id LIMIT ?2");
    if (s) {
        (void)sqlite3_bind_int64(s, 1, cursor);
        (void)sqlite3_bind_int(s, 2, SWEPT_ROOMS);
    }
    for (; file_row(f, s, e) && n < SWEPT_ROOMS; n++)
        rows[n] = (struct room_row){.id = sqlite3_column_int64(s, 0),
                                    .first = column_number(s, 1),
                                    .top = column_number(s, 2),
                                    .written = column_number(s, 3),
                                    .ends = column_number(s, 4)};
    return n;
}

enum err rows_sweep(struct file *f, int64_t *cursor, uint64_t now, uint64_t remember_ms,
                    uint32_t most_keys, bool *more)
{
    struct room_row rows[SWEPT_ROOMS];
    struct sweep w = {f, now, remember_ms, SWEPT_PUBLICATIONS};
    enum err e;
    size_t n = next_rooms(f, *cursor, rows, &e);
    bool whole = true;
    *more = true;
    for (size_t i = 0; !e && i < n; i++) {
        e = sweep_room(&w, &rows[i], &whole);
        if (!whole)
            return e; /* goes on with this room */
        *cursor = rows[i].id;
    }
    if (!e && n < SWEPT_ROOMS) {
        *cursor = 0;
        *more = false;
    }
    return e ? e : sweep_keys(f, now, most_keys);
}
