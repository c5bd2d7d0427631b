/* SPDX-License-Identifier: MIT */
#include "backplane/base/utf8.h"

#include <assert.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Eight ASCII bytes at a time: most text is mostly that. */
static struct span skip_ascii(struct span s)
{
    uint64_t w;

    while (s.n >= sizeof(w)) {
        memcpy(&w, s.p, sizeof(w));
        if (w & HIGH_BITS)
            break;
        s.p += sizeof(w);
        s.n -= sizeof(w);
    }
    return s;
}

bool utf8_valid(struct span s)
{
    while (s.n) {
        s = skip_ascii(s);
        /* At least one character, then on while it is not ASCII. */
        do {
            if (s.n == 0)
                return true;
            size_t n = utf8_seq(s);
            if (n == 0)
                return false;
            s.p += n;
            s.n -= n;
        } while (s.n && (unsigned char)*s.p >= 0x80);
    }
    return true;
}

size_t utf8_encode(uint32_t code_point, char out[4])
{
    static const struct {
        uint32_t below;
        unsigned lead;
    } forms[] = {{0x80, 0x00}, {0x800, 0xC0}, {0x10000, 0xE0}, {0x110000, 0xF0}};
    size_t tails = 0;

    assert(code_point < 0x110000 && (code_point < 0xD800 || code_point > 0xDFFF));
    while (code_point >= forms[tails].below)
        tails++;
    for (size_t i = tails; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3F));
        code_point >>= 6;
    }
    out[0] = (char)(forms[tails].lead | code_point);
    return tails + 1;
}
