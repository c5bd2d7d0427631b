/* SPDX-License-Identifier: MIT */
/* place.h: where the file of a store lies, looked at before SQLite opens it.
 *
 * SQLite follows links, keeps the log beside what they lead to, and takes whatever log lies there
 * for that of the file. All paths but the first are those of place_find(). Any thread, but not
 * while this process has the file open: to close it here drops its locks.
 */
#ifndef MADANG_STORE_PLACE_H
#define MADANG_STORE_PLACE_H

#include <stdbool.h>

/* The absolute path that SQLite will use, links followed, the last one too if it leads to nothing
 * yet. Given back by free(); NULL: no memory. A path that leads nowhere stays as it is. */
char *place_find(const char *path, const char *vfs);

/* POSIX locks and mapped files do not hold there. */
bool place_on_network(const char *path);

bool place_has_log(const char *path);

/* What is wrong with opening a store there, in words behind its name, or NULL. SQLite would begin
 * anew and delete a log that may hold what is wanted, or make another database of a backup. */
const char *place_refuses(const char *path, const char *ballast);

/* Makes the file, for nobody else. One that is there already stays as it is; whatever is wrong,
 * opening tells. */
void place_make(const char *path);

#endif
