/* SPDX-License-Identifier: MIT */
#include "backplane/presence.h"

#include "backplane/base/map.h"

#include <stdlib.h>

struct presence_user {
    UT_hash_handle hh;
    uint32_t clients;
    char name[];
};

void presence_init(struct presence *p)
{
    *p = (struct presence){0};
    list_init(&p->clients);
}

static struct presence_user *find_user(const struct presence *p, struct span name)
{
    struct presence_user *u = NULL;
    HASH_FIND(hh, p->users, name.p, name.n, u);
    return u;
}

static struct presence_user *add_user(struct presence *p, struct span name)
{
    struct presence_user *u = calloc(1, sizeof(*u) + name.n);
    if (!u)
        return NULL;
    memcpy(u->name, name.p, name.n);
    HASH_ADD_KEYPTR(hh, p->users, u->name, name.n, u);
    if (!u->hh.tbl) {
        free(u);
        return NULL;
    }
    p->num_users++;
    return u;
}

enum err presence_add(struct presence *p, struct present *who, const struct client_info *client)
{
    struct span name = client_info_user(client);
    struct presence_user *u = find_user(p, name);
    if (!u && !(u = add_user(p, name)))
        return ERR_INTERNAL;
    u->clients++;
    who->client = client;
    list_push(&p->clients, &who->link);
    p->num_clients++;
    return OK;
}

void presence_remove(struct presence *p, struct present *who)
{
    if (!who->client)
        return;
    struct presence_user *u = find_user(p, client_info_user(who->client));
    if (--u->clients == 0) {
        HASH_DEL(p->users, u);
        free(u);
        p->num_users--;
    }
    list_del(&who->link);
    who->client = NULL;
    p->num_clients--;
}

enum err presence_json(const struct presence *p, size_t max_bytes, struct buf *out)
{
    size_t start = out->n;
    buf_char(out, '{');
    for (const struct list *n = p->clients.next; n != &p->clients; n = n->next) {
        const struct client_info *c = container_of(n, struct present, link)->client;
        if (n != p->clients.next)
            buf_char(out, ',');
        buf_char(out, '"');
        buf_add(out, c->id, CLIENT_ID_LENGTH);
        buf_lit(out, "\":");
        buf_span(out, client_info_json(c));
        if (out->n - start + 1 > max_bytes) /* with the brace to come */
            return ERR_LIMIT;
    }
    buf_char(out, '}');
    return out->failed ? ERR_INTERNAL : OK;
}
