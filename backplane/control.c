/* SPDX-License-Identifier: MIT */
#include "backplane/control.h"

#include <assert.h>
#include <stdlib.h>

/* The text lies behind the entries. */
struct control *control_new(enum control_op op, uint32_t hubs, size_t bytes)
{
    size_t fixed = sizeof(struct control) + hubs * sizeof(struct control_entry);
    struct control *c = calloc(1, fixed + bytes + 1);
    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    c->op = op;
    c->hubs = hubs;
    c->text = (char *)c + fixed;
    c->cap = bytes;
    for (uint32_t i = 0; i < hubs; i++)
        c->entries[i].control = c;
    return c;
}

struct control *control_ref(struct control *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void control_unref(struct control *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(c);
}

struct span control_copy(struct control *c, struct span s)
{
    char *to = c->text + c->used;
    assert(s.n <= c->cap - c->used);
    if (s.n)
        memcpy(to, s.p, s.n);
    c->used += s.n;
    return (struct span){to, s.n};
}

static bool is_spared(const struct control *c, const struct client_info *who)
{
    for (size_t i = 0; i + CLIENT_ID_LENGTH <= c->whitelist.n; i += CLIENT_ID_LENGTH)
        if (memcmp(c->whitelist.p + i, who->id, CLIENT_ID_LENGTH) == 0)
            return true;
    return false;
}

bool control_is_for(const struct control *c, const struct client_info *who)
{
    struct span id = {who->id, CLIENT_ID_LENGTH};
    if (!span_eq(c->user, client_info_user(who)) || (c->client.n && !span_eq(c->client, id)))
        return false;
    return !is_spared(c, who);
}
