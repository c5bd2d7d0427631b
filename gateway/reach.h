/* SPDX-License-Identifier: MIT */
/* reach.h: which addresses may be called on behalf of others.
 *
 * Whoever names a URL must not get inside the operator's network through us. So private, loopback,
 * link-local, shared (CGN) and otherwise special addresses are out of reach, in IPv6 as well and
 * however an IPv4 address is wrapped in it (RFC 6890, and the registries that it founded), unless
 * a list of networks lets them in. What counts is the address that is connected to, not a name.
 *
 * Immutable once made; any thread may ask.
 */
#ifndef MADANG_GATEWAY_REACH_H
#define MADANG_GATEWAY_REACH_H

#include "gateway/networks.h"

struct reach;

/* `words`: for networks_new(); they are let in. NULL: no memory. */
struct reach *reach_new(char *const *words, size_t count);
void reach_free(struct reach *r); /* NULL is fine */

bool reach_has(const struct reach *r, const struct address *a);

#endif
