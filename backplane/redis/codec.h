/* SPDX-License-Identifier: MIT */
/* codec.h: the fence around hiredis: RESP2, bytes to replies and words to bytes.
 *
 * The reader is given bytes in any pieces and yields whole replies. After CODEC_BROKEN it is of no
 * use any more. Nesting is limited by hiredis (7), the size of a reply by the caller.
 */
#ifndef MADANG_BACKPLANE_REDIS_CODEC_H
#define MADANG_BACKPLANE_REDIS_CODEC_H

#include "backplane/base/buf.h"
#include "backplane/redis/reply.h"

struct redis_codec;

/* Feeding more than that at once makes the reader move its buffer about too much. */
#define CODEC_PIECE ((size_t)16 * 1024)

struct redis_codec *redis_codec_new(size_t reply_bytes_max); /* NULL: no memory */
void redis_codec_free(struct redis_codec *c);                /* NULL is fine */

enum codec_step { CODEC_MORE, CODEC_REPLY, CODEC_BROKEN };

bool redis_codec_feed(struct redis_codec *c, const void *p, size_t n); /* false: no memory */
/* CODEC_REPLY: *out is the caller's to deinit. CODEC_BROKEN: *why says what is wrong; static or the
 * codec's. */
enum codec_step redis_codec_next(struct redis_codec *c, struct redis_reply *out, const char **why);

/* Appends one command to `out`, at once or as its number of words and word by word. Written by hand
 * and not by hiredis, which would allocate and copy every payload once more. */
void redis_codec_command(struct buf *out, const struct span *words, size_t n);
void redis_codec_begin(struct buf *out, size_t words);
void redis_codec_word(struct buf *out, struct span word);

#endif
