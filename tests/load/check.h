/* SPDX-License-Identifier: MIT */
/*
 * The judge: what was sent, what must therefore arrive where, and what did.
 *
 * A *flight* is a publication on its way, from the publish command until the publisher has its
 * reply and every prompt listener has the publication. Its data say room, source, sequence number
 * and flight, so that the first copy to arrive can be compared byte for byte with what was sent;
 * further copies are compared with the first (room.h). A *seat* is a session's place in a room:
 * the index of the publication that it must receive next.
 *
 * Slow listeners have seats too, but nothing waits for them. One thread; no I/O.
 */
#ifndef LOAD_CHECK_H
#define LOAD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/json.h"
#include "load/options.h"
#include "load/room.h"
#include "load/stats.h"
#include "load/verdict.h"

struct seat {
    uint32_t room;
    bool joined; /* the first subscribe reply has come */
    bool gone;   /* will receive nothing any more, and that is right */
    bool prompt; /* not a slow reader */
    uint64_t index;
    uint64_t gap_from; /* the newest gap that was reported, to tell late from twice */
    uint64_t gap_to;
};

struct flight {
    uint32_t room;
    uint32_t source;
    uint32_t seq;
    uint32_t next_free;
    bool open;
    bool waited; /* counted in check.waiting */
    bool replied;
    bool seen;
    bool delivered;
    bool unsent;   /* to be sent again, see insist.h */
    bool doubtful; /* the publisher's connection ended before the reply */
    bool measured;
    uint64_t sent; /* ns */
};

struct check {
    const struct options *opt;
    struct verdict verdict;
    struct counters counters;
    struct hist latency; /* publish to receipt, prompt listeners, measured flights */
    struct room *rooms;
    struct seat *seats;
    uint32_t seats_per_session; /* session s has seats[s * seats_per_session] and following */
    uint32_t sessions;
    struct flight *flights;
    uint32_t flight_count;
    uint32_t free_flight;
    uint64_t open;    /* flights */
    uint64_t waiting; /* flights that a closed loop waits for */
    uint64_t unsent;  /* flights that are to be sent again */
    bool measuring;
    uint32_t nonce; /* makes idempotency keys differ between runs */
};

void check_init(struct check *check, const struct options *opt);
void check_deinit(struct check *check);

/* Is this session one that listens, and is it a slow one? Sessions are 0 … sessions-1. */
bool check_listens(const struct options *opt, uint32_t session);
bool check_slow(const struct options *opt, uint32_t session);

struct seat *check_seats(struct check *check, uint32_t session);

/* The session's seat in the named room, or NULL. */
struct seat *check_find_seat(struct check *check, uint32_t session, struct span channel);

/* A publication that is about to be sent; returns its flight. */
uint32_t check_send(struct check *check, struct room *room, uint32_t source, uint64_t now);

/* The data of a flight: exactly opt->size bytes, written to `out`. */
void check_data(const struct check *check, uint32_t flight, char *out);

void check_replied(struct check *check, uint32_t flight);

/* The connection of this client ended: what it sent and has no reply for may or may not arrive. */
void check_doubt(struct check *check, uint32_t client);

/* True when the line is the very publication that the session must receive next. */
bool check_line(struct check *check, uint32_t session, struct span line, uint64_t now);

/* A publication that check_line did not know; `line` is where it was found. */
void check_publication(struct check *check, struct seat *seat, struct span pub, struct span line,
                       uint64_t now);

/* A subscribe reply, first or after a reconnect; `result` is its body. */
void check_joined(struct check *check, struct seat *seat, struct span result, uint64_t now);

/* A session is gone for good, and that is right. */
void check_leave(struct check *check, uint32_t session);

/* Nothing is under way and every prompt listener has everything. */
bool check_settled(struct check *check);

/* Says what is still missing; called when no more is to be expected. */
void check_finish(struct check *check);

#endif
