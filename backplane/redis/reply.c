/* SPDX-License-Identifier: MIT */
#include "backplane/redis/reply.h"

#include <stdlib.h>

static bool has_text(const struct redis_reply *r)
{
    return r && (r->type == REPLY_STRING || r->type == REPLY_STATUS || r->type == REPLY_ERROR);
}

void redis_reply_move(struct redis_reply *to, struct redis_reply *from)
{
    *to = *from;
    *from = (struct redis_reply){.type = REPLY_NIL};
}

/* Recursion is bounded by the nesting that the reader accepts: less than 10. */
void redis_reply_deinit(struct redis_reply *r)
{
    if (has_text(r)) {
        free((char *)r->text.p);
    } else if (r->type == REPLY_ARRAY) {
        for (size_t i = 0; i < r->count; i++)
            redis_reply_deinit(&r->items[i]);
        free(r->items);
    }
    *r = (struct redis_reply){.type = REPLY_NIL};
}

const struct redis_reply *redis_reply_item(const struct redis_reply *r, size_t i)
{
    return r && r->type == REPLY_ARRAY && i < r->count ? &r->items[i] : NULL;
}

struct span redis_reply_text(const struct redis_reply *r)
{
    return has_text(r) ? r->text : (struct span){NULL, 0};
}

/* Decimal digits with an optional minus; 0 if it is anything else or does not fit. */
static int64_t decimal(struct span text)
{
    bool negative = text.n > 0 && text.p[0] == '-';
    int64_t v = 0;

    for (size_t i = negative; i < text.n; i++) {
        int digit = text.p[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, digit, &v)) /* below zero there is room for one more */
            return 0;
    }
    if (!negative && v == INT64_MIN)
        return 0;
    return negative ? v : -v;
}

int64_t redis_reply_integer(const struct redis_reply *r)
{
    if (r && r->type == REPLY_INTEGER)
        return r->integer;
    return r && r->type != REPLY_ERROR ? decimal(redis_reply_text(r)) : 0;
}

bool redis_reply_is_error(const struct redis_reply *r, const char *word)
{
    size_t n = strlen(word);

    return r && r->type == REPLY_ERROR && r->text.n >= n && memcmp(r->text.p, word, n) == 0 &&
           (r->text.n == n || r->text.p[n] == ' ');
}
