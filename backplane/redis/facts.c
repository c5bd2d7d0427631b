/* SPDX-License-Identifier: MIT */
#include "backplane/redis/facts.h"

#include "backplane/base/count.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { TEXT, NUMBER, NUMBER_32, FLAG };

#define FIELD(text, kind, member)                                                                  \
    {                                                                                              \
        SPAN_INIT(text), kind, offsetof(struct redis_facts, member),                               \
            sizeof(((struct redis_facts *)0)->member)                                              \
    }

/* Line of INFO, what its value is, where it goes. */
static const struct {
    struct span name;
    enum kind kind;
    size_t at, size;
} fields[] = {
    FIELD("redis_version", TEXT, version_text),
    FIELD("redis_mode", TEXT, mode),
    FIELD("run_id", TEXT, run_id),
    FIELD("master_replid", TEXT, replid),
    FIELD("master_replid2", TEXT, replid2),
    FIELD("second_repl_offset", NUMBER, replid2_offset),
    FIELD("role", TEXT, role),
    FIELD("master_host", TEXT, master_host),
    FIELD("master_port", NUMBER_32, master_port),
    FIELD("maxmemory_policy", TEXT, eviction),
    FIELD("maxmemory", NUMBER, max_memory),
    FIELD("cluster_enabled", FLAG, cluster),
    FIELD("loading", FLAG, loading),
    FIELD("aof_enabled", FLAG, append_only),
    FIELD("loading_eta_seconds", NUMBER, loading_eta_s),
};

static void store(void *to, enum kind kind, size_t size, struct span value)
{
    char text[256];
    size_t n = value.n < sizeof(text) - 1 ? value.n : sizeof(text) - 1;

    memcpy(text, value.p, n);
    text[n] = '\0';
    if (kind == TEXT)
        (void)snprintf(to, size, "%s", text); /* what is too long is none of ours */
    else if (kind == NUMBER)
        *(int64_t *)to = strtoll(text, NULL, 10);
    else if (kind == NUMBER_32)
        *(uint32_t *)to = (uint32_t)strtoul(text, NULL, 10);
    else
        *(bool *)to = strtol(text, NULL, 10) != 0;
}

static void parse_line(struct redis_facts *f, struct span line)
{
    const char *colon = line.n > 0 ? memchr(line.p, ':', line.n) : NULL;

    if (!colon)
        return;
    struct span name = {line.p, (size_t)(colon - line.p)};
    struct span value = {colon + 1, line.n - name.n - 1};
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (span_eq(name, fields[i].name))
            store((char *)f + fields[i].at, fields[i].kind, fields[i].size, value);
}

void redis_facts_parse(struct redis_facts *f, struct span info)
{
    *f = (struct redis_facts){.known = true, .replid2_offset = -1};
    while (info.n > 0) {
        const char *end = memchr(info.p, '\n', info.n);
        size_t n = end ? (size_t)(end - info.p) : info.n;
        size_t text = n > 0 && info.p[n - 1] == '\r' ? n - 1 : n;
        parse_line(f, (struct span){info.p, text});
        info.p += end ? n + 1 : n;
        info.n -= end ? n + 1 : n;
    }
    char *at = f->version_text;
    for (int i = 0; i < 3; i++) {
        f->version[i] = (uint32_t)strtoul(at, &at, 10);
        at += *at == '.';
    }
}

bool redis_facts_evicts(const struct redis_facts *f)
{
    return f->max_memory > 0 && f->eviction[0] && strcmp(f->eviction, "noeviction") != 0;
}

void redis_facts_explain_eviction(const struct redis_facts *f, struct buf *out)
{
    buf_fmt(out,
            "it may drop messages when its memory is full (maxmemory-policy %s); set "
            "maxmemory-policy noeviction there",
            f->eviction);
}
