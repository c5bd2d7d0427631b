/* SPDX-License-Identifier: MIT */
/* log_vfs.h: writes to SQLite's write-ahead log, gathered.
 *
 * SQLite writes each page of a commit by two calls, its head and its bytes, one behind the other.
 * This file system in front of another one keeps them until they are synced or looked at, or it has
 * LOG_VFS_HELD bytes, and writes them by one call: the same bytes, in the same order. A write that
 * fails is told by the call that needs it done, at the latest by the sync, and by all behind it
 * until the log is closed: SQLite only logs some of them.
 */
#ifndef MADANG_STORE_LOG_VFS_H
#define MADANG_STORE_LOG_VFS_H

#include <sqlite3.h>

/* As large as SQLite's largest page. Its own file system cannot write 128 KiB or more by one call:
 * it takes the length modulo that. */
#define LOG_VFS_HELD (64 * 1024)

/* The name of a file system in front of that one (NULL: SQLite's own), made if there is none yet;
 * NULL: there is none of that name, or no memory. Never undone. Any thread. */
const char *log_vfs_over(const char *name);

/* Writes what is kept back of the log of this connection. To be called behind a commit that is not
 * synced. */
int log_vfs_flush(sqlite3 *db);

#endif
