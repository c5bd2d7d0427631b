/* SPDX-License-Identifier: MIT */
#include "gateway/api_keys.h"

#include "backplane/base/count.h"

#include "gateway/api.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS_MAX     1000
#define KEY_LINE_MAX 4096
#define BLANKS       " \t\r\n"

struct key {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint32_t scopes;
};

struct api_keys {
    size_t count;
    struct key list[KEYS_MAX];
};

static const struct {
    const char *word;
    uint32_t scope;
} scopes[] = {
    {"publish", SCOPE_PUBLISH}, {"read", SCOPE_READ},   {"moderate", SCOPE_MODERATE},
    {"jobs", SCOPE_JOBS},       {"admin", SCOPE_ADMIN},
};

static uint32_t scope_of(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        if (strcmp(scopes[i].word, word) == 0)
            return scopes[i].scope;
    return 0;
}

static void digest(struct span text, unsigned char out[SHA256_DIGEST_LENGTH])
{
    (void)SHA256((const unsigned char *)text.p, text.n, out);
}

static bool add(struct api_keys *k, const char *text, uint32_t its_scopes)
{
    if (k->count == KEYS_MAX)
        return false;
    struct key *key = &k->list[k->count++];
    digest(span_str(text), key->digest);
    key->scopes = its_scopes;
    return true;
}

/* "KEY [SCOPE …]"; cut into words. A word that is no scope is not told: it may be half a key. */
static bool read_line(struct api_keys *k, char *line, const char **why)
{
    char *rest = NULL;
    const char *key = strtok_r(line, BLANKS, &rest), *word;
    uint32_t its_scopes = 0;
    if (!key || *key == '#')
        return true;
    while ((word = strtok_r(NULL, BLANKS ",", &rest))) {
        uint32_t one = scope_of(word);
        *why = "an unknown scope; allowed behind a key: publish, read, moderate, jobs, admin";
        if (!one)
            return false;
        its_scopes |= one;
    }
    *why = "too many keys";
    return add(k, key, its_scopes ? its_scopes : SCOPE_ALL);
}

static bool read_file(struct api_keys *k, const char *name, struct buf *report)
{
    char line[KEY_LINE_MAX], text[128];
    const char *why = NULL;
    bool ok = true;
    FILE *f = fopen(name, "re");
    if (!f) {
        buf_fmt(report, "[api] key_file: %s: %s\n", name, strerror_r(errno, text, sizeof(text)));
        return false;
    }
    for (size_t number = 1; ok && fgets(line, sizeof(line), f); number++) {
        bool whole = strchr(line, '\n') || feof(f);
        why = "the line is too long";
        ok = whole && read_line(k, line, &why);
        if (!ok)
            buf_fmt(report, "%s:%zu: %s\n", name, number, why);
    }
    if (ok && ferror(f)) {
        buf_fmt(report, "[api] key_file: %s cannot be read\n", name);
        ok = false;
    }
    (void)fclose(f); /* only read from */
    OPENSSL_cleanse(line, sizeof(line));
    return ok;
}

bool api_keys_load(struct api_keys **out, const struct options *o, struct buf *report)
{
    struct api_keys *k = calloc(1, sizeof(*k));
    bool ok = k != NULL;
    if (!ok)
        buf_lit(report, "out of memory\n");
    if (ok && o->api_key && *o->api_key)
        ok = add(k, o->api_key, SCOPE_ALL);
    if (ok && o->api_key_file && *o->api_key_file)
        ok = read_file(k, o->api_key_file, report);
    if (ok)
        *out = k;
    else
        api_keys_free(k);
    return ok;
}

void api_keys_free(struct api_keys *k)
{
    free(k);
}

uint32_t api_keys_scopes(const struct api_keys *k, struct span key)
{
    unsigned char shown[SHA256_DIGEST_LENGTH];
    uint32_t found = 0;
    if (!k || !key.n)
        return 0;
    digest(key, shown);
    for (size_t i = 0; i < k->count; i++)
        if (CRYPTO_memcmp(shown, k->list[i].digest, sizeof(shown)) == 0)
            found |= k->list[i].scopes;
    return found;
}
