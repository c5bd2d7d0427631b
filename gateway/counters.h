/* SPDX-License-Identifier: MIT */
/* counters.h: what one hub counts. Written by the hub, read by /metrics on any thread.
 *
 * One list gives the struct, the metric's name, its type and its help text.
 * A gauge is a current value, a counter only grows.
 */
#ifndef MADANG_GATEWAY_COUNTERS_H
#define MADANG_GATEWAY_COUNTERS_H

#include "backplane/base/counter.h"
#include "backplane/rate.h"
#include "gateway/close.h"

/* field, metric name, type, help */
#define HUB_COUNTERS(X)                                                                            \
    X(sockets_opened, "madang_sockets_opened_total", "counter", "TCP connections taken over")      \
    X(sockets_closed, "madang_sockets_closed_total", "counter", "TCP connections closed")          \
    X(handshakes, "madang_handshakes_pending", "gauge",                                            \
      "Connections that have not finished a request or handshake")                                 \
    X(handshakes_cut, "madang_handshakes_cut_total", "counter",                                    \
      "Connections that had not said connect, cut to make room for others")                        \
    X(crowded, "madang_handshakes_crowded_total", "counter",                                       \
      "Handshakes refused, for the client's address has as many connections as allowed")           \
    X(sessions, "madang_sessions", "gauge", "Sessions that have said connect")                     \
    X(sessions_total, "madang_sessions_total", "counter", "Sessions that ever said connect")       \
    X(users, "madang_users", "gauge", "Users with sessions, once for each hub")                    \
    X(subscriptions, "madang_subscriptions", "gauge", "Subscriptions of all sessions")             \
    X(late, "madang_subscriptions_late", "gauge",                                                  \
      "Server-side subscriptions that could not be had yet")                                       \
    X(rooms, "madang_hub_rooms", "gauge", "Rooms with subscribers here")                           \
    X(commands, "madang_commands_total", "counter", "Commands received")                           \
    X(errors, "madang_command_errors_total", "counter", "Commands answered with an error")         \
    X(received_bytes, "madang_received_bytes_total", "counter",                                    \
      "Bytes of WebSocket payload received")                                                       \
    X(deliveries, "madang_deliveries_total", "counter",                                            \
      "Frames sent to sessions or queued for them")                                                \
    X(sent_bytes, "madang_sent_bytes_total", "counter", "Bytes of frames sent or queued")          \
    X(queued_bytes, "madang_queued_bytes", "gauge", "Bytes waiting for slow readers")              \
    X(backlogged, "madang_backlogged_sessions", "gauge", "Sessions with bytes waiting")            \
    X(pending_bytes, "madang_pending_bytes", "gauge", "Bytes of pushes waiting to be sent")        \
    X(input_bytes, "madang_input_bytes", "gauge",                                                  \
      "Bytes of messages that are not complete or not carried out")                                \
    X(overruns, "madang_overruns_total", "counter",                                                \
      "Times a room had more pushes than could be sent, and its subscribers were told")            \
    X(api_calls, "madang_api_calls_total", "counter", "Calls of the server API")                   \
    X(api_pending, "madang_api_calls_pending", "gauge", "Calls of the server API in progress")     \
    X(api_bytes, "madang_api_bytes", "gauge", "Bytes of the bodies of these calls")                \
    X(api_refused, "madang_api_calls_refused_total", "counter",                                    \
      "Calls of the server API that found no place")                                               \
    X(requests, "madang_requests_pending", "gauge", "Requests at the sequencer")                   \
    X(starved, "madang_credit_waits_total", "counter", "Times a session waited for a credit")      \
    X(turns, "madang_loop_turns_total", "counter", "Turns of the event loop")

struct hub_counters {
#define HUB_COUNTER_FIELD(field, name, type, help) counter field;
    HUB_COUNTERS(HUB_COUNTER_FIELD)
#undef HUB_COUNTER_FIELD
    counter closes[CLOSE_REASONS];  /* madang_closes_total{code,reason} */
    counter refused[SCOPES][RATES]; /* madang_refused_total{by,rate} */
};

#endif
