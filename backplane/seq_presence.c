/* SPDX-License-Identifier: MIT */
/* Who is in a room: of this gateway from memory, of all from the driver, if it is shared. */
#include "backplane/seq_presence.h"

#include "backplane/base/fields.h"
#include "backplane/base/log.h"
#include "backplane/push.h"
#include "backplane/seq_private.h"

#include <stdlib.h>

#define ASKED_AT_ONCE 50 /* rooms that are compared at a time */
#define ROSTER_BYTES  ((size_t)JOIN_LEAVE_MEMBERS_MAX * 1024)
/* So long a server keeps members that nobody looks after: STAY in lua/room.lua. */
#define STAY_MS 3600000

/* A share that is about a room, which is held. */
struct presence_call {
    struct share share;
    struct seq_room *room;
    struct request_presence *request; /* answered by it; then there may be no room */
};

static struct presence_call *call_new(struct seq_room *room, struct span name, enum share_verb verb,
                                      void (*done)(void *owner, struct share *s))
{
    struct presence_call *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->share.verb = verb;
    c->share.room = name;
    c->share.done = done;
    c->room = room;
    if (room)
        room->busy++;
    return c;
}

static void add(struct presence_call *c, struct span word)
{
    share_add(&c->share, word);
}

static void add_u64(struct presence_call *c, char text[U64_TEXT_MAX], uint64_t v)
{
    share_add_u64(&c->share, text, v);
}

static void begin(struct sequencer *s, struct presence_call *c)
{
    s->driver->ops->share(s->driver, &c->share);
}

static void end(struct sequencer *s, struct presence_call *c)
{
    if (c->room)
        seq_room_release(&s->rooms, c->room);
    free(c);
}

/* ---- joins and leaves ----------------------------------------------------------------------- */

/* A member list that missed one is wrong until it is read anew. */
static void to_hubs(struct sequencer *s, struct seq_room *room, enum msg_kind kind,
                    struct span info)
{
    struct msg *m = NULL;
    for (uint32_t i = 0; i < s->rooms.hubs; i++) {
        struct interest *in = &room->hubs[i];
        if (!in->listeners)
            continue;
        if (!m)
            m = push_presence(kind, room->ref.name, info);
        if (!m || interest_left_out(in) || !seq_push(s, in, m))
            seq_lose(s, in);
    }
    msg_unref(m);
}

void seq_announce(struct sequencer *s, struct seq_room *room, enum msg_kind kind,
                  const struct client_info *client)
{
    uint32_t known = room->roster ? roster_count(room->roster) : 0;
    if (room->presence.num_clients <= JOIN_LEAVE_MEMBERS_MAX && known <= JOIN_LEAVE_MEMBERS_MAX)
        to_hubs(s, room, kind, client_info_json(client));
}

static void give_up_roster(struct seq_room *room)
{
    roster_free(room->roster);
    room->roster = NULL;
    room->roster_known = false;
    list_del(&room->stale);
}

/* ---- what others are told ------------------------------------------------------------------- */

static void doubt(struct sequencer *s, struct seq_room *room)
{
    if (!list_linked(&room->unsure))
        list_push(&s->shared.unsure, &room->unsure);
}

static void changed(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct presence_call *c = container_of(share, struct presence_call, share);
    if (share->error == ERR_LIMIT)
        counter_add(&s->counters.presence_refused, 1);
    if (share->error)
        doubt(s, c->room);
    end(s, c);
}

static void enter(struct sequencer *s, struct seq_room *room, const struct client_info *client,
                  bool announce)
{
    char most[U64_TEXT_MAX];
    struct presence_call *c = call_new(room, room->ref.name, SHARE_ENTER, changed);
    if (!c) {
        doubt(s, room);
        return;
    }
    add(c, (struct span){client->id, CLIENT_ID_LENGTH});
    add(c, client_info_user(client));
    add(c, client_info_json(client));
    add(c, announce ? SPAN("1") : SPAN("0"));
    add_u64(c, most, JOIN_LEAVE_MEMBERS_MAX);
    begin(s, c);
}

static void leave(struct sequencer *s, struct seq_room *room, struct span id)
{
    char most[U64_TEXT_MAX];
    struct presence_call *c = call_new(room, room->ref.name, SHARE_LEAVE, changed);
    if (!c) {
        doubt(s, room);
        return;
    }
    add(c, id);
    add_u64(c, most, JOIN_LEAVE_MEMBERS_MAX);
    begin(s, c);
}

void seq_entered(struct sequencer *s, struct seq_room *room, const struct client_info *client,
                 bool announce)
{
    if (!s->driver->ops->shared)
        return;
    struct span id = {client->id, CLIENT_ID_LENGTH};
    if (room->roster && !roster_put(room->roster, id, client_info_json(client), true))
        give_up_roster(room);
    enter(s, room, client, announce);
}

void seq_left(struct sequencer *s, struct seq_room *room, const struct client_info *client)
{
    if (!s->driver->ops->shared)
        return;
    struct span id = {client->id, CLIENT_ID_LENGTH};
    if (room->roster && !roster_take(room->roster, id))
        give_up_roster(room);
    room->left_ms = loop_now_ms(s->loop);
    leave(s, room, id);
}

/* ---- after something failed ----------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The ids of the members that are here, sorted; NULL: no memory. */
static struct span *ids_of(const struct presence *p)
{
    struct span *ids = calloc(p->num_clients + 1, sizeof(*ids));
    size_t n = 0;
    for (const struct list *l = p->clients.next; ids && l != &p->clients; l = l->next)
        ids[n++] =
            (struct span){container_of(l, struct present, link)->client->id, CLIENT_ID_LENGTH};
    if (ids)
        qsort(ids, n, sizeof(*ids), by_id);
    return ids;
}

/* A sorted copy; NULL: no memory. */
static struct span *sorted(const struct span *list, size_t n)
{
    struct span *copy = calloc(n + 1, sizeof(*copy));
    if (!copy)
        return NULL;
    for (size_t i = 0; i < n; i++)
        copy[i] = list[i];
    qsort(copy, n, sizeof(*copy), by_id);
    return copy;
}

static bool has(const struct span *ids, size_t n, struct span id)
{
    return bsearch(&id, ids, n, sizeof(*ids), by_id) != NULL;
}

/* What is kept of ours, and what is here: the difference is made good. */
static void make_good(struct sequencer *s, struct seq_room *room, const struct share *kept)
{
    struct presence *p = &room->presence;
    struct span *here = ids_of(p), *there = sorted(kept->answer, kept->answers);
    uint32_t count = p->num_clients;
    if (!here || !there)
        doubt(s, room);
    for (size_t i = 0; here && there && i < kept->answers; i++)
        if (!has(here, count, there[i]))
            leave(s, room, there[i]);
    for (struct list *l = p->clients.next; here && there && l != &p->clients; l = l->next) {
        const struct present *who = container_of(l, struct present, link);
        if (!has(there, kept->answers, (struct span){who->client->id, CLIENT_ID_LENGTH}))
            enter(s, room, who->client, container_of(who, struct member, present)->announce);
    }
    free(here);
    free(there);
}

static void compared(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct presence_call *c = container_of(share, struct presence_call, share);
    bool failed = share->error != OK;
    s->shared.comparing--;
    if (failed)
        doubt(s, c->room);
    else
        make_good(s, c->room, share);
    end(s, c);
    if (!failed)
        seq_presence_go_on(s);
}

/* ---- who comes and goes elsewhere ----------------------------------------------------------- */

struct telling {
    struct sequencer *sequencer;
    struct seq_room *room;
};

static void tell_unheard(void *owner, struct span info, bool came)
{
    struct telling *t = owner;
    if (t->room->roster_known && roster_count(t->room->roster) <= JOIN_LEAVE_MEMBERS_MAX)
        to_hubs(t->sequencer, t->room, came ? MSG_JOIN : MSG_LEAVE, info);
}

static void roster_was_read(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct presence_call *c = container_of(share, struct presence_call, share);
    struct seq_room *room = c->room;
    struct telling t = {s, room};
    /* Else nobody listens any more, or there are too many to tell of. */
    bool wanted = room->roster && room->listeners && share->answers != 1;
    bool failed = share->error != OK;
    s->shared.comparing--;
    room->roster_asked = false;
    if (wanted && failed) {
        roster_read_failed(room->roster);
        list_push(&s->shared.stale, &room->stale);
    } else if (wanted &&
               roster_read(room->roster, share->answer, share->answers, tell_unheard, &t)) {
        room->roster_known = true;
    } else {
        give_up_roster(room);
    }
    end(s, c);
    if (!failed)
        seq_presence_go_on(s);
}

/* False: no memory now. */
static bool read_roster(struct sequencer *s, struct seq_room *room)
{
    char most[U64_TEXT_MAX];
    struct presence_call *c = call_new(room, room->ref.name, SHARE_MEMBERS, roster_was_read);
    if (!c) {
        list_push(&s->shared.stale, &room->stale);
        return false;
    }
    add_u64(c, most, ROSTER_BYTES);
    s->shared.comparing++;
    room->roster_asked = true;
    roster_read_begun(room->roster);
    begin(s, c);
    return true;
}

void seq_roster_wanted(struct sequencer *s, struct seq_room *room, bool wanted)
{
    if (!s->driver->ops->shared || wanted == (room->roster != NULL) || room->roster_asked)
        return;
    if (!wanted) {
        give_up_roster(room);
        return;
    }
    room->roster = roster_new();
    for (const struct list *l = room->presence.clients.next;
         room->roster && l != &room->presence.clients; l = l->next) {
        const struct client_info *who = container_of(l, struct present, link)->client;
        if (!roster_put(room->roster, (struct span){who->id, CLIENT_ID_LENGTH},
                        client_info_json(who), true))
            give_up_roster(room);
    }
    if (room->roster)
        list_push(&s->shared.stale, &room->stale);
    seq_presence_go_on(s);
}

/* A ClientInfo that another gateway, or program, tells of. */
void seq_heard_of(struct sequencer *s, struct seq_room *room, struct span info, bool came)
{
    struct span id = {0};
    static const struct field client = {"client", FIELD_STRING, 0};
    struct scratch none = {0};
    if (memchr(info.p, '\n', info.n) || memchr(info.p, '\r', info.n) ||
        !object_read(&none, info, &client, 1, &id) || !id.n) {
        log_warn("a join or leave of another program is none");
        return;
    }
    bool well = !room->roster ||
                (came ? roster_put(room->roster, id, info, false) : roster_take(room->roster, id));
    if (!well)
        give_up_roster(room);
    to_hubs(s, room, came ? MSG_JOIN : MSG_LEAVE, info);
}

void seq_presence_go_on(struct sequencer *s)
{
    struct seq_shared *h = &s->shared;
    while (h->comparing < ASKED_AT_ONCE && !list_empty(&h->stale))
        if (!read_roster(s, container_of(list_shift(&h->stale), struct seq_room, stale)))
            break;
    while (h->comparing < ASKED_AT_ONCE && !list_empty(&h->unsure)) {
        struct seq_room *room = container_of(list_shift(&h->unsure), struct seq_room, unsure);
        struct presence_call *c = call_new(room, room->ref.name, SHARE_OWN, compared);
        if (!c) {
            doubt(s, room);
            return;
        }
        h->comparing++;
        begin(s, c);
    }
}

/* We have members there, or had some whom a server may know again that forgot that they left. */
static bool may_differ(const struct sequencer *s, const struct seq_room *room)
{
    return room->presence.num_clients ||
           (room->left_ms && loop_now_ms(s->loop) - room->left_ms < STAY_MS);
}

/* Every room is to be looked at again: `unsure` what we keep there, or what we know of others. */
void seq_presence_doubt_all(struct sequencer *s, bool ours)
{
    struct seq_walk w;
    seq_walk_begin(&s->rooms, &w);
    for (struct seq_room *room; (room = seq_walk_next(&w));) {
        if (ours && may_differ(s, room))
            doubt(s, room);
        if (!ours && room->roster && !room->roster_asked && !list_linked(&room->stale))
            list_push(&s->shared.stale, &room->stale);
    }
    seq_walk_end(&w);
    seq_presence_go_on(s);
}

/* ---- who asks ------------------------------------------------------------------------------- */

static enum err write_members(struct request_presence *p, const struct share *s)
{
    struct buf *b = &p->json;
    if (s->answers == 1)
        return ERR_LIMIT;
    buf_char(b, '{');
    for (size_t i = 0; i + 1 < s->answers; i += 2) {
        if (i)
            buf_char(b, ',');
        buf_json(b, s->answer[i]);
        buf_char(b, ':');
        buf_span(b, s->answer[i + 1]);
    }
    buf_char(b, '}');
    enum err e = b->failed ? ERR_INTERNAL : b->n > p->max_bytes ? ERR_LIMIT : OK;
    if (e)
        buf_deinit(b);
    return e;
}

static void asked(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct presence_call *c = container_of(share, struct presence_call, share);
    struct request_presence *p = c->request;
    enum err e = share->error;
    if (!e && p->stats_only) {
        p->num_clients = (uint32_t)share_number(share, 0);
        p->num_users = (uint32_t)share_number(share, 1);
    } else if (!e) {
        e = write_members(p, share);
    }
    seq_answer(s, &p->request, e);
    end(s, c);
}

void seq_tell_presence(struct sequencer *s, const struct seq_room *room, struct request_presence *p)
{
    char most[U64_TEXT_MAX];
    if (!s->driver->ops->shared) {
        seq_answer(s, &p->request, seq_room_presence(room, p));
        return;
    }
    struct presence_call *c =
        call_new(NULL, p->room, p->stats_only ? SHARE_COUNT : SHARE_MEMBERS, asked);
    if (!c) {
        seq_answer(s, &p->request, ERR_INTERNAL);
        return;
    }
    c->request = p;
    if (!p->stats_only)
        add_u64(c, most, p->max_bytes);
    begin(s, c);
}
