/* SPDX-License-Identifier: MIT */
#include "backplane/redis/handshake.h"

#include "backplane/base/count.h"

#include "backplane/redis/codec.h"

enum step { STEP_AUTH, STEP_SELECT, STEP_NAME, STEP_ROLE, STEP_INFO };

/* What an error reply means, by how it begins; the first that fits. */
static const struct {
    const char *begin;
    enum redis_fault fault;
    const char *why; /* NULL: the server's own words */
} errors[] = {
    {"WRONGPASS", FAULT_REFUSED, "the password or the user name is wrong"},
    {"ERR invalid password", FAULT_REFUSED, "the password is wrong"},
    {"ERR AUTH <password> called without any password", FAULT_REFUSED,
     "a password was given, but the server has none for this user"},
    {"NOAUTH", FAULT_REFUSED, "the server wants a password, and the URL has none"},
    {"NOPERM", FAULT_REFUSED, NULL},
    {"ERR DB index is out of range", FAULT_REFUSED, "it has no database of this number"},
    {"ERR SELECT is not allowed in cluster mode", FAULT_REFUSED,
     "it is in cluster mode, which is not supported"},
    {"ERR invalid DB index", FAULT_REFUSED, "it has no database of this number"},
    {"DENIED", FAULT_REFUSED,
     "it is in protected mode: it takes no connections from other machines without a password"},
    {"MOVED", FAULT_REFUSED, "it is in cluster mode, which is not supported"},
    {"ERR max number of clients reached", FAULT_AWAY, "it has as many clients as it may have"},
    {"LOADING", FAULT_AWAY, "it is still loading its data"},
    {"MASTERDOWN", FAULT_AWAY, "it is a replica that has lost its master"},
    {"BUSY", FAULT_AWAY, "it is busy with a script that does not end"},
};

static bool begins(struct span text, const char *with)
{
    size_t n = strlen(with);

    return text.n >= n && memcmp(text.p, with, n) == 0;
}

static enum handshake_verdict fail(enum redis_fault *fault, enum redis_fault which)
{
    *fault = which;
    return HANDSHAKE_FAILED;
}

static enum handshake_verdict explain(struct span error, const char *command,
                                      enum redis_fault *fault, struct buf *why)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++)
        if (begins(error, errors[i].begin) && errors[i].why) {
            buf_str(why, errors[i].why);
            return fail(fault, errors[i].fault);
        }
    buf_fmt(why, "it answers %s with: %.*s", command, (int)(error.n < 160 ? error.n : 160),
            error.p);
    return fail(fault, FAULT_REFUSED);
}

static void add(struct redis_handshake *h, enum step step, struct buf *out,
                const char *const *words)
{
    struct span spans[4];
    size_t n = 0;

    for (; words[n]; n++)
        spans[n] = span_str(words[n]);
    redis_codec_command(out, spans, n);
    h->step[h->sent++] = (uint8_t)step;
}

void redis_handshake_begin(struct redis_handshake *h, const struct redis_link_options *options,
                           struct redis_facts *facts, struct buf *out)
{
    const struct redis_url *u = &options->url;
    char database[U64_TEXT_MAX + 1] = {0};

    *h = (struct redis_handshake){.options = options, .facts = facts};
    *facts = (struct redis_facts){.replid2_offset = -1};
    if (u->user[0])
        add(h, STEP_AUTH, out, (const char *[]){"AUTH", u->user, u->password, NULL});
    else if (u->password[0])
        add(h, STEP_AUTH, out, (const char *[]){"AUTH", u->password, NULL});
    if (u->database > 0) {
        (void)u64_text(database, u->database);
        add(h, STEP_SELECT, out, (const char *[]){"SELECT", database, NULL});
    }
    if (options->client_name)
        add(h, STEP_NAME, out, (const char *[]){"CLIENT", "SETNAME", options->client_name, NULL});
    add(h, STEP_ROLE, out, (const char *[]){"ROLE", NULL});
    add(h, STEP_INFO, out, (const char *[]){"INFO", NULL});
}

static void copy(char *to, size_t size, struct span from)
{
    size_t n = from.n < size ? from.n : size - 1;

    if (n > 0)
        memcpy(to, from.p, n);
    to[n] = '\0';
}

/* {"master", …}, {"slave", host, port, …} or {"sentinel", …} */
static void take_role(struct redis_handshake *h, const struct redis_reply *reply)
{
    struct redis_facts *f = h->facts;

    copy(f->role, sizeof(f->role), redis_reply_text(redis_reply_item(reply, 0)));
    h->role_known = f->role[0] != '\0';
    if (strcmp(f->role, "slave") != 0)
        return;
    copy(f->master_host, sizeof(f->master_host), redis_reply_text(redis_reply_item(reply, 1)));
    f->master_port = (uint32_t)redis_reply_integer(redis_reply_item(reply, 2));
}

static void take_info(struct redis_handshake *h, const struct redis_reply *reply)
{
    struct redis_facts role = *h->facts;

    redis_facts_parse(h->facts, redis_reply_text(reply));
    if (!h->role_known)
        return;
    copy(h->facts->role, sizeof(role.role), span_str(role.role));
    copy(h->facts->master_host, sizeof(role.master_host), span_str(role.master_host));
    h->facts->master_port = role.master_port;
}

/* The kind of server, whatever it holds. */
static enum handshake_verdict judge_kind(const struct redis_handshake *h, enum redis_fault *fault,
                                         struct buf *why)
{
    const struct redis_facts *f = h->facts;
    bool sentinel = strcmp(f->role, "sentinel") == 0 || strcmp(f->mode, "sentinel") == 0;
    bool wanted = h->options->expect == EXPECT_SENTINEL;

    if (sentinel == wanted)
        return HANDSHAKE_DONE;
    buf_str(why, wanted ? "it is a Redis server, not a Sentinel"
                        : "it is a Sentinel, not a Redis server");
    return fail(fault, FAULT_REFUSED);
}

static enum handshake_verdict judge(const struct redis_handshake *h, enum redis_fault *fault,
                                    struct buf *why)
{
    const struct redis_facts *f = h->facts;
    enum handshake_verdict verdict = judge_kind(h, fault, why);

    if (verdict != HANDSHAKE_DONE || h->options->expect == EXPECT_SENTINEL)
        return verdict;
    if (f->loading) {
        buf_fmt(why, "it is still loading its data, for about %llu s",
                (unsigned long long)f->loading_eta_s);
        return fail(fault, FAULT_AWAY);
    }
    *fault = FAULT_REFUSED;
    if (f->cluster)
        buf_str(why, "it is in cluster mode, which is not supported");
    else if (f->known && f->version[0] < 7)
        buf_fmt(why, "it is Redis %s; 7.0 or newer is needed", f->version_text);
    else if (h->options->expect == EXPECT_MASTER && strcmp(f->role, "slave") == 0)
        buf_fmt(why, "it is a replica of %s:%u, not a master", f->master_host, f->master_port);
    else if (h->options->eviction == EVICTION_REFUSED && redis_facts_evicts(f))
        redis_facts_explain_eviction(f, why);
    else
        return HANDSHAKE_DONE;
    return HANDSHAKE_FAILED;
}

/* Whether an error reply to this step ends the handshake. What a server denies to us or does not
 * have is done without, where that is possible. */
static bool is_fatal(enum step step, const struct redis_reply *reply)
{
    if (step == STEP_AUTH || step == STEP_SELECT)
        return true;
    return redis_error_ends_link(reply);
}

enum handshake_verdict redis_handshake_reply(struct redis_handshake *h,
                                             const struct redis_reply *reply,
                                             enum redis_fault *fault, struct buf *why)
{
    static const char *const names[] = {"AUTH", "SELECT", "CLIENT SETNAME", "ROLE", "INFO"};
    enum step step = h->step[h->answered++];

    if (reply->type == REPLY_ERROR && is_fatal(step, reply))
        return explain(reply->text, names[step], fault, why);
    if (step == STEP_ROLE)
        take_role(h, reply);
    else if (step == STEP_INFO && reply->type == REPLY_STRING)
        take_info(h, reply);
    return h->answered < h->sent ? HANDSHAKE_MORE : judge(h, fault, why);
}

bool redis_error_ends_link(const struct redis_reply *reply)
{
    static const char *const words[] = {
        "NOAUTH", "DENIED", "LOADING", "MASTERDOWN", "BUSY", "ERR max number of clients reached"};

    if (reply->type != REPLY_ERROR)
        return false;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (begins(reply->text, words[i]))
            return true;
    return false;
}
