/* SPDX-License-Identifier: MIT */
/* banner.h: the block on standard output that says that a gateway is ready, and where. */
#ifndef MADANG_GATEWAY_BANNER_H
#define MADANG_GATEWAY_BANNER_H

#include "gateway/gateway.h"

/* On main, when everybody may come. Warns if that is more than this machine. */
void banner_print(const struct gateway *g);

#endif
