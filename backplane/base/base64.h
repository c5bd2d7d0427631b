/* SPDX-License-Identifier: MIT */
/* base64.h: bytes as text (RFC 4648), read strictly: exactly one text stands for given bytes.
 *
 * BASE64 has padding, BASE64_URL (the alphabet of tokens) has none. White space, missing or extra
 * padding, and bits that stand for nothing are refused. Pure functions; any thread.
 */
#ifndef MADANG_BASE_BASE64_H
#define MADANG_BASE_BASE64_H

#include "backplane/base/buf.h"

enum base64 { BASE64, BASE64_URL };

/* Appends the bytes; false: not such a text, or no memory (out->failed); out->n is as before then.
 */
bool base64_decode(enum base64 form, struct span text, struct buf *out);
void base64_encode(enum base64 form, struct span bytes, struct buf *out);

#endif
