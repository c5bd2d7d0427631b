/* SPDX-License-Identifier: MIT */
/* api_private.h: what the files of the API share: api.c (calls, and the order in which commands
 * run), api_wrong.c (what is wrong with one), api_backup.c, api_publish.c, api_read.c,
 * api_session.c, api_follow.c, api_moderate.c (the methods).
 */
#ifndef MADANG_GATEWAY_API_PRIVATE_H
#define MADANG_GATEWAY_API_PRIVATE_H

#include "backplane/base/fields.h"
#include "gateway/api.h"
#include "gateway/hub.h"

/* Bytes of one result, and of all results of a call. */
#define API_RESULT_MAX ((size_t)16 * 1024 * 1024)
#define API_ANSWER_MAX ((size_t)64 * 1024 * 1024)
/* Commands of a batch, rooms of a broadcast, lines of a body. */
#define API_PARTS_MAX 10000

struct api_task;
struct api_publication;
struct api_queue;

struct api_method {
    const char *name;
    enum api_scope scope;
    /* Begins. Ends with api_done, at once or later. */
    void (*run)(struct api_task *t);
    /* Of a task made of parts: makes the result of theirs. */
    void (*gather)(struct api_task *t);
};

/* One command. */
struct api_task {
    struct api_call *call;
    struct api_task *parent;
    const struct api_method *method;
    struct span params; /* an object; borrowed from the call's body */
    struct api_task *parts;
    uint32_t count, next, left; /* of the parts: the next one to begin, how many are not done */
    bool parallel;              /* parts need not wait for each other */
    bool started, done;
    enum err error;
    struct buf result;                   /* the result object */
    const char *why;                     /* in place of the error's own words; or NULL */
    char *words;                         /* of `why`, if they are not constant */
    struct api_publication *publication; /* of publish and broadcast; see api_publish.c */
    struct api_queue *queue;             /* of queue_…; see api_queue.h */
};

struct api_call {
    struct list link; /* in desk.waiting */
    struct hub *hub;
    struct api_ask ask;
    struct api_task root;
    struct scratch scratch; /* as large as the body: each string is decoded once */
    char *memory;
    size_t results; /* bytes */
};

#define EXPIRE_AT_ABSENT INT64_MIN
#define INTERVAL_ABSENT  UINT64_MAX
#define END_MAX_S        INT64_C(100000000000) /* no end lies behind the year 5000 */

/* All that any method understands; each looks at its own. */
struct api_params {
    struct span method, params;
    struct span user, client, session, channel, path, pattern, idempotency_key, b64data;
    struct span version_epoch, epoch, reason, after;
    struct span data, info;
    struct span tags, since, recover_since, disconnect, override, channels, whitelist, commands;
    int64_t limit, ttl;
    int64_t expire_at;    /* or EXPIRE_AT_ABSENT */
    uint64_t interval_ms; /* or INTERVAL_ABSENT */
    uint64_t version, offset;
    bool skip_history, delta, reverse, expired, parallel, cancel;
};

/* Reads a task's parameters; false: it is done, with an error. */
bool api_read_params(struct api_task *t, struct api_params *p);

/* What is to be published; the rooms of a broadcast share it. */
struct api_publication {
    struct span data, key;
    struct version version;
    struct buf decoded; /* of b64data */
    struct buf tags;    /* the inside of an object */
    bool skip_history, delta, own_time;
};

struct api_position {
    uint64_t offset;
    struct span epoch;
};

/* Reads `{"offset":n,"epoch":"…"}`. */
bool api_read_position(struct api_task *t, struct span object, struct position *out);

/* Says what is wrong with what was asked, and what is allowed; the error, for api_done. */
enum err api_wrong(struct api_task *t, const char *what);
/* … with an object that object_read has refused. */
enum err api_wrong_object(struct api_task *t, struct span object, const struct field *fields,
                          size_t count);

/* The task has its result, or an error. Its parent may be done with it. */
void api_done(struct api_task *t, enum err e);

/* Gives a task parts, all zero. False: too many or no memory, and the task is done. */
bool api_split(struct api_task *t, size_t count, bool parallel);

size_t api_count_items(struct span array); /* of valid JSON */

/* Appends a reply as it stands in an answer: `{"result":…}` or `{"error":…}`. */
void api_write_reply(struct buf *b, const struct api_task *t);

/* The rules of the room, or the error of a name that will not do. */
enum err api_rules(const struct api_task *t, struct span channel, const struct room_rules **out);

/* Asks for it; the task is done when that is answered, with the position as its result. An error:
 * nothing was asked, and the task is not done. The version's epoch is borrowed till then. */
enum err api_publish_into(struct api_task *t, struct span channel, const struct api_publication *p);

/* An order for whom the parameters name, with `more` bytes for text; no connection of ours has a
 * `session`, so one that is named is nobody's. NULL: no memory, and the task is done. */
struct control *api_order(struct api_task *t, enum control_op op, const struct api_params *p,
                          size_t more);
/* Hands the order over; the task is done when every hub is to hear of it. */
void api_give(struct api_task *t, struct control *c);

/* The answer may take so many ms longer. */
void api_lasts(struct api_call *c, uint64_t ms);

void api_queue_leave(struct api_queue *q); /* nobody waits for it */
void api_queue_free(struct api_queue *q, bool delivered);

void api_publication_free(struct api_publication *p); /* NULL is fine */

/* The methods. */
void api_backup(struct api_task *t);
void api_publish(struct api_task *t);
void api_broadcast(struct api_task *t);
void api_broadcast_gather(struct api_task *t);
void api_presence(struct api_task *t);
void api_presence_stats(struct api_task *t);
void api_history(struct api_task *t);
void api_history_remove(struct api_task *t);
void api_channels(struct api_task *t);
void api_info(struct api_task *t);
void api_subscribe(struct api_task *t);
void api_unsubscribe(struct api_task *t);
void api_disconnect(struct api_task *t);
void api_refresh(struct api_task *t);
void api_follow(struct api_task *t);
void api_unfollow(struct api_task *t);
void api_mark_read(struct api_task *t);
void api_follows(struct api_task *t);
void api_followers(struct api_task *t);
void api_kick(struct api_task *t);
void api_ban(struct api_task *t);
void api_unban(struct api_task *t);
void api_bans(struct api_task *t);
void api_mute(struct api_task *t);
void api_unmute(struct api_task *t);
void api_mutes(struct api_task *t);
void api_slow_mode(struct api_task *t);
void api_redact(struct api_task *t);
void api_queue_put(struct api_task *t);
void api_queue_take(struct api_task *t);
void api_queue_ack(struct api_task *t);
void api_queue_nack(struct api_task *t);
void api_queue_release(struct api_task *t);
void api_queue_extend(struct api_task *t);
void api_queue_cancel(struct api_task *t);
void api_queue_get(struct api_task *t);
void api_queue_dead(struct api_task *t);
void api_queue_retry(struct api_task *t);
void api_queue_purge(struct api_task *t);
void api_queue_pause(struct api_task *t);
void api_queue_resume(struct api_task *t);
void api_queue_drain(struct api_task *t);
void api_queue_stats(struct api_task *t);
void api_queue_cron(struct api_task *t);

#endif
