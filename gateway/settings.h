/* SPDX-License-Identifier: MIT */
/* settings.h: the configuration in force, as one thing that can be replaced while others still read
 * it.
 *
 * Immutable and atomically counted. Main owns the newest and hands a reference to each hub through
 * its inbox (HUB_RENEW); a hub changes over between two turns, so within a turn nothing changes.
 * Pointers into the options (rules of rooms, words) hold only as long as the reference: nobody
 * keeps one from one turn to the next.
 */
#ifndef MADANG_GATEWAY_SETTINGS_H
#define MADANG_GATEWAY_SETTINGS_H

#include "gateway/api_keys.h"
#include "gateway/certificate.h"
#include "gateway/networks.h"
#include "gateway/options.h"

#include <stdatomic.h>

struct settings {
    _Atomic uint32_t refs;
    struct options *options;
    struct api_keys *api_keys;       /* with no keys: nobody may use the server API */
    struct networks *trusted;        /* [gateway] trusted_proxies */
    struct certificate *certificate; /* NULL: no TLS */
};

/* Takes the options over, also on failure. Reads the files with keys of the API and the
 * certificate. NULL: `report` has a line for each thing that is wrong. */
struct settings *settings_new(struct options *o, struct buf *report);
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); /* NULL is fine */

/* Appends a line for what can be used and will hardly be wanted: an expired certificate. */
void settings_warn(const struct settings *s, struct buf *text);

#endif
