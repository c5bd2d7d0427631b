/* SPDX-License-Identifier: MIT */
/* token.h: what a token grants: to connect as a user, or to be in a room.
 *
 * The signature is jwt.h's business; here claims are read, with their types, and held against the
 * clock and against whom the token is for. Pure functions; any thread.
 */
#ifndef MADANG_GATEWAY_TOKEN_H
#define MADANG_GATEWAY_TOKEN_H

#include "gateway/jwt.h"

#define TOKEN_INFO_MAX 4096 /* bytes of `info`, which every publication repeats */
#define TOKEN_USER_MAX 255  /* bytes of a user id */

/* What tokens must say beside being signed; NULL or empty: anything. */
struct token_rules {
    const char *audience, *issuer;
    const char *user_claim; /* stands for `sub` */
};

/* Options of a room that a token sets for its subscription. */
enum override { OVERRIDE_NONE, OVERRIDE_OFF, OVERRIDE_ON };

struct overrides { /* enum override each */
    uint8_t presence, join_leave, force_push_join_leave, force_positioning, force_recovery;
};

/* Spans point into `payload`, `strings` or `decoded`. */
struct token {
    struct buf payload, strings, decoded;
    struct span user;
    struct span info;          /* JSON, or absent */
    struct span data;          /* of a subscription: JSON, or absent */
    struct span channel;       /* of a subscription */
    struct span client;        /* of a subscription, or absent: any connection */
    struct span channels;      /* of a connection: an array of names, or absent */
    struct span subs;          /* of a connection: an object, names to grants, or absent */
    struct overrides override; /* of a subscription */
    int64_t expires_s;         /* when what is granted ends, unix time; 0: never. May be past. */
};

/* Both fill *out (zeroed before) if the token is TOKEN_VALID, to be deinitialised then. now_s: unix
 * time. A user id has no control characters and is no guest's (g_…). */
enum verdict token_connection(const struct token_rules *rules, const struct keyring *keys,
                              struct span text, int64_t now_s, struct token *out);
enum verdict token_subscription(const struct token_rules *rules, const struct keyring *keys,
                                struct span text, int64_t now_s, struct token *out);
void token_deinit(struct token *t);

/* Reads the object `override`; absent: nothing is set. False: not as it should be. */
bool overrides_read(struct span object, struct overrides *out);

/* A room that the holder of a connection token is put into. */
struct grant_entry {
    struct span room; /* raw: the text between the quotes of a JSON string */
    struct span info, data;
    struct overrides override;
};

/* Reads the value of one member of `subs`; strings go to mem. Info and data may be borrowed from
 * *decoded, to which is appended. False: not as it should be. */
bool token_grant(struct span value, struct buf *decoded, struct grant_entry *out);

#endif
