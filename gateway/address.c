/* SPDX-License-Identifier: MIT */
#include "gateway/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define V4_AT     12 /* where the IPv4 address of a mapped one begins */
#define KEY_BYTES 8  /* of an IPv6 address: its /64 */

static const struct address nobody;
static const struct address loopback = {{[15] = 1}};
static const uint8_t mapped[V4_AT] = {[10] = 0xFF, [11] = 0xFF};

struct address address_of_v4(const void *bytes)
{
    struct address a;

    memcpy(a.bytes, mapped, V4_AT);
    memcpy(a.bytes + V4_AT, bytes, sizeof(a.bytes) - V4_AT);
    return a;
}

struct address address_of(const struct sockaddr *a)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct address out = nobody;

    if (a->sa_family == AF_INET) {
        memcpy(&v4, a, sizeof(v4));
        return address_of_v4(&v4.sin_addr);
    }
    if (a->sa_family == AF_INET6) {
        memcpy(&v6, a, sizeof(v6));
        memcpy(out.bytes, &v6.sin6_addr, sizeof(out.bytes));
    }
    return out;
}

bool address_read(struct span text, struct address *out)
{
    char copy[ADDRESS_TEXT];
    struct in_addr v4;
    struct in6_addr v6;
    const char *scope = text.n ? memchr(text.p, '%', text.n) : NULL;
    size_t n = scope ? (size_t)(scope - text.p) : text.n;

    if (n == 0 || n >= sizeof(copy) || memchr(text.p, '\0', n))
        return false;
    memcpy(copy, text.p, n);
    copy[n] = '\0';
    if (!scope && inet_pton(AF_INET, copy, &v4) == 1) {
        *out = address_of_v4(&v4);
        return true;
    }
    if (inet_pton(AF_INET6, copy, &v6) != 1)
        return false;
    memcpy(out->bytes, &v6, sizeof(out->bytes));
    return true;
}

void address_write(const struct address *a, struct buf *out)
{
    char text[ADDRESS_TEXT];
    bool v4 = address_is_v4(a);
    const char *done =
        inet_ntop(v4 ? AF_INET : AF_INET6, a->bytes + (v4 ? V4_AT : 0), text, sizeof(text));

    buf_str(out, done && !address_is_nobody(a) ? text : "-");
}

bool address_eq(const struct address *a, const struct address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool address_is_nobody(const struct address *a)
{
    return address_eq(a, &nobody);
}

bool address_is_v4(const struct address *a)
{
    return memcmp(a->bytes, mapped, V4_AT) == 0;
}

bool address_is_loopback(const struct address *a)
{
    return address_is_v4(a) ? a->bytes[V4_AT] == IN_LOOPBACKNET : address_eq(a, &loopback);
}

struct address address_key(const struct address *a)
{
    struct address key = *a;

    if (!address_is_v4(a))
        memset(key.bytes + KEY_BYTES, 0, sizeof(key.bytes) - KEY_BYTES);
    return key;
}
