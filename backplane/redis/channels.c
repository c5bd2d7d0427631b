/* SPDX-License-Identifier: MIT */
#include "backplane/redis/channels.h"

#include "backplane/redis/link.h"

#include <assert.h>
#include <stdlib.h>

bool redis_channels_init(struct redis_channels *c, size_t batch)
{
    *c = (struct redis_channels){.batch = batch > 0 ? batch : 1};
    for (int i = 0; i < CHANNEL_STATES; i++)
        list_init(&c->in[i]);
    c->words = calloc(c->batch + 1, sizeof(*c->words));
    return c->words != NULL;
}

static void forget(struct redis_channels *c, struct redis_channel *channel)
{
    HASH_DELETE(hh, c->by_name, channel);
    list_del(&channel->link);
    free(channel);
}

void redis_channels_deinit(struct redis_channels *c)
{
    struct list *node;

    for (int i = 0; c->words && i < CHANNEL_STATES; i++)
        while ((node = list_shift(&c->in[i])) != NULL)
            forget(c, container_of(node, struct redis_channel, link));
    free(c->words);
    c->words = NULL;
}

static enum channel_state state_of(const struct redis_channels *c, const struct redis_channel *ch)
{
    return ch->era == c->era ? ch->state : CHANNEL_TO_JOIN;
}

static void set_state(struct redis_channels *c, struct redis_channel *ch, enum channel_state state)
{
    list_del(&ch->link);
    list_push(&c->in[state], &ch->link);
    ch->state = state;
    ch->era = c->era;
}

static struct redis_channel *by_name(const struct redis_channels *c, struct span name)
{
    struct redis_channel *found = NULL;

    HASH_FIND(hh, c->by_name, name.p, name.n, found);
    return found;
}

static struct redis_channel *add(struct redis_channels *c, struct span name)
{
    struct redis_channel *ch = calloc(1, sizeof(*ch) + name.n + 1);

    if (!ch)
        return NULL;
    memcpy(ch->name, name.p, name.n);
    ch->n = name.n;
    HASH_ADD_KEYPTR(hh, c->by_name, ch->name, ch->n, ch);
    if (!ch->hh.tbl) {
        free(ch);
        return NULL;
    }
    list_init(&ch->link);
    set_state(c, ch, CHANNEL_TO_JOIN);
    return ch;
}

struct redis_channel *redis_channels_want(struct redis_channels *c, struct span name, void *user)
{
    struct redis_channel *ch = by_name(c, name);

    if (!ch)
        ch = add(c, name);
    if (!ch)
        return NULL;
    assert(!ch->wanted);
    ch->wanted = true;
    ch->user = user;
    c->wanted++;
    if (state_of(c, ch) == CHANNEL_TO_LEAVE) {
        set_state(c, ch, CHANNEL_NOTICE);
        c->confirmed++;
    }
    return ch;
}

void redis_channels_drop(struct redis_channels *c, struct redis_channel *ch)
{
    enum channel_state state = state_of(c, ch);

    assert(ch->wanted);
    ch->wanted = false;
    ch->user = NULL;
    c->wanted--;
    if (state == CHANNEL_TO_JOIN) {
        forget(c, ch);
    } else if (state == CHANNEL_ON || state == CHANNEL_NOTICE) {
        c->confirmed--;
        set_state(c, ch, CHANNEL_TO_LEAVE);
    }
}

void redis_channels_lost(struct redis_channels *c)
{
    c->era++;
    for (int i = CHANNEL_TO_JOIN + 1; i < CHANNEL_STATES; i++)
        list_splice(&c->in[CHANNEL_TO_JOIN], &c->in[i]);
    c->in_flight = 0;
    c->confirmed = 0;
}

/* Sends one command about the first channels of a list, which are then in state `to`. */
static bool send_batch(struct redis_channels *c, struct redis_link *subscriber,
                       enum channel_state from, enum channel_state to)
{
    bool join = from == CHANNEL_TO_JOIN;
    struct list picked, *node;
    size_t n = 0;

    list_init(&picked);
    for (size_t seen = 0; seen < c->batch && (node = list_shift(&c->in[from])) != NULL; seen++) {
        struct redis_channel *ch = container_of(node, struct redis_channel, link);
        if (join && !ch->wanted) {
            forget(c, ch);
            continue;
        }
        list_push(&picked, node);
        c->words[++n] = (struct span){ch->name, ch->n};
    }
    c->words[0] = join ? SPAN("SUBSCRIBE") : SPAN("UNSUBSCRIBE");
    if (n == 0)
        return true;
    if (!redis_link_push_words(subscriber, c->words, n + 1)) {
        list_splice(&picked, &c->in[from]); /* back to where they were: in front */
        list_splice(&c->in[from], &picked);
        return false;
    }
    c->commands++;
    c->in_flight += n;
    while ((node = list_shift(&picked)) != NULL)
        set_state(c, container_of(node, struct redis_channel, link), to);
    return true;
}

bool redis_channels_pump(struct redis_channels *c, struct redis_link *subscriber)
{
    if (!redis_link_is_up(subscriber) || c->in_flight > c->batch / 2)
        return false;
    bool joins = !list_empty(&c->in[CHANNEL_TO_JOIN]);
    if (!joins && list_empty(&c->in[CHANNEL_TO_LEAVE]))
        return false;
    bool sent = joins ? send_batch(c, subscriber, CHANNEL_TO_JOIN, CHANNEL_JOINING)
                      : send_batch(c, subscriber, CHANNEL_TO_LEAVE, CHANNEL_LEAVING);
    return sent && c->in_flight <= c->batch / 2;
}

struct redis_channel *redis_channels_confirm(struct redis_channels *c, struct span name, bool join)
{
    struct redis_channel *ch = by_name(c, name);

    if (!ch || state_of(c, ch) != (join ? CHANNEL_JOINING : CHANNEL_LEAVING))
        return NULL;
    c->in_flight--;
    if (!join && ch->wanted) {
        set_state(c, ch, CHANNEL_TO_JOIN);
    } else if (!join) {
        forget(c, ch);
    } else if (!ch->wanted) {
        set_state(c, ch, CHANNEL_TO_LEAVE);
    } else {
        set_state(c, ch, CHANNEL_ON);
        c->confirmed++;
        return ch;
    }
    return NULL;
}

struct redis_channel *redis_channels_notice(struct redis_channels *c)
{
    if (list_empty(&c->in[CHANNEL_NOTICE]))
        return NULL;
    struct redis_channel *ch = container_of(c->in[CHANNEL_NOTICE].next, struct redis_channel, link);
    set_state(c, ch, CHANNEL_ON);
    return ch;
}

struct redis_channel *redis_channels_find(const struct redis_channels *c, struct span name)
{
    struct redis_channel *ch = by_name(c, name);

    return ch && ch->wanted && redis_channels_is_on(c, ch) ? ch : NULL;
}

bool redis_channels_is_on(const struct redis_channels *c, const struct redis_channel *ch)
{
    enum channel_state state = state_of(c, ch);

    return state == CHANNEL_ON || state == CHANNEL_NOTICE;
}
