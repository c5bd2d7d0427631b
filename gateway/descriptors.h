/* SPDX-License-Identifier: MIT */
/* descriptors.h: how many files the process may have open. */
#ifndef MADANG_GATEWAY_DESCRIPTORS_H
#define MADANG_GATEWAY_DESCRIPTORS_H

#include "gateway/options.h"

/* Sets RLIMIT_NOFILE to what max_connections takes. Before any context of the library is made.
 * Warns if the system does not allow as many. */
void descriptors_limit(const struct options *o);

#endif
