/* SPDX-License-Identifier: MIT */
#include "load/targets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool targets_parse(struct targets *targets, const char *host, const char *ports)
{
    struct sockaddr_in one = {.sin_family = AF_INET};
    const char *at = ports;
    *targets = (struct targets){0};
    if (inet_pton(AF_INET, host, &one.sin_addr) != 1) {
        fprintf(stderr, "'%s' is not an IPv4 address\n", host);
        return false;
    }
    while (targets->count < TARGETS_MAX) {
        char *end;
        unsigned long port = strtoul(at, &end, 10);
        if (end == at || port == 0 || port > 65535 || (*end && *end != ','))
            break;
        one.sin_port = htons((uint16_t)port);
        targets->list[targets->count++] = one;
        if (!*end)
            return true;
        at = end + 1;
    }
    fprintf(stderr, "'%s' is not a list of at most %d ports\n", ports, TARGETS_MAX);
    return false;
}

void targets_name(const struct sockaddr_in *target, char out[static 32])
{
    char address[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, &target->sin_addr, address, sizeof address);
    (void)snprintf(out, 32, "%s:%u", address, (unsigned)ntohs(target->sin_port));
}
