/* SPDX-License-Identifier: MIT */
/* delta.h: publications for subscribers that take deltas.
 *
 * For them `data` is a JSON string: it holds the whole data, or, with `"delta":true` beside it,
 * a Fossil delta to the data that the subscriber got before. See fossil.h.
 */
#ifndef MADANG_ROOMS_DELTA_H
#define MADANG_ROOMS_DELTA_H

#include "backplane/base/buf.h"
#include "backplane/base/msg.h"

/* Appends the push of m as what changed since base, or whole: if base is NULL, the message does not
 * allow it, or that is not shorter. */
void delta_push(const struct msg *m, const struct msg *base, struct buf *out);

/* Appends the publication object of m, whole. */
void delta_publication(const struct msg *m, struct buf *out);

#endif
