/* SPDX-License-Identifier: MIT */
/* loopback.h: blocking clients of a port of this machine. The kernel connects them to a listening
 * socket before anybody accepts.
 */
#ifndef MADANG_TESTS_UNIT_LOOPBACK_H
#define MADANG_TESTS_UNIT_LOOPBACK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* A connected socket, by AF_INET or AF_INET6; -1: errno says why not. */
static inline int loopback_client(uint16_t port, int family)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v4 = family == AF_INET;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    if (connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
                is_v4 ? sizeof(v4) : sizeof(v6)) == 0)
        return fd;
    close(fd); /* leaves errno alone when it succeeds */
    return -1;
}

#endif
