/* SPDX-License-Identifier: MIT */
/* jwt.h: a signed text: is it whole, and signed with one of our keys?
 *
 * The compact form of RFC 7515, which must begin with eyJ, in base64url without padding. Signatures
 * are those of keyring.h; `none`, PS, EdDSA and headers with `crit` are refused. What the claims
 * say is token.h's business. Pure functions; any thread.
 */
#ifndef MADANG_GATEWAY_JWT_H
#define MADANG_GATEWAY_JWT_H

#include "gateway/keyring.h"

enum verdict {
    TOKEN_VALID,
    TOKEN_INVALID,     /* malformed, forged, or not meant for us */
    TOKEN_EXPIRED,     /* whole, but not now: over, or not yet begun */
    TOKEN_UNKNOWN_KEY, /* no key of ours could have signed it; newer keys might */
    TOKEN_NO_MEMORY
};

/* Checks the signature. TOKEN_VALID: the payload is in *payload (zeroed before), and is a JSON
 * object. Else it is empty. */
enum verdict jwt_verify(const struct keyring *keys, struct span text, struct buf *payload);

/* Appends the signed text of a payload. k holds a secret or a private key of the algorithm's kind.
 * False: it could not be signed. */
bool jwt_sign(const struct key *k, const struct jwt_algorithm *a, struct span payload,
              struct buf *text);

#endif
