/* SPDX-License-Identifier: MIT */
/* reload.h: what SIGHUP brings: the configuration and the files that it names are read again.
 *
 * First everything is read, checked and made; whatever is wrong, nothing changes then. Main thread.
 */
#ifndef MADANG_GATEWAY_RELOAD_H
#define MADANG_GATEWAY_RELOAD_H

#include "gateway/jwks.h"

struct reload {
    struct settings *settings; /* references, both */
    struct keys *keys;         /* NULL: nobody looks at tokens */
    struct buf report;         /* a line for each thing that is wrong */
    struct buf changes;        /* a line for each option that changed */
};

/* Fills *r, zeroed. At most so many `connections` are possible without a restart. False: the report
 * says why. reload_deinit() in any case. */
bool reload_prepare(struct reload *r, const struct settings *now, const struct jwks *jwks,
                    const struct options_sources *from, uint32_t connections);
void reload_log(const struct reload *r, bool ok);
void reload_deinit(struct reload *r);

#endif
