/* SPDX-License-Identifier: MIT */
/* backup: a copy of the store, for who may use the socket beside it. */
#include "gateway/api_private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void answered(struct hub *h, struct request *r)
{
    struct request_backup *q = (struct request_backup *)r;
    struct api_task *t = r->owner;
    struct buf *b = &t->result;
    (void)h;
    buf_lit(b, "{\"bytes\":");
    buf_u64(b, q->backup.bytes);
    buf_lit(b, ",\"copied\":");
    buf_u64(b, q->backup.copied);
    buf_fmt(b, ",\"finished\":%s}", q->backup.finished ? "true" : "false");
    if (r->error && *q->backup.why)
        t->why = t->words = strdup(q->backup.why); /* else the error has words of its own */
    api_done(t, r->error);
    free(q);
}

/* The gateway's folder is not the caller's. */
static bool is_path(struct span path)
{
    return path.n && path.n < PATH_MAX && path.p[0] == '/' && path.p[path.n - 1] != '/' &&
           !memchr(path.p, '\0', path.n);
}

void api_backup(struct api_task *t)
{
    struct api_params p;
    if (!api_read_params(t, &p))
        return;
    if (!is_path(p.path)) {
        t->why = "the path of the backup has to be absolute";
        api_done(t, ERR_BAD_REQUEST);
        return;
    }
    struct request_backup *q = calloc(1, sizeof(*q) + p.path.n + 1);
    if (!q) {
        api_done(t, ERR_INTERNAL);
        return;
    }
    memcpy(q->path, p.path.p, p.path.n);
    q->backup.path = q->path;
    q->backup.cancel = p.cancel;
    q->request.owner = t;
    hub_ask(t->call->hub, &q->request, REQUEST_BACKUP, answered);
}
