/* SPDX-License-Identifier: MIT */
/*
 * All clients of a run and the loop that serves them. One thread.
 */
#ifndef LOAD_SWARM_H
#define LOAD_SWARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/check.h"
#include "load/client.h"
#include "load/options.h"
#include "load/targets.h"

enum {
    SWARM_CODES = 16, /* different close codes that are counted */
    SWARM_SCRATCH = 1 << 18,
};

struct close_count {
    uint32_t code; /* 0: the connection ended without a close frame */
    uint64_t count;
};

struct swarm {
    const struct options *opt;
    struct check *check;
    struct client *clients;
    uint32_t count;
    int epoll;
    uint64_t now;         /* ns; when the last read returned */
    uint32_t next;        /* the first client that was never opened */
    uint32_t opening;     /* between IDLE and LIVE */
    uint32_t live;        /* in LIVE */
    uint32_t gone;        /* in GONE */
    bool failed;          /* connecting makes no sense any more; the verdict says why */
    bool leaving;         /* good-byes are being said, ends are no surprise */
    uint64_t next_open;   /* ns; with a connect rate */
    uint64_t next_sip;    /* ns; slow readers */
    uint64_t next_cut;    /* ns */
    uint64_t next_insist; /* ns */
    uint32_t *again;      /* clients to be opened again */
    uint32_t again_count;
    uint32_t random;
    struct targets targets;
    struct targets publish_targets; /* of those that only publish */
    struct close_count closes[SWARM_CODES];
    char *buffer; /* one read */
    size_t buffer_size;
    char *scratch; /* one write, SWARM_SCRATCH bytes for the payload and as many for the frame */
};

/* False: the address is not one, or there are not enough descriptors; a sentence was printed. */
bool swarm_init(struct swarm *swarm, const struct options *opt, struct check *check);
void swarm_deinit(struct swarm *swarm);

/* One turn: opens what is due, waits at most `wait` ns for sockets and serves them. */
void swarm_turn(struct swarm *swarm, uint64_t wait);

/* Slow readers stop reading, or read again. */
void swarm_pause_slow(struct swarm *swarm);
void swarm_resume_slow(struct swarm *swarm);

void swarm_bye(struct swarm *swarm);

/* Called by clients. */
const struct sockaddr_in *swarm_target(const struct swarm *swarm, const struct client *client);
uint32_t swarm_random(struct swarm *swarm);
void swarm_count_close(struct swarm *swarm, uint32_t code);
void swarm_open_again(struct swarm *swarm, struct client *client);

#endif
