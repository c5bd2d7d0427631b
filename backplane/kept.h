/* SPDX-License-Identifier: MIT */
/* kept.h: the embedded driver with a database file behind it: rooms outlive the process.
 *
 * Streams are in memory as with local.h, and in the file. An operation takes effect in memory when
 * its turn comes, and is told once the file has it for good; a room's operations that come behind
 * such a one wait for it, those of other rooms do not. A room that is not in memory is read from
 * the file first, and over max_stream_bytes the longest idle leave memory again, which loses
 * nothing.
 *
 * If what the file holds is in doubt (see store.h), the operations of the rooms concerned fail with
 * ERR_INTERNAL, and the rooms are read again: what turns out to be in the file is told as
 * published, and if that is another stream than before, as lost. While the disk is full
 * publications are refused; so a room's offsets never have a hole.
 *
 * Rooms that were last written under another generation of the file go on with a new epoch: their
 * publications are still there, but nobody can take a loss for a recovery.
 */
#ifndef MADANG_BACKPLANE_KEPT_H
#define MADANG_BACKPLANE_KEPT_H

#include "backplane/driver.h"

struct kept_settings {
    const char *path;     /* of the file; made if it is not there */
    bool full;            /* what is acknowledged survives power loss; else only the process */
    uint64_t remember_ms; /* a room that nobody has published to for so long is forgotten */
    const char *vfs;      /* SQLite's; NULL: the system's */
};

/* `settings` is a struct kept_settings. What keeps it from opening is logged. */
extern const struct driver_ops kept_driver;

#endif
