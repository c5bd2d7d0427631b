/* SPDX-License-Identifier: MIT */
#include "backplane/store/follows.h"

#include "backplane/store/values.h"

static sqlite3_stmt *with_key(sqlite3_stmt *s, const struct follow_key *k)
{
    if (!s)
        return NULL;
    bind_blob(s, 1, k->user);
    bind_blob(s, 2, k->room);
    return s;
}

static sqlite3_stmt *with_marker(sqlite3_stmt *s, const struct follow_key *k,
                                 const struct follow_marker *m)
{
    if (!with_key(s, k))
        return NULL;
    bind_blob(s, 3, m->epoch);
    bind_number(s, 4, m->offset);
    return s;
}

/* Whether it changed a row. */
static enum err run(struct file *f, sqlite3_stmt *s, bool *changed)
{
    enum err e = s ? file_run(f, s) : ERR_INTERNAL;
    *changed = !e && file_changes(f) > 0;
    return e;
}

/* The one number of a query that has one row. */
static int64_t number_of(struct file *f, sqlite3_stmt *s, enum err *e)
{
    *e = s ? OK : ERR_INTERNAL;
    int64_t n = s && file_row(f, s, e) ? sqlite3_column_int64(s, 0) : 0;
    if (s)
        (void)sqlite3_reset(s); /* tells of the step again */
    return n;
}

static enum err look_for_room(struct file *f, const struct follow_key *k,
                              const struct follow_bounds *most, bool *refused)
{
    enum err e;
    sqlite3_stmt *s = file_statement(f, "SELECT count(*) FROM follower WHERE user=?1");
    if (s)
        bind_blob(s, 1, k->user);
    *refused = number_of(f, s, &e) >= most->rooms;
    if (e || *refused)
        return e;
    s = file_statement(f, "SELECT count(*) FROM follower WHERE room=?1");
    if (s)
        bind_blob(s, 1, k->room);
    *refused = number_of(f, s, &e) >= most->users;
    return e;
}

enum err follows_begin(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                       const struct follow_bounds *most, bool *fresh, bool *refused)
{
    enum err e;
    uint64_t offset;
    *fresh = *refused = false;
    if (follows_find(f, k, m->epoch, &offset, &e) || e)
        return e;
    e = look_for_room(f, k, most, refused);
    if (e || *refused)
        return e;
    return run(f,
               with_marker(file_statement(f, "INSERT INTO follower(user,room,epoch,offset)"
                                             " VALUES(?1,?2,?3,?4)"),
                           k, m),
               fresh);
}

enum err follows_end(struct file *f, const struct follow_key *k, bool *was)
{
    return run(f, with_key(file_statement(f, "DELETE FROM follower WHERE user=?1 AND room=?2"), k),
               was);
}

enum err follows_read(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                      bool *moved)
{
    sqlite3_stmt *s = file_statement(f, "UPDATE follower SET epoch=?3, offset=?4"
                                        " WHERE user=?1 AND room=?2"
                                        " AND ?4 > CASE WHEN epoch=?3 THEN offset ELSE 0 END");
    return run(f, with_marker(s, k, m), moved);
}

enum err follows_told(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                      bool *moved)
{
    sqlite3_stmt *s = file_statement(f, "UPDATE follower SET told_epoch=?3, told=?4"
                                        " WHERE user=?1 AND room=?2"
                                        " AND ?4 > CASE WHEN told_epoch=?3 THEN told ELSE 0 END");
    return run(f, with_marker(s, k, m), moved);
}

enum err follows_publish(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                         bool *moved)
{
    sqlite3_stmt *s = file_statement(f, "UPDATE follower SET epoch=?3, offset=?4"
                                        " WHERE user=?1 AND room=?2"
                                        " AND (?4=1 OR (epoch=?3 AND offset>=?4-1))");
    return run(f, with_marker(s, k, m), moved);
}

bool follows_find(struct file *f, const struct follow_key *k, struct span epoch, uint64_t *offset,
                  enum err *e)
{
    sqlite3_stmt *s = with_key(file_statement(f, "SELECT CASE WHEN epoch=?3 THEN offset ELSE 0 END"
                                                 " FROM follower WHERE user=?1 AND room=?2"),
                               k);
    *e = s ? OK : ERR_INTERNAL;
    if (!s)
        return false;
    bind_blob(s, 3, epoch);
    bool found = file_row(f, s, e);
    *offset = found ? column_number(s, 0) : 0;
    (void)sqlite3_reset(s); /* tells of the step again */
    return found;
}

bool follows_any(struct file *f, struct span room, enum err *e)
{
    sqlite3_stmt *s = file_statement(f, "SELECT EXISTS(SELECT 1 FROM follower WHERE room=?1)");
    if (s)
        bind_blob(s, 1, room);
    return number_of(f, s, e) != 0;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static uint64_t quiet_behind(struct file *f, int64_t room, uint64_t from, enum err *e)
{
    sqlite3_stmt *s = file_statement(f, "SELECT count(*) FROM quiet WHERE room=?1 AND offset>?2");
    if (s) {
        (void)sqlite3_bind_int64(s, 1, room);
        bind_number(s, 2, from);
    }
    return (uint64_t)number_of(f, s, e);
}

/* The room of a line: from column 5 on epoch, generation, first, top, ends, id. */
struct line_room {
    struct follow_marker top;
    uint64_t first;
    int64_t id;
    bool old; /* what it holds is too old */
};

/* What it holds behind there, but for what is quiet. */
static uint64_t behind(struct file *f, const struct line_room *r, uint64_t at, enum err *e)
{
    uint64_t from = at + 1 < r->first ? r->first - 1 : at;
    if (*e || r->old || from >= r->top.offset)
        return 0;
    return r->top.offset - from - quiet_behind(f, r->id, from, e);
}

static uint64_t stands(const struct line_room *r, struct span epoch, uint64_t offset)
{
    if (!r->top.epoch.n || !span_eq(epoch, r->top.epoch))
        return 0;
    return offset < r->top.offset ? offset : r->top.offset;
}

/* Columns: name, epoch and offset of either marker, and those of the room, if the file knows it. */
static enum err line_of(struct file *f, sqlite3_stmt *s, uint64_t now, struct follow_line *line)
{
    enum err e = OK;
    *line = (struct follow_line){.name = column_blob(s, 0),
                                 .marker = {column_blob(s, 1), column_number(s, 2)}};
    if (sqlite3_column_type(s, 10) == SQLITE_NULL)
        return OK;
    bool stale = sqlite3_column_int64(s, 6) != file_generation(f);
    uint64_t ends = column_number(s, 9);
    struct line_room r = {.top = {stale ? SPAN("") : column_blob(s, 5), column_number(s, 8)},
                          .first = column_number(s, 7),
                          .id = sqlite3_column_int64(s, 10),
                          .old = ends && ends <= now};
    line->top = r.top;
    line->read = stands(&r, line->marker.epoch, line->marker.offset);
    line->told = stands(&r, column_blob(s, 3), column_number(s, 4));
    line->unread = behind(f, &r, line->read, &e);
    line->untold = line->told > line->read ? behind(f, &r, line->told, &e) : line->unread;
    return e;
}

#define LINE_COLUMNS                                                                               \
    "f.epoch, f.offset, f.told_epoch, f.told, r.epoch, r.generation, r.first, r.top, r.ends, r.id"

enum err follows_each(struct file *f, const struct follow_key *k, struct span after, uint64_t now,
                      bool (*told)(void *owner, const struct follow_line *line), void *owner)
{
    static const char rooms[] =
        "SELECT f.room, " LINE_COLUMNS " FROM follower f LEFT JOIN room r ON r.name=f.room"
        " WHERE f.user=?1 AND f.room>?2 ORDER BY f.room";
    static const char users[] =
        "SELECT f.user, " LINE_COLUMNS " FROM follower f LEFT JOIN room r ON r.name=f.room"
        " WHERE f.room=?1 AND f.user>?2 ORDER BY f.user";
    sqlite3_stmt *s = file_statement(f, k->user.n ? rooms : users);
    struct follow_line line;
    enum err e = OK;
    if (!s)
        return ERR_INTERNAL;
    bind_blob(s, 1, k->user.n ? k->user : k->room);
    bind_blob(s, 2, after);
    while (!e && file_row(f, s, &e))
        if ((e = line_of(f, s, now, &line)) || !told(owner, &line))
            break;
    (void)sqlite3_reset(s); /* tells of the last step again */
    return e;
}
