/* SPDX-License-Identifier: MIT */
/* fuzz.h: what every fuzzer is to libFuzzer, or to replay.c, and how it reports. */
#ifndef MADANG_TESTS_FUZZ_FUZZ_H
#define MADANG_TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
