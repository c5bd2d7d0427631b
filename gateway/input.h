/* SPDX-License-Identifier: MIT */
/* input.h: from chunks of a WebSocket message to commands.
 *
 * A message holds commands separated by newlines. Commands are carried out in order; when a credit
 * is missing, or room for another answer (session_has_room), the rest of the message waits, and the
 * socket is not read meanwhile.
 */
#ifndef MADANG_GATEWAY_INPUT_H
#define MADANG_GATEWAY_INPUT_H

#include "gateway/session.h"

/* Takes one chunk. False: commands wait for a credit. */
bool input_chunk(struct session *s, struct span chunk, bool first, bool final, size_t frame_left);

/* Goes on with what waits; false as above. */
bool input_pump(struct session *s);

void input_drop(struct session *s);

#endif
