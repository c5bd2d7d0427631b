/* SPDX-License-Identifier: MIT */
/* describe.h: what a gateway tells of itself, to whoever asks the server API for `info`. */
#ifndef MADANG_GATEWAY_DESCRIBE_H
#define MADANG_GATEWAY_DESCRIBE_H

#include "backplane/base/buf.h"

/* Appends one JSON object; `gateway` is a struct gateway. Any thread, while the hubs are there. */
void describe_gateway(void *gateway, struct buf *b);

#endif
