/* SPDX-License-Identifier: MIT */
/* session_state.h: the states of a session; each is a list of its hub. */
#ifndef MADANG_GATEWAY_SESSION_STATE_H
#define MADANG_GATEWAY_SESSION_STATE_H

enum session_state {
    SESSION_WAITING, /* WebSocket is up, no connect yet */
    SESSION_OPEN,    /* connected */
    SESSION_CLOSING, /* output is flushed, the close frame sent, the peer's awaited */
    SESSION_DEAD,    /* no socket; waits for its requests to come back */
    SESSION_STATES
};

#endif
