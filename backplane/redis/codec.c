/* SPDX-License-Identifier: MIT */
/* Replies are built in place: the root is part of the codec, and what an array holds is part of the
 * array, so a reply of one integer allocates nothing.
 */
#include "backplane/redis/codec.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

struct redis_codec {
    redisReader *reader;
    struct redis_reply root; /* being built */
    size_t reply_bytes_max;
    size_t fed;        /* bytes since the last whole reply */
    size_t items_left; /* array elements that the reply being built may still ask for */
    bool too_many;
};

/* The smallest element is ":0\r\n". */
#define ITEM_BYTES_MIN 4

static struct redis_reply *slot(const redisReadTask *task)
{
    struct redis_codec *c = task->privdata;

    if (!task->parent)
        return &c->root;
    struct redis_reply *array = task->parent->obj;
    return &array->items[task->idx];
}

static void *create_string(const redisReadTask *task, char *p, size_t n)
{
    struct redis_reply *r = slot(task);
    char *copy = malloc(n + 1);

    if (!copy)
        return NULL;
    memcpy(copy, p, n);
    copy[n] = '\0';
    r->type = task->type == REDIS_REPLY_ERROR    ? REPLY_ERROR
              : task->type == REDIS_REPLY_STATUS ? REPLY_STATUS
                                                 : REPLY_STRING;
    r->text = (struct span){copy, n};
    return r; /* cppcheck-suppress memleak ; the reply has it */
}

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void *create_array(const redisReadTask *task, element_count elements)
{
    struct redis_codec *c = task->privdata;
    struct redis_reply *r = slot(task);
    size_t n = (size_t)elements;

    c->too_many = n > c->items_left;
    if (c->too_many)
        return NULL;
    c->items_left -= n;
    struct redis_reply *items = calloc(n > 0 ? n : 1, sizeof(*items)); /* all zero is nil */
    if (!items)
        return NULL;
    *r = (struct redis_reply){.type = REPLY_ARRAY, .count = n};
    r->items = items;
    return r;
}

static void *create_integer(const redisReadTask *task, long long v)
{
    struct redis_reply *r = slot(task);

    r->type = REPLY_INTEGER;
    r->integer = v;
    return r;
}

static void *create_nil(const redisReadTask *task)
{
    struct redis_reply *r = slot(task);

    r->type = REPLY_NIL;
    return r;
}

static void free_object(void *object)
{
    redis_reply_deinit(object);
}

#if HIREDIS_MAJOR >= 1
/* Nobody asks for RESP3; without these a server that sends it unasked would yield wild pointers. */
static void *create_double(const redisReadTask *task, double v, char *p, size_t n)
{
    (void)v;
    return create_string(task, p, n);
}

static void *create_bool(const redisReadTask *task, int v)
{
    return create_integer(task, v);
}
#endif

static redisReplyObjectFunctions functions = {
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_object,
};

static void begin_reply(struct redis_codec *c)
{
    c->fed = 0;
    c->items_left = c->reply_bytes_max / ITEM_BYTES_MIN;
}

struct redis_codec *redis_codec_new(size_t reply_bytes_max)
{
    struct redis_codec *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->reader = redisReaderCreateWithFunctions(&functions);
    if (!c->reader) {
        free(c);
        return NULL;
    }
    c->reader->privdata = c;
    c->reply_bytes_max = reply_bytes_max;
    begin_reply(c);
    return c;
}

void redis_codec_free(struct redis_codec *c)
{
    if (!c)
        return;
    redisReaderFree(c->reader); /* with what is half built */
    free(c);
}

bool redis_codec_feed(struct redis_codec *c, const void *p, size_t n)
{
    c->fed += n;
    return redisReaderFeed(c->reader, p, n) == REDIS_OK;
}

enum codec_step redis_codec_next(struct redis_codec *c, struct redis_reply *out, const char **why)
{
    void *reply = NULL;

    if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
        *why = c->too_many ? "a reply has more elements than is allowed" : c->reader->errstr;
        return CODEC_BROKEN;
    }
    if (reply) {
        begin_reply(c);
        redis_reply_move(out, reply);
        return CODEC_REPLY;
    }
    if (c->fed <= c->reply_bytes_max)
        return CODEC_MORE;
    *why = "a reply is larger than is allowed";
    return CODEC_BROKEN;
}

void redis_codec_begin(struct buf *out, size_t words)
{
    buf_char(out, '*');
    buf_u64(out, words);
    buf_lit(out, "\r\n");
}

void redis_codec_word(struct buf *out, struct span word)
{
    buf_char(out, '$');
    buf_u64(out, word.n);
    buf_lit(out, "\r\n");
    buf_span(out, word);
    buf_lit(out, "\r\n");
}

void redis_codec_command(struct buf *out, const struct span *words, size_t n)
{
    redis_codec_begin(out, n);
    for (size_t i = 0; i < n; i++)
        redis_codec_word(out, words[i]);
}
