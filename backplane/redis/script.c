/* SPDX-License-Identifier: MIT */
#include "backplane/redis/script.h"

#include <assert.h>
#include <openssl/sha.h>

void redis_script_init(struct redis_script *s, unsigned index, struct span text)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sha[SHA_DIGEST_LENGTH];

    assert(index < SCRIPTS_MAX);
    s->text = text;
    s->index = index;
    SHA1((const unsigned char *)text.p, text.n, sha);
    for (size_t i = 0; i < sizeof(sha); i++) {
        s->sha[2 * i] = digits[sha[i] >> 4];
        s->sha[2 * i + 1] = digits[sha[i] & 15];
    }
    s->sha[SCRIPT_SHA_LEN] = '\0';
}
