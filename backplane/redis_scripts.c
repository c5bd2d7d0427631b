/* SPDX-License-Identifier: MIT */
#include "backplane/redis_scripts.h"

/* Made of backplane/lua/ when the program is built. */
extern const char redis_lua_commit[], redis_lua_commit_cause[], redis_lua_read[], redis_lua_check[],
    redis_lua_remove[], redis_lua_redact[], redis_lua_generation[], redis_lua_share[],
    redis_lua_grow[], redis_lua_servers[], redis_lua_follow[], redis_lua_attend[],
    redis_lua_memory[], redis_lua_queue_put[], redis_lua_queue_take[], redis_lua_queue_settle[],
    redis_lua_queue_look[], redis_lua_queue_pick[], redis_lua_queue_control[],
    redis_lua_queue_sweep[], redis_lua_queue_due[], redis_lua_queue_library[];

static struct redis_script scripts[REDIS_SCRIPTS];

void redis_scripts_init(void)
{
    static const char *const texts[REDIS_SCRIPTS] = {
        [SCRIPT_COMMIT] = redis_lua_commit,
        [SCRIPT_COMMIT_CAUSE] = redis_lua_commit_cause,
        [SCRIPT_READ] = redis_lua_read,
        [SCRIPT_CHECK] = redis_lua_check,
        [SCRIPT_REMOVE] = redis_lua_remove,
        [SCRIPT_REDACT] = redis_lua_redact,
        [SCRIPT_GENERATION] = redis_lua_generation,
        [SCRIPT_SHARE] = redis_lua_share,
        [SCRIPT_GROW] = redis_lua_grow,
        [SCRIPT_SERVERS] = redis_lua_servers,
        [SCRIPT_FOLLOW] = redis_lua_follow,
        [SCRIPT_ATTEND] = redis_lua_attend,
        [SCRIPT_MEMORY] = redis_lua_memory,
        [SCRIPT_QUEUE_PUT] = redis_lua_queue_put,
        [SCRIPT_QUEUE_TAKE] = redis_lua_queue_take,
        [SCRIPT_QUEUE_SETTLE] = redis_lua_queue_settle,
        [SCRIPT_QUEUE_LOOK] = redis_lua_queue_look,
        [SCRIPT_QUEUE_PICK] = redis_lua_queue_pick,
        [SCRIPT_QUEUE_CONTROL] = redis_lua_queue_control,
        [SCRIPT_QUEUE_SWEEP] = redis_lua_queue_sweep,
        [SCRIPT_QUEUE_DUE] = redis_lua_queue_due,
    };
    for (unsigned i = 0; i < REDIS_SCRIPTS; i++)
        redis_script_init(&scripts[i], i, span_str(texts[i]));
}

const struct redis_script *redis_script(enum redis_script_id id)
{
    return &scripts[id];
}

struct span redis_queue_library(void)
{
    return span_str(redis_lua_queue_library);
}
