/* SPDX-License-Identifier: MIT */
/* power_kit.h: what the end of power takes back: any part of what was written to a file since it
 * was last synced, sector by sector.
 *
 * Writes reach the real file at once, so that they can be read; what they replaced is kept here
 * until the file is synced. After power_fails_in(n) the n-th call that changes a file, and every
 * call behind it, fails: the program sees a dead disk. When it has closed its files,
 * power_returns() puts back a random part of what was not synced. One thread at a time, between
 * power_kit_begin() and power_kit_end().
 */
#ifndef MADANG_TESTS_UNIT_POWER_KIT_H
#define MADANG_TESTS_UNIT_POWER_KIT_H

#include "tests/unit/core_kit.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR      512
#define IMAGES      4
#define IMAGE_BYTES (64 * 1024 * 1024) /* larger ones are not expected here */

struct sector {
    off_t at;
    size_t n; /* bytes that there were; 0: the file ended before */
    char old[SECTOR];
};

/* A file since it was last synced. */
struct image {
    char path[128]; /* "": unused */
    off_t size;     /* then */
    struct sector *changed;
    size_t count, cap;
    char known[IMAGE_BYTES / SECTOR]; /* which are in `changed` */
};

static struct {
    atomic_llong left; /* calls until power fails; 0: it does not */
    atomic_bool off;
    bool watched; /* what is written is remembered */
    struct image images[IMAGES];
} power;

static inline void power_fails_in(long long calls)
{
    atomic_store(&power.left, calls);
}

/* Each call that changes a file asks first. */
static inline bool powered(void)
{
    if (atomic_load(&power.left) > 0 && atomic_fetch_sub(&power.left, 1) == 1)
        atomic_store(&power.off, true);
    return !atomic_load(&power.off);
}

static inline void image_forget(struct image *image)
{
    image->count = 0;
    memset(image->known, 0, sizeof(image->known));
}

static inline struct image *image_of(const char *path)
{
    struct image *unused = NULL;
    for (size_t i = 0; i < IMAGES; i++) {
        if (strcmp(power.images[i].path, path) == 0)
            return &power.images[i];
        if (!power.images[i].path[0])
            unused = &power.images[i];
    }
    assert_non_null(unused);
    assert_true(strlen(path) < sizeof(unused->path));
    memcpy(unused->path, path, strlen(path) + 1);
    return unused;
}

/* What is there now is what is on the disk. */
static inline void image_synced(struct image *image, off_t size)
{
    image_forget(image);
    image->size = size;
}

/* A sector is about to change; `n` bytes of it are in the file. */
static inline void image_changes(struct image *image, off_t at, const char *old, size_t n)
{
    assert_true(at / SECTOR < (off_t)sizeof(image->known));
    if (image->known[at / SECTOR])
        return;
    if (image->count == image->cap) {
        image->cap = image->cap ? image->cap * 2 : 64;
        image->changed = realloc(image->changed, image->cap * sizeof(*image->changed));
        assert_non_null(image->changed);
    }
    struct sector *s = &image->changed[image->count++];
    *s = (struct sector){.at = at, .n = n};
    memcpy(s->old, old, n);
    image->known[at / SECTOR] = 1;
}

static inline void image_take_back(const struct image *image, int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    bool shrunk = size < image->size, undone = one_in(2);
    for (size_t i = 0; i < image->count; i++) {
        const struct sector *s = &image->changed[i];
        static const char zeros[SECTOR];
        bool was_there = s->n > 0;
        size_t n = was_there ? s->n : SECTOR;
        if ((shrunk ? undone : one_in(2)) && (was_there || s->at < size))
            assert_int_equal(pwrite(fd, was_there ? s->old : zeros, n, s->at), n);
    }
    if (!shrunk && one_in(2)) /* it did not grow as far as it had to */
        assert_int_equal(
            ftruncate(fd, image->size + random_below((uint32_t)(size - image->size) + 1)), 0);
}

/* The machine starts again. Nobody has any of the files open. */
static inline void power_returns(void)
{
    for (size_t i = 0; i < IMAGES; i++) {
        struct image *image = &power.images[i];
        int fd = image->path[0] && image->count ? open(image->path, O_RDWR) : -1;
        if (fd >= 0) {
            image_take_back(image, fd);
            close(fd);
        }
        image->path[0] = '\0';
        image_forget(image);
    }
    atomic_store(&power.left, 0);
    atomic_store(&power.off, false);
}

static inline void power_kit_begin(void)
{
    memset(&power, 0, sizeof(power));
    power.watched = true;
}

static inline void power_kit_end(void)
{
    for (size_t i = 0; i < IMAGES; i++)
        free(power.images[i].changed);
    memset(&power, 0, sizeof(power));
}

#endif
