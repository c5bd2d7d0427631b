/* SPDX-License-Identifier: MIT */
/* command.h: one command of the client protocol: decoded, dispatched.
 *
 * `{"id":7,"subscribe":{…}}`: an id and a method. Unknown members are ignored. Several methods in
 * one object: the first in the order of the table counts. Without id, and not `send`, it is a pong.
 * What is not a command at all closes the session with 3501.
 */
#ifndef MADANG_GATEWAY_COMMAND_H
#define MADANG_GATEWAY_COMMAND_H

#include "backplane/base/fields.h"
#include "gateway/session.h"

struct command {
    uint32_t id;
    struct span params; /* the method's object, validated JSON */
};

/* One method of the protocol. */
struct method {
    const char *name;
    void (*run)(struct session *s, const struct command *c);
};

/* Decodes and carries out one line. */
void command_run(struct session *s, struct span line);

/* ---- for the methods ------------------------------------------------------------------------ */

/* object_read (fields.h) with the hub's scratch memory: strings are good until the next command,
 * those of nested objects included. */
bool fields_read(struct session *s, struct span object, const struct field *fields, size_t count,
                 void *target);

#endif
