/* SPDX-License-Identifier: MIT */
/*
 * Where sessions connect: the ports of one gateway or of several that share their rooms.
 */
#ifndef LOAD_TARGETS_H
#define LOAD_TARGETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { TARGETS_MAX = 16 };

struct targets {
    uint32_t count;
    struct sockaddr_in list[TARGETS_MAX];
};

/* `ports`: numbers with commas between. False: a sentence was printed. */
bool targets_parse(struct targets *targets, const char *host, const char *ports);

/* What the Host header says. */
void targets_name(const struct sockaddr_in *target, char out[static 32]);

#endif
