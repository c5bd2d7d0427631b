/* SPDX-License-Identifier: MIT */
#include "gateway/tcp.h"

#include <linux/tcp.h> /* not <netinet/tcp.h>, whose tcp_info ends before the bytes */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

uint64_t tcp_received(int fd)
{
    struct tcp_info info;
    socklen_t n = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0)
        return 0;
    if (n < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
        return 0;
    return info.tcpi_bytes_received;
}

void tcp_be_patient(int fd, uint64_t ms)
{
    unsigned patience = (unsigned)(ms + TCP_PATIENCE_MS);
    if (ms >= TCP_PATIENCE_MS / 2) /* it fails for a unix socket, which needs no patience */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
}
