/* SPDX-License-Identifier: MIT */
#include "load/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/memory.h"

struct chunk {
    uint32_t passed; /* listeners that are beyond it */
    struct entry entries[ROOM_CHUNK];
};

static void chunk_free(struct chunk *chunk)
{
    if (!chunk)
        return;
    for (unsigned i = 0; i < ROOM_CHUNK; i++)
        free(chunk->entries[i].line);
    free(chunk);
}

/* The chunk with this number, made if need be. */
static struct chunk *chunk_at(struct room *room, size_t number)
{
    if (number >= room->chunk_count) {
        size_t count = (number + 1) * 2;
        room->chunks = memory_resize(room->chunks, count * sizeof(struct chunk *));
        memset(room->chunks + room->chunk_count, 0,
               (count - room->chunk_count) * sizeof(struct chunk *));
        room->chunk_count = count;
    }
    if (!room->chunks[number])
        room->chunks[number] = memory_zeroed(sizeof(struct chunk));
    return room->chunks[number];
}

void room_init(struct room *room, const char *prefix, uint32_t number)
{
    *room = (struct room){0};
    int n = snprintf(room->name, sizeof room->name, "%s%u", prefix, number);
    room->name_len = n < (int)sizeof room->name ? (size_t)n : sizeof room->name - 1;
}

void room_deinit(struct room *room)
{
    for (size_t i = 0; i < room->chunk_count; i++)
        chunk_free(room->chunks[i]);
    free(room->chunks);
    free(room->sources);
    *room = (struct room){0};
}

void room_add_source(struct room *room, uint32_t client)
{
    uint32_t n = room->source_count;
    if ((n & (n - 1)) == 0)
        room->sources = memory_resize(room->sources, (n ? 2 * n : 1) * sizeof room->sources[0]);
    room->sources[room->source_count++] = (struct source){.client = client};
}

struct entry *room_entry(struct room *room, uint64_t index)
{
    size_t number = index / ROOM_CHUNK;
    if (index >= room->head || !room->chunks[number])
        return NULL;
    struct entry *entry = &room->chunks[number]->entries[index % ROOM_CHUNK];
    return entry->line ? entry : NULL;
}

struct entry *room_record(struct room *room, uint64_t index, struct span line, struct span data)
{
    struct chunk *chunk = chunk_at(room, index / ROOM_CHUNK);
    struct entry *entry = &chunk->entries[index % ROOM_CHUNK];
    entry->line = memory_copy(line.p, line.n);
    entry->len = (uint32_t)line.n;
    entry->data_at = (uint32_t)(data.p - line.p);
    entry->data_len = (uint32_t)data.n;
    entry->left = room->prompt;
    if (index >= room->head)
        room->head = index + 1;
    return entry;
}

void room_pass(struct room *room, uint64_t from, uint64_t to)
{
    for (size_t number = from / ROOM_CHUNK; number < to / ROOM_CHUNK; number++) {
        struct chunk *chunk = chunk_at(room, number);
        if (++chunk->passed < room->listeners)
            continue;
        chunk_free(chunk);
        room->chunks[number] = NULL;
    }
}

void room_leave(struct room *room, uint64_t index, bool prompt)
{
    room->listeners--;
    if (prompt)
        room->prompt--;
    for (size_t number = 0; number < room->chunk_count; number++) {
        struct chunk *chunk = room->chunks[number];
        if (!chunk)
            continue;
        if (number < index / ROOM_CHUNK)
            chunk->passed--;
        /* What everybody else has passed was only kept for the one that leaves. */
        if (number < room->head / ROOM_CHUNK && chunk->passed >= room->listeners) {
            chunk_free(chunk);
            room->chunks[number] = NULL;
        }
    }
}

bool room_find(struct room *room, struct span data, uint64_t reach, uint64_t *index)
{
    uint64_t end = room->head > reach ? room->head - reach : 0;
    for (uint64_t i = room->head; i > end; i--) {
        const struct entry *entry = room_entry(room, i - 1);
        if (entry &&
            span_equal(data, (struct span){entry->line + entry->data_at, entry->data_len})) {
            *index = i - 1;
            return true;
        }
    }
    return false;
}
