/* SPDX-License-Identifier: MIT */
/* vfs_kit.h: SQLite's own file system with faults that a test turns on.
 *
 * Everything is passed on to the default VFS, except what a knob says. Knobs may be turned from any
 * thread. Power is another kit's affair.
 */
#ifndef MADANG_TESTS_UNIT_VFS_KIT_H
#define MADANG_TESTS_UNIT_VFS_KIT_H

#include "tests/unit/power_kit.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAULTY_VFS "faulty"

static struct {
    atomic_int log_sync_fails;  /* so many of the next syncs of the log fail with EIO */
    atomic_int file_sync_fails; /* … of the database itself */
    atomic_int full;            /* files do not grow */
    atomic_int stall_ms;        /* each sync takes so long */
    atomic_int syncs;           /* counted */
    atomic_int reads;           /* counted */
    atomic_int writes;          /* counted */
    atomic_int no_sync;         /* where the power is simulated, the disk need not be waited for */
    atomic_int fails_in; /* the n-th call from here that changes a file fails with EIO; … */
    atomic_int fails_on; /* … and all behind it */
    atomic_int failed;   /* counted */
    const char *reserve; /* after `fails_in` calls the disk is full, while this file exists */
} faults;

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real;
    atomic_int *sync_fails;
    struct image *image; /* NULL: nobody asks what a power cut would take back */
};

static inline sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->real;
}

static inline int faulty_close(sqlite3_file *f)
{
    sqlite3_file *real = real_of(f);
    int rc = real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
    free(real);
    return rc;
}

static inline int faulty_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    atomic_fetch_add(&faults.reads, 1);
    return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

/* A call that changes a file; `grows`: it needs space. */
static inline int faulty_call(bool grows)
{
    int left = atomic_load(&faults.fails_in);
    if (!left)
        return SQLITE_OK;
    if (left > 1) {
        atomic_fetch_sub(&faults.fails_in, 1);
        return SQLITE_OK;
    }
    if (faults.reserve && (!grows || access(faults.reserve, F_OK) != 0))
        return SQLITE_OK;
    if (!faults.reserve && !atomic_load(&faults.fails_on))
        atomic_store(&faults.fails_in, 0);
    atomic_fetch_add(&faults.failed, 1);
    return faults.reserve ? SQLITE_FULL : SQLITE_IOERR;
}

/* What lies between is about to change. */
static inline int faulty_changes(sqlite3_file *f, sqlite3_int64 from, sqlite3_int64 to)
{
    struct faulty_file *ff = (struct faulty_file *)f;
    sqlite3_int64 size = 0;
    if (!ff->image)
        return SQLITE_OK;
    int rc = ff->real->pMethods->xFileSize(ff->real, &size);
    for (sqlite3_int64 at = from / SECTOR * SECTOR; at < to && rc == SQLITE_OK; at += SECTOR) {
        char old[SECTOR];
        int n = at >= size ? 0 : size - at < SECTOR ? (int)(size - at) : SECTOR;
        if (n)
            rc = ff->real->pMethods->xRead(ff->real, old, n, at);
        image_changes(ff->image, at, old, (size_t)n);
    }
    return rc;
}

static inline int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    atomic_fetch_add(&faults.writes, 1);
    sqlite3_int64 size = 0;
    if (!powered() || faulty_changes(f, at, at + n) != SQLITE_OK ||
        real_of(f)->pMethods->xFileSize(real_of(f), &size) != SQLITE_OK)
        return SQLITE_IOERR_WRITE;
    if (atomic_load(&faults.full) && at + n > size)
        return SQLITE_FULL;
    int rc = faulty_call(at + n > size);
    if (rc != SQLITE_OK)
        return rc;
    return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}

static inline int faulty_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    sqlite3_int64 before = 0;
    if (!powered() || faulty_call(false) ||
        real_of(f)->pMethods->xFileSize(real_of(f), &before) != SQLITE_OK ||
        faulty_changes(f, size, before) != SQLITE_OK)
        return SQLITE_IOERR_TRUNCATE;
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static inline int faulty_sync(sqlite3_file *f, int flags)
{
    int ms = atomic_load(&faults.stall_ms);
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    if (ms)
        nanosleep(&t, NULL);
    atomic_fetch_add(&faults.syncs, 1);
    atomic_int *fails = ((struct faulty_file *)f)->sync_fails;
    if (atomic_load(fails) > 0) {
        atomic_fetch_sub(fails, 1);
        return SQLITE_IOERR_FSYNC;
    }
    struct image *image = ((struct faulty_file *)f)->image;
    sqlite3_int64 size = 0;
    if (!powered() || faulty_call(false) ||
        real_of(f)->pMethods->xFileSize(real_of(f), &size) != SQLITE_OK)
        return SQLITE_IOERR_FSYNC;
    int rc =
        atomic_load(&faults.no_sync) ? SQLITE_OK : real_of(f)->pMethods->xSync(real_of(f), flags);
    if (image && rc == SQLITE_OK)
        image_synced(image, size);
    return rc;
}

static inline int faulty_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static inline int faulty_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static inline int faulty_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static inline int faulty_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static inline int faulty_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static inline int faulty_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static inline int faulty_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

/* Version 1 has no shared memory, which exclusive mode does not need. */
static const sqlite3_io_methods faulty_methods = {
    .iVersion = 1,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_device,
};

static inline int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
                              int *out)
{
    struct faulty_file *ff = (struct faulty_file *)f;
    sqlite3_vfs *real = vfs->pAppData;
    ff->base.pMethods = NULL;
    if (atomic_load(&power.off))
        return SQLITE_CANTOPEN;
    ff->real = calloc(1, (size_t)real->szOsFile);
    if (!ff->real)
        return SQLITE_NOMEM;
    ff->sync_fails = flags & SQLITE_OPEN_WAL ? &faults.log_sync_fails : &faults.file_sync_fails;
    int rc = real->xOpen(real, name, ff->real, flags, out);
    if (rc != SQLITE_OK) {
        free(ff->real);
        return rc;
    }
    ff->base.pMethods = &faulty_methods;
    ff->image = name && power.watched ? image_of(name) : NULL;
    sqlite3_int64 size;
    if (ff->image && !ff->image->count &&
        ff->real->pMethods->xFileSize(ff->real, &size) == SQLITE_OK)
        image_synced(ff->image, size); /* nothing of it is in doubt */
    return rc;
}

static inline int faulty_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    sqlite3_vfs *real = vfs->pAppData;
    if (!powered() || faulty_call(false))
        return SQLITE_IOERR_DELETE;
    if (power.watched)
        image_synced(image_of(name), 0);
    return real->xDelete(real, name, sync_directory);
}

/* Makes FAULTY_VFS known; once per process. */
static inline int vfs_kit_register(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    vfs = *real;
    vfs.zName = FAULTY_VFS;
    vfs.pNext = NULL;
    vfs.pAppData = real;
    vfs.szOsFile = sizeof(struct faulty_file);
    vfs.xOpen = faulty_open;
    vfs.xDelete = faulty_delete;
    return sqlite3_vfs_register(&vfs, 0);
}

#endif
