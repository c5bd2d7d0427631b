/* SPDX-License-Identifier: MIT */
/* origin.h: may a browser page that came from there talk to us under this name?
 *
 * DNS rebinding: a page of evil.example that resolves to 127.0.0.1 sends matching Origin and Host.
 * So Host itself must be a name we know ourselves by: a loopback name or address, a host we listen
 * on, a configured public name, or, when listening on a wildcard address, the very IP address at
 * which the connection arrived (an address cannot be rebound). Ports do not matter here: they may
 * be mapped. Checked on every route and in every mode. A missing Host is refused.
 * Origin must be absent, or be http(s):// + Host (only https:// if the connection is `secure`: who
 * can forge a plain page could use it), or be in allowed_origins.
 */
#ifndef MADANG_GATEWAY_ORIGIN_H
#define MADANG_GATEWAY_ORIGIN_H

#include "gateway/options.h"

bool host_allowed(const struct options *o, struct span host, struct span local_address);
bool origin_allowed(const struct options *o, struct span origin, struct span host, bool secure);

#endif
