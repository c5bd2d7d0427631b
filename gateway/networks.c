/* SPDX-License-Identifier: MIT */
#include "gateway/networks.h"

#include <stdlib.h>

#define BITS        128
#define MAPPED_BITS 96 /* of an IPv4 address, before it begins */

static const char UNIX[] = "unix";

struct network {
    struct address address;
    unsigned bits; /* of the prefix */
};

struct networks {
    size_t count;
    struct network list[];
};

/* At most three digits, at most `most`. */
static bool read_bits(const char *digits, unsigned most, unsigned *bits)
{
    size_t n = strspn(digits, "0123456789");
    unsigned value = 0;

    if (n == 0 || n > 3 || digits[n] != '\0')
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (unsigned)(digits[i] - '0');
    *bits = value;
    return value <= most;
}

static bool read_network(const char *text, struct network *out)
{
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    unsigned bits;

    if (strcmp(text, UNIX) == 0) {
        *out = (struct network){.bits = BITS}; /* nobody, and nobody else */
        return true;
    }
    if (memchr(text, '%', n) || !address_read((struct span){text, n}, &out->address))
        return false;
    bool is_v4 = memchr(text, ':', n) == NULL;
    out->bits = BITS;
    if (!slash)
        return !address_is_nobody(&out->address);
    if (!read_bits(slash + 1, is_v4 ? BITS - MAPPED_BITS : BITS, &bits))
        return false;
    out->bits = bits + (is_v4 ? MAPPED_BITS : 0);
    return out->bits < BITS || !address_is_nobody(&out->address);
}

bool network_is(const char *text)
{
    struct network n;

    return read_network(text, &n);
}

struct networks *networks_new(char *const *words, size_t count)
{
    struct networks *n = calloc(1, sizeof(*n) + count * sizeof(n->list[0]));

    if (!n)
        return NULL;
    for (size_t i = 0; i < count; i++)
        n->count += read_network(words[i], &n->list[n->count]);
    return n;
}

void networks_free(struct networks *n)
{
    free(n);
}

static bool has(const struct network *n, const struct address *a)
{
    size_t bytes = n->bits / 8;
    unsigned rest = n->bits % 8;
    bool whole = n->bits == BITS;

    /* A prefix shorter than what all IPv4 addresses share is about IPv6. */
    if (!whole && (address_is_nobody(a) || (n->bits < MAPPED_BITS && address_is_v4(a))))
        return false;
    if (memcmp(n->address.bytes, a->bytes, bytes) != 0)
        return false;
    return rest == 0 || (n->address.bytes[bytes] ^ a->bytes[bytes]) >> (8 - rest) == 0;
}

bool networks_have(const struct networks *n, const struct address *a)
{
    for (size_t i = 0; i < n->count; i++)
        if (has(&n->list[i], a))
            return true;
    return false;
}
