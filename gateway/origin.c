/* SPDX-License-Identifier: MIT */
#include "gateway/origin.h"

#include "gateway/address.h"
#include "gateway/endpoint.h"

#include <strings.h>

/* A host as it is compared: an address by value, a name by its letters. */
struct host {
    struct span name; /* p NULL: an address */
    struct address address;
};

struct authority {
    struct host host;
    uint32_t port; /* 0: not said */
};

struct site {
    bool secure;
    struct authority at;
};

static bool read_host(struct span text, struct host *out)
{
    *out = (struct host){0};
    if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        return memchr(text.p, ':', text.n) &&
               address_read((struct span){text.p + 1, text.n - 2}, &out->address);
    if (text.n == 0 || memchr(text.p, '[', text.n) || memchr(text.p, ':', text.n))
        return false;
    if (address_read(text, &out->address))
        return true;
    if (text.n > 1 && text.p[text.n - 1] == '.') /* "localhost." is the same name */
        text.n--;
    out->name = text;
    return true;
}

static bool read_port(struct span digits, uint32_t *out)
{
    uint32_t port = 0;

    if (digits.n == 0 || digits.n > 5)
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(digits.p[i] - '0');
    }
    *out = port;
    return port > 0 && port <= UINT16_MAX;
}

/* HOST or HOST:PORT. */
static bool read_authority(struct span text, struct authority *out)
{
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;

    out->port = 0;
    if (colon && text.p[text.n - 1] != ']') {
        size_t before = (size_t)(colon - text.p);
        if (!read_port((struct span){colon + 1, text.n - before - 1}, &out->port))
            return false;
        text.n = before;
    }
    return read_host(text, &out->host);
}

static bool host_eq(const struct host *a, const struct host *b)
{
    if (!a->name.p || !b->name.p)
        return !a->name.p && !b->name.p && address_eq(&a->address, &b->address);
    return a->name.n == b->name.n && strncasecmp(a->name.p, b->name.p, a->name.n) == 0;
}

static bool is_loopback(const struct host *h)
{
    static const struct host localhost = {.name = SPAN_INIT("localhost")};

    return h->name.p ? host_eq(h, &localhost) : address_is_loopback(&h->address);
}

static bool is_endpoint(const struct host *h, char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct host mine;
        if (read_host(endpoint_host(list[i]), &mine) && host_eq(h, &mine))
            return true;
    }
    return false;
}

static bool is_name(const struct host *h, char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct host mine;
        if (read_host(span_str(list[i]), &mine) && host_eq(h, &mine))
            return true;
    }
    return false;
}

bool host_allowed(const struct options *o, struct span host, struct span local_address)
{
    struct authority a;
    struct host local = {0};

    if (!read_authority(host, &a))
        return false;
    if (is_loopback(&a.host) || is_endpoint(&a.host, o->listen, o->listen_count) ||
        is_endpoint(&a.host, o->internal_listen, o->internal_listen_count) ||
        is_name(&a.host, o->public_names, o->public_names_count))
        return true;
    /* Where the connection arrived is an address that we listen on, be it through a wildcard. */
    return address_read(local_address, &local.address) && host_eq(&a.host, &local);
}

static bool read_site(struct span text, struct site *out)
{
    static const struct span schemes[] = {SPAN_INIT("http://"), SPAN_INIT("https://")};

    for (size_t i = 0; i < 2; i++) {
        struct span s = schemes[i];
        if (text.n <= s.n || strncasecmp(text.p, s.p, s.n) != 0)
            continue;
        out->secure = i == 1;
        return read_authority((struct span){text.p + s.n, text.n - s.n}, &out->at);
    }
    return false;
}

static uint32_t port_of(uint32_t port, bool secure)
{
    return port ? port : secure ? 443 : 80;
}

static bool site_eq(const struct site *a, const struct site *b)
{
    return a->secure == b->secure && host_eq(&a->at.host, &b->at.host) &&
           port_of(a->at.port, a->secure) == port_of(b->at.port, b->secure);
}

bool origin_allowed(const struct options *o, struct span origin, struct span host, bool secure)
{
    struct site from, mine;

    if (!origin.p)
        return true;
    if (!read_site(origin, &from))
        return false;
    mine.secure = secure || from.secure; /* behind a proxy we do not know which it was */
    if (read_authority(host, &mine.at) && site_eq(&from, &mine))
        return true;
    for (size_t i = 0; i < o->allowed_origins_count; i++)
        if (read_site(span_str(o->allowed_origins[i]), &mine) && site_eq(&from, &mine))
            return true;
    return false;
}
