/* SPDX-License-Identifier: MIT */
/* tcp.h: what the kernel knows of a connection. Any thread. */
#ifndef MADANG_GATEWAY_TCP_H
#define MADANG_GATEWAY_TCP_H

#include <stdint.h>

/* Bytes that have come, acknowledged by us; 0: unknown, as for a unix socket or an old kernel. */
uint64_t tcp_received(int fd);

#endif
