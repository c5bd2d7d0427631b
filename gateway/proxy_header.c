/* SPDX-License-Identifier: MIT */
#include "gateway/proxy_header.h"

#include "backplane/base/count.h"

#include <netinet/in.h>

#define V2_FIXED 16 /* bytes before the addresses */

static const struct span v1_sign = SPAN_INIT("PROXY ");
static const struct span v2_sign = SPAN_INIT("\r\n\r\n\0\r\nQUIT\n");

/* Whether one of them begins with the other. */
static bool agree(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;

    return n == 0 || memcmp(a.p, b.p, n) == 0;
}

/* ---- version 1 ---- */

/* What stands before the next space, or the rest; takes it off. */
static struct span next_word(struct span *line)
{
    const char *space = line->n ? memchr(line->p, ' ', line->n) : NULL;
    struct span word = {line->p, space ? (size_t)(space - line->p) : line->n};
    size_t skip = word.n + (space != NULL);

    *line = (struct span){line->p + skip, line->n - skip};
    return word;
}

static bool is_port(struct span word)
{
    uint32_t port = 0;

    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9' || i == 5)
            return false;
        port = port * 10 + (uint32_t)(word.p[i] - '0');
    }
    return word.n > 0 && port <= UINT16_MAX;
}

static bool is_address(struct span word, bool v6, struct address *out)
{
    bool has_colon = word.n && memchr(word.p, ':', word.n);

    return has_colon == v6 && !(word.n && memchr(word.p, '%', word.n)) && address_read(word, out) &&
           !address_is_nobody(out);
}

/* The line behind "PROXY ", without its end. */
static bool read_line(struct span line, struct address *source)
{
    struct span family = next_word(&line);
    struct address target;
    bool v6 = span_eq(family, SPAN("TCP6"));

    if (span_eq(family, SPAN("UNKNOWN"))) /* whatever follows is to be ignored */
        return true;
    if ((!v6 && !span_eq(family, SPAN("TCP4"))) || line.n == 0 || line.p[line.n - 1] == ' ')
        return false;
    return is_address(next_word(&line), v6, source) && is_address(next_word(&line), v6, &target) &&
           is_port(next_word(&line)) && is_port(next_word(&line)) && line.n == 0;
}

static enum proxy_verdict read_v1(struct span bytes, struct proxy_header *out)
{
    size_t seen = bytes.n < PROXY_V1_MAX ? bytes.n : PROXY_V1_MAX;
    const char *end = memchr(bytes.p, '\n', seen);

    if (!end)
        return seen < PROXY_V1_MAX ? PROXY_MORE : PROXY_BAD;
    size_t n = (size_t)(end - bytes.p); /* with the CR */
    if (n <= v1_sign.n || end[-1] != '\r')
        return PROXY_BAD;
    out->length = n + 1;
    struct span line = {bytes.p + v1_sign.n, n - 1 - v1_sign.n};
    return read_line(line, &out->source) ? PROXY_WHOLE : PROXY_BAD;
}

/* ---- version 2 ---- */

enum { COMMAND_LOCAL, COMMAND_PROXY };

/* By the upper half of the 14th byte: how many bytes of addresses there are, of which the source is
 * the first. */
static const struct family {
    size_t bytes, source;
} families[] = {
    {0, 0},    /* AF_UNSPEC */
    {12, 4},   /* AF_INET */
    {36, 16},  /* AF_INET6 */
    {216, 108} /* AF_UNIX */
};

#define TRANSPORTS 3 /* unspecified, stream, datagram */

static bool read_source(const struct family *f, const char *p, struct address *source)
{
    if (f->source == sizeof(struct in_addr))
        *source = address_of_v4(p);
    else if (f->source == sizeof(source->bytes))
        memcpy(source->bytes, p, sizeof(source->bytes));
    else
        return true;
    return !address_is_nobody(source);
}

static enum proxy_verdict read_v2(struct span bytes, struct proxy_header *out)
{
    const uint8_t *b = (const uint8_t *)bytes.p;
    size_t at = v2_sign.n;

    if (bytes.n > at && (b[at] >> 4 != 2 || (b[at] & 0x0F) > COMMAND_PROXY))
        return PROXY_BAD;
    if (bytes.n < V2_FIXED)
        return PROXY_MORE;
    size_t family = b[at + 1] >> 4, rest = (size_t)b[at + 2] << 8 | b[at + 3];
    bool local = (b[at] & 0x0F) == COMMAND_LOCAL; /* its addresses are to be ignored */
    out->length = V2_FIXED + rest;
    if (out->length > PROXY_HEADER_MAX)
        return PROXY_BAD;
    if (!local && (family >= COUNT_OF(families) || (b[at + 1] & 0x0F) >= TRANSPORTS ||
                   rest < families[family].bytes))
        return PROXY_BAD;
    if (bytes.n < out->length)
        return PROXY_MORE;
    if (local || read_source(&families[family], bytes.p + V2_FIXED, &out->source))
        return PROXY_WHOLE;
    return PROXY_BAD;
}

enum proxy_verdict proxy_header_read(struct span bytes, struct proxy_header *out)
{
    *out = (struct proxy_header){0};
    if (agree(bytes, v1_sign))
        return bytes.n < v1_sign.n ? PROXY_MORE : read_v1(bytes, out);
    if (agree(bytes, v2_sign))
        return bytes.n < v2_sign.n ? PROXY_MORE : read_v2(bytes, out);
    return PROXY_BAD;
}
