/* SPDX-License-Identifier: MIT */
/* file_private.h: what the files around one SQLite connection share: file.c (the connection),
 * copy.c (copies of it) and check.c (whether it is whole).
 */
#ifndef MADANG_BACKPLANE_STORE_FILE_PRIVATE_H
#define MADANG_BACKPLANE_STORE_FILE_PRIVATE_H

#include "backplane/store/file.h"

sqlite3 *file_connection(const struct file *f);
const char *file_path(const struct file *f);

#endif
