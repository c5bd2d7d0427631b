/* SPDX-License-Identifier: MIT */
/* hex.h: bytes and numbers in hexadecimal digits. Written in lower case, read in either. Pure; any
 * thread. */
#ifndef MADANG_BASE_HEX_H
#define MADANG_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

#define HEX_U64 16 /* digits of a number, zeros in front included */

/* The digit of the low four bits; others do not matter. */
static inline char hex_digit(unsigned v)
{
    return "0123456789abcdef"[v & 15];
}

/* What a digit stands for; -1: it is none. */
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Two digits a byte, without NUL; where the text ends. */
static inline char *hex_bytes(char *out, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *out++ = hex_digit(bytes[i] >> 4);
        *out++ = hex_digit(bytes[i]);
    }
    return out;
}

/* HEX_U64 digits, without NUL; where the text ends. */
static inline char *hex_u64(char *out, uint64_t v)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *out++ = hex_digit((unsigned)(v >> shift));
    return out;
}

#endif
