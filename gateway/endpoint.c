/* SPDX-License-Identifier: MIT */
#include "gateway/endpoint.h"

#include "backplane/base/count.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/un.h>

#define PORT_DIGITS_MAX 5

static const char PROXY[] = "proxy:";
static const char UNIX[] = "unix:";
static const char LOCALHOST[] = "localhost:";

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

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What stands behind `proxy:`, if it does. */
static const char *bare(const char *text)
{
    return text + (begins(text, PROXY) ? strlen(PROXY) : 0);
}

static bool parse_unix(const char *path, struct endpoint *out)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (path[0] != '/' || path[n - 1] == '/' || n >= sizeof(local.sun_path))
        return false;
    memcpy(local.sun_path, path, n);
    memcpy(&out->address, &local, sizeof(local));
    out->len = sizeof(local);
    return true;
}

static bool parse_inet(const char *text, struct endpoint *out)
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
    if (is_v6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
        if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
            return false;
        memcpy(&out->address, &v6, sizeof(v6));
        out->len = sizeof(v6);
    } else {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
        if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
            return false;
        memcpy(&out->address, &v4, sizeof(v4));
        out->len = sizeof(v4);
    }
    return true;
}

bool endpoint_parse(const char *text, struct endpoint *out)
{
    const char *rest = bare(text);
    struct endpoint e = {.proxied = rest != text};
    bool ok = begins(rest, UNIX) ? parse_unix(rest + strlen(UNIX), &e) : parse_inet(rest, &e);
    if (ok)
        *out = e;
    return ok;
}

bool endpoint_is(const char *text)
{
    struct endpoint e;
    in_port_t port;
    const char *rest = bare(text);
    return begins(rest, LOCALHOST) ? read_port(rest + strlen(LOCALHOST), &port)
                                   : endpoint_parse(text, &e);
}

struct span endpoint_host(const char *text)
{
    const char *host = bare(text);
    const char *colon = strrchr(host, ':');
    if (begins(host, UNIX) || !colon)
        return (struct span){host, 0};
    return (struct span){host, (size_t)(colon - host)};
}

bool endpoint_spread(const char *text, size_t number, struct buf *out)
{
    static const char *const loopbacks[] = {"127.0.0.1", "[::1]"};
    const char *rest = bare(text);
    bool is_both = begins(rest, LOCALHOST);
    if (number >= (is_both ? COUNT_OF(loopbacks) : 1))
        return false;
    if (is_both) {
        buf_add(out, text, (size_t)(rest - text));
        buf_str(out, loopbacks[number]);
        rest += strlen(LOCALHOST) - 1; /* from the colon on */
    } else {
        rest = text;
    }
    buf_str(out, rest);
    buf_char(out, '\0');
    return true;
}
