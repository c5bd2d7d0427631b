/* SPDX-License-Identifier: MIT */
#include "gateway/arrival.h"

#include <stdlib.h>
#include <unistd.h>

struct arrival *arrival_new(int fd)
{
    struct arrival *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->fd = fd;
    list_init(&a->link);
    list_init(&a->peer_link);
    return a;
}

void arrival_free(struct arrival *a)
{
    if (a->fd >= 0)
        close(a->fd);
    crowd_leave(&a->counted_in, &a->client);
    free(a);
}
