/* SPDX-License-Identifier: MIT */
/* order.h: what a hub does, on its thread, with an order (backplane/control.h) to its sessions. */
#ifndef MADANG_GATEWAY_ORDER_H
#define MADANG_GATEWAY_ORDER_H

#include "backplane/control.h"
#include "gateway/hub.h"

void order_carry_out(struct hub *h, struct control *c);

#endif
