/* SPDX-License-Identifier: MIT */
#include "backplane/store/check.h"

#include "backplane/base/count.h"

#include "backplane/store/file_private.h"
#include "backplane/store/schema.h"

/* What SQLite has to say of pages, tables and indexes; nothing but "ok" of a file that is whole. */
static bool look_at_pages(sqlite3 *db, bool thorough, struct buf *wrong)
{
    sqlite3_stmt *s = NULL;
    const char *sql = thorough ? "PRAGMA integrity_check(20)" : "PRAGMA quick_check(20)";
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    bool well = true;
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(s, 0);
        bool ok = line && strcmp(line, "ok") == 0;
        if (!ok)
            buf_fmt(wrong, "  %s\n", line ? line : "?");
        well = well && ok;
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(s); /* tells of the last step again */
    if (rc != SQLITE_DONE)
        buf_fmt(wrong, "  it cannot be read to its end: %s\n", sqlite3_errmsg(db));
    return well && rc == SQLITE_DONE;
}

/* Each says in its rows what does not hold. */
static const char *const RULES[] = {
    /* A queue's levels are kept, not counted. */
    "WITH counted AS (SELECT q.*,"
    " (SELECT count(*) FROM job WHERE queue=q.id AND state=0) AS c0,"
    " (SELECT count(*) FROM job WHERE queue=q.id AND state=1) AS c1,"
    " (SELECT count(*) FROM job WHERE queue=q.id AND state=2) AS c2,"
    " (SELECT count(*) FROM job WHERE queue=q.id AND state=3) AS c3,"
    " (SELECT coalesce(sum(length(data)),0) FROM job WHERE queue=q.id) AS c4,"
    " (SELECT count(*) FROM job_dead WHERE queue=q.id) AS c5 FROM queue q)"
    "SELECT format('queue %s: it says ready %d, leased %d, delayed %d, blocked %d, bytes %d, "
    "dead %d; there are %d, %d, %d, %d, %d, %d', name, ready, leased, delayed, blocked, bytes, "
    "dead, c0, c1, c2, c3, c4, c5) FROM counted WHERE (ready, leased, delayed, blocked, bytes, "
    "dead) <> (c0, c1, c2, c3, c4, c5)",
    "SELECT format('%d jobs are of no queue', count(*)) FROM job WHERE queue NOT IN "
    "(SELECT id FROM queue) HAVING count(*)",
    "SELECT format('room %s: its newest publication is %d, and there is one at %d', name, top, at)"
    " FROM (SELECT room.*, (SELECT max(offset) FROM publication WHERE room=room.id) AS at FROM "
    "room)"
    " WHERE at>top",
    "SELECT format('%d publications are of no room', count(*)) FROM publication WHERE room NOT IN "
    "(SELECT id FROM room) HAVING count(*)",
};

static bool look_at_rules(sqlite3 *db, struct buf *wrong)
{
    bool well = true;
    for (size_t i = 0; i < COUNT_OF(RULES); i++) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(db, RULES[i], -1, &s, NULL);
        while (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
            buf_fmt(wrong, "  %s\n", (const char *)sqlite3_column_text(s, 0));
            well = false;
        }
        if (sqlite3_finalize(s) != SQLITE_OK || rc != SQLITE_OK) {
            buf_fmt(wrong, "  it cannot be read to its end: %s\n", sqlite3_errmsg(db));
            well = false;
        }
    }
    return well;
}

static const struct {
    const char *what, *sql;
} THINGS[] = {
    {"room", "SELECT count(*) FROM room"},
    {"publication", "SELECT count(*) FROM publication"},
    {"follower", "SELECT count(*) FROM follower"},
    {"queue", "SELECT count(*) FROM queue"},
    {"job", "SELECT count(*) FROM job"},
    {"dead job", "SELECT count(*) FROM job_dead"},
};

static void count(sqlite3 *db, struct buf *found)
{
    for (size_t i = 0; i < COUNT_OF(THINGS); i++) {
        sqlite3_stmt *s = NULL;
        if (sqlite3_prepare_v2(db, THINGS[i].sql, -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
            buf_fmt(found, "%s%lld %s%s", i ? ", " : "", (long long)sqlite3_column_int64(s, 0),
                    THINGS[i].what, sqlite3_column_int64(s, 0) == 1 ? "" : "s");
        (void)sqlite3_finalize(s); /* it was read to its end before */
    }
}

static int64_t version_of(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    int64_t version = 0;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        version = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s); /* 0 is no version */
    return version;
}

bool check_store(const char *path, bool thorough, struct buf *found, struct buf *wrong)
{
    char why[FILE_WHY_MAX];
    struct file *f = file_open(&(struct file_config){.path = path, .as_is = true}, why);
    if (!f) {
        buf_fmt(wrong, "%s\n", why);
        return false;
    }
    sqlite3 *db = file_connection(f);
    struct buf lines = {0};
    bool older = version_of(db) != schema_version();
    bool well = look_at_pages(db, thorough, &lines) && (older || look_at_rules(db, &lines));
    if (!well)
        buf_fmt(wrong, "the store %s is damaged:\n%.*s", path, (int)lines.n,
                lines.p ? lines.p : "");
    buf_lit(found, "whole: ");
    if (older)
        buf_lit(found, "written by an older madang");
    else
        count(db, found);
    buf_char(found, '\n');
    buf_deinit(&lines);
    file_abandon(f);
    return well;
}
