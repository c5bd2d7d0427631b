/* SPDX-License-Identifier: MIT */
/* check.h: whether a store that nobody has open is whole, and what is in it. It blocks. */
#ifndef MADANG_BACKPLANE_STORE_CHECK_H
#define MADANG_BACKPLANE_STORE_CHECK_H

#include "backplane/base/buf.h"

#include <stdbool.h>

/* Reads all of it and changes nothing. Thorough: indexes are compared with their tables too, which
 * takes several times as long. True: `found` says in a line what is in it; false: `wrong`
 * says in lines why it cannot be opened, or what is wrong in it. */
bool check_store(const char *path, bool thorough, struct buf *found, struct buf *wrong);

#endif
