/* SPDX-License-Identifier: MIT */
/* file.h: the database file of a store: one SQLite connection, which nobody else may open.
 *
 * Used by one thread at a time. The file is opened in exclusive mode and in WAL mode, so there is
 * no second connection, and with it neither a -shm file nor the race between two checkpoints that
 * SQLite has up to 3.51.2. A file that is damaged, foreign, of a newer program or in use is refused
 * in words and left as it is.
 *
 * Nouns of the store keep their SQL as string constants and get it prepared once, by
 * file_statement(); the constant's address is its key.
 */
#ifndef MADANG_BACKPLANE_STORE_FILE_H
#define MADANG_BACKPLANE_STORE_FILE_H

#include "backplane/base/err.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_WHY_MAX 512

struct file;

struct file_config {
    const char *path; /* made if it is not there; its directory must be */
    bool full;        /* a commit survives power loss; else only the end of the process */
    bool doubtful;    /* what was written last, in this boot, may not have reached the disk */
    const char *vfs;  /* NULL: the system's */
    /* Only looked at: it has to be there, may be of an older program, is not changed, and is
     * abandoned in the end. There are no numbers of its own, and no ballast. */
    bool as_is;
};

/* NULL: not opened, and `why` says in one sentence why and what to do. Everything that a crash left
 * half done has been put right. */
struct file *file_open(const struct file_config *config, char why[FILE_WHY_MAX]);

/* Closes for good, and notes that nothing was left open. NULL is fine. */
void file_close(struct file *f);

/* Closes without a word: for a file whose state is not known any more. */
void file_abandon(struct file *f);

/* Changes each time writes may have been lost that were told as made: rooms that were last written
 * under another one take a new epoch. */
int64_t file_generation(const struct file *f);

/* The statement of a string constant, reset and without values; NULL: it could not be prepared. It
 * stays the file's. */
sqlite3_stmt *file_statement(struct file *f, const char *sql);

/* Runs a statement that has no rows to show, and resets it. */
enum err file_run(struct file *f, sqlite3_stmt *s);

/* The next row of a statement; false: there is none, or it failed, and only then `error` is set.
 * Who leaves before the last row resets the statement. */
bool file_row(struct file *f, sqlite3_stmt *s, enum err *error);

int file_changes(const struct file *f); /* rows that the last statement changed */

/* What the last failure was, in words, for logs. */
const char *file_error(const struct file *f);

/* Something is missing that must be there, or is not what it was: says so, once. */
void file_damaged(struct file *f, const char *what);
bool file_is_damaged(const struct file *f); /* that was said */

/* How the last failed call failed. */
enum file_failure {
    FILE_FINE,
    FILE_REFUSED, /* this one thing: a constraint, too large */
    FILE_FULL,    /* no space */
    FILE_BROKEN   /* I/O error or damage: nothing is known of what was not committed */
};
enum file_failure file_failure(const struct file *f);
bool file_is_malformed(const struct file *f); /* … which was found in what is in the file */

/* A transaction. What happens in it is there after a commit that says OK, and otherwise unknown. */
enum err file_begin(struct file *f);
enum err file_commit(struct file *f);
void file_rollback(struct file *f);

/* A part of a transaction that can be taken back alone. */
enum err file_part_begin(struct file *f);
enum err file_part_end(struct file *f, bool keep);

/* Moves what commits wrote beside the file into it. Takes time in proportion to
 * file_unmerged_bytes(); between transactions only. */
size_t file_unmerged_bytes(const struct file *f);
enum err file_merge(struct file *f);

/* Space is kept beside the file, so that on a full disk what frees space can still be committed. */
bool file_ballast_drop(struct file *f); /* false: there was none to drop */
bool file_ballast_take(
    struct file *f); /* false: there is no space for it; true too if it is there */

/* Named numbers in the file. Missing ones are 0. */
int64_t file_number(struct file *f, const char *name);
enum err file_set_number(struct file *f, const char *name, int64_t value);

#endif
