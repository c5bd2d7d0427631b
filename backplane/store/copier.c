/* SPDX-License-Identifier: MIT */
#include "backplane/store/copier.h"

#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "backplane/store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLICE_US   500
#define SYNC_BYTES ((size_t)1024 * 1024)

/* What a thread of libuv does: it outlives a backup that is given up. */
struct copy_sync {
    uv_work_t work;
    struct copier *copier; /* NULL: nobody waits for it */
    int fd, folder;        /* the latter only at the end, else -1 */
    int failed;            /* errno */
};

/* ---- the end --------------------------------------------------------------------------------- */

static void let_go(struct copier *c)
{
    copy_free(c->copy);
    c->copy = NULL;
    if (c->sync)
        c->sync->copier = NULL; /* which closes the file */
    else if (c->fd >= 0)
        close(c->fd);
    c->sync = NULL;
    c->fd = -1;
    loop_cancel(c->loop, &c->unasked);
}

static void forget(struct copier *c)
{
    free(c->path);
    c->path = NULL;
    c->step = COPIER_IDLE;
}

static void on_unasked(struct timer *t)
{
    struct copier *c = container_of(t, struct copier, unasked);
    log_warn("the backup %s was given up: nobody asks for it any more", c->path);
    if (c->step != COPIER_ENDED || !c->error) /* else another may have taken the name since */
        (void)unlink(c->path);                /* nobody would know whether it is whole */
    let_go(c);
    forget(c);
}

/* Who asks next is told. */
static void end(struct copier *c, enum err e)
{
    let_go(c);
    c->step = COPIER_ENDED;
    c->error = e;
    if (e) {
        (void)unlink(c->path); /* it is gone already, unless it could not be synced */
        log_warn("%s", c->why);
    } else {
        log_info("the backup %s is made: %llu bytes", c->path, (unsigned long long)c->bytes);
    }
    loop_arm(c->loop, &c->unasked, BACKUP_PATIENCE_MS, on_unasked);
}

static void fail(struct copier *c, const char *what)
{
    (void)snprintf(c->why, sizeof(c->why), "the backup %s cannot be finished: %s", c->path, what);
    end(c, ERR_INTERNAL);
}

/* ---- syncing --------------------------------------------------------------------------------- */

static void sync_now(uv_work_t *work)
{
    struct copy_sync *s = container_of(work, struct copy_sync, work);
    if (fdatasync(s->fd) != 0 || (s->folder >= 0 && fsync(s->folder) != 0))
        s->failed = errno;
}

static void synced(uv_work_t *work, int status)
{
    struct copy_sync *s = container_of(work, struct copy_sync, work);
    struct copier *c = s->copier;
    int failed = status < 0 ? ECANCELED : s->failed;
    bool last = s->folder >= 0;
    if (last)
        close(s->folder);
    if (!c)
        close(s->fd);
    free(s);
    if (!c)
        return;
    c->sync = NULL;
    c->step = COPIER_COPYING;
    if (failed)
        fail(c, uv_strerror(-failed));
    else if (last)
        end(c, OK);
    loop_again(c->loop);
}

static int open_folder(const char *path)
{
    char *folder = strdup(path);
    if (!folder)
        return -1;
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0'; /* the path is absolute */
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return fd;
}

static void sync_begin(struct copier *c, bool last)
{
    struct copy_sync *s = calloc(1, sizeof(*s));
    int folder = last ? open_folder(c->path) : -1;
    if (!s || (last && folder < 0))
        goto failed;
    s->copier = c;
    s->fd = c->fd;
    s->folder = folder;
    if (uv_queue_work(&c->loop->uv, &s->work, sync_now, synced) != 0)
        goto failed;
    c->sync = s;
    c->step = COPIER_SYNCING;
    c->unsynced = 0;
    return;

failed:
    if (folder >= 0)
        close(folder);
    free(s);
    fail(c, "its folder cannot be synced");
}

/* ---- going on -------------------------------------------------------------------------------- */

/* What had not been written before the last slice is in the file now. */
static void note_size(struct copier *c)
{
    struct stat st;
    if (fstat(c->fd, &st) == 0)
        c->bytes = (uint64_t)st.st_size;
    c->copied = c->bytes;
}

bool copier_turn(struct copier *c)
{
    if (c->step != COPIER_COPYING)
        return false;
    uint64_t before = copy_bytes_done(c->copy);
    enum copy_state state = copy_step(c->copy, SLICE_US, SYNC_BYTES, c->why);
    if (state == COPY_FAILED) {
        end(c, ERR_INTERNAL);
    } else if (state == COPY_WHOLE) {
        note_size(c);
        sync_begin(c, true);
    } else {
        c->bytes = copy_bytes(c->copy);
        c->copied = copy_bytes_done(c->copy);
        c->unsynced += c->copied > before ? (size_t)(c->copied - before) : 0;
        if (c->unsynced >= SYNC_BYTES)
            sync_begin(c, false);
    }
    return c->step == COPIER_COPYING;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void refuse(struct backup *b, const char *why)
{
    b->error = ERR_NOT_AVAILABLE;
    (void)snprintf(b->why, sizeof(b->why), "%s", why);
}

static void begin(struct copier *c, struct file *f, struct backup *b)
{
    if (c->closed || !f) {
        refuse(b, c->closed ? "the gateway is stopping" : "the store is broken at the moment");
        return;
    }
    c->path = strdup(b->path);
    c->copy = c->path ? copy_new(f, c->path, c->why) : NULL;
    c->fd = c->copy ? open(c->path, O_RDONLY | O_CLOEXEC) : -1;
    if (c->fd < 0) {
        refuse(b, c->copy || !c->path ? "the backup cannot be opened" : c->why);
        copy_free(c->copy);
        c->copy = NULL;
        forget(c);
        return;
    }
    log_info("the backup %s begins", c->path);
    c->step = COPIER_COPYING;
    c->unsynced = 0;
    c->bytes = c->copied = 0;
    loop_again(c->loop);
}

/* How far it is. Who is told of the end has heard of it. */
static void tell(struct copier *c, struct backup *b)
{
    b->bytes = c->bytes;
    b->copied = c->copied;
    loop_arm(c->loop, &c->unasked, BACKUP_PATIENCE_MS, on_unasked);
    if (c->step != COPIER_ENDED)
        return;
    b->error = c->error;
    b->finished = !c->error;
    if (c->error)
        (void)snprintf(b->why, sizeof(b->why), "%s", c->why);
    loop_cancel(c->loop, &c->unasked);
    forget(c);
}

/* It may be whole already; nobody was told. */
static void cancel(struct copier *c)
{
    if (c->step != COPIER_ENDED || !c->error)
        fail(c, "it is not wanted any more");
}

void copier_ask(struct copier *c, struct file *f, struct backup *b)
{
    b->error = OK;
    b->finished = false;
    b->bytes = b->copied = 0;
    b->why[0] = '\0';
    if (c->step != COPIER_IDLE && strcmp(c->path, b->path) != 0) {
        refuse(b, "another backup is being made; there is one at a time");
        return;
    }
    if (b->cancel && c->step != COPIER_IDLE)
        cancel(c);
    else if (!b->cancel && c->step == COPIER_IDLE)
        begin(c, f, b);
    if (c->step != COPIER_IDLE)
        tell(c, b);
}

/* ---- life ------------------------------------------------------------------------------------ */

void copier_init(struct copier *c, struct loop *loop)
{
    *c = (struct copier){.loop = loop, .fd = -1};
}

void copier_give_up(struct copier *c, const char *why)
{
    if (c->step == COPIER_COPYING || c->step == COPIER_SYNCING)
        fail(c, why);
}

void copier_close(struct copier *c)
{
    c->closed = true;
    copier_give_up(c, "the gateway is stopping");
    if (c->step == COPIER_ENDED) {
        if (!c->error)
            (void)unlink(c->path); /* whole, but nobody was told */
        loop_cancel(c->loop, &c->unasked);
        forget(c);
    }
}
