/* SPDX-License-Identifier: MIT */
/* recovery.h: whether what was read from a stream makes up for what a client missed.
 *
 * Stream mode: nothing between the client's position and the top is missing. Cache mode: the client
 * has the newest publication or is given it. A client without epoch is taken at its offset.
 */
#ifndef MADANG_BACKPLANE_RECOVERY_H
#define MADANG_BACKPLANE_RECOVERY_H

#include "backplane/request.h"

/* The read of a subscribe that asked to recover is done. In cache mode, drops a publication that
 * the client has already. */
bool recovered(struct request_subscribe *sub);

#endif
