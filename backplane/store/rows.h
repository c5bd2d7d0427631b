/* SPDX-License-Identifier: MIT */
/* rows.h: rooms, their publications and keys as rows of the database file.
 *
 * Only the store's thread calls these, within a transaction. Times are in ms since 1970. Errors are
 * ERR_INTERNAL; what the statement had done by then is the transaction's to take back.
 */
#ifndef MADANG_BACKPLANE_STORE_ROWS_H
#define MADANG_BACKPLANE_STORE_ROWS_H

#include "backplane/base/span.h"
#include "backplane/store/file.h"

/* Spans are the caller's; those that are told are good until the teller returns. */
struct room_row {
    int64_t id;
    struct span epoch;
    int64_t generation;
    uint64_t first, top; /* first = top + 1: nothing is kept */
    uint64_t version;
    struct span version_epoch;
    uint64_t written, ends;
};

#define ROWS_EPOCH_MAX 64

struct room_found {
    struct room_row row; /* its spans point into this struct */
    char epoch[ROWS_EPOCH_MAX], version_epoch[ROWS_EPOCH_MAX];
};

struct publication_row {
    uint64_t offset;
    const uint64_t *sender; /* two; NULL: no key */
    uint64_t digest;
    bool delta;
    struct span body;
};

struct key_row {
    uint64_t sender[2];
    uint64_t until, offset;
    struct span epoch;
};

int64_t rows_last_room(struct file *f, enum err *e); /* the largest id; 0: none */

bool rows_find_room(struct file *f, struct span name, struct room_found *found, enum err *e);
enum err rows_add_room(struct file *f, struct span name, const struct room_row *row);

/* The room is at row->top - 1, and goes one further. Anything else is an error: then what led here
 * was refused, and so must this be. */
enum err rows_move_room(struct file *f, const struct room_row *row);

/* The room keeps nothing of what it has; it is at `top`, else: error. */
enum err rows_empty_room(struct file *f, int64_t id, uint64_t top);
enum err rows_renew_room(struct file *f, int64_t id, struct span epoch, int64_t generation);

enum err rows_add_publication(struct file *f, int64_t room, const struct publication_row *p);
enum err rows_write_body(struct file *f, int64_t room, uint64_t offset, struct span body);
/* The publication of that offset is there, and need not be read by anybody. */
enum err rows_add_quiet(struct file *f, int64_t room, uint64_t offset);
/* From offset `from` up to below `to`. */
enum err rows_drop_publications(struct file *f, int64_t room, uint64_t from, uint64_t to);

/* Tells publications that the room keeps, newest first, without a gap, until `told` says stop. */
enum err rows_read_publications(struct file *f, const struct room_row *row,
                                bool (*told)(void *owner, const struct publication_row *p),
                                void *owner);

enum err rows_add_key(struct file *f, const struct key_row *k);
/* The newest `most` keys that still count, oldest first. */
enum err rows_read_keys(struct file *f, uint64_t now, uint32_t most,
                        void (*told)(void *owner, const struct key_row *k), void *owner);

/* Sweeps a slice: publications that are too old, rooms that nobody has published to for
 * `remember_ms`, keys that are over. Begins behind the room *cursor, which it moves; *more tells
 * whether there are rooms that have not been looked at; if not, the next one begins anew. */
enum err rows_sweep(struct file *f, int64_t *cursor, uint64_t now, uint64_t remember_ms,
                    uint32_t most_keys, bool *more);

#endif
