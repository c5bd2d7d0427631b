/* SPDX-License-Identifier: MIT */
#include "backplane/base/map.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Written once, before threads; only read afterwards. */
static uint64_t seed[2];

void map_seed(void)
{
    /* Up to 256 bytes come whole and without EINTR once the kernel's pool is ready. */
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        perror("madang: cannot draw a random seed from the kernel");
        abort();
    }
}

static inline uint64_t rotl(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

/* A lane is another key: lane 0 is the seed itself. */
static uint64_t sip(const uint64_t key[2], const void *p, size_t n, uint64_t lane)
{
    uint64_t k0 = key[0], k1 = key[1] ^ lane * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t v[4] = {k0 ^ UINT64_C(0x736F6D6570736575), k1 ^ UINT64_C(0x646F72616E646F6D),
                     k0 ^ UINT64_C(0x6C7967656E657261), k1 ^ UINT64_C(0x7465646279746573)};
    const unsigned char *at = p;
    size_t left = n;
    uint64_t word;

    for (; left >= sizeof(word); at += sizeof(word), left -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sip_word(v, le64toh(word));
    }
    word = (uint64_t)n << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (8 * i);
    sip_word(v, word);
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t map_hash(const void *p, size_t n, uint64_t lane)
{
    return sip(seed, p, n, lane);
}

uint64_t common_hash(const void *p, size_t n, uint64_t lane)
{
    static const uint64_t fixed[2] = {UINT64_C(0x6D6164616E670000), UINT64_C(0x636F6D6D6F6E0000)};
    return sip(fixed, p, n, lane);
}
