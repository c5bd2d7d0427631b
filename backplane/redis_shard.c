/* SPDX-License-Identifier: MIT */
#include "backplane/redis_private.h"

#include "backplane/base/count.h"
#include "backplane/base/log.h"
#include "backplane/base/words.h"

#define TICK_MS 1000
/* A watched room in which nothing happens is compared with the server all the same: a belt, and it
 * keeps the server from forgetting the room. */
#define LOOK_MS       40000
#define LOOK_PER_TICK 5000

bool redis_shard_able(const struct redis_shard *s)
{
    return !s->driver->closing && redis_server_state(s->server) == SERVER_UP &&
           s->set == SET_OURS && !s->driver->disputes;
}

/* ---- coming and going ----------------------------------------------------------------------- */

static size_t part_index(const struct redis_shard *s, enum redis_part part)
{
    return s->index * REDIS_PARTS + part;
}

bool redis_shard_lacks(struct redis_shard *s, enum redis_part part)
{
    return counter_get(&counters_of(s)->away) >> part_index(s, part) & 1;
}

void redis_shard_part(struct redis_shard *s, enum redis_part part, bool away, const char *why)
{
    counter *all = &counters_of(s)->away;
    size_t i = part_index(s, part);
    uint64_t bit = UINT64_C(1) << i;
    const char *name = s->driver->part_names[i];
    if (away == redis_shard_lacks(s, part))
        return;
    counter_set(all, counter_get(all) ^ bit);
    if (away) {
        counter_add(&counters_of(s)->outages, 1);
        log_warn("%s is away: %s", name, why);
    } else if (counter_get(&counters_of(s)->outages)) { /* else it is the first time */
        log_info("%s is back", name);
    }
}

enum err redis_shard_outcome(struct redis_shard *s, const struct redis_call *call, enum err full)
{
    const struct redis_reply *r = call->reply;
    struct driver_counters *n = counters_of(s);
    if (call->outcome != CALL_ANSWERED) {
        counter_add(call->outcome == CALL_UNKNOWN ? &n->timeouts : &n->refused, 1);
        return ERR_INTERNAL;
    }
    if (redis_reply_is_error(r, "OOM")) {
        counter_add(&n->refused, 1);
        redis_shard_part(s, PART_MEMORY, true, "its memory is full, it takes no publications");
        return full;
    }
    if (r->type != REPLY_ERROR)
        return OK;
    log_warn("%s answers: %.*s", s->label, (int)r->text.n, r->text.p);
    return ERR_INTERNAL;
}

void redis_shard_look(struct redis_shard *s)
{
    if (redis_shard_able(s) && redis_server_hears(s->server))
        redis_shard_part(s, PART_SERVER, false, NULL);
}

static void generation_done(struct redis_call *call)
{
    struct redis_shard *s = container_of(call, struct redis_shard, generation);
    uint64_t n;
    s->generation_busy = false;
    if (call->outcome != CALL_ANSWERED)
        return;
    if (call->reply->type == REPLY_ERROR) {
        redis_link_cut(redis_server_commands(s->server), FAULT_REFUSED, call->reply->text.p);
    } else if (number_read(redis_reply_text(call->reply), &n)) {
        s->driver->forgot |= s->begun && s->begun != n;
        s->begun = n;
    }
}

/* The first call on each connection, so that whatever follows finds the generation that is right
 * for this server. */
static void begin_generation(struct redis_shard *s)
{
    struct redis *d = s->driver;
    struct redis_link *link = redis_server_commands(s->server);
    const struct redis_facts *facts = redis_link_facts(link);
    buf_clear(&d->scratch);
    if (s->generation_busy || !buf_reserve(&d->scratch, redis_key_max(d, (struct span){0}))) {
        redis_link_cut(link, FAULT_AWAY, "no memory to begin");
        return;
    }
    struct span words[] = {
        redis_key(d, "generation", (struct span){0}),
        span_str(facts->run_id),
        span_str(facts->replid),
        span_str(facts->replid2),
        d->settings->restart_keeps ? SPAN("1") : SPAN("0"),
    };
    s->generation_busy = true;
    s->generation.done = generation_done;
    redis_link_eval(link, &s->generation, redis_script(SCRIPT_GENERATION), words, 1,
                    COUNT_OF(words));
}

static void on_up(struct redis_server *server, void *owner)
{
    struct redis_shard *s = owner;
    const struct redis_facts *facts = redis_link_facts(redis_server_commands(server));
    begin_generation(s);
    redis_set_ask(s);
    log_info("%s: connected to %s, version %s", s->label,
             redis_link_target(redis_server_commands(server)), facts->version_text);
    if (!facts->known)
        log_warn("%s denies INFO: after each interruption all rooms begin a new epoch", s->label);
}

void redis_shard_fail_waiting(struct redis_shard *s)
{
    while (!list_empty(&s->waiting))
        redis_room_fail(container_of(s->waiting.next, struct redis_room, waits));
}

static void on_deaf(struct redis_server *server, void *owner, enum redis_fault fault, bool was_up,
                    const char *why)
{
    struct redis_shard *s = owner;
    (void)server;
    (void)fault;
    if (was_up)
        s->repairing = true;
    redis_shard_part(s, PART_SERVER, true, why);
}

static void on_down(struct redis_server *server, void *owner, enum redis_fault fault, bool was_up,
                    const char *why)
{
    struct redis_shard *s = owner;
    redis_set_lost(s);
    on_deaf(server, owner, fault, was_up, why);
    redis_shard_fail_waiting(s);
}

static void on_subscribed(struct redis_server *server, void *owner, void *user)
{
    struct redis_listener *l = user;
    (void)server;
    (void)owner;
    l->subscribed(l);
}

static void on_message(struct redis_server *server, void *owner, void *user, struct span payload)
{
    struct redis_listener *l = user;
    (void)server;
    (void)owner;
    l->message(l, payload);
}

static const struct redis_server_events events = {
    .up = on_up,
    .down = on_down,
    .deaf = on_deaf,
    .subscribed = on_subscribed,
    .message = on_message,
};

/* ---- time ----------------------------------------------------------------------------------- */

/* Rooms that were left some time ago. The sequencer may remember them; here nothing is to be known
 * of them any more. */
static void let_go(struct redis_shard *s)
{
    while (!list_empty(&s->lingering)) {
        struct redis_room *room = container_of(s->lingering.next, struct redis_room, link);
        if (room->until_ms > shard_now(s) || !list_empty(&room->ops))
            return;
        room->ref->state = NULL;
        redis_room_drop(room);
    }
}

/* What waited too long for being heard. */
static void give_up_waiting(struct redis_shard *s)
{
    struct list *n, *next;
    uint64_t limit = s->driver->settings->servers[s->index].server.link.command_ms;
    list_for_each_safe (n, next, &s->waiting) {
        struct redis_room *room = container_of(n, struct redis_room, waits);
        if (shard_now(s) - room->waiting_ms > limit)
            redis_room_fail(room);
    }
}

static void look_around(struct redis_shard *s)
{
    for (int i = 0; i < LOOK_PER_TICK && !list_empty(&s->rooms); i++) {
        struct redis_room *room = container_of(s->rooms.next, struct redis_room, link);
        if (shard_now(s) - room->looked_ms < LOOK_MS)
            return;
        redis_room_looked(room);
        redis_room_doubt(room);
    }
}

static void on_tick(struct timer *t)
{
    struct redis_shard *s = container_of(t, struct redis_shard, tick);
    loop_arm(s->driver->base.config.loop, &s->tick, TICK_MS, on_tick);
    let_go(s);
    give_up_waiting(s);
    look_around(s);
    redis_set_ask(s);
    redis_memory_ask(s);
    redis_check_again(s);
    redis_check_some(s);
}

enum err redis_shard_open(struct redis_shard *s, struct redis *d, size_t index)
{
    struct redis_server_options o = d->settings->servers[index].server;
    s->driver = d;
    s->index = index;
    list_init(&s->rooms);
    list_init(&s->lingering);
    list_init(&s->waiting);
    list_init(&s->unchecked);
    list_init(&s->failed);
    list_init(&s->gaps);
    o.probe_channel = d->probe_channel;
    counter_add(&counters_of(s)->away, UINT64_C(1) << (index * REDIS_PARTS + PART_SERVER));
    s->server = redis_server_open(d->base.config.loop, &o, &events, s);
    if (!s->server)
        return ERR_INTERNAL;
    loop_arm(d->base.config.loop, &s->tick, TICK_MS, on_tick);
    return OK;
}

void redis_shard_close(struct redis_shard *s)
{
    loop_cancel(s->driver->base.config.loop, &s->tick);
    redis_server_close(s->server);
    redis_shard_fail_waiting(s);
}
