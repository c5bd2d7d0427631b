/* SPDX-License-Identifier: MIT */
/* utf8.h: well-formed UTF-8 as RFC 3629 defines it: shortest forms only, no surrogates, nothing
 * above U+10FFFF. Pure functions; any thread.
 */
#ifndef MADANG_BASE_UTF8_H
#define MADANG_BASE_UTF8_H

#include "backplane/base/span.h"

#include <stdint.h>

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

static inline bool utf8_is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Length (1 to 4) of the well-formed sequence at the start of s; 0 if there is none. Inline,
 * because it is the inner loop over every text that is not ASCII. */
static inline size_t utf8_seq(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2) /* a tail byte, or an overlong form of ASCII */
        return 0;
    if (p[0] < 0xE0)
        return s.n >= 2 && utf8_is_tail(p[1]) ? 2 : 0;
    if (p[0] < 0xF0) {
        if (s.n < 3 || !utf8_is_tail(p[1]) || !utf8_is_tail(p[2]))
            return 0;
        bool overlong = p[0] == 0xE0 && p[1] < 0xA0;
        bool surrogate = p[0] == 0xED && p[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (p[0] > 0xF4 || s.n < 4 || !utf8_is_tail(p[1]) || !utf8_is_tail(p[2]) || !utf8_is_tail(p[3]))
        return 0;
    bool overlong = p[0] == 0xF0 && p[1] < 0x90;
    bool beyond = p[0] == 0xF4 && p[1] > 0x8F;
    return overlong || beyond ? 0 : 4;
}

/* True if s is well-formed UTF-8 from end to end. */
bool utf8_valid(struct span s);

/* Writes the code point (at most U+10FFFF, no surrogate: asserted) to out; returns its 1 to 4
 * bytes. */
size_t utf8_encode(uint32_t code_point, char out[4]);

#endif
