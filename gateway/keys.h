/* SPDX-License-Identifier: MIT */
/* keys.h: all keys of a gateway at one time: for tokens of connections, and of subscriptions.
 *
 * Made from the options and the texts of JWK sets; immutable and atomically counted. A gateway
 * whose JWK sets change makes a new one and hands it to its hubs.
 */
#ifndef MADANG_GATEWAY_KEYS_H
#define MADANG_GATEWAY_KEYS_H

#include "gateway/keyring.h"
#include "gateway/options.h"

enum key_use { KEYS_CONNECTION, KEYS_SUBSCRIPTION, KEY_USES };

struct keys {
    _Atomic uint32_t refs;
    struct keyring *rings[KEY_USES]; /* may be one and the same */
    bool renewable;                  /* there are JWK sets, which may change */
    uint64_t read_ms; /* when they were last read well; uv_hrtime() / 1e6; 0: never */
};

/* sets[i] is the text of a JWK set, empty if there is none (yet). NULL: `report` gets a line about
 * what cannot be used. Reads files. */
struct keys *keys_new(const struct options *o, const struct buf sets[KEY_USES], struct buf *report);
struct keys *keys_ref(struct keys *k);
void keys_unref(struct keys *k); /* NULL is fine */

/* The bytes of a file, at most max; false: `report` gets a line. */
bool keys_read_file(const char *path, size_t max, struct buf *text, struct buf *report);

bool keys_configured(const struct options *o); /* there is any source */

/* The sources of a use: subscriptions have those of connections unless they have some
 * of their own. */
const struct key_sources *keys_sources(const struct options *o, enum key_use use);

/* The secret of these sources, from its option or its file, appended to *secret; nothing appended:
 * there is none. False: `report` gets a line. */
bool keys_read_secret(const char *value, const char *file, struct buf *secret, struct buf *report);

#endif
