/* SPDX-License-Identifier: MIT */
/*
 * What went wrong. A run with any entry here ends with a non-zero exit; the first few are kept as
 * sentences, the rest are only counted by kind.
 */
#ifndef LOAD_VERDICT_H
#define LOAD_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#define VERDICT_KINDS(X)                                                                           \
    X(LOST, "lost")                                                                                \
    X(DUPLICATED, "duplicated")                                                                    \
    X(REORDERED, "reordered")                                                                      \
    X(UNEXPECTED, "unexpected")                                                                    \
    X(EPOCH, "epoch changed")                                                                      \
    X(REFUSED, "refused")                                                                          \
    X(CLOSED, "closed")                                                                            \
    X(GAP_TOLD, "told of a gap")                                                                   \
    X(PROTOCOL, "protocol broken")                                                                 \
    X(STUCK, "stuck")

enum verdict_kind {
#define VERDICT_ENUM(symbol, text) VERDICT_##symbol,
    VERDICT_KINDS(VERDICT_ENUM)
#undef VERDICT_ENUM
        VERDICT_KIND_COUNT
};

enum {
    VERDICT_SENTENCES = 6,
    VERDICT_LENGTH = 320,
};

struct verdict {
    uint64_t counts[VERDICT_KIND_COUNT];
    uint64_t total;
    unsigned kept;
    char sentences[VERDICT_SENTENCES][VERDICT_LENGTH];
};

const char *verdict_kind_name(enum verdict_kind kind);

__attribute__((format(printf, 3, 4))) void
verdict_add(struct verdict *verdict, enum verdict_kind kind, const char *format, ...);

#endif
