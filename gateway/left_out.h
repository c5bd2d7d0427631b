/* SPDX-License-Identifier: MIT */
/* left_out.h: what Centrifugo has and this gateway has not, so that it can be refused by name.
 *
 * docs/PROTOCOL.md lists it. Pure function; any thread.
 */
#ifndef MADANG_GATEWAY_LEFT_OUT_H
#define MADANG_GATEWAY_LEFT_OUT_H

#include "backplane/base/span.h"

/* The feature that an option, a section, a path or a method of that name belongs to, in words:
 * "maps"; NULL: none of these. Case does not matter, nor does what joins words. Refusals say it as
 * "not offered: maps". */
const char *left_out(struct span name);

#endif
