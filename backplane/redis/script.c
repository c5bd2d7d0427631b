/* SPDX-License-Identifier: MIT */
#include "backplane/redis/script.h"

#include "backplane/base/hex.h"

#include <assert.h>
#include <openssl/sha.h>

void redis_script_init(struct redis_script *s, unsigned index, struct span text)
{
    unsigned char sha[SHA_DIGEST_LENGTH];

    assert(index < SCRIPTS_MAX);
    s->text = text;
    s->index = index;
    SHA1((const unsigned char *)text.p, text.n, sha);
    *hex_bytes(s->sha, sha, sizeof(sha)) = '\0';
}
