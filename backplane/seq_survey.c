/* SPDX-License-Identifier: MIT */
#include "backplane/seq_survey.h"

#include "backplane/base/glob.h"
#include "backplane/base/log.h"
#include "backplane/seq_private.h"
#include "backplane/tally.h"

#include <stdlib.h>

#define ANSWERING_MS  60000 /* a question of which nothing was heard so long is forgotten */
#define PIECE_BYTES   ((size_t)64 * 1024)
#define LOOKS_A_TURN  1000 /* at rooms */
#define ANSWERING_MAX 256  /* questions of others */

#define SIGNAL_QUESTION "q"
#define SIGNAL_ANSWER   "a"
#define SIGNAL_NEXT     "n"

/* A gateway that has not said all. */
struct awaited {
    struct list link;
    size_t n;
    char name[];
};

/* A signal on its way. */
struct letter {
    struct share share;
    uint64_t question; /* that this puts; 0: none */
};

/* ---- letters -------------------------------------------------------------------------------- */

static void end_first(struct sequencer *s, enum err e);
static void go_on(struct sequencer *s);

static void sent(void *owner, struct share *share)
{
    struct sequencer *s = owner;
    struct letter *l = container_of(share, struct letter, share);
    bool waiting = s->survey.step == SURVEY_ASKING && l->question == s->survey.id;
    if (share->error && waiting) {
        end_first(s, ERR_INTERNAL);
        go_on(s);
    }
    free(l);
}

/* False: no memory. The text is used up. */
static bool post_letter(struct sequencer *s, struct span room, struct span what, struct buf *text,
                        uint64_t question)
{
    struct letter *l = text->failed ? NULL : calloc(1, sizeof(*l));
    if (l) {
        l->share.verb = SHARE_SIGNAL;
        l->share.room = room;
        l->share.words[l->share.count++] = what;
        l->share.words[l->share.count++] = (struct span){text->p, text->n};
        l->share.done = sent;
        l->question = question;
        s->driver->ops->share(s->driver, &l->share);
    }
    buf_deinit(text);
    return l != NULL;
}

static bool post_answer(struct sequencer *s, struct span asker, struct buf *text)
{
    struct buf room = {0};
    buf_lit(&room, MAILBOX);
    buf_span(&room, asker);
    bool well =
        !room.failed && post_letter(s, (struct span){room.p, room.n}, SPAN(SIGNAL_ANSWER), text, 0);
    buf_deinit(&room);
    buf_deinit(text);
    return well;
}

/* "ID NODE ", as every letter begins. */
static void begin_letter(const struct sequencer *s, struct buf *text, uint64_t id)
{
    buf_u64(text, id);
    buf_char(text, ' ');
    buf_str(text, s->config.node);
    buf_char(text, ' ');
}

static bool read_letter(struct span *text, uint64_t *id, struct span *from)
{
    bool well = number_read(cut_word(text), id);
    *from = cut_word(text);
    return well && from->n;
}

/* ---- asking --------------------------------------------------------------------------------- */

static void await_nobody(struct seq_survey *v)
{
    for (struct list *n; (n = list_shift(&v->awaited));)
        free(container_of(n, struct awaited, link));
}

static bool await(struct seq_survey *v, struct span gateway)
{
    struct awaited *a = calloc(1, sizeof(*a) + gateway.n);
    if (!a)
        return false;
    memcpy(a->name, gateway.p, gateway.n);
    a->n = gateway.n;
    list_push(&v->awaited, &a->link);
    return true;
}

static struct awaited *find_awaited(struct seq_survey *v, struct span gateway)
{
    for (struct list *n = v->awaited.next; n != &v->awaited; n = n->next) {
        struct awaited *a = container_of(n, struct awaited, link);
        if (span_eq((struct span){a->name, a->n}, gateway))
            return a;
    }
    return NULL;
}

static struct request_rooms *first(struct seq_survey *v)
{
    return container_of(v->waiting.next, struct request_rooms, link);
}

/* The first question is answered, or is not. */
static void end_first(struct sequencer *s, enum err e)
{
    struct seq_survey *v = &s->survey;
    struct request_rooms *q = first(v);
    list_del(&q->link);
    if (!e)
        q->others = v->tally;
    else
        tally_free(v->tally);
    v->tally = NULL;
    v->step = SURVEY_IDLE;
    await_nobody(v);
    loop_cancel(s->loop, &v->deadline);
    seq_rooms_surveyed(s, q, e);
}

static void too_late(struct timer *t)
{
    struct sequencer *s = container_of(t, struct sequencer, survey.deadline);
    log_warn("which rooms there are could not be found out: %s",
             s->survey.step == SURVEY_ASKING ? "a gateway does not answer" : "redis is too slow");
    end_first(s, ERR_INTERNAL);
    go_on(s);
}

static void begin_first(struct sequencer *s)
{
    struct seq_survey *v = &s->survey;
    uint64_t now = loop_now_ms(s->loop), until = first(v)->until_ms;
    v->tally = tally_new();
    v->step = SURVEY_LOOKING;
    v->id++;
    if (!v->tally || now >= until) {
        end_first(s, ERR_INTERNAL);
        return;
    }
    loop_arm(s->loop, &v->deadline, until - now, too_late);
    seq_look_around(s);
}

static void go_on(struct sequencer *s)
{
    struct seq_survey *v = &s->survey;
    while (v->step == SURVEY_IDLE && !list_empty(&v->waiting) && !v->closing)
        begin_first(s);
}

void seq_survey_ask(struct sequencer *s, struct request_rooms *q)
{
    q->until_ms = loop_now_ms(s->loop) + q->patience_ms;
    list_push(&s->survey.waiting, &q->link);
    go_on(s);
}

static bool watch_mailbox(struct sequencer *s)
{
    struct stream_ref *ref = &s->survey.mailbox;
    struct buf name = {0};
    if (ref->name.n)
        return true;
    buf_lit(&name, MAILBOX);
    buf_str(&name, s->config.node);
    if (name.failed)
        return false;
    ref->name = (struct span){name.p, name.n}; /* freed in seq_survey_forget() */
    if (s->driver->ops->watch(s->driver, ref))
        return true;
    s->driver->ops->forget(s->driver, ref);
    ref->name = (struct span){0};
    buf_deinit(&name);
    return false;
}

/* A read of the mailbox completes when what is sent there is heard. */
static void begin_hearing(struct sequencer *s)
{
    struct seq_survey *v = &s->survey;
    v->step = SURVEY_HEARING;
    if (!watch_mailbox(s)) {
        end_first(s, ERR_INTERNAL);
        return;
    }
    if (v->reading)
        return;
    v->reading = true;
    v->read = (struct stream_read){.room = &v->mailbox, .purpose = FOR_SURVEY};
    s->driver->ops->read(s->driver, &v->read);
}

void seq_survey_seen(struct sequencer *s, enum err e, const struct span *living, size_t n)
{
    struct seq_survey *v = &s->survey;
    if (v->step != SURVEY_LOOKING || v->closing)
        return;
    for (size_t i = 0; !e && i + 1 < n; i += 2)
        if (!span_eq(living[i], span_str(s->config.node)) && !await(v, living[i]))
            e = ERR_INTERNAL;
    if (e || list_empty(&v->awaited))
        end_first(s, e);
    else
        begin_hearing(s);
    go_on(s);
}

static void put_question(struct sequencer *s)
{
    struct seq_survey *v = &s->survey;
    struct buf text = {0};
    v->step = SURVEY_ASKING;
    begin_letter(s, &text, v->id);
    buf_span(&text, first(v)->pattern);
    if (!post_letter(s, SPAN(CONTROL_STREAM), SPAN(SIGNAL_QUESTION), &text, v->id))
        end_first(s, ERR_INTERNAL);
}

void seq_survey_read(struct sequencer *s, struct stream_read *r)
{
    struct seq_survey *v = &s->survey;
    enum err e = r->error == ERR_NOT_AVAILABLE ? OK : r->error; /* no stream was asked for */
    v->reading = false;
    stream_read_deinit(r);
    if (v->step != SURVEY_HEARING || v->closing)
        return;
    if (e)
        end_first(s, e);
    else
        put_question(s);
    go_on(s);
}

static enum err count_lines(struct seq_survey *v, struct span lines)
{
    while (lines.n) {
        uint64_t count;
        struct span line = cut(&lines, '\n');
        if (!number_read(cut_word(&line), &count) || !tally_add(v->tally, line, count))
            return ERR_INTERNAL;
    }
    return tally_bytes(v->tally) > first(v)->max_bytes ? ERR_LIMIT : OK;
}

static enum err ask_for_more(struct sequencer *s, struct span gateway)
{
    struct buf text = {0};
    begin_letter(s, &text, s->survey.id);
    buf_span(&text, gateway);
    return post_letter(s, SPAN(CONTROL_STREAM), SPAN(SIGNAL_NEXT), &text, s->survey.id)
               ? OK
               : ERR_INTERNAL;
}

/* "ID FROM MORE", and lines. */
static void answered(struct sequencer *s, struct span text)
{
    struct seq_survey *v = &s->survey;
    struct span head = cut(&text, '\n'), from;
    uint64_t id;
    if (v->step != SURVEY_ASKING || !read_letter(&head, &id, &from) || id != v->id)
        return;
    struct awaited *a = find_awaited(v, from);
    if (!a)
        return;
    enum err e = count_lines(v, text);
    if (!e && span_eq(head, SPAN("1"))) {
        e = ask_for_more(s, from);
    } else {
        list_del(&a->link);
        free(a);
    }
    if (e || list_empty(&v->awaited)) {
        end_first(s, e);
        go_on(s);
    }
}

/* ---- answering ------------------------------------------------------------------------------ */

/* A question of another gateway, which has one at a time. */
struct answering {
    struct list link;
    struct seq_walk walk;
    uint64_t id, until_ms;
    bool working;     /* else it is to say that it wants more */
    struct buf piece; /* as far as it goes; a letter */
    size_t more_at;   /* where it says whether there is another */
    struct span asker, pattern;
    char bytes[];
};

static void drop(struct answering *a)
{
    list_del(&a->link);
    seq_walk_end(&a->walk);
    buf_deinit(&a->piece);
    free(a);
}

/* Drops what this gateway asked before, and what nobody waits for any more; how many are left. */
static size_t tidy(struct sequencer *s, struct span asker)
{
    struct list *head = &s->survey.answering, *next;
    size_t left = 0;
    for (struct list *n = head->next; n != head; n = next) {
        struct answering *a = container_of(n, struct answering, link);
        next = n->next;
        if (span_eq(a->asker, asker) || loop_now_ms(s->loop) >= a->until_ms)
            drop(a);
        else
            left++;
    }
    return left;
}

/* "ID ASKER PATTERN" */
static void asked(struct sequencer *s, struct span text)
{
    struct span asker;
    uint64_t id;
    if (!read_letter(&text, &id, &asker) || tidy(s, asker) >= ANSWERING_MAX)
        return;
    struct answering *a = calloc(1, sizeof(*a) + asker.n + text.n);
    if (!a)
        return; /* who asks waits in vain */
    char *at = a->bytes;
    a->id = id;
    a->asker = span_copy(&at, asker);
    a->pattern = span_copy(&at, text);
    a->until_ms = loop_now_ms(s->loop) + ANSWERING_MS;
    a->working = true;
    seq_walk_begin(&s->rooms, &a->walk);
    list_push(&s->survey.answering, &a->link);
    loop_again(s->loop);
}

/* "ID ASKER GATEWAY" */
static void asked_for_more(struct sequencer *s, struct span text)
{
    struct list *head = &s->survey.answering;
    struct span asker;
    uint64_t id;
    if (!read_letter(&text, &id, &asker) || !span_eq(text, span_str(s->config.node)))
        return;
    for (struct list *n = head->next; n != head; n = n->next) {
        struct answering *a = container_of(n, struct answering, link);
        if (a->id == id && span_eq(a->asker, asker))
            a->working = true;
    }
    loop_again(s->loop);
}

static void add_line(struct answering *a, const struct seq_room *room)
{
    buf_u64(&a->piece, room->members);
    buf_char(&a->piece, ' ');
    buf_span(&a->piece, room->ref.name);
    buf_char(&a->piece, '\n');
}

static void begin_piece(const struct sequencer *s, struct answering *a)
{
    begin_letter(s, &a->piece, a->id);
    a->more_at = a->piece.n;
    buf_lit(&a->piece, "1\n");
}

/* Some rooms more; the piece leaves when it is large enough, or the last one. */
static void work(struct sequencer *s, struct answering *a)
{
    const struct seq_room *room = NULL;
    if (!a->piece.n)
        begin_piece(s, a);
    for (int i = 0; i < LOOKS_A_TURN && a->piece.n < PIECE_BYTES; i++) {
        room = seq_walk_next(&a->walk);
        if (!room)
            break;
        if (seq_room_is_listed(room, a->pattern))
            add_line(a, room);
    }
    if (room && a->piece.n < PIECE_BYTES && !a->piece.failed)
        return; /* goes on in the next turn */
    if (!room && !a->piece.failed)
        a->piece.p[a->more_at] = '0';
    a->working = false;
    if (!post_answer(s, a->asker, &a->piece) || !room)
        drop(a);
}

bool seq_survey_turn(struct sequencer *s)
{
    struct list *head = &s->survey.answering, *next;
    bool more = false;
    for (struct list *n = head->next; n != head; n = next) {
        struct answering *a = container_of(n, struct answering, link);
        next = n->next;
        more |= a->working;
        if (a->working)
            work(s, a);
    }
    return more;
}

/* ---- what is heard; life -------------------------------------------------------------------- */

bool seq_survey_is(const struct sequencer *s, const struct stream_ref *ref)
{
    return ref == &s->survey.mailbox;
}

void seq_survey_signalled(struct sequencer *s, struct span what, struct span text)
{
    if (s->survey.closing)
        return;
    if (span_eq(what, SPAN(SIGNAL_QUESTION)))
        asked(s, text);
    else if (span_eq(what, SPAN(SIGNAL_ANSWER)))
        answered(s, text);
    else if (span_eq(what, SPAN(SIGNAL_NEXT)))
        asked_for_more(s, text);
}

void seq_survey_open(struct sequencer *s)
{
    list_init(&s->survey.waiting);
    list_init(&s->survey.awaited);
    list_init(&s->survey.answering);
}

void seq_survey_close(struct sequencer *s)
{
    struct seq_survey *v = &s->survey;
    v->closing = true;
    loop_cancel(s->loop, &v->deadline);
    await_nobody(v);
    tally_free(v->tally);
    v->tally = NULL;
    for (struct list *n; (n = list_shift(&v->answering));)
        drop(container_of(n, struct answering, link));
    if (v->mailbox.name.n)
        s->driver->ops->unwatch(s->driver, &v->mailbox);
}

void seq_survey_forget(struct sequencer *s)
{
    struct stream_ref *ref = &s->survey.mailbox;
    if (!ref->name.n)
        return;
    s->driver->ops->forget(s->driver, ref);
    free((char *)ref->name.p);
    ref->name = (struct span){0};
}
