/* SPDX-License-Identifier: MIT */
/*
 * What a room has said so far: the log that every listener is compared with.
 *
 * Publications are numbered from 0 in the order in which the gateway delivers them. Whoever
 * receives number n first writes it into the log (after check.c has found it to be what was
 * sent); everybody else must then see the same bytes at the same place. The log is kept in
 * chunks; a chunk is freed when the last listener has passed it.
 */
#ifndef LOAD_ROOM_H
#define LOAD_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/json.h"

enum {
    ROOM_CHUNK = 256, /* entries */
    ROOM_NAME = 96,
    ROOM_EPOCH = 64,
};

struct entry {
    char *line; /* the whole push as first received; NULL: nobody has seen it yet */
    uint32_t len;
    uint32_t data_at; /* where the publication's data lies in the line */
    uint32_t data_len;
    uint32_t left;   /* prompt listeners that still wait for it */
    uint32_t flight; /* see check.h; meaningful while left > 0 */
    bool measured;   /* sent in the measured phase */
    uint64_t sent;   /* ns */
};

/* Somebody who publishes in a room; each numbers what it sends there. */
struct source {
    uint32_t client;
    uint32_t sent;
    uint32_t seen; /* the newest that has reached the log */
};

struct room {
    char name[ROOM_NAME];
    size_t name_len;
    char epoch[ROOM_EPOCH]; /* "" until a reply names one */
    bool based;             /* `base` is known: publications carry offsets */
    uint64_t base;          /* the offset of entry n is base + n + 1 */
    uint64_t head;          /* one past the newest entry */
    bool patchy;            /* somebody was told of a gap, so entries may arrive out of order */
    uint32_t listeners;     /* that pass through the log, slow ones included */
    uint32_t prompt;        /* of them those that completion waits for */
    struct chunk **chunks;
    size_t chunk_count;
    struct source *sources;
    uint32_t source_count;
    uint32_t next_source;
};

void room_init(struct room *room, const char *prefix, uint32_t number);
void room_deinit(struct room *room);

void room_add_source(struct room *room, uint32_t client);

/* The entry, or NULL: not seen yet, or everybody has passed it. */
struct entry *room_entry(struct room *room, uint64_t index);

/* Writes a new entry; the line is copied. */
struct entry *room_record(struct room *room, uint64_t index, struct span line, struct span data);

/* A listener's place moves from one index to a higher one. */
void room_pass(struct room *room, uint64_t from, uint64_t to);

/* A listener that was at `index` is gone for good. */
void room_leave(struct room *room, uint64_t index, bool prompt);

/* Looks for a publication with these data among the last `reach` entries before `end`. */
bool room_find(struct room *room, struct span data, uint64_t reach, uint64_t *index);

#endif
