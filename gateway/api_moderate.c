/* SPDX-License-Identifier: MIT */
/* kick, ban, mute and what ends them, slow_mode, redact: what moderators decide. The sequencer
 * keeps it and holds everybody to it; what is to happen to sessions at once is an order to them.
 */
#include "backplane/pace.h"
#include "gateway/api_private.h"
#include "gateway/close.h"
#include "gateway/credentials.h"
#include "gateway/methods.h"
#include "gateway/token.h"

#include <stdlib.h>

#define CODE_FORCED 3503

/* A reason stands in close frames, behind "banned: ". */
#define REASON_MAX (CLOSE_TEXT_MAX - 23)

/* Text that is good in a name is good here; only it may be empty. */
static bool is_text(struct span text, size_t max)
{
    return !text.n || room_name_check(text, max) == OK;
}

/* Whom and where: a room that is named must be one that there could be. */
static enum err check_whom(const struct api_task *t, const struct api_params *p)
{
    const struct room_rules *r;
    if (!p->user.n || !is_text(p->user, TOKEN_USER_MAX) || !is_text(p->reason, REASON_MAX))
        return ERR_BAD_REQUEST;
    return p->channel.n ? api_rules(t, p->channel, &r) : OK;
}

/* ---- out, now ------------------------------------------------------------------------------- */

/* "kicked: reason", which is never JSON: clients take that for an instruction. */
static void add_words(struct buf *b, const char *what, struct span reason)
{
    buf_str(b, what);
    if (reason.n)
        buf_lit(b, ": ");
    buf_span(b, reason);
}

static struct control *order_out(struct api_task *t, const struct api_params *p, unsigned code,
                                 struct span words)
{
    enum control_op op = p->channel.n ? CONTROL_UNSUBSCRIBE : CONTROL_DISCONNECT;
    struct control *c = api_order(t, op, p, words.n);
    if (!c)
        return NULL;
    c->reason = control_copy(c, words);
    c->code = code;
    return c;
}

/* Out of the room, or of the gateway. */
static void put_out(struct api_task *t, const struct api_params *p, unsigned code, const char *what)
{
    struct buf words = {0};
    add_words(&words, what, p->reason);
    struct control *c = NULL;
    if (words.failed)
        api_done(t, ERR_INTERNAL);
    else
        c = order_out(t, p, code, (struct span){words.p, words.n});
    if (c)
        api_give(t, c);
    buf_deinit(&words);
}

void api_kick(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    enum err e = check_whom(t, &p);
    if (e)
        api_done(t, e);
    else
        put_out(t, &p, CODE_FORCED, "kicked");
}

/* ---- bans and mutes ------------------------------------------------------------------------- */

/* Who is banned has to go, too. */
static void sanctioned(struct hub *h, struct request *r)
{
    struct request_sanction *q = (struct request_sanction *)r;
    struct api_task *t = r->owner;
    struct api_params out = {
        .user = q->what.user, .channel = q->what.room, .reason = q->what.reason};
    (void)h;
    if (r->error || q->lift || q->what.kind != SANCTION_BAN) {
        buf_lit(&t->result, "{}");
        api_done(t, r->error);
    } else {
        put_out(t, &out, close_info(CLOSE_PERMISSION)->code, "banned");
    }
    free(q);
}

static enum err ask_sanction(struct api_task *t, const struct api_params *p,
                             enum sanction_kind kind, bool lift, uint64_t until_ms)
{
    struct request_sanction *q = calloc(1, sizeof(*q) + p->user.n + p->channel.n + p->reason.n);
    if (!q)
        return ERR_INTERNAL;
    char *at = q->text;
    q->what = (struct sanction){.kind = kind, .until_ms = until_ms};
    q->what.user = span_copy(&at, p->user);
    q->what.room = span_copy(&at, p->channel);
    q->what.reason = span_copy(&at, p->reason);
    q->lift = lift;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_SANCTION, sanctioned);
    return OK;
}

/* When it ends, said as a time or as a span of time; neither: when it is lifted. */
static enum err read_end(const struct api_params *p, uint64_t *until_ms)
{
    int64_t now_s = wall_s(), end_s = p->expire_at;
    *until_ms = 0;
    if (p->expire_at == EXPIRE_AT_ABSENT && !p->ttl)
        return OK;
    if (p->expire_at == EXPIRE_AT_ABSENT && p->ttl > 0 && p->ttl <= END_MAX_S)
        end_s = now_s + p->ttl;
    else if (p->ttl || end_s <= now_s || end_s > END_MAX_S)
        return ERR_BAD_REQUEST;
    *until_ms = (uint64_t)end_s * 1000;
    return OK;
}

static void decide(struct api_task *t, enum sanction_kind kind, bool lift)
{
    struct api_params p;
    uint64_t until_ms = 0;
    if (!api_read_params(t, &p))
        return;
    enum err e = check_whom(t, &p);
    if (!e && !lift)
        e = read_end(&p, &until_ms);
    if (!e)
        e = ask_sanction(t, &p, kind, lift, until_ms);
    if (e)
        api_done(t, e);
}

void api_ban(struct api_task *t)
{
    decide(t, SANCTION_BAN, false);
}

void api_unban(struct api_task *t)
{
    decide(t, SANCTION_BAN, true);
}

void api_mute(struct api_task *t)
{
    decide(t, SANCTION_MUTE, false);
}

void api_unmute(struct api_task *t)
{
    decide(t, SANCTION_MUTE, true);
}

static void listed(struct hub *h, struct request *r)
{
    struct request_sanctions *q = (struct request_sanctions *)r;
    struct api_task *t = r->owner;
    (void)h;
    buf_str(&t->result, q->kind == SANCTION_BAN ? "{\"bans\":" : "{\"mutes\":");
    buf_add(&t->result, q->json.p, q->json.n);
    buf_char(&t->result, '}');
    api_done(t, r->error);
    buf_deinit(&q->json);
    free(q);
}

static void list(struct api_task *t, enum sanction_kind kind)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    struct request_sanctions *q = calloc(1, sizeof(*q) + p.user.n + p.channel.n);
    if (!q) {
        api_done(t, ERR_INTERNAL);
        return;
    }
    char *at = q->name;
    q->user = span_copy(&at, p.user);
    q->room = span_copy(&at, p.channel);
    q->kind = kind;
    q->max_bytes = API_RESULT_MAX;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_SANCTIONS, listed);
}

void api_bans(struct api_task *t)
{
    list(t, SANCTION_BAN);
}

void api_mutes(struct api_task *t)
{
    list(t, SANCTION_MUTE);
}

/* ---- slow mode ------------------------------------------------------------------------------ */

static void paced(struct hub *h, struct request *r)
{
    struct api_task *t = r->owner;
    (void)h;
    buf_lit(&t->result, "{\"interval_ms\":");
    buf_u64(&t->result, ((struct request_pace *)r)->interval_ms);
    buf_char(&t->result, '}');
    api_done(t, r->error);
    free(r);
}

static enum err ask_pace(struct api_task *t, const struct api_params *p)
{
    const struct room_rules *r;
    enum err e = api_rules(t, p->channel, &r);
    bool change = p->interval_ms != INTERVAL_ABSENT;
    if (!e && change && p->interval_ms > PACE_INTERVAL_MAX)
        e = ERR_BAD_REQUEST;
    if (e)
        return e;
    struct request_pace *q = calloc(1, sizeof(*q) + p->channel.n);
    if (!q)
        return ERR_INTERNAL;
    char *at = q->name;
    q->room = span_copy(&at, p->channel);
    q->change = change;
    q->interval_ms = p->interval_ms;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_PACE, paced);
    return OK;
}

void api_slow_mode(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    enum err e = ask_pace(t, &p);
    if (e)
        api_done(t, e);
}

/* ---- redact --------------------------------------------------------------------------------- */

/* What tells those who have it: a publication that points at it. */
static enum err tell(struct api_task *t, const struct request_redact *q)
{
    const struct position *at = &q->redaction.at;
    struct api_publication notice = {0};
    struct buf b = {0};
    buf_lit(&b, "{\"type\":\"redacted\",\"offset\":");
    buf_u64(&b, at->offset);
    buf_lit(&b, ",\"epoch\":");
    buf_json(&b, position_epoch(at));
    if (q->reason.n) {
        buf_lit(&b, ",\"reason\":");
        buf_json(&b, q->reason);
    }
    buf_char(&b, '}');
    buf_lit(&notice.tags, "\"quiet\":\"1\"");
    notice.data = (struct span){b.p, b.n};
    bool failed = b.failed || notice.tags.failed;
    enum err e = failed ? ERR_INTERNAL : api_publish_into(t, q->room, &notice);
    buf_deinit(&notice.tags);
    buf_deinit(&b);
    return e;
}

static void redacted(struct hub *h, struct request *r)
{
    struct request_redact *q = (struct request_redact *)r;
    (void)h;
    enum err e = r->error ? r->error : tell(r->owner, q);
    if (e)
        api_done(r->owner, e);
    free(q);
}

static enum err ask_redact(struct api_task *t, const struct api_params *p)
{
    const struct room_rules *r;
    enum err e = api_rules(t, p->channel, &r);
    if (!e && !is_text(p->reason, REASON_MAX))
        e = ERR_BAD_REQUEST;
    if (!e && !r->history_size)
        e = ERR_NOT_AVAILABLE;
    if (e)
        return e;
    struct request_redact *q = calloc(1, sizeof(*q) + p->channel.n + p->reason.n);
    if (!q)
        return ERR_INTERNAL;
    char *at = q->name;
    q->room = span_copy(&at, p->channel);
    q->reason = span_copy(&at, p->reason);
    q->redaction.limits = limits_of(r);
    q->redaction.at = position_asked(p->offset, p->epoch);
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_REDACT, redacted);
    return OK;
}

void api_redact(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    enum err e = ask_redact(t, &p);
    if (e)
        api_done(t, e);
}
