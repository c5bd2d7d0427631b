/* SPDX-License-Identifier: MIT */
/* close.h: why a connection ends, in one list: symbol, WebSocket close code, text, what happens to
 * bytes still queued.
 *
 * The text goes into the close frame, the log and the metrics. It is never empty and never JSON:
 * the official client takes a JSON text for an instruction and reconnects for ever on an empty one.
 * Codes 3500–3999 and 4500–4999 are terminal for clients, and so is 1009; all others reconnect.
 */
#ifndef MADANG_GATEWAY_CLOSE_H
#define MADANG_GATEWAY_CLOSE_H

#include "backplane/base/msg.h"

enum close_flush { DISCARD_QUEUE, FLUSH_QUEUE };

#define CLOSE_LIST(X)                                                                              \
    X(CLOSE_GONE, 3000, "connection closed", DISCARD_QUEUE) /* by the peer: no close frame */      \
    X(CLOSE_SHUTDOWN, 3001, "shutdown", FLUSH_QUEUE)                                               \
    X(CLOSE_INTERNAL, 3004, "internal server error", FLUSH_QUEUE)                                  \
    X(CLOSE_EXPIRED, 3005, "connection expired", FLUSH_QUEUE)                                      \
    X(CLOSE_SUB_EXPIRED, 3006, "subscription expired", FLUSH_QUEUE)                                \
    X(CLOSE_SLOW, 3008, "slow", DISCARD_QUEUE)                                                     \
    X(CLOSE_WRITE_ERROR, 3009, "write error", DISCARD_QUEUE)                                       \
    X(CLOSE_INSUFFICIENT, 3010, "insufficient state", FLUSH_QUEUE)                                 \
    X(CLOSE_RECALLED, 3011, "force reconnect", FLUSH_QUEUE)                                        \
    X(CLOSE_NO_PONG, 3012, "no pong", DISCARD_QUEUE)                                               \
    X(CLOSE_TOO_MANY_REQUESTS, 3013, "too many requests", FLUSH_QUEUE)                             \
    X(CLOSE_INVALID_TOKEN, 3500, "invalid token", FLUSH_QUEUE)                                     \
    X(CLOSE_BAD_REQUEST, 3501, "bad request", FLUSH_QUEUE)                                         \
    X(CLOSE_STALE, 3502, "stale", FLUSH_QUEUE)                                                     \
    X(CLOSE_ORDERED, 3503, "force disconnect", FLUSH_QUEUE) /* or whatever the order says */       \
    X(CLOSE_CONNECTION_LIMIT, 3504, "connection limit", FLUSH_QUEUE)                               \
    X(CLOSE_CHANNEL_LIMIT, 3505, "channel limit", FLUSH_QUEUE)                                     \
    X(CLOSE_PERMISSION, 3507, "permission denied", FLUSH_QUEUE)                                    \
    X(CLOSE_NOT_AVAILABLE, 3508, "not available", FLUSH_QUEUE)                                     \
    X(CLOSE_TOO_BIG, 1009, "message size limit exceeded", FLUSH_QUEUE)

enum close_reason {
#define CLOSE_ENUM(sym, code, text, flush) sym,
    CLOSE_LIST(CLOSE_ENUM)
#undef CLOSE_ENUM
        CLOSE_REASONS
};

struct close_info {
    const char *text;
    unsigned code;
    enum close_flush flush;
};

const struct close_info *close_info(enum close_reason r);

/* A close frame (RFC 6455 5.5.1), ready to be sent like any sealed message; NULL: no memory. */
struct msg *close_frame(enum close_reason r);

/* The same with a code and a text of one's own, of at most CLOSE_TEXT_MAX bytes, not empty. */
#define CLOSE_TEXT_MAX 123
struct msg *close_frame_with(unsigned code, struct span text);
/* The same with the code of a reason. */
struct msg *close_frame_of(enum close_reason r, struct span text);

#endif
