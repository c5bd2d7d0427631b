/* SPDX-License-Identifier: MIT */
#include "backplane/store/file.h"

#include "backplane/base/count.h"
#include "backplane/base/log.h"
#include "backplane/store/file_private.h"
#include "backplane/store/log_vfs.h"
#include "backplane/store/place.h"
#include "backplane/store/schema.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATEMENTS    256 /* prepared at most; a power of two */
#define BALLAST_BYTES (16 * 1024 * 1024)
#define BOOT_ID_PATH  "/proc/sys/kernel/random/boot_id"

struct file {
    sqlite3 *db;
    struct prepared {
        const char *sql;
        sqlite3_stmt *s;
    } statements[STATEMENTS];
    size_t statement_count;
    int64_t generation;
    int page_size;
    int unmerged;            /* pages of the WAL */
    int rc;                  /* of the last call that failed */
    bool damaged;            /* and that was said */
    bool full_sync, litters; /* the latter: a -wal that is there at the end was not there before */
    char *path, *real, *ballast; /* as it was named, what that leads to, beside the latter */
};

/* ---- failures in words ----------------------------------------------------------------------- */

static int note(struct file *f, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
        f->rc = sqlite3_extended_errcode(f->db);
    return rc;
}

const char *file_error(const struct file *f)
{
    return f->rc ? sqlite3_errstr(f->rc) : "no error";
}

bool file_is_malformed(const struct file *f)
{
    return (f->rc & 0xff) == SQLITE_CORRUPT;
}

enum file_failure file_failure(const struct file *f)
{
    switch (f->rc & 0xff) {
    case SQLITE_OK: return FILE_FINE;
    case SQLITE_FULL: return FILE_FULL;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE: return FILE_REFUSED;
    default: return FILE_BROKEN;
    }
}

static enum err failed(struct file *f, int rc)
{
    return note(f, rc) == SQLITE_OK ? OK : ERR_INTERNAL;
}

static bool say(char why[FILE_WHY_MAX], const struct file *f, const char *what)
{
    (void)snprintf(why, FILE_WHY_MAX, "the store %s %s", f->path, what);
    return false;
}

static bool say_sqlite(char why[FILE_WHY_MAX], const struct file *f, const char *doing, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return say(why, f, "is in use by another process; each gateway needs a store of its own");
    case SQLITE_NOTADB:
        return say(why, f, "is no store of madang: it is another kind of file, and is left alone");
    case SQLITE_CORRUPT:
        return say(why, f,
                   "is damaged and is left alone; restore a backup, or move the file away to begin "
                   "anew");
    case SQLITE_CANTOPEN:
        return say(why, f, "cannot be opened; check that its directory exists and is writable");
    case SQLITE_READONLY:
        return say(why, f, "is read-only; check owner and mode of the file and its folder");
    case SQLITE_FULL: return say(why, f, "has no disk space left");
    default:
        (void)snprintf(why, FILE_WHY_MAX, "the store %s failed at %s: %s", f->path, doing,
                       sqlite3_errmsg(f->db));
        return false;
    }
}

/* ---- statements ------------------------------------------------------------------------------ */

static struct prepared *slot_of(struct file *f, const char *sql)
{
    size_t i = ((uintptr_t)sql >> 3) * 0x9E3779B97F4A7C15ULL >> 40;
    for (;; i++) {
        struct prepared *p = &f->statements[i % STATEMENTS];
        if (!p->sql || p->sql == sql)
            return p;
    }
}

sqlite3_stmt *file_statement(struct file *f, const char *sql)
{
    struct prepared *p = slot_of(f, sql);
    if (p->sql) {
        (void)sqlite3_reset(p->s); /* tells of the last run, which was looked at then */
        (void)sqlite3_clear_bindings(p->s);
        return p->s;
    }
    assert(f->statement_count < STATEMENTS / 2);
    int rc = note(f, sqlite3_prepare_v3(f->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &p->s, NULL));
    if (rc != SQLITE_OK) {
        log_error("store: a statement cannot be prepared: %s", sqlite3_errmsg(f->db));
        return NULL;
    }
    p->sql = sql;
    f->statement_count++;
    return p->s;
}

enum err file_run(struct file *f, sqlite3_stmt *s)
{
    if (!s)
        return ERR_INTERNAL;
    int rc = note(f, sqlite3_step(s));
    (void)sqlite3_reset(s); /* says the same again */
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? OK : ERR_INTERNAL;
}

bool file_row(struct file *f, sqlite3_stmt *s, enum err *error)
{
    int rc = s ? note(f, sqlite3_step(s)) : SQLITE_ERROR;
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        *error = ERR_INTERNAL;
    (void)sqlite3_reset(s); /* says the same again */
    return false;
}

int file_changes(const struct file *f)
{
    return sqlite3_changes(f->db);
}

static void finalize_all(struct file *f)
{
    for (size_t i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(f->statements[i].s); /* tells of the last run */
    memset(f->statements, 0, sizeof(f->statements));
    f->statement_count = 0;
}

static int64_t number_of(struct file *f, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int64_t n = 0;
    if (note(f, sqlite3_prepare_v2(f->db, sql, -1, &s, NULL)) == SQLITE_OK &&
        note(f, sqlite3_step(s)) == SQLITE_ROW)
        n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return n;
}

/* ---- named numbers --------------------------------------------------------------------------- */

int64_t file_number(struct file *f, const char *name)
{
    sqlite3_stmt *s = file_statement(f, "SELECT value FROM number WHERE name=?1");
    if (!s)
        return 0;
    (void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC); /* a bad bind shows in the step */
    int64_t n = note(f, sqlite3_step(s)) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    (void)sqlite3_reset(s);
    return n;
}

enum err file_set_number(struct file *f, const char *name, int64_t value)
{
    sqlite3_stmt *s = file_statement(f, "INSERT INTO number VALUES(?1, ?2) "
                                        "ON CONFLICT(name) DO UPDATE SET value=excluded.value");
    if (!s)
        return ERR_INTERNAL;
    (void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, value);
    return file_run(f, s);
}

/* ---- transactions ---------------------------------------------------------------------------- */

enum err file_begin(struct file *f)
{
    f->rc = SQLITE_OK;
    return file_run(f, file_statement(f, "BEGIN IMMEDIATE"));
}

enum err file_commit(struct file *f)
{
    enum err e = file_run(f, file_statement(f, "COMMIT"));
    int rc = e ? SQLITE_OK : log_vfs_flush(f->db);
    if (rc != SQLITE_OK)
        f->rc = rc; /* the connection does not know of it */
    return rc == SQLITE_OK ? e : ERR_INTERNAL;
}

void file_rollback(struct file *f)
{
    int rc = f->rc;
    if (!sqlite3_get_autocommit(f->db)) /* some failures have done it already */
        (void)file_run(f, file_statement(f, "ROLLBACK"));
    f->rc = rc; /* what led here matters, not this */
}

enum err file_part_begin(struct file *f)
{
    return file_run(f, file_statement(f, "SAVEPOINT part"));
}

enum err file_part_end(struct file *f, bool keep)
{
    int rc = f->rc;
    enum err e = OK;
    if (!keep)
        e = file_run(f, file_statement(f, "ROLLBACK TO part"));
    if (!e)
        e = file_run(f, file_statement(f, "RELEASE part"));
    if (!e || (rc & 0xff) == SQLITE_FULL) /* which may have taken back all, the part too */
        f->rc = rc;
    return e;
}

/* ---- the write-ahead log --------------------------------------------------------------------- */

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct file *)arg)->unmerged = pages;
    return SQLITE_OK;
}

size_t file_unmerged_bytes(const struct file *f)
{
    return (size_t)f->unmerged * (size_t)f->page_size;
}

enum err file_merge(struct file *f)
{
    int rc = sqlite3_wal_checkpoint_v2(f->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc == SQLITE_OK)
        f->unmerged = 0;
    return failed(f, rc);
}

/* ---- ballast --------------------------------------------------------------------------------- */

bool file_ballast_drop(struct file *f)
{
    return unlink(f->ballast) == 0;
}

bool file_ballast_take(struct file *f)
{
    int fd = open(f->ballast, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool there = posix_fallocate(fd, 0, BALLAST_BYTES) == 0;
    close(fd);
    if (!there)
        (void)unlink(f->ballast); /* half of it is no use, and the space is wanted */
    return there;
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool pragmas(struct file *f, char why[FILE_WHY_MAX])
{
    char sql[512];
    /* auto_vacuum counts only before the first table. Debian's SQLite wipes deleted rows unless
     * told not to; that costs a third of the queue's speed. */
    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA locking_mode=EXCLUSIVE; PRAGMA auto_vacuum=INCREMENTAL;"
                   "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=0;"
                   "PRAGMA journal_size_limit=67108864; PRAGMA secure_delete=OFF;"
                   "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000;"
                   "PRAGMA cell_size_check=ON;",
                   f->full_sync ? "FULL" : "NORMAL");
    int rc = sqlite3_exec(f->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return say_sqlite(why, f, "opening", rc);
    f->page_size = (int)number_of(f, "PRAGMA page_size");
    (void)sqlite3_wal_hook(f->db, on_commit, f);
    return true;
}

/* An empty file becomes ours; any other must be. */
static bool is_ours(struct file *f, char why[FILE_WHY_MAX], int *version)
{
    int64_t application = number_of(f, "PRAGMA application_id");
    int64_t tables = number_of(f, "SELECT count(*) FROM sqlite_schema");
    *version = (int)number_of(f, "PRAGMA user_version");
    if (f->rc)
        return say_sqlite(why, f, "reading", f->rc);
    if (!application && !tables && !*version)
        return true;
    if (application != SCHEMA_APPLICATION)
        return say(why, f,
                   "is the database of another program, and is left alone; name another "
                   "file");
    if (*version > schema_version())
        return say(why, f,
                   "was written by a newer madang, and is left alone; use that one, or "
                   "another file");
    return true;
}

static bool migrate(struct file *f, char why[FILE_WHY_MAX], int version)
{
    char end[128];
    if (version == schema_version())
        return true;
    (void)snprintf(end, sizeof(end), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;",
                   SCHEMA_APPLICATION, schema_version());
    int rc = sqlite3_exec(f->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (int i = version; rc == SQLITE_OK && schema_scripts[i]; i++)
        rc = sqlite3_exec(f->db, schema_scripts[i], NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(f->db, end, NULL, NULL, NULL);
    return rc == SQLITE_OK || say_sqlite(why, f, "bringing its tables up to date", rc);
}

/* A number that is another one after each start of the machine; 0 if it cannot be told. */
static int64_t boot_number(void)
{
    char text[64] = {0};
    uint64_t n = 0;
    FILE *in = fopen(BOOT_ID_PATH, "re");
    if (!in)
        return 0;
    if (fgets(text, sizeof(text), in))
        for (const char *p = text; *p; p++)
            n = n * 0x100000001B3ULL ^ (unsigned char)*p;
    (void)fclose(in); /* it was read only */
    return (int64_t)(n >> 1);
}

/* Below FULL, a machine that went down without the file being closed may have lost commits that
 * were told as made; so may a copy, by its nature. The numbers are written before anything is
 * served. */
static bool begin_generation(struct file *f, bool doubtful, bool log, char why[FILE_WHY_MAX])
{
    int64_t boot = boot_number();
    int64_t generation = file_number(f, "generation");
    bool copied = file_number(f, "copied") != 0;
    bool left_open = file_number(f, "open") != 0;
    bool bare = left_open && !log;
    bool lost = copied || bare ||
                (left_open && !file_number(f, "full") &&
                 (doubtful || !boot || file_number(f, "boot") != boot));
    f->generation = generation + (lost || !generation);
    enum err e = file_begin(f);
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"generation", f->generation},
                   {"copied", 0},
                   {"open", 1},
                   {"full", f->full_sync},
                   {"boot", boot}};
    for (size_t i = 0; !e && i < COUNT_OF(numbers); i++)
        e = file_set_number(f, numbers[i].name, numbers[i].value);
    if (!e)
        e = file_commit(f);
    if (e)
        return say_sqlite(why, f, "its first commit", f->rc);
    if (lost)
        log_warn("store %s: %s; all rooms begin a new epoch", f->path,
                 copied ? "it is a backup"
                 : bare ? "it was not closed, and its -wal is gone, with the last that was written"
                        : "it may have lost its last writes");
    return true;
}

static bool open_in(struct file *f, const struct file_config *config, char why[FILE_WHY_MAX])
{
    int version;
    if (place_on_network(f->real))
        return say(why, f,
                   "lies on a network file system, where locks do not hold; name a file on "
                   "a local disk");
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (config->as_is && access(f->real, F_OK) != 0 && errno == ENOENT)
        return say(why, f, "is not there");
    bool log = place_has_log(f->real);
    const char *no = place_refuses(f->real, f->ballast);
    f->litters = !log; /* until it is known that it is ours */
    if (no)
        return say(why, f, no);
    place_make(f->real);
    const char *vfs = log_vfs_over(config->vfs); /* it goes without, too */
    int rc = sqlite3_open_v2(f->real, &f->db, flags, vfs ? vfs : config->vfs);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(f->db, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;", NULL,
                          NULL, NULL);
    if (rc != SQLITE_OK)
        return say_sqlite(why, f, "opening", rc);
    if (!is_ours(f, why, &version))
        return false;
    if (config->as_is)
        return version > 0 || say(why, f, "is empty");
    f->litters = false;
    return pragmas(f, why) && migrate(f, why, version) &&
           begin_generation(f, config->doubtful, log, why);
}

/* SQLite counts the memory of the whole process under a lock, at each allocation. Nobody asks for
 * it; without, a statement takes a tenth less. */
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* too late if it is in use already */
}

struct file *file_open(const struct file_config *config, char why[FILE_WHY_MAX])
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    (void)pthread_once(&configured, configure); /* cannot fail */
    struct file *f = calloc(1, sizeof(*f));
    if (!f)
        goto no_memory;
    f->path = strdup(config->path);
    f->real = place_find(config->path, config->vfs);
    if (!f->path || !f->real || asprintf(&f->ballast, "%s.ballast", f->real) < 0)
        goto no_memory;
    f->full_sync = config->full;
    if (open_in(f, config, why))
        return f;
    file_abandon(f);
    return NULL;

no_memory:
    (void)snprintf(why, FILE_WHY_MAX, "the store %s: there is no memory", config->path);
    if (f) {
        free(f->real);
        free(f->path);
    }
    free(f);
    return NULL;
}

static void release(struct file *f)
{
    free(f->ballast);
    free(f->real);
    free(f->path);
    free(f);
}

void file_abandon(struct file *f)
{
    if (!f)
        return;
    finalize_all(f);
    /* Else the last connection to close merges, which is the work of who opens it next. */
    if (f->db && !f->litters)
        (void)sqlite3_db_config(f->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_close_v2(f->db);
    release(f);
}

void file_close(struct file *f)
{
    if (!f)
        return;
    enum err e = file_begin(f);
    if (!e)
        e = file_set_number(f, "open", 0);
    if (!e)
        e = file_commit(f);
    if (e) {
        log_error("store %s: it could not be closed in order: %s", f->path, file_error(f));
        file_rollback(f);
    }
    finalize_all(f);
    int rc = sqlite3_close_v2(f->db);
    if (rc != SQLITE_OK)
        log_error("store %s: closing failed: %s", f->path, sqlite3_errstr(rc));
    release(f);
}

int64_t file_generation(const struct file *f)
{
    return f->generation;
}

void file_damaged(struct file *f, const char *what)
{
    if (!f->damaged)
        log_error("store %s is damaged: %s; stop the gateway and ask `madang check %s`", f->path,
                  what, f->path);
    f->damaged = true;
}

bool file_is_damaged(const struct file *f)
{
    return f->damaged;
}

/* ---- for copy.c and check.c ------------------------------------------------------------------ */

sqlite3 *file_connection(const struct file *f)
{
    return f->db;
}

const char *file_path(const struct file *f)
{
    return f->path;
}
