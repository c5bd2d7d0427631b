/* SPDX-License-Identifier: MIT */
/* fossil.h: what changed from one text to the next, in the delta format of Fossil.
 *
 * A delta is `<size>\n`, then copies `<n>@<offset>,` from the source and insertions
 * `<n>:<bytes>`, then `<checksum>;`. Numbers are in base 64 with the digits 0-9A-Z_a-z~, most
 * significant first; the checksum is the sum of the target's big-endian 32-bit words, the last
 * one padded with zeros. Format: https://fossil-scm.org/home/doc/trunk/www/delta_format.wiki
 *
 * Deltas travel inside JSON strings, so no insertion begins or ends within a UTF-8 sequence.
 */
#ifndef MADANG_ROOMS_FOSSIL_H
#define MADANG_ROOMS_FOSSIL_H

#include "backplane/base/buf.h"

/* Appends the delta that turns source into target, both valid UTF-8. False, and *out as before,
 * if it would not be shorter than the target, or for want of memory. */
bool fossil_delta(struct span source, struct span target, struct buf *out);

#endif
