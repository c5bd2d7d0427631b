/* SPDX-License-Identifier: MIT */
/* glob.h: patterns over names: `*` stands for any text, `?` for any one character, `\` takes away
 * the meaning of what follows; everything else stands for itself. Time is bounded by the product
 * of both lengths, whatever the pattern. Pure; any thread.
 */
#ifndef MADANG_BASE_GLOB_H
#define MADANG_BASE_GLOB_H

#include "backplane/base/span.h"

/* Both are valid UTF-8; the pattern is for the whole name. */
bool glob_matches(struct span pattern, struct span name);

#endif
