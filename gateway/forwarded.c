/* SPDX-License-Identifier: MIT */
#include "gateway/forwarded.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
    while (s.n && is_blank(s.p[0]))
        s = (struct span){s.p + 1, s.n - 1};
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool is_port(const char *p, size_t n)
{
    if (n < 2 || n > 6 || p[0] != ':')
        return false;
    for (size_t i = 1; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
static bool read_hop(struct span word, struct address *out)
{
    const char *colon = word.n ? memchr(word.p, ':', word.n) : NULL;
    const char *end = word.n ? memchr(word.p, ']', word.n) : NULL;
    struct span host = word;

    if (word.n && word.p[0] == '[') {
        size_t n = end ? (size_t)(end - word.p) : 0;
        if (!end || !colon || colon > end || (n + 1 < word.n && !is_port(end + 1, word.n - n - 1)))
            return false;
        host = (struct span){word.p + 1, n - 1};
    } else if (colon && !memchr(colon + 1, ':', word.n - (size_t)(colon + 1 - word.p))) {
        host.n = (size_t)(colon - word.p);
        if (!is_port(colon, word.n - host.n))
            return false;
    }
    return address_read(host, out) && !address_is_nobody(out);
}

bool forwarded_client(const struct networks *trusted, struct span list, struct address *client)
{
    for (;;) {
        const char *comma = list.n ? memrchr(list.p, ',', list.n) : NULL;
        size_t at = comma ? (size_t)(comma + 1 - list.p) : 0;
        if (!read_hop(trim((struct span){list.p + at, list.n - at}), client))
            return false;
        if (!comma || !networks_have(trusted, client))
            return true;
        list.n = at - 1;
    }
}
