/* SPDX-License-Identifier: MIT */
/* tickets.h: the keys of TLS session tickets, by which a client comes back with a short handshake.
 *
 * All hubs have the same, so that it does not matter on which one a client comes back. The newest
 * key makes tickets, the one before still opens them; main makes a new one every TICKETS_MS, so a
 * key is wiped at most twice that after it was made, and what was recorded before cannot be read
 * with what is found in memory later. Immutable and atomically counted.
 */
#ifndef MADANG_GATEWAY_TICKETS_H
#define MADANG_GATEWAY_TICKETS_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TICKETS_MS (60 * 60 * 1000ULL)

struct tickets;

/* A new key, and behind it the newest of `before` (NULL: none). NULL: no memory or randomness. */
struct tickets *tickets_new(const struct tickets *before);
struct tickets *tickets_ref(struct tickets *t); /* NULL is fine, here and below */
void tickets_unref(struct tickets *t);

/* What OpenSSL asks of SSL_CTX_set_tlsext_ticket_key_evp_cb, and its results. */
int tickets_crypt(const struct tickets *t, unsigned char name[16], unsigned char *iv,
                  EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int making);

#endif
