/* SPDX-License-Identifier: MIT */
#include "backplane/redis/url.h"

#include "backplane/base/count.h"
#include "backplane/base/hex.h"

#include <strings.h>

/* No message quotes the text: what was meant as a password may have ended up in any part of it. */

static const struct {
    struct span text;
    enum redis_transport transport;
} schemes[] = {
    {SPAN_INIT("redis://"), REDIS_TCP},
    {SPAN_INIT("rediss://"), REDIS_TLS},
    {SPAN_INIT("unix://"), REDIS_UNIX},
    {SPAN_INIT("redis+unix://"), REDIS_UNIX},
};

static bool fail(struct buf *why, const char *text)
{
    buf_str(why, text);
    return false;
}

static struct span tail(struct span s, size_t from)
{
    return (struct span){s.p + from, s.n - from};
}

/* Cuts *s at the first of the characters of `set`; what is before it. *s begins with it then. */
static struct span cut_at(struct span *s, const char *set)
{
    size_t n = 0;

    while (n < s->n && (s->p[n] == '\0' || !strchr(set, s->p[n])))
        n++;
    struct span before = {s->p, n};
    *s = tail(*s, n);
    return before;
}

/* Decodes %XX into out, which holds max bytes and the NUL; `what` names the part. */
static bool decode(struct span in, char *out, size_t max, const char *what, struct buf *why)
{
    size_t n = 0;

    for (size_t i = 0; i < in.n; i++) {
        int c = (unsigned char)in.p[i];
        if (c == '%') {
            int high = i + 2 < in.n ? hex_value(in.p[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_value(in.p[i + 2]);
            if (low < 0) {
                buf_fmt(why, "a %% in the %s must be followed by two hexadecimal digits", what);
                return false;
            }
            c = high * 16 + low;
            i += 2;
        }
        if (c == '\0' || n == max) {
            buf_fmt(why, c ? "the %s is longer than %zu bytes" : "the %s holds a NUL", what, max);
            return false;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return true;
}

/* Decimal, not empty, up to max. */
static bool number(struct span in, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] < '0' || in.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(in.p[i] - '0');
        if (v > max)
            return false;
    }
    *out = (uint32_t)v;
    return in.n > 0;
}

static bool parse_database(struct redis_url *u, struct span in, struct buf *why)
{
    if (number(in, REDIS_DATABASE_MAX, &u->database))
        return true;
    buf_fmt(why, "the database must be a number from 0 to %d", REDIS_DATABASE_MAX);
    return false;
}

/* user, user:password or :password */
static bool parse_login(struct redis_url *u, struct span in, struct buf *why)
{
    struct span user = cut_at(&in, ":");

    if (!decode(user, u->user, REDIS_USER_MAX, "user name", why))
        return false;
    if (in.n == 0)
        return true;
    return decode(tail(in, 1), u->password, REDIS_PASSWORD_MAX, "password", why);
}

static bool is_host(struct span in, const char *extra)
{
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && (c == '\0' || !strchr(extra, c)))
            return false;
    }
    return in.n > 0 && in.n <= REDIS_HOST_MAX;
}

/* host, host:port, [address], [address]:port */
static bool parse_address(struct redis_url *u, struct span in, struct buf *why)
{
    bool bracket = in.n > 0 && in.p[0] == '[';
    uint32_t port = REDIS_PORT;

    if (bracket)
        in = tail(in, 1);
    struct span host = cut_at(&in, bracket ? "]" : ":");
    if (bracket && in.n == 0)
        return fail(why, "the ] after the IPv6 address is missing");
    if (bracket)
        in = tail(in, 1);
    if (host.n == 0)
        return fail(why, "the host is missing: redis://host:port");
    if (!is_host(host, bracket ? ":.%" : ".-_") || (bracket && !memchr(host.p, ':', host.n)))
        return fail(why, "the host must be a name, an IPv4 address, or an IPv6 address in []");
    if (in.n > 0 && (in.p[0] != ':' || !number(tail(in, 1), 65535, &port) || port == 0))
        return fail(why, "the port must be a number from 1 to 65535");
    memcpy(u->host, host.p, host.n);
    u->port = (uint16_t)port;
    return true;
}

static bool parse_tcp(struct redis_url *u, struct span authority, struct span rest, struct buf *why)
{
    if (!parse_address(u, authority, why))
        return false;
    if (rest.n > 0 && rest.p[0] == '/')
        rest = tail(rest, 1);
    struct span database = cut_at(&rest, "?#");
    if (rest.n > 0)
        return fail(why, "nothing may follow the database: no ? and no #");
    return database.n == 0 || parse_database(u, database, why);
}

static bool parse_unix(struct redis_url *u, struct span authority, struct span rest,
                       struct buf *why)
{
    struct span path = cut_at(&rest, "?#");

    if (authority.n > 0 || path.n < 2)
        return fail(why, "the path of a unix socket is absolute: unix:///path/to/redis.sock");
    if (!decode(path, u->host, 107, "path of the unix socket", why))
        return false;
    if (rest.n == 0)
        return true;
    if (rest.n < 4 || memcmp(rest.p, "?db=", 4) != 0)
        return fail(why, "only ?db=… may follow the path");
    return parse_database(u, tail(rest, 4), why);
}

static bool parse_scheme(struct redis_url *u, struct span *text)
{
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (text->n >= schemes[i].text.n &&
            strncasecmp(text->p, schemes[i].text.p, schemes[i].text.n) == 0) {
            u->transport = schemes[i].transport;
            *text = tail(*text, schemes[i].text.n);
            return true;
        }
    return false;
}

bool redis_url_parse(struct redis_url *out, struct span text, struct buf *why)
{
    struct redis_url u = {.transport = REDIS_TCP};

    if (!parse_scheme(&u, &text))
        return fail(why, "it must begin with redis://, rediss:// (TLS) or unix:// (socket)");
    struct span authority = cut_at(&text, "/?#");
    if (text.n > 0 && memchr(text.p, '@', text.n) && !memchr(authority.p, '@', authority.n) &&
        u.transport != REDIS_UNIX)
        return fail(why, "a /, ? or # in the user name or password is written %2F, %3F or %23");
    const char *at = authority.n > 0 ? memrchr(authority.p, '@', authority.n) : NULL;
    if (at) {
        size_t n = (size_t)(at - authority.p);
        if (!parse_login(&u, (struct span){authority.p, n}, why))
            return false;
        authority = tail(authority, n + 1);
    }
    bool ok = u.transport == REDIS_UNIX ? parse_unix(&u, authority, text, why)
                                        : parse_tcp(&u, authority, text, why);
    if (ok)
        *out = u;
    return ok;
}

void redis_url_show(const struct redis_url *u, struct buf *out)
{
    if (u->transport == REDIS_UNIX) {
        buf_fmt(out, "unix://%s", u->host);
        if (u->database > 0)
            buf_fmt(out, "?db=%u", u->database);
        return;
    }
    buf_str(out, u->transport == REDIS_TLS ? "rediss://" : "redis://");
    buf_fmt(out, strchr(u->host, ':') ? "[%s]:%u" : "%s:%u", u->host, u->port);
    if (u->database > 0)
        buf_fmt(out, "/%u", u->database);
}
