/* SPDX-License-Identifier: MIT */
/* command.h: one command of the client protocol: decoded, dispatched.
 *
 * `{"id":7,"subscribe":{…}}`: an id and a method. Unknown members are ignored. Several methods in
 * one object: the first in the order of the table counts. Without id, and not `send`, it is a pong.
 * What is not a command at all closes the session with 3501.
 */
#ifndef MADANG_GATEWAY_COMMAND_H
#define MADANG_GATEWAY_COMMAND_H

#include "backplane/base/span.h"
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

enum field_type { FIELD_RAW, FIELD_STRING, FIELD_BOOL, FIELD_U64, FIELD_I64, FIELD_OBJECT };

/* Where a member of an object goes. Strings are decoded into the hub's scratch memory and are good
 * until the next command; raw values are borrowed from the command. null counts as absent, but for
 * FIELD_RAW. */
struct field {
    const char *name;
    enum field_type type;
    size_t at; /* offset in the target struct: struct span, bool, uint64_t, int64_t */
};

/* Fills a zeroed struct; false: not an object, or a member has another type. */
bool fields_read(struct session *s, struct span object, const struct field *fields, size_t count,
                 void *target);

#endif
