/* SPDX-License-Identifier: MIT */
/* seq_kit.h: a sequencer with fake hubs, all loops run by hand in one thread.
 *
 * The sequencer's loop runs only while it would not sleep, so work that it forgets is a test that
 * fails. A hub looks into its inbox only in hub_take: one that is not asked to falls behind. What
 * it finds is written down, one word each, and each subscription is checked as a client would:
 *
 *   +u@3      u's subscribe was answered, at offset 3    +u@3[2,3]  … and recovered these
 *   +u!106    u's subscribe was refused                  -u         u's unsubscribe was answered
 *   .u        the end of u's session was answered        ok, !106  a publish, signal, arrival or
 *   rooms{…}  which rooms there are                                 departure was answered
 *   a?2/1     presence: two clients, one user           a@4[2,3]   history: the top, and these
 *   r:4       publication 4 of room r                    r~data     one that no stream holds
 *   r>u r<u   u came to, u left r                        lost:r     pushes of r were left out
 *   behind    the hub is told that it is behind
 */
#ifndef MADANG_TESTS_UNIT_SEQ_KIT_H
#define MADANG_TESTS_UNIT_SEQ_KIT_H

#include "backplane/base/loop.h"
#include "backplane/local.h"
#include "backplane/sequencer.h"
#include "tests/unit/core_kit.h"

#include <poll.h>

#define HUBS          4
#define ROOMS         26 /* named a … z */
#define SESSION_ROOMS ROOMS

enum sub_state { SUB_NONE, SUB_ASKED, SUB_ACTIVE, SUB_TOLD, SUB_LEAVING };

struct fake_sub {
    struct member member;
    struct fake_session *session;
    struct position at; /* the last publication that its client knows of */
    uint8_t room;
    uint8_t state;  /* enum sub_state */
    bool present;   /* asked for presence */
    bool listening; /* … and for joins and leaves */
    bool streamed;
    void *model; /* the test's */
};

/* One client. */
struct fake_session {
    struct request_end end;
    struct fake_hub *hub;
    struct client_info *client;
    struct fake_sub subs[SESSION_ROOMS];
    char name[12];
    bool ending, ended;
};

struct fake_hub {
    struct loop own;
    struct loop *loop;
    struct inbox inbox;
    struct outbox out;
    uint8_t port;
    struct buf log;
    struct buf presence; /* the last answer's object */
    struct fake_session *sessions[1100];
    size_t session_count, answers_due;
    char handles[ROOMS];
};

/* What a subscribe asks for. */
struct ask {
    struct stream_limits limits;
    bool presence, announce, join_leave, recover, refuse;
    struct position since;
};

static struct loop seq_loop;
static struct sequencer *seq;
static struct fake_hub hubs[HUBS];
static size_t largest_push; /* bytes of the largest push seen, with its entry */
static bool check_bounds;   /* hubs' inboxes stay within the configured bound */
static struct sequencer_config seq_config;
static struct fake_hub *observer; /* looks after every turn; may be NULL */

/* ---- running -------------------------------------------------------------------------------- */

/* True if the sequencer's loop would not sleep now, but for hubs that live there. */
static inline bool wants_turn(void)
{
    struct pollfd p = {.fd = seq_loop.wake_fd, .events = POLLIN};
    size_t of_hubs = 0;
    for (size_t i = 0; i < HUBS; i++)
        of_hubs += hubs[i].inbox.near != NULL;
    return seq_loop.pending || seq_loop.near_inboxes > of_hubs || poll(&p, 1, 0) == 1;
}

static inline void assert_bounded(void)
{
    for (size_t i = 0; check_bounds && i < HUBS; i++)
        assert_in_range(hubs[i].inbox.weight, 0, seq_config.hub_inbox_bytes + largest_push);
}

static inline bool seq_turn(void)
{
    if (!wants_turn())
        return false;
    uv_run(&seq_loop.uv, UV_RUN_NOWAIT);
    assert_bounded();
    return true;
}

/* ---- what a hub hears ----------------------------------------------------------------------- */

static inline int room_of_handle(const struct fake_hub *h, const void *handle)
{
    ptrdiff_t i = (const char *)handle - h->handles;
    assert_in_range(i, 0, ROOMS - 1);
    return (int)i;
}

static inline void word(struct fake_hub *h)
{
    if (h->log.n)
        buf_char(&h->log, ' ');
}

static inline struct span between(struct span text, const char *from, const char *to)
{
    const char *p = memmem(text.p, text.n, from, strlen(from));
    assert_non_null(p);
    p += strlen(from);
    const char *end = memmem(p, (size_t)(text.p + text.n - p), to, strlen(to));
    assert_non_null(end);
    return (struct span){p, (size_t)(end - p)};
}

/* A client takes a publication only as the next one after what it knows. */
static inline void client_takes(struct fake_sub *sub, const struct msg *m)
{
    if (sub->state != SUB_ACTIVE)
        return;
    assert_int_equal(sub->streamed, m->offset != 0);
    if (m->offset)
        assert_int_equal(m->offset, sub->at.offset + 1);
    sub->at.offset = m->offset;
}

/* The test's own checks; may be NULL. */
static void (*on_push)(struct fake_hub *h, int room, const struct msg *m);
static void (*on_subscribed)(struct fake_sub *sub, const struct request_subscribe *q);

static inline void for_subs(struct fake_hub *h, int room,
                            void (*each)(struct fake_sub *, const struct msg *),
                            const struct msg *m)
{
    for (size_t i = 0; i < h->session_count; i++)
        for (size_t j = 0; j < SESSION_ROOMS; j++)
            if (h->sessions[i]->subs[j].state && h->sessions[i]->subs[j].room == room)
                each(&h->sessions[i]->subs[j], m);
}

static inline void take_push(struct fake_hub *h, struct push_entry *p)
{
    int room = room_of_handle(h, p->handle);
    struct span text = msg_text(p->msg);
    word(h);
    buf_char(&h->log, (char)('a' + room));
    if (p->msg->kind == MSG_JOIN || p->msg->kind == MSG_LEAVE) {
        buf_char(&h->log, p->msg->kind == MSG_JOIN ? '>' : '<');
        buf_span(&h->log, between(text, "\"user\":\"", "\""));
    } else if (p->msg->offset) {
        for_subs(h, room, client_takes, p->msg);
        buf_char(&h->log, ':');
        buf_u64(&h->log, p->msg->offset);
    } else {
        buf_char(&h->log, '~');
        buf_span(&h->log, between(text, "\"data\":", "}"));
    }
    if (on_push)
        on_push(h, room, p->msg);
    msg_unref(p->msg);
    free(p);
}

static inline void client_is_told(struct fake_sub *sub, const struct msg *m)
{
    (void)m;
    if (sub->state == SUB_ACTIVE)
        sub->state = SUB_TOLD;
}

static inline void take_lost(struct fake_hub *h, struct push_entry *p)
{
    int room = room_of_handle(h, p->handle);
    word(h);
    buf_fmt(&h->log, "lost:%c", 'a' + room);
    for_subs(h, room, client_is_told, NULL);
    free(p);
}

/* The reply's publications must lead from what the client knew to the reply's position. */
static inline void check_recovered(struct fake_hub *h, const struct request_subscribe *q)
{
    uint64_t next = q->since.offset;
    buf_char(&h->log, '[');
    for (size_t i = 0; i < q->read.count; i++) {
        assert_int_equal(q->read.pubs[i]->offset, ++next);
        if (i)
            buf_char(&h->log, ',');
        buf_u64(&h->log, next);
    }
    buf_char(&h->log, ']');
    assert_int_equal(next, q->read.top.offset);
    if (q->since.epoch[0])
        assert_memory_equal(q->since.epoch, q->read.top.epoch, EPOCH_MAX);
}

static inline void take_subscribed(struct fake_hub *h, struct request_subscribe *q)
{
    struct fake_sub *sub = (struct fake_sub *)(void *)q->member;
    word(h);
    buf_fmt(&h->log, "+%s", sub->session->name);
    if (q->request.error) {
        buf_fmt(&h->log, "!%u", q->request.error);
        assert_int_equal(q->read.count, 0);
        if (sub->state == SUB_ASKED)
            sub->state = SUB_NONE;
    } else {
        buf_char(&h->log, '@');
        buf_u64(&h->log, q->read.top.offset);
        if (q->recovered)
            check_recovered(h, q);
        else
            assert_int_equal(q->read.count, 0);
        sub->at = q->read.top;
        if (sub->state == SUB_ASKED)
            sub->state = SUB_ACTIVE;
        if (on_subscribed)
            on_subscribed(sub, q);
    }
    stream_read_deinit(&q->read);
    free(q);
}

static inline void take_unsubscribed(struct fake_hub *h, struct request_unsubscribe *q)
{
    struct fake_sub *sub = (struct fake_sub *)(void *)q->member;
    word(h);
    buf_fmt(&h->log, "-%s", sub->session->name);
    assert_int_equal(sub->state, SUB_LEAVING);
    sub->state = SUB_NONE;
    free(q);
}

static inline void take_ended(struct fake_hub *h, struct request_end *q)
{
    struct fake_session *s = (struct fake_session *)(void *)q;
    assert_true(s->ending && !s->ended);
    s->ended = true;
    for (struct member *m = q->members; m; m = m->next)
        ((struct fake_sub *)(void *)m)->state = SUB_NONE;
    word(h);
    buf_fmt(&h->log, ".%s", s->name);
}

/* All has come back: an unsubscribe may come after the end. */
static inline bool session_over(const struct fake_session *s)
{
    for (size_t i = 0; i < SESSION_ROOMS; i++)
        if (s->subs[i].state)
            return false;
    return s->ended;
}

static inline void take_done(struct fake_hub *h, enum err e, struct msg *m, void *q)
{
    word(h);
    if (e)
        buf_fmt(&h->log, "!%u", e);
    else
        buf_lit(&h->log, "ok");
    msg_unref(m);
    free(q);
}

static inline void take_presence(struct fake_hub *h, struct request_presence *q)
{
    word(h);
    if (q->request.error)
        buf_fmt(&h->log, "%c?!%u", q->name[0], q->request.error);
    else
        buf_fmt(&h->log, "%c?%u/%u", q->name[0], q->num_clients, q->num_users);
    buf_clear(&h->presence);
    buf_add(&h->presence, q->json.p, q->json.n);
    buf_deinit(&q->json);
    free(q);
}

static inline void take_history(struct fake_hub *h, struct request_history *q)
{
    word(h);
    buf_char(&h->log, q->name[0]);
    if (q->request.error)
        buf_fmt(&h->log, "!%u", q->request.error);
    else
        buf_fmt(&h->log, "@%u", (unsigned)q->read.top.offset);
    for (size_t i = 0; i < q->read.count; i++)
        buf_fmt(&h->log, "%c%u", i ? ',' : '[', (unsigned)q->read.pubs[i]->offset);
    if (q->read.count)
        buf_char(&h->log, ']');
    stream_read_deinit(&q->read);
    free(q);
}

static inline void take_rooms(struct fake_hub *h, struct request_rooms *q)
{
    word(h);
    if (q->request.error)
        buf_fmt(&h->log, "rooms!%u", q->request.error);
    else
        buf_fmt(&h->log, "rooms%.*s", (int)q->json.n, q->json.p);
    buf_deinit(&q->json);
    free(q);
}

static inline void take_entry(struct fake_hub *h, struct entry *e)
{
    struct request *r = (struct request *)e;
    if (e->kind < REQUEST_KINDS)
        h->answers_due--;
    switch (e->kind) {
    case HUB_PUSH: take_push(h, (struct push_entry *)e); break;
    case HUB_INSUFFICIENT: take_lost(h, (struct push_entry *)e); break;
    case HUB_BEHIND:
        word(h);
        buf_lit(&h->log, "behind");
        outbox_post(&h->out, e);
        break;
    case REQUEST_SUBSCRIBE: take_subscribed(h, (struct request_subscribe *)e); break;
    case REQUEST_UNSUBSCRIBE: take_unsubscribed(h, (struct request_unsubscribe *)e); break;
    case REQUEST_END: take_ended(h, (struct request_end *)e); break;
    case REQUEST_PUBLISH:
        take_done(h, r->error, ((struct request_publish *)e)->commit.msg, e);
        break;
    case REQUEST_SIGNAL: take_done(h, r->error, ((struct request_signal *)e)->msg, e); break;
    case REQUEST_PRESENCE: take_presence(h, (struct request_presence *)e); break;
    case REQUEST_HISTORY: take_history(h, (struct request_history *)e); break;
    case REQUEST_ROOMS: take_rooms(h, (struct request_rooms *)e); break;
    case REQUEST_ARRIVE:
        free(((struct request_arrive *)e)->why);
        take_done(h, r->error, NULL, e);
        break;
    case REQUEST_DEPART: take_done(h, r->error, NULL, e); break;
    default: fail_msg("a hub got an entry of kind %u", e->kind);
    }
}

/* The hub handles all that it has. */
static inline void hub_take(struct fake_hub *h)
{
    struct entry *e = inbox_take(&h->inbox);
    while (e) {
        struct entry *next = e->next;
        take_entry(h, e);
        e = next;
    }
    outbox_flush(&h->out);
}

static inline void seq_run(void)
{
    for (int i = 0; seq_turn(); i++) {
        assert_true(i < 10000);
        if (observer)
            hub_take(observer);
    }
}

/* Until nobody has anything to do. */
static inline void run_all(void)
{
    for (int again = 1, i = 0; again; i++) {
        assert_true(i < 10000);
        seq_run();
        again = 0;
        for (size_t h = 0; h < HUBS; h++) {
            again |= hubs[h].inbox.near || hubs[h].inbox.far;
            hub_take(&hubs[h]);
        }
    }
}

/* ---- what a hub asks ------------------------------------------------------------------------ */

static inline void post(struct fake_hub *h, struct request *r, enum request_kind kind)
{
    r->entry.kind = kind;
    r->entry.weight = 0;
    r->hub = h->port;
    h->answers_due++;
    outbox_post(&h->out, &r->entry);
    outbox_flush(&h->out);
}

static inline struct fake_session *session_new(struct fake_hub *h, const char *name)
{
    static unsigned clients;
    char id[CLIENT_ID_LENGTH + 1];
    struct fake_session *s = calloc(1, sizeof(*s));
    assert_true(s && h->session_count < COUNT_OF(h->sessions));
    s->hub = h;
    snprintf(s->name, sizeof(s->name), "%s", name);
    snprintf(id, sizeof(id), "%0*u", CLIENT_ID_LENGTH, clients++);
    s->client = client_info_new(id, span_str(name), (struct span){0}, (struct span){0});
    h->sessions[h->session_count++] = s;
    return s;
}

static inline void session_drop(struct fake_session *s)
{
    struct fake_hub *h = s->hub;
    size_t i = 0;
    while (h->sessions[i] != s)
        i++;
    h->sessions[i] = h->sessions[--h->session_count];
    client_info_unref(s->client);
    free(s);
}

static inline struct fake_sub *subscribe(struct fake_session *s, char room, const struct ask *ask)
{
    struct fake_sub *sub = s->subs;
    while (sub->state)
        sub++;
    assert_true(sub < s->subs + SESSION_ROOMS);
    *sub = (struct fake_sub){.session = s, .room = (uint8_t)(room - 'a'), .state = SUB_ASKED};
    sub->present = ask->presence;
    sub->listening = ask->join_leave;
    sub->streamed = ask->limits.count != 0;
    struct request_subscribe *q = calloc(1, sizeof(*q));
    q->member = &sub->member;
    q->handle = &s->hub->handles[sub->room];
    static const char names[] = "abcdefghijklmnopqrstuvwxyz";
    q->room = (struct span){&names[sub->room], 1};
    q->client = s->client;
    q->read.limits = ask->limits;
    q->read.max_bytes = 1 << 20;
    q->presence = ask->presence;
    q->announce = ask->announce;
    q->join_leave = ask->join_leave;
    q->recover = ask->recover;
    q->since = ask->since;
    q->refuse_unrecovered = ask->refuse;
    post(s->hub, &q->request, REQUEST_SUBSCRIBE);
    return sub;
}

static inline void unsubscribe(struct fake_sub *sub)
{
    struct request_unsubscribe *q = calloc(1, sizeof(*q));
    q->member = &sub->member;
    sub->state = SUB_LEAVING;
    post(sub->session->hub, &q->request, REQUEST_UNSUBSCRIBE);
}

/* All that is not already on its way out. */
static inline void session_end(struct fake_session *s)
{
    struct member **end = &s->end.members;
    for (size_t i = 0; i < SESSION_ROOMS; i++) {
        if (s->subs[i].state == SUB_NONE || s->subs[i].state == SUB_LEAVING)
            continue;
        s->subs[i].state = SUB_LEAVING;
        *end = &s->subs[i].member;
        end = &s->subs[i].member.next;
    }
    *end = NULL;
    s->ending = true;
    post(s->hub, &s->end.request, REQUEST_END);
}

static inline void publish(struct fake_hub *h, char room, const char *data,
                           const struct stream_limits *limits)
{
    struct request_publish *q = calloc(1, sizeof(*q) + 1);
    q->name[0] = room;
    q->room = (struct span){q->name, 1};
    q->commit.msg = push_open(q->room, span_str(data), (struct span){0}, (struct span){0});
    q->commit.limits = *limits;
    size_t weight = q->commit.msg->cap + sizeof(struct push_entry);
    largest_push = weight > largest_push ? weight : largest_push;
    post(h, &q->request, REQUEST_PUBLISH);
}

static inline void signal_room(struct fake_hub *h, char room, const char *data)
{
    struct request_signal *q = calloc(1, sizeof(*q) + 1);
    q->name[0] = room;
    q->room = (struct span){q->name, 1};
    q->msg = push_open(q->room, span_str(data), (struct span){0}, (struct span){0});
    push_close(q->msg, 0, 0);
    post(h, &q->request, REQUEST_SIGNAL);
}

static inline void ask_presence(struct fake_hub *h, char room, size_t max_bytes, bool stats_only)
{
    struct request_presence *q = calloc(1, sizeof(*q) + 1);
    q->name[0] = room;
    q->room = (struct span){q->name, 1};
    q->max_bytes = max_bytes;
    q->stats_only = stats_only;
    post(h, &q->request, REQUEST_PRESENCE);
}

static inline void ask_history(struct fake_hub *h, char room, struct position since,
                               const struct stream_limits *limits)
{
    struct request_history *q = calloc(1, sizeof(*q) + 1);
    q->name[0] = room;
    q->room = (struct span){q->name, 1};
    q->since = since;
    q->read.since = since.offset;
    q->read.limits = *limits;
    q->read.max_count = 100;
    q->read.max_bytes = 1 << 20;
    post(h, &q->request, REQUEST_HISTORY);
}

/* ---- life ----------------------------------------------------------------------------------- */

/* near: the hubs live on the sequencer's loop, as the only hub of a gateway does. */
static inline void harness_open(const struct sequencer_config *config, bool near)
{
    assert_int_equal(loop_init(&seq_loop), 0);
    uv_timer_stop(&seq_loop.beat); /* what it would wake up for is for the test to find */
    seq_config = *config;
    largest_push = sizeof(struct push_entry) + 256; /* joins and leaves */
    check_bounds = true;
    on_push = NULL;
    on_subscribed = NULL;
    observer = NULL;
    assert_int_equal(sequencer_new(&seq, &seq_loop, config), OK);
    for (size_t i = 0; i < HUBS; i++) {
        struct fake_hub *h = &hubs[i];
        *h = (struct fake_hub){0};
        h->loop = near ? &seq_loop : &h->own;
        if (!near)
            assert_int_equal(loop_init(&h->own), 0);
        inbox_init(&h->inbox, h->loop);
        h->port = sequencer_add_hub(seq, &h->inbox);
        outbox_init(&h->out, h->loop, sequencer_inbox(seq));
    }
}

/* Everybody leaves; nothing may be left anywhere. */
static inline void harness_close(void)
{
    for (size_t i = 0; i < HUBS; i++)
        for (size_t j = 0; j < hubs[i].session_count; j++)
            if (!hubs[i].sessions[j]->ending)
                session_end(hubs[i].sessions[j]);
    run_all();
    for (size_t i = 0; i < HUBS; i++) {
        struct fake_hub *h = &hubs[i];
        assert_int_equal(h->answers_due, 0);
        while (h->session_count) {
            assert_true(session_over(h->sessions[0]));
            session_drop(h->sessions[0]);
        }
        buf_deinit(&h->log);
        buf_deinit(&h->presence);
    }
    sequencer_free(seq);
    for (size_t i = 0; i < HUBS; i++) {
        inbox_deinit(&hubs[i].inbox);
        if (hubs[i].loop == &hubs[i].own)
            assert_int_equal(loop_deinit(&hubs[i].own), 0);
    }
    assert_int_equal(loop_deinit(&seq_loop), 0);
}

/* Compares what the hub has written down, and begins a new page. */
#define assert_heard(h, text)                                                                      \
    do {                                                                                           \
        struct buf *log_ = &(h)->log;                                                              \
        assert_span(((struct span){log_->p, log_->n}), text);                                      \
        buf_clear(log_);                                                                           \
    } while (0)

#endif
