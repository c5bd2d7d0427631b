/* SPDX-License-Identifier: MIT */
#include "backplane/store/copy.h"

#include "backplane/base/loop.h"
#include "backplane/store/file_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAGES_AT_ONCE 16
/* What a copy leaves free where the store itself needs space. */
#define SPARE_BYTES (64ULL * 1024 * 1024)

struct copy {
    sqlite3 *db; /* of the copy */
    sqlite3_backup *backup;
    char *path;
    uint64_t page_size;
    bool whole;
};

static bool say(char why[FILE_WHY_MAX], const char *path, const char *what)
{
    (void)snprintf(why, FILE_WHY_MAX, "the backup %s %s", path, what);
    return false;
}

/* Whose fault it is, the copy's or the file's, SQLite does not say. */
static bool say_sqlite(char why[FILE_WHY_MAX], const char *path, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL: return say(why, path, "cannot be finished: no disk space is left there");
    case SQLITE_NOMEM: return say(why, path, "cannot be made: there is no memory");
    case SQLITE_CORRUPT:
        return say(why, path, "cannot be made: the store itself is damaged, and is left alone");
    default:
        (void)snprintf(why, FILE_WHY_MAX, "the backup %s cannot be finished: %s", path,
                       sqlite3_errstr(rc));
        return false;
    }
}

/* ---- beginning ------------------------------------------------------------------------------- */

static bool make_file(const char *path, char why[FILE_WHY_MAX])
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    switch (errno) {
    case EEXIST: return say(why, path, "is there already; a backup goes into a new file");
    case ENOENT:
    case ENOTDIR: return say(why, path, "has no folder to go to");
    case EACCES:
    case EPERM:
        return say(why, path,
                   "cannot be made: the user that the gateway runs as may not write there");
    case EROFS: return say(why, path, "cannot be made: that file system is read-only");
    case ENOSPC:
    case EDQUOT: return say(why, path, "cannot be made: no disk space is left there");
    default: return say(why, path, "cannot be made: its path cannot be opened");
    }
}

/* A full disk would stop the store too, so it is looked at before. */
static bool has_room(const struct file *f, const char *path, uint64_t bytes, char why[FILE_WHY_MAX])
{
    struct statvfs fs;
    struct stat here, there;
    if (statvfs(path, &fs) != 0 || stat(path, &there) != 0 || stat(file_path(f), &here) != 0)
        return true; /* writing will tell */
    uint64_t spare = here.st_dev == there.st_dev ? SPARE_BYTES : 0;
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (left >= bytes + spare)
        return true;
    (void)snprintf(why, FILE_WHY_MAX,
                   "the backup %s cannot be made: it takes %llu MiB, and %llu MiB are free there%s",
                   path, (unsigned long long)(bytes >> 20) + 1, (unsigned long long)(left >> 20),
                   spare ? ", of which the store needs some" : "");
    return false;
}

static uint64_t number_of(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    uint64_t n = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s); /* 0 says it all */
    return n;
}

/* Nobody else knows of the file, and it is synced, or removed, by whoever asked for it. */
static bool begin(struct copy *c, sqlite3 *from, char why[FILE_WHY_MAX])
{
    int rc = sqlite3_open_v2(c->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->db,
                          "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF;"
                          "PRAGMA synchronous=OFF",
                          NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        c->backup = sqlite3_backup_init(c->db, "main", from, "main");
        rc = c->backup ? SQLITE_OK : sqlite3_errcode(c->db);
    }
    return rc == SQLITE_OK || say_sqlite(why, c->path, rc);
}

struct copy *copy_new(struct file *f, const char *path, char why[FILE_WHY_MAX])
{
    sqlite3 *from = file_connection(f);
    struct copy *c = calloc(1, sizeof(*c));
    char *name = strdup(path);
    if (!c || !name) {
        (void)say_sqlite(why, path, SQLITE_NOMEM);
        goto no_file;
    }
    if (!make_file(path, why))
        goto no_file;
    c->path = name;
    c->page_size = number_of(from, "PRAGMA page_size");
    if (has_room(f, path, number_of(from, "PRAGMA page_count") * c->page_size, why) &&
        begin(c, from, why))
        return c;
    copy_free(c);
    return NULL;

no_file:
    free(name);
    free(c);
    return NULL;
}

/* ---- going on -------------------------------------------------------------------------------- */

/* The last page came with the mark of the original's journal; a copy is one file without any. */
static int finish(struct copy *c)
{
    int rc = sqlite3_backup_finish(c->backup);
    c->backup = NULL;
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->db,
                          "PRAGMA journal_mode=OFF;"
                          "INSERT INTO number VALUES('copied', 1) "
                          "ON CONFLICT(name) DO UPDATE SET value=1",
                          NULL, NULL, NULL);
    int closed = sqlite3_close(c->db);
    c->db = NULL;
    return rc == SQLITE_OK ? closed : rc;
}

enum copy_state copy_step(struct copy *c, uint64_t budget_us, size_t max_bytes,
                          char why[FILE_WHY_MAX])
{
    uint64_t until = monotonic_us() + budget_us;
    size_t done = 0;
    int rc;
    do {
        rc = sqlite3_backup_step(c->backup, PAGES_AT_ONCE);
        done += PAGES_AT_ONCE * c->page_size;
    } while (rc == SQLITE_OK && done < max_bytes && monotonic_us() < until);
    if (rc == SQLITE_OK)
        return COPY_MORE;
    if (rc == SQLITE_DONE)
        rc = finish(c);
    c->whole = rc == SQLITE_OK;
    return c->whole || say_sqlite(why, c->path, rc) ? COPY_WHOLE : COPY_FAILED;
}

uint64_t copy_bytes(const struct copy *c)
{
    return c->backup ? (uint64_t)sqlite3_backup_pagecount(c->backup) * c->page_size : 0;
}

uint64_t copy_bytes_done(const struct copy *c)
{
    uint64_t left = c->backup ? (uint64_t)sqlite3_backup_remaining(c->backup) * c->page_size : 0;
    return copy_bytes(c) - left;
}

void copy_free(struct copy *c)
{
    if (!c)
        return;
    (void)sqlite3_backup_finish(c->backup); /* what failed was told by the step */
    (void)sqlite3_close(c->db);
    if (!c->whole)
        (void)unlink(c->path); /* half a backup is none */
    free(c->path);
    free(c);
}
