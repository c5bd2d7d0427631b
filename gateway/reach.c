/* SPDX-License-Identifier: MIT */
#include "gateway/reach.h"

#include "backplane/base/count.h"

#include <stdlib.h>

struct reach {
    struct networks *allowed, *special, *wrapping;
};

/* clang-format off */
static const char *const SPECIAL[] = {
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
};
/* An IPv4 address is behind these, in the last four bytes (RFC 6052). */
static const char *const WRAPPING[] = {"64:ff9b::/96"};
/* clang-format on */

static struct networks *make(const char *const *words, size_t count)
{
    return networks_new((char *const *)words, count);
}

struct reach *reach_new(char *const *words, size_t count)
{
    struct reach *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->allowed = networks_new(words, count);
    r->special = make(SPECIAL, COUNT_OF(SPECIAL));
    r->wrapping = make(WRAPPING, COUNT_OF(WRAPPING));
    if (r->allowed && r->special && r->wrapping)
        return r;
    reach_free(r);
    return NULL;
}

void reach_free(struct reach *r)
{
    if (!r)
        return;
    networks_free(r->allowed);
    networks_free(r->special);
    networks_free(r->wrapping);
    free(r);
}

bool reach_has(const struct reach *r, const struct address *a)
{
    struct address inner = *a;

    if (address_is_nobody(a))
        return false;
    if (networks_have(r->wrapping, a))
        inner = address_of_v4(a->bytes + sizeof(a->bytes) - 4);
    return networks_have(r->allowed, &inner) || !networks_have(r->special, &inner);
}
