/* SPDX-License-Identifier: MIT */
#include "backplane/base/base64.h"

static const char ALPHABETS[][65] = {
    [BASE64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

static int digit(const char *alphabet, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

/* Cuts the padding off, which must be there exactly where the form has it. */
static bool strip(enum base64 form, struct span *text)
{
    if (form == BASE64_URL)
        return true;
    if (text->n % 4)
        return false;
    for (int i = 0; i < 2 && text->n && text->p[text->n - 1] == '='; i++)
        text->n--;
    return true;
}

bool base64_decode(enum base64 form, struct span text, struct buf *out)
{
    size_t before = out->n;
    unsigned window = 0, bits = 0;
    if (!strip(form, &text) || text.n % 4 == 1 || !buf_reserve(out, text.n / 4 * 3 + 3))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int d = digit(ALPHABETS[form], text.p[i]);
        if (d < 0)
            goto refused;
        window = window << 6 | (unsigned)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_char(out, (char)(window >> bits));
            window &= (1U << bits) - 1;
        }
    }
    if (window == 0) /* what is left over must be zero bits */
        return true;
refused:
    out->n = before;
    return false;
}

void base64_encode(enum base64 form, struct span bytes, struct buf *out)
{
    const char *alphabet = ALPHABETS[form];
    unsigned window = 0, bits = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        window = (window << 8 | (unsigned char)bytes.p[i]) & 0xFFFF;
        for (bits += 8; bits >= 6; bits -= 6)
            buf_char(out, alphabet[window >> (bits - 6) & 63]);
    }
    if (bits)
        buf_char(out, alphabet[window << (6 - bits) & 63]);
    for (size_t n = bytes.n; form == BASE64 && n % 3; n++)
        buf_char(out, '=');
}
