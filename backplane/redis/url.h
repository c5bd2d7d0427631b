/* SPDX-License-Identifier: MIT */
/* url.h: where a Redis server is, and as whom to log in there.
 *
 *     redis://[user[:password]@]host[:port][/database]      plain TCP
 *     rediss://[user[:password]@]host[:port][/database]     TLS
 *     unix://[user[:password]@]/path[?db=database]          unix socket; redis+unix:// is the same
 *
 * `redis://:password@host` is a password without a user name. User, password, and path may hold
 * any byte but NUL as %XX. An IPv6 address stands in brackets. Plain data: copying the struct
 * copies the URL. The password is in no message that is made here.
 */
#ifndef MADANG_BACKPLANE_REDIS_URL_H
#define MADANG_BACKPLANE_REDIS_URL_H

#include "backplane/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define REDIS_PORT         6379
#define REDIS_DATABASE_MAX 65535
#define REDIS_HOST_MAX     255
#define REDIS_USER_MAX     255
#define REDIS_PASSWORD_MAX 2047

enum redis_transport { REDIS_TCP, REDIS_TLS, REDIS_UNIX };

struct redis_url {
    enum redis_transport transport;
    char host[REDIS_HOST_MAX + 1]; /* name or address, without brackets; REDIS_UNIX: the path */
    uint16_t port;
    uint32_t database;
    char user[REDIS_USER_MAX + 1];         /* "": the default user */
    char password[REDIS_PASSWORD_MAX + 1]; /* "": none; a secret */
};

/* False: `why` gets one sentence part without line end that says what is wrong and what may stand
 * there; `out` is untouched. */
bool redis_url_parse(struct redis_url *out, struct span text, struct buf *why);

/* The URL without user and password, for messages. */
void redis_url_show(const struct redis_url *u, struct buf *out);

#endif
