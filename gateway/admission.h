/* SPDX-License-Identifier: MIT */
/* admission.h: tokens that a session shows, held against the keys of its hub.
 *
 * A token whose key we do not have may be signed with one that is newer than our JWK sets: then
 * they are read again, and the client is asked to come back. Only if they have just been read it is
 * invalid.
 */
#ifndef MADANG_GATEWAY_ADMISSION_H
#define MADANG_GATEWAY_ADMISSION_H

#include "gateway/session.h"
#include "gateway/token.h"

bool tokens_are_checked(const struct hub *h); /* there are keys */

/* As token_connection() and token_subscription(). TOKEN_UNKNOWN_KEY: to be tried again later. */
enum verdict admit_connection(struct hub *h, struct span text, struct token *out);
enum verdict admit_subscription(struct hub *h, struct span text, struct token *out);

#endif
