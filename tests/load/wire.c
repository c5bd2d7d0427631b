/* SPDX-License-Identifier: MIT */
#include "load/wire.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One fixed key, so the right answer is a constant and no SHA-1 is needed. */
static const char key[] = "bWFkYW5nLWxvYWQta2V5IQ==";
static const char accept_value[] = "2ukJELfQ0CsPErbFvRYBHWvheT4=";

size_t wire_request(char *out, size_t size, const char *host, const char *path)
{
    int n = snprintf(out, size,
                     "GET %s HTTP/1.1\r\n"
                     "Host: %s\r\n"
                     "Connection: Upgrade\r\n"
                     "Upgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: %s\r\n\r\n",
                     path, host, key);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

ssize_t wire_response(const char *data, size_t len, int *status)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    *status = 0;
    if (len >= 12 && memcmp(data, "HTTP/1.1 ", 9) == 0)
        *status = (int)strtol(data + 9, NULL, 10);
    if (!end)
        return len > 8192 ? -1 : 0;
    size_t head = (size_t)(end - data) + 4;
    if (*status != 101 || !memmem(data, head, accept_value, sizeof accept_value - 1))
        return -1;
    return (ssize_t)head;
}

static size_t put_length(unsigned char *out, size_t len)
{
    if (len < 126) {
        out[1] = (unsigned char)(0x80 | len);
        return 2;
    }
    unsigned bytes = len < 65536 ? 2 : 8;
    out[1] = bytes == 2 ? 0x80 | 126 : 0x80 | 127;
    for (unsigned i = 0; i < bytes; i++)
        out[2 + i] = (unsigned char)((uint64_t)len >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

size_t wire_encode(char *out, enum wire_op op, const char *data, size_t len, uint32_t mask)
{
    unsigned char *head = (unsigned char *)out;
    unsigned char key_bytes[4];
    memcpy(key_bytes, &mask, 4);
    head[0] = (unsigned char)(0x80 | op);
    size_t n = put_length(head, len);
    memcpy(out + n, key_bytes, 4);
    n += 4;
    for (size_t i = 0; i < len; i++)
        out[n + i] = (char)((unsigned char)data[i] ^ key_bytes[i & 3]);
    return n + len;
}

ssize_t wire_decode(const char *data, size_t len, struct wire_frame *frame)
{
    const unsigned char *p = (const unsigned char *)data;
    if (len < 2)
        return 0;
    if ((p[0] & 0x70) || (p[1] & 0x80))
        return -1;
    size_t head = 2;
    uint64_t size = p[1];
    unsigned extra = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (extra) {
        if (len < head + extra)
            return 0;
        size = 0;
        for (unsigned i = 0; i < extra; i++)
            size = size << 8 | p[head + i];
        head += extra;
    }
    if (size > SSIZE_MAX / 2)
        return -1;
    if (len < head + size)
        return 0;
    *frame = (struct wire_frame){p[0] & 0x0f, p[0] >> 7, data + head, (size_t)size};
    return (ssize_t)(head + size);
}
