/* SPDX-License-Identifier: MIT */
/* What proxies say about their clients. The first byte of the input says how the rest is taken: as
 * a PROXY header, as the value of X-Forwarded-For, or as a word of trusted_proxies.
 */
#include "gateway/forwarded.h"
#include "gateway/proxy_header.h"
#include "tests/fuzz/fuzz.h"

/* A header that comes in pieces is the same header: before its end it wants more, and what follows
 * does not matter. */
static void header(struct span s)
{
    struct proxy_header h, part;
    enum proxy_verdict v = proxy_header_read(s, &h);
    size_t whole = v == PROXY_WHOLE ? h.length : s.n;

    MUST(whole <= s.n && (v == PROXY_BAD || whole <= PROXY_HEADER_MAX));
    for (size_t n = 0; n < whole && v != PROXY_BAD; n++)
        MUST(proxy_header_read((struct span){s.p, n}, &part) == PROXY_MORE);
    if (v != PROXY_WHOLE)
        return;
    MUST(whole > 0);
    MUST(proxy_header_read((struct span){s.p, whole}, &part) == PROXY_WHOLE);
    MUST(part.length == whole && address_eq(&part.source, &h.source));
}

static struct networks *some_networks(void)
{
    static struct networks *list;
    static char v4[] = "10.0.0.0/8", v6[] = "fd00::/8", local[] = "unix";
    char *words[] = {v4, v6, local};

    if (!list)
        MUST(list = networks_new(words, 3));
    return list;
}

/* Whatever a client writes in front, who has been found stays the one. */
static void forwarded(struct span s)
{
    struct address client, again;
    struct buf more = {0};

    if (!forwarded_client(some_networks(), s, &client))
        return;
    MUST(!address_is_nobody(&client));
    buf_lit(&more, "192.0.2.1,");
    buf_span(&more, s);
    MUST(!more.failed);
    MUST(forwarded_client(some_networks(), (struct span){more.p, more.n}, &again));
    if (!networks_have(some_networks(), &client))
        MUST(address_eq(&client, &again));
    buf_deinit(&more);
}

/* A network has the address that it is written with, unless that one is IPv4 and the prefix is of
 * IPv6. */
static void word(struct span s)
{
    struct buf text = {0};
    struct address a;

    buf_span(&text, s);
    buf_char(&text, '\0');
    MUST(!text.failed);
    size_t slash = strcspn(text.p, "/");
    if (network_is(text.p) && address_read((struct span){text.p, slash}, &a)) {
        char *words[] = {text.p};
        struct networks *n = networks_new(words, 1);
        bool other_kind = address_is_v4(&a) && memchr(text.p, ':', slash);
        MUST(n);
        MUST(networks_have(n, &a) || other_kind || address_is_nobody(&a));
        networks_free(n);
    }
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const takers[])(struct span) = {header, forwarded, word};

    if (size > 0)
        takers[data[0] % 3]((struct span){(const char *)data + 1, size - 1});
    return 0;
}
