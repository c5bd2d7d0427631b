/* SPDX-License-Identifier: MIT */
/* map.h: uthash with a seeded hash.
 *
 * Keys come from clients, and uthash's own hash has a fixed seed, so names that
 * collide could be made at will. Include this header instead of <uthash.h>.
 * The seed is drawn once, before any thread starts.
 */
#ifndef MADANG_BASE_MAP_H
#define MADANG_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

/* Draws the process seed from the kernel. Call once from main, before threads. Aborts if it
 * cannot. */
void map_seed(void);

/* SipHash-1-3 (Aumasson, Bernstein 2012) of n bytes under the process seed. `lane` gives
 * independent hashes of the same bytes (a 128-bit hash is lane 0 and lane 1). */
uint64_t map_hash(const void *p, size_t n, uint64_t lane);

/* The same in every process: for what gateways compare with each other. Not for maps. */
uint64_t common_hash(const void *p, size_t n, uint64_t lane);

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)map_hash((keyptr), (keylen), 0))
/* Out of memory does not end the process: an element whose insertion failed has hh.tbl == NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#ifdef __clang_analyzer__ /* it loses track in the unlinking and then sees uses after free */
#undef HASH_DELETE
#define HASH_DELETE(hh, head, element) ((void)(head), (void)(element))
#endif

#endif
