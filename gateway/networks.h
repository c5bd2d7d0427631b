/* SPDX-License-Identifier: MIT */
/* networks.h: a list of networks, and whether an address is in one of them.
 *
 * A word is a network "10.0.0.0/8" or "2001:db8::/32", one address, or `unix`: whoever is connected
 * through a unix socket. IPv4 is in IPv4 networks only, so ::/0 does not mean everybody.
 * Immutable once made; any thread may ask.
 */
#ifndef MADANG_GATEWAY_NETWORKS_H
#define MADANG_GATEWAY_NETWORKS_H

#include "gateway/address.h"

struct networks;

/* Whether the text is a word as above. */
bool network_is(const char *text);

/* Every word must be one. NULL: no memory. */
struct networks *networks_new(char *const *words, size_t count);
void networks_free(struct networks *n); /* NULL is fine */

bool networks_have(const struct networks *n, const struct address *a);

#endif
