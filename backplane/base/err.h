/* SPDX-License-Identifier: MIT */
/* err.h: the one error type of the program.
 *
 * The numbers are those of the Centrifuge client protocol, so an error can be
 * born anywhere and reach the client unchanged. OK is 0. A temporary error asks
 * the client to try again; the client libraries act on that flag.
 */
#ifndef MADANG_BASE_ERR_H
#define MADANG_BASE_ERR_H

#include <stdbool.h>

/* symbol, wire code, wire text, temporary */
#define ERR_LIST(X)                                                                                \
    X(ERR_INTERNAL, 100, "internal server error", true)                                            \
    X(ERR_UNAUTHORIZED, 101, "unauthorized", false)                                                \
    X(ERR_UNKNOWN_CHANNEL, 102, "unknown channel", false)                                          \
    X(ERR_PERMISSION, 103, "permission denied", false)                                             \
    X(ERR_METHOD_NOT_FOUND, 104, "method not found", false)                                        \
    X(ERR_ALREADY_SUBSCRIBED, 105, "already subscribed", false)                                    \
    X(ERR_LIMIT, 106, "limit exceeded", false)                                                     \
    X(ERR_BAD_REQUEST, 107, "bad request", false)                                                  \
    X(ERR_NOT_AVAILABLE, 108, "not available", false)                                              \
    X(ERR_TOKEN_EXPIRED, 109, "token expired", false)                                              \
    X(ERR_EXPIRED, 110, "expired", false)                                                          \
    X(ERR_TOO_MANY_REQUESTS, 111, "too many requests", true)                                       \
    X(ERR_UNRECOVERABLE, 112, "unrecoverable position", false)

enum err {
    OK = 0,
#define ERR_ENUM(sym, code, text, temporary) sym = code,
    ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

/* The wire text of e; "ok" for OK, "unknown error" for a number outside the list. */
const char *err_text(enum err e);

/* True if a client may try the same request again. */
bool err_temporary(enum err e);

#endif
