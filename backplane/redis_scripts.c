/* SPDX-License-Identifier: MIT */
#include "backplane/redis_scripts.h"

/* Made of backplane/lua/ when the program is built. */
extern const char redis_lua_commit[], redis_lua_read[], redis_lua_check[], redis_lua_remove[],
    redis_lua_redact[], redis_lua_generation[], redis_lua_share[], redis_lua_grow[],
    redis_lua_servers[], redis_lua_follow[], redis_lua_attend[], redis_lua_memory[];

static struct redis_script scripts[REDIS_SCRIPTS];

void redis_scripts_init(void)
{
    static const char *const texts[REDIS_SCRIPTS] = {
        [SCRIPT_COMMIT] = redis_lua_commit,   [SCRIPT_READ] = redis_lua_read,
        [SCRIPT_CHECK] = redis_lua_check,     [SCRIPT_REMOVE] = redis_lua_remove,
        [SCRIPT_REDACT] = redis_lua_redact,   [SCRIPT_GENERATION] = redis_lua_generation,
        [SCRIPT_SHARE] = redis_lua_share,     [SCRIPT_GROW] = redis_lua_grow,
        [SCRIPT_SERVERS] = redis_lua_servers, [SCRIPT_FOLLOW] = redis_lua_follow,
        [SCRIPT_ATTEND] = redis_lua_attend,   [SCRIPT_MEMORY] = redis_lua_memory,
    };
    for (unsigned i = 0; i < REDIS_SCRIPTS; i++)
        redis_script_init(&scripts[i], i, span_str(texts[i]));
}

const struct redis_script *redis_script(enum redis_script_id id)
{
    return &scripts[id];
}
