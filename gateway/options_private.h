/* SPDX-License-Identifier: MIT */
/* options_private.h: what the files of the options share: options.c (life and printing),
 * options_load.c (sources), options_check.c (what must fit together).
 */
#ifndef MADANG_GATEWAY_OPTIONS_PRIVATE_H
#define MADANG_GATEWAY_OPTIONS_PRIVATE_H

#include "gateway/options.h"
#include "gateway/options_table.h"

#define NAMESPACES_MAX 1000

enum source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND_LINE };

struct origin {
    enum source source;
    char *where; /* owned: "madang.ini:12", "MADANG_HUBS", "--hubs"; NULL: default */
};

struct options_origins {
    struct origin *plain;   /* one per option of the sections before rooms */
    struct origin *rooms;   /* per namespace, one per option of rooms */
    struct origin *servers; /* per named Redis server, one per option of these */
    struct origin *queues;  /* per named queue, likewise */
    struct origin *cron;    /* per entry, likewise */
};

/* Sections that stand in the file any number of times, each with a name, have a list of items. In
 * the functions below `room` is an index into that list, and 0 for other sections. */

/* The struct that the section's options are fields of, to be written or only read. */
void *options_target(struct options *o, const struct option_section *s, size_t room);
const void *options_view(const struct options *o, const struct option_section *s, size_t room);

struct origin *options_origin(const struct options *o, const struct option_section *s,
                              const struct option *option, size_t room);

/* The option of that key, or NULL. */
const struct option *options_find(const struct option_section *s, const char *key);

/* Adds an item with the defaults; its index is the former count. The name fits. False: out of
 * memory, and the options are good for nothing but to be freed. */
bool options_add_item(struct options *o, const struct option_section *s, const char *name);
void options_drop_items(struct options *o, const struct option_section *s);

size_t options_item_count(const struct options *o, const struct option_section *s);

/* The index of the item of that name; the count: there is none. */
size_t options_item_at(const struct options *o, const struct option_section *s, const char *name);

/* What stands behind the section's name: "chat", "". */
const char *options_item_name(const struct options *o, const struct option_section *s, size_t room);

/* Appends "[client] ping_interval" or "[rooms chat] presence". */
void options_title(const struct options *o, const struct option_section *s,
                   const struct option *option, size_t room, struct buf *text);

/* Completes values that follow from others (a room that is told to have no stream needs no
 * recovery) and checks what must fit together. Appends a line per error; returns how many. */
size_t options_settle(struct options *o, struct buf *report);

/* Gives every option that may change only with a restart the value it has in `now`. False: out of
 * memory. Before options_settle(). */
bool options_keep(struct options *o, const struct options *now);

/* options_load() with that. */
bool options_load_keeping(struct options **out, const struct options *now,
                          const struct options_sources *from, struct buf *report);

#endif
