/* SPDX-License-Identifier: MIT */
#include "gateway/left_out.h"

#include "backplane/base/count.h"

#include <ctype.h>

#define MAPS         "maps"
#define POLLS        "shared polls"
#define PROXIES      "backend proxies"
#define FALLBACKS    "HTTP fallbacks"
#define ONE_WAY      "unidirectional transports"
#define TAGS_FILTERS "tags filters"

/* The words of a name that tell, in any place of it; the first row that fits counts. */
static const struct {
    const char *words;
    const char *feature; /* NULL: this is another thing */
    bool whole;          /* these words are all of the name */
} rows[] = {
    {"trusted_proxy", NULL, false}, /* the network's, and misspelt */
    {"proxy_protocol", NULL, false},
    {"proxy", PROXIES, false},
    {"proxies", PROXIES, true},
    {"tags_filter", TAGS_FILTERS, false},
    {"shared_poll", POLLS, false},
    {"subscription_type", MAPS " and " POLLS, false},
    {"map", MAPS, false},
    {"protobuf", "protobuf", false},
    {"http_stream", FALLBACKS, false},
    {"sse", FALLBACKS, false},
    {"sockjs", FALLBACKS, false},
    {"emulation", FALLBACKS, false},
    {"uni", ONE_WAY, false},
    {"grpc", "gRPC", false},
    {"webtransport", "WebTransport", false},
    {"eddsa", "EdDSA", false},
    {"ed25519", "EdDSA", false},
};

static bool joins(char c)
{
    return !isalnum((unsigned char)c);
}

static bool same(char a, char b)
{
    return joins(a) ? joins(b) : tolower((unsigned char)a) == b;
}

/* Bytes of the name that the words take up at its beginning, as whole words; 0: none. */
static size_t begins(struct span name, const char *words)
{
    size_t n = 0;
    while (n < name.n && words[n] && same(name.p[n], words[n]))
        n++;
    return !words[n] && (n == name.n || joins(name.p[n])) ? n : 0;
}

static bool holds(struct span name, const char *words, bool whole)
{
    if (whole)
        return begins(name, words) == name.n;
    for (size_t i = 0; i < name.n; i++)
        if ((!i || joins(name.p[i - 1])) && begins((struct span){name.p + i, name.n - i}, words))
            return true;
    return false;
}

const char *left_out(struct span name)
{
    for (size_t i = 0; name.n && i < COUNT_OF(rows); i++)
        if (holds(name, rows[i].words, rows[i].whole))
            return rows[i].feature;
    return NULL;
}
