/* SPDX-License-Identifier: MIT */
#include "gateway/following.h"

#include "backplane/push.h"
#include "gateway/methods.h"
#include "gateway/personal.h"

#include <stdlib.h>

static uint32_t lines(int64_t limit)
{
    if (limit <= 0)
        return FOLLOWING_LINES;
    return limit > FOLLOWING_LINES_MAX ? FOLLOWING_LINES_MAX : (uint32_t)limit;
}

struct request_follow *following_request(const struct hub *h, const struct following *f)
{
    struct request_follow *q =
        calloc(1, sizeof(*q) + f->user.n + f->room.n + f->who.n + f->after.n);
    if (!q)
        return NULL;
    char *at = q->name;
    q->room = span_copy(&at, f->room);
    q->who = span_copy(&at, f->who);
    q->follow.verb = f->verb;
    q->follow.user = span_copy(&at, f->user);
    q->follow.after = span_copy(&at, f->after);
    q->follow.at = f->at;
    q->follow.max_count = lines(f->limit);
    q->follow.max_rooms = h->options->user_follows;
    q->follow.max_users = h->options->room_followers;
    if (f->rules)
        q->follow.limits = limits_of(f->rules);
    return q;
}

void following_free(struct request_follow *q)
{
    follow_deinit(&q->follow);
    free(q->why);
    free(q);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void write_position(struct buf *b, const struct position *at)
{
    buf_lit(b, "\"epoch\":");
    buf_json(b, position_epoch(at));
    buf_lit(b, ",\"offset\":");
    buf_u64(b, at->offset);
}

static void write_line(struct buf *b, const struct followed *line, const char *what)
{
    buf_fmt(b, "{\"%s\":", what);
    buf_json(b, (struct span){line->name, line->name_len});
    buf_lit(b, ",\"unread\":");
    buf_u64(b, line->unread);
    buf_lit(b, ",\"marker\":{");
    write_position(b, &line->marker);
    buf_lit(b, "},\"top\":{");
    write_position(b, &line->top);
    buf_lit(b, "}}");
}

static void write_list(struct buf *b, const struct follow *f, const char *what)
{
    buf_fmt(b, "{\"%ss\":[", what);
    for (struct list *n = f->found.next; n != &f->found; n = n->next) {
        if (n != f->found.next)
            buf_char(b, ',');
        write_line(b, container_of(n, struct followed, link), what);
    }
    buf_char(b, ']');
    if (f->more)
        buf_lit(b, ",\"more\":true");
    if (f->partial)
        buf_lit(b, ",\"partial\":true");
    buf_char(b, '}');
}

void following_write(struct buf *b, const struct request_follow *q, const char *room)
{
    const struct follow *f = &q->follow;
    if (f->verb == FOLLOW_ROOMS) {
        write_list(b, f, room);
    } else if (f->verb == FOLLOW_USERS) {
        write_list(b, f, "user");
    } else {
        buf_char(b, '{');
        if (f->verb != FOLLOW_END)
            write_position(b, &f->at);
        buf_char(b, '}');
    }
}

/* ---- a user's other devices ------------------------------------------------------------------ */

static void told(struct hub *h, struct request *r)
{
    struct request_signal *q = (struct request_signal *)r;
    (void)h;
    msg_unref(q->msg);
    free(q);
}

/* What cannot be told for want of memory shows in the next list. */
static void tell(struct hub *h, struct span user, struct span data)
{
    struct buf name = {0};
    bool well = personal_room_name(h->options, user, &name) && !name.failed;
    struct span room = {name.p, name.n};
    struct request_signal *q = NULL;
    if (well && personal_room_is_private(h->options, room))
        q = calloc(1, sizeof(*q) + room.n);
    if (q)
        q->msg = push_open(room, data, (struct span){0}, SPAN("\"quiet\":\"1\""));
    if (q && q->msg) {
        char *at = q->name;
        push_close(q->msg, 0, 0);
        q->room = span_copy(&at, room);
        hub_ask(h, &q->request, REQUEST_SIGNAL, told);
    } else {
        free(q);
    }
    buf_deinit(&name);
}

static void tell_marker(struct hub *h, const char *what, struct span user, struct span room,
                        const struct position *at)
{
    struct buf b = {0};
    buf_fmt(&b, "{\"type\":\"%s\",\"room\":", what);
    buf_json(&b, room);
    if (at) {
        buf_char(&b, ',');
        write_position(&b, at);
    }
    buf_char(&b, '}');
    if (!b.failed)
        tell(h, user, (struct span){b.p, b.n});
    buf_deinit(&b);
}

void following_tell(struct hub *h, const struct request_follow *q)
{
    static const char *const what[FOLLOW_VERBS] = {
        [FOLLOW_BEGIN] = "followed", [FOLLOW_END] = "unfollowed", [FOLLOW_READ] = "read"};
    const struct follow *f = &q->follow;
    if (f->changed && what[f->verb])
        tell_marker(h, what[f->verb], f->user, q->room, f->verb == FOLLOW_END ? NULL : &f->at);
}

void following_tell_publication(struct hub *h, const struct request_publish *q)
{
    if (q->commit.marked)
        tell_marker(h, "read", q->who, q->room, &q->commit.at);
}
