/* SPDX-License-Identifier: MIT */
#include "backplane/store/log_vfs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct log_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct, in the same memory */
    sqlite3_int64 at;   /* where what is kept belongs */
    int n;
    int failed; /* what the first flush that failed said; it holds for good */
    char *held;
};

static struct log_file *log_of(sqlite3_file *f)
{
    return (struct log_file *)f;
}

static const sqlite3_io_methods *real_of(const struct log_file *l)
{
    return l->real->pMethods;
}

static int flush(struct log_file *l)
{
    int n = l->n;
    l->n = 0; /* what failed is not tried again: nobody knows how much of it is there */
    if (n && !l->failed)
        l->failed = real_of(l)->xWrite(l->real, l->held, n, l->at);
    return l->failed;
}

/* ---- the log --------------------------------------------------------------------------------- */

static int log_close(sqlite3_file *f)
{
    struct log_file *l = log_of(f);
    int written = flush(l), closed = real_of(l)->xClose(l->real);
    free(l->held);
    return written ? written : closed;
}

static int log_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct log_file *l = log_of(f);
    bool follows = l->n && at == l->at + l->n && l->n + n <= LOG_VFS_HELD;
    int rc = follows ? SQLITE_OK : flush(l);
    if (rc != SQLITE_OK || n > LOG_VFS_HELD)
        return rc != SQLITE_OK ? rc : real_of(l)->xWrite(l->real, p, n, at);
    if (!l->n)
        l->at = at;
    memcpy(l->held + l->n, p, (size_t)n);
    l->n += n;
    return SQLITE_OK;
}

static int log_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : real_of(l)->xRead(l->real, p, n, at);
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : real_of(l)->xTruncate(l->real, size);
}

static int log_sync(sqlite3_file *f, int flags)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : real_of(l)->xSync(l->real, flags);
}

static int log_size(sqlite3_file *f, sqlite3_int64 *size)
{
    struct log_file *l = log_of(f);
    int rc = flush(l);
    return rc ? rc : real_of(l)->xFileSize(l->real, size);
}

static int log_lock(sqlite3_file *f, int level)
{
    return real_of(log_of(f))->xLock(log_of(f)->real, level);
}

static int log_unlock(sqlite3_file *f, int level)
{
    return real_of(log_of(f))->xUnlock(log_of(f)->real, level);
}

static int log_reserved(sqlite3_file *f, int *out)
{
    return real_of(log_of(f))->xCheckReservedLock(log_of(f)->real, out);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(log_of(f))->xFileControl(log_of(f)->real, op, arg);
}

static int log_sector(sqlite3_file *f)
{
    return real_of(log_of(f))->xSectorSize(log_of(f)->real);
}

static int log_device(sqlite3_file *f)
{
    return real_of(log_of(f))->xDeviceCharacteristics(log_of(f)->real);
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
};

/* ---- the file system ------------------------------------------------------------------------- */

static sqlite3_vfs *real_vfs(const sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    if (!(flags & SQLITE_OPEN_WAL))
        return real_vfs(vfs)->xOpen(real_vfs(vfs), name, f, flags, out);
    struct log_file *l = log_of(f);
    memset(l, 0, sizeof(*l));
    l->held = malloc(LOG_VFS_HELD);
    if (!l->held)
        return SQLITE_NOMEM;
    l->real = (sqlite3_file *)(l + 1);
    l->real->pMethods = NULL;
    int rc = real_vfs(vfs)->xOpen(real_vfs(vfs), name, l->real, flags, out);
    if (l->real->pMethods)
        l->base.pMethods = &log_methods; /* so it is closed, opened or not */
    else
        free(l->held);
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    return real_vfs(vfs)->xDelete(real_vfs(vfs), name, sync_directory);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    return real_vfs(vfs)->xAccess(real_vfs(vfs), name, flags, out);
}

static int vfs_path(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    return real_vfs(vfs)->xFullPathname(real_vfs(vfs), name, n, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    return real_vfs(vfs)->xRandomness(real_vfs(vfs), n, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    return real_vfs(vfs)->xSleep(real_vfs(vfs), us);
}

static int vfs_time(sqlite3_vfs *vfs, double *out)
{
    return real_vfs(vfs)->xCurrentTime(real_vfs(vfs), out);
}

static int vfs_error(sqlite3_vfs *vfs, int n, char *out)
{
    return real_vfs(vfs)->xGetLastError(real_vfs(vfs), n, out);
}

const char *log_vfs_over(const char *name)
{
    char ours[64];
    sqlite3_vfs *real = sqlite3_vfs_find(name);
    if (!real)
        return NULL;
    (void)snprintf(ours, sizeof(ours), "gathered-%s", real->zName);
    sqlite3_vfs *vfs = sqlite3_vfs_find(ours);
    if (vfs)
        return vfs->zName;
    vfs = calloc(1, sizeof(*vfs));
    char *kept = vfs ? strdup(ours) : NULL;
    if (!kept) {
        free(vfs);
        return NULL;
    }
    *vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(struct log_file) + real->szOsFile,
        .mxPathname = real->mxPathname,
        .zName = kept,
        .pAppData = real,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_error,
    };
    (void)sqlite3_vfs_register(vfs, 0); /* fails only if SQLite cannot begin, which opening tells */
    return vfs->zName;
}

int log_vfs_flush(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    return rc == SQLITE_OK && log && log->pMethods == &log_methods ? flush(log_of(log)) : rc;
}
