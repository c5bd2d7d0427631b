/* SPDX-License-Identifier: MIT */
#include "load/verdict.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
#define VERDICT_NAME(symbol, text) [VERDICT_##symbol] = text,
    VERDICT_KINDS(VERDICT_NAME)
#undef VERDICT_NAME
};

const char *verdict_kind_name(enum verdict_kind kind)
{
    return names[kind];
}

void verdict_add(struct verdict *verdict, enum verdict_kind kind, const char *format, ...)
{
    va_list args;
    verdict->counts[kind]++;
    verdict->total++;
    if (verdict->kept == VERDICT_SENTENCES)
        return;
    va_start(args, format);
    (void)vsnprintf(verdict->sentences[verdict->kept++], VERDICT_LENGTH, format, args);
    va_end(args);
}
