/* SPDX-License-Identifier: MIT */
/* follows.h: followers and their markers as rows of the database file.
 *
 * Only the store's thread calls these, within a transaction. Spans are the caller's; those that are
 * told are good until the teller returns. Errors are ERR_INTERNAL but where it says otherwise.
 */
#ifndef MADANG_BACKPLANE_STORE_FOLLOWS_H
#define MADANG_BACKPLANE_STORE_FOLLOWS_H

#include "backplane/base/span.h"
#include "backplane/store/file.h"

struct follow_key {
    struct span user, room;
};

/* How many there may be: rooms of a user, users of a room. */
struct follow_bounds {
    uint32_t rooms, users;
};

/* A position of the room's stream as it is now. */
struct follow_marker {
    struct span epoch;
    uint64_t offset;
};

/* A new follower stands at that marker; *fresh: there was none. *refused: there are as many as
 * there may be, and nothing was done. */
enum err follows_begin(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                       const struct follow_bounds *most, bool *fresh, bool *refused);
enum err follows_end(struct file *f, const struct follow_key *k, bool *was);

/* The marker goes up to there, if that is further than where it stands; *moved: it is. */
enum err follows_read(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                      bool *moved);

/* The same for the second marker: the user was told of what there is up to there. */
enum err follows_told(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                      bool *moved);

/* The user has published at that position; if it had read all before, it has read this. */
enum err follows_publish(struct file *f, const struct follow_key *k, const struct follow_marker *m,
                         bool *moved);

/* Where the marker stands in the epoch; false: there is no follower, or *e. */
bool follows_find(struct file *f, const struct follow_key *k, struct span epoch, uint64_t *offset,
                  enum err *e);

bool follows_any(struct file *f, struct span room, enum err *e);

/* One follower, and how the room is. */
struct follow_line {
    struct span name; /* of the room, or of the user */
    struct follow_marker marker;
    struct follow_marker top; /* empty epoch: another one is to come */
    uint64_t read, told;      /* where the markers stand in the stream */
    uint64_t unread, untold;
};

/* Tells what the user follows, or (no user) who follows the room, in order, from behind the name
 * `after`; `told` returns false to stop. `now`: ms since 1970. */
enum err follows_each(struct file *f, const struct follow_key *k, struct span after, uint64_t now,
                      bool (*told)(void *owner, const struct follow_line *line), void *owner);

#endif
