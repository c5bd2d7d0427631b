/* SPDX-License-Identifier: MIT */
#include "gateway/job_id.h"

#include "backplane/base/json.h"
#include "backplane/queue/queue.h"

#define ID_BITS 53

bool job_id_read(struct span text, struct span *queue, uint64_t *id)
{
    size_t n = text.n;
    while (n > 0 && text.p[n - 1] != ':')
        n--;
    struct span number = {text.p + n, text.n - n};
    if (n < 2 || n - 1 > QUEUE_NAME_MAX || !json_u64(number, id) || *id >> ID_BITS)
        return false;
    *queue = (struct span){text.p, n - 1};
    return true;
}

void job_id_write(struct buf *b, struct span queue, uint64_t id)
{
    char text[QUEUE_NAME_MAX + 1 + U64_TEXT_MAX], *at = text;
    queue.n = queue.n < QUEUE_NAME_MAX ? queue.n : QUEUE_NAME_MAX;
    (void)span_copy(&at, queue);
    *at++ = ':';
    at += u64_text(at, id);
    buf_json(b, (struct span){text, (size_t)(at - text)});
}
