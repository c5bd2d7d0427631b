/* SPDX-License-Identifier: MIT */
/* tcp.h: what the kernel knows of a connection, and how long it waits for it. Any thread. */
#ifndef MADANG_GATEWAY_TCP_H
#define MADANG_GATEWAY_TCP_H

#include <stdint.h>

/* Bytes that have come, acknowledged by us; 0: unknown, as for a unix socket or an old kernel. */
uint64_t tcp_received(int fd);

/* Who takes nothing for so long is cut by the kernel, without a word (TCP_USER_TIMEOUT). Listeners
 * hand this on to what they accept. */
#define TCP_PATIENCE_MS 30000

/* Where somebody may take nothing for `ms`, and is then to be told: the kernel waits for longer. */
void tcp_be_patient(int fd, uint64_t ms);

#endif
