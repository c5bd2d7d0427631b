/* SPDX-License-Identifier: MIT */
#include "gateway/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define PORT_DIGITS_MAX 5

/* Decimal digits and nothing else, at most 65535. */
static bool read_port(const char *text, in_port_t *port)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > PORT_DIGITS_MAX || text[n] != '\0')
        return false;
    uint32_t v = 0;
    for (const char *p = text; *p; p++)
        v = v * 10 + (uint32_t)(*p - '0');
    if (v > UINT16_MAX)
        return false;
    *port = htons((uint16_t)v);
    return true;
}

bool endpoint_parse(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
    char host[INET6_ADDRSTRLEN];
    bool is_v6 = text[0] == '[';
    const char *begin = text + is_v6;
    const char *end = strrchr(text, ':');
    in_port_t port;
    if (!end || end <= begin || !read_port(end + 1, &port) || (is_v6 && end[-1] != ']'))
        return false;
    size_t n = (size_t)(end - begin) - is_v6;
    if (n >= sizeof(host))
        return false;
    memcpy(host, begin, n);
    host[n] = '\0';

    struct sockaddr_storage a = {0};
    if (is_v6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
        if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
            return false;
        memcpy(&a, &v6, sizeof(v6));
        *len = sizeof(v6);
    } else {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
        if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
            return false;
        memcpy(&a, &v4, sizeof(v4));
        *len = sizeof(v4);
    }
    *out = a;
    return true;
}
