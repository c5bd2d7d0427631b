/* SPDX-License-Identifier: MIT */
/* options_local.c: the table of the section [local]. */
#include "gateway/options_table.h"

#include "gateway/options.h"

#define GATEWAY(field) OPTION_FIELD(struct options, field)

static const char *const DURABILITY_WORDS[] = {"full", "process", NULL}; /* enum store_durability */

const struct option local_options[LOCAL_OPTION_COUNT] = {
    {
        .key = "durability",
        .type = OPTION_CHOICE,
        GATEWAY(durability),
        .choices = DURABILITY_WORDS,
        .initial = "full",
        .help = "What a publication that was acknowledged survives. full: power loss. process: the "
                "end of this process, however it comes; after power loss rooms begin a new epoch, "
                "and clients are told.",
    },
    ROOM_MEMORY(struct options, remember_ms),
};
