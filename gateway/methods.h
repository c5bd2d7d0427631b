/* SPDX-License-Identifier: MIT */
/* methods.h: the methods of the client protocol, in the order in which they are looked for, and
 * what is done with the sequencer's answers to them.
 */
#ifndef MADANG_GATEWAY_METHODS_H
#define MADANG_GATEWAY_METHODS_H

#include "gateway/command.h"

const struct method *method_find(struct span name); /* NULL: unknown */
bool method_is_connect(const struct method *m);
bool method_is_send(const struct method *m);

/* Replies with an error of the protocol. */
void reply_error(struct session *s, uint32_t id, enum err e);
/* The same in other words; NULL: in its own. */
void reply_refusal(struct session *s, uint32_t id, enum err e, const char *why);
/* The same for a command that asks for what is not offered (see left_out.h): 107, by name. */
void reply_left_out(struct session *s, uint32_t id, const char *feature);

/* Begins a reply in the hub's text: `{"id":7,"subscribe":`. The caller adds the object and a
 * brace. */
struct buf *reply_begin(struct session *s, uint32_t id, const char *method);
/* Adds the closing brace and sends; small ones in the turn's frame, large ones streamed. */
void reply_end(struct session *s);

/* Ends a reply whose text so far is `head` with publications and a tail; the references are handed
 * over. Small ones are copied, large ones streamed. */
void reply_publications(struct session *s, struct msg **pubs, size_t count, struct span tail);

/* Looks at what every command with a channel has to state: closes the session for an empty name,
 * answers the error for one that will not do. */
bool check_name(struct session *s, uint32_t id, struct span channel);

/* The same, and the rules of the room; answers the error and returns NULL if its namespace is
 * unknown. */
const struct room_rules *check_channel(struct session *s, uint32_t id, struct span channel);

/* The methods. */
void method_connect(struct session *s, const struct command *c);
void method_subscribe(struct session *s, const struct command *c);
void method_unsubscribe(struct session *s, const struct command *c);
void method_publish(struct session *s, const struct command *c);
void method_presence(struct session *s, const struct command *c);
void method_presence_stats(struct session *s, const struct command *c);
void method_history(struct session *s, const struct command *c);
void method_rpc(struct session *s, const struct command *c);
void method_refresh(struct session *s, const struct command *c);
void method_sub_refresh(struct session *s, const struct command *c);
void method_send(struct session *s, const struct command *c);

/* What came back. The session may have ended meanwhile (session_alive tells). Each frees its
 * request. */
void answered_publish(struct hub *h, struct request *r);
void answered_subscribe(struct hub *h, struct request *r);
void answered_unsubscribe(struct hub *h, struct request *r);
void answered_presence(struct hub *h, struct request *r);
void answered_history(struct hub *h, struct request *r);
void answered_arrive(struct hub *h, struct request *r);
void answered_depart(struct hub *h, struct request *r);
void answered_signal(struct hub *h, struct request *r);
void answered_follow(struct hub *h, struct request *r);

/* What an order does to a session that it is for. */
void subscribe_by_order(struct session *s, struct control *c);
void unsubscribe_by_order(struct session *s, const struct control *c);
/* Tells a client that its connection ends at another time; 0: not any more. */
void push_refreshed(struct session *s, int64_t end_s);

/* Takes a subscription away and tells the client why (a push, code and text). */
void unsubscribe_with(struct subscription *sub, unsigned code, struct span reason);

struct stream_limits limits_of(const struct room_rules *r);

#endif
