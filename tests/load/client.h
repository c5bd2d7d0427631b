/* SPDX-License-Identifier: MIT */
/*
 * One connection to the gateway: TCP connect, WebSocket upgrade, the connect and subscribe
 * commands, then pushes and replies until somebody closes.
 *
 *   IDLE → CONNECTING → UPGRADING → GREETING → LIVE → IDLE (to reconnect) or GONE
 *
 * Clients belong to a swarm (swarm.h), which owns the epoll set and the one read buffer. Clients
 * with a number below check->sessions have seats; the others only publish.
 */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/wire.h"

struct swarm;

enum client_state {
    CLIENT_IDLE,
    CLIENT_CONNECTING,
    CLIENT_UPGRADING,
    CLIENT_GREETING,
    CLIENT_LIVE,
    CLIENT_GONE,
};

struct client {
    int fd; /* -1 while there is no connection */
    uint32_t number;
    uint8_t state; /* enum client_state */
    bool paused;   /* a slow reader that is not reading now */
    bool slow;
    bool cutting;      /* we end the connection ourselves */
    uint8_t replies;   /* subscribe replies that are still due */
    uint32_t in_len;   /* the beginning of a frame that is not complete */
    uint32_t out_len;  /* what the socket would not take */
    uint32_t attempts; /* connects, the first included */
    char *in;
    char *out;
};

void client_deinit(struct client *client);

/* Begins to connect. */
void client_open(struct swarm *swarm, struct client *client);

/* Makes a connected socket a LIVE client that has subscribed already (the floor's reader). */
void client_adopt(struct swarm *swarm, struct client *client, int fd);

/* What epoll said. */
void client_event(struct swarm *swarm, struct client *client, uint32_t events);

/* Stops reading, and goes on reading. */
void client_pause(struct swarm *swarm, struct client *client);
void client_resume(struct swarm *swarm, struct client *client);

/* Reads at most `budget` bytes of a paused client. */
void client_sip(struct swarm *swarm, struct client *client, uint64_t budget);

/* Cuts the connection without a word; the client is opened again by the swarm. */
void client_cut(struct swarm *swarm, struct client *client);

/* Gives the connection up; the client is opened again by the swarm. */
void client_retry(struct swarm *swarm, struct client *client);

/* Says good-bye (1000) and closes; the client is then GONE. */
void client_bye(struct swarm *swarm, struct client *client);

/* For dialogue.c. A frame to the gateway; errors show at the next read. */
void client_send(struct swarm *swarm, struct client *client, enum wire_op op, const char *data,
                 size_t len);
void client_set_state(struct swarm *swarm, struct client *client, enum client_state state);

/* The gateway broke the protocol: says so and ends the connection. */
void client_fail(struct swarm *swarm, struct client *client, const char *what);

#endif
