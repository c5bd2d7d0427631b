/* SPDX-License-Identifier: MIT */
/* A server that is out of memory refuses what writes. When it has memory again the next answer to
 * such a call says so; but a gateway at which nobody writes would not learn of it, so it is asked
 * for once a second until then. */
#include "backplane/redis_private.h"

static void memory_done(struct redis_call *call)
{
    struct redis_shard *s = container_of(call, struct redis_shard, memory_call);
    s->memory_busy = false;
    if (call->outcome == CALL_ANSWERED && call->reply->type != REPLY_ERROR)
        redis_shard_part(s, PART_MEMORY, false, NULL);
}

void redis_memory_ask(struct redis_shard *s)
{
    struct redis_link *link = redis_server_commands(s->server);
    if (s->memory_busy || !redis_link_is_up(link) || !redis_shard_lacks(s, PART_MEMORY))
        return;
    s->memory_busy = true;
    s->memory_call.done = memory_done;
    redis_link_eval(link, &s->memory_call, redis_script(SCRIPT_MEMORY), NULL, 0, 0);
}
