/* SPDX-License-Identifier: MIT */
/*
 * The client's half of WebSocket (RFC 6455): the upgrade request, masked frames out, plain
 * frames in. No state and no I/O here: everything works on the caller's bytes.
 */
#ifndef LOAD_WIRE_H
#define LOAD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum wire_op {
    WIRE_CONTINUATION = 0,
    WIRE_TEXT = 1,
    WIRE_BINARY = 2,
    WIRE_CLOSE = 8,
    WIRE_PING = 9,
    WIRE_PONG = 10,
};

enum {
    WIRE_HEAD = 14, /* the longest frame header that a client writes */
};

struct wire_frame {
    unsigned op;
    bool final;
    const char *data;
    size_t len;
};

/* The upgrade request, terminated; returns its length, or 0 if it does not fit. */
size_t wire_request(char *out, size_t size, const char *host, const char *path);

/*
 * The answer to the upgrade. Returns the length of its head when it is complete and right, 0 when
 * more bytes are needed, -1 when it is not an acceptance; *status is the HTTP status if known.
 */
ssize_t wire_response(const char *data, size_t len, int *status);

/* One masked frame; `out` has room for len + WIRE_HEAD. Returns the frame's length. */
size_t wire_encode(char *out, enum wire_op op, const char *data, size_t len, uint32_t mask);

/*
 * The frame at the start of `data`. Returns its whole length, 0 when more bytes are needed, -1
 * when it breaks the protocol (masked, reserved bits). frame->data points into `data`.
 */
ssize_t wire_decode(const char *data, size_t len, struct wire_frame *frame);

#endif
