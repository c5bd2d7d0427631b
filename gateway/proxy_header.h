/* SPDX-License-Identifier: MIT */
/* proxy_header.h: the PROXY protocol, versions 1 and 2: what a proxy says before the first byte of
 * its client, about whom it is connected for.
 *
 * As haproxy's doc/proxy-protocol.txt has it (sections 2.1 and 2.2). What follows the addresses in
 * version 2 (TLVs) is skipped.
 */
#ifndef MADANG_GATEWAY_PROXY_HEADER_H
#define MADANG_GATEWAY_PROXY_HEADER_H

#include "gateway/address.h"

/* Version 1 has at most 107 bytes (2.1). Version 2 could announce 64 KiB; nobody needs more than
 * this. */
#define PROXY_V1_MAX     107
#define PROXY_HEADER_MAX 4096

enum proxy_verdict {
    PROXY_MORE,  /* all of this belongs to the header, and it goes on */
    PROXY_WHOLE, /* *out is filled */
    PROXY_BAD,
};

struct proxy_header {
    size_t length;         /* bytes of the header; what follows is the client's */
    struct address source; /* nobody: the proxy speaks for itself (LOCAL), or does not say (UNKNOWN,
                              an address that is none of IP) */
};

enum proxy_verdict proxy_header_read(struct span bytes, struct proxy_header *out);

#endif
