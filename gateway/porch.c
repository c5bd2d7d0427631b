/* SPDX-License-Identifier: MIT */
/* What is there is looked at first (MSG_PEEK) and then only so much is taken as belongs to the
 * header. All of a part of a header is taken at once: left in the socket, it would wake us again
 * and again.
 */
#include "gateway/porch.h"

#include "backplane/base/list.h"
#include "gateway/proxy_header.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct visitor {
    struct list link; /* in porch.visitors */
    struct porch *porch;
    struct arrival *arrival; /* NULL: has left */
    uv_poll_t poll;
    uint64_t until_ms;
    struct buf read; /* the part of the header that was taken */
};

struct porch {
    struct loop *loop;
    porch_fn leave;
    void *owner;
    struct list visitors; /* who came first is first */
    uint32_t count;
    size_t handles; /* polls that are not closed yet */
    struct timer deadline;
    bool freed;
};

struct porch *porch_new(struct loop *loop, porch_fn leave, void *owner)
{
    struct porch *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct porch){.loop = loop, .leave = leave, .owner = owner};
    list_init(&p->visitors);
    return p;
}

/* ---- the header ---- */

/* PROXY_MORE: nothing more is there now. */
static enum proxy_verdict read_some(struct arrival *a, struct buf *before)
{
    char seen[PROXY_HEADER_MAX];
    struct proxy_header h;
    ssize_t n = recv(a->fd, seen, sizeof(seen) - before->n, MSG_PEEK);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? PROXY_MORE : PROXY_BAD;
    if (n == 0)
        return PROXY_BAD;
    size_t had = before->n;
    buf_add(before, seen, (size_t)n);
    if (before->failed)
        return PROXY_BAD;
    enum proxy_verdict v = proxy_header_read((struct span){before->p, before->n}, &h);
    if (v == PROXY_BAD)
        return v;
    size_t ours = v == PROXY_WHOLE ? h.length - had : (size_t)n;
    if (recv(a->fd, seen, ours, 0) != (ssize_t)ours) /* it was there a moment ago */
        return PROXY_BAD;
    if (v == PROXY_WHOLE && !address_is_nobody(&h.source))
        a->peer = h.source;
    return v;
}

/* ---- coming and going ---- */

static void on_deadline(struct timer *t);

static void set_deadline(struct porch *p)
{
    uint64_t now = loop_now_ms(p->loop);

    loop_cancel(p->loop, &p->deadline);
    if (list_empty(&p->visitors))
        return;
    const struct visitor *first = container_of(p->visitors.next, struct visitor, link);
    loop_arm(p->loop, &p->deadline, first->until_ms > now ? first->until_ms - now : 0, on_deadline);
}

static void release(struct porch *p)
{
    if (p->freed && p->handles == 0)
        free(p);
}

static void on_closed(uv_handle_t *handle)
{
    struct visitor *v = handle->data;
    struct porch *p = v->porch;

    free(v);
    p->handles--;
    release(p);
}

/* Out of the list and of the loop; the memory follows. The arrival is the caller's. */
static struct arrival *take_out(struct visitor *v)
{
    struct arrival *a = v->arrival;

    v->arrival = NULL;
    list_del(&v->link);
    v->porch->count--;
    buf_deinit(&v->read);
    uv_close((uv_handle_t *)&v->poll, on_closed);
    return a;
}

static void send_off(struct visitor *v, bool ok)
{
    struct porch *p = v->porch;

    p->leave(p->owner, take_out(v), ok);
}

static void on_deadline(struct timer *t)
{
    struct porch *p = container_of(t, struct porch, deadline);
    uint64_t now = loop_now_ms(p->loop);

    while (!list_empty(&p->visitors)) {
        struct visitor *v = container_of(p->visitors.next, struct visitor, link);
        if (v->until_ms > now)
            break;
        send_off(v, false);
    }
    set_deadline(p);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct visitor *v = poll->data;

    (void)status; /* an error of the socket shows in recv too */
    (void)events;
    if (!v->arrival)
        return;
    enum proxy_verdict verdict = read_some(v->arrival, &v->read);
    if (verdict != PROXY_MORE)
        send_off(v, verdict == PROXY_WHOLE);
}

/* Puts it into the loop; false: it cannot be waited for. `read` is handed over on success. */
static bool wait_for(struct porch *p, struct arrival *a, struct buf *read)
{
    struct visitor *v = calloc(1, sizeof(*v));

    if (!v)
        return false;
    *v = (struct visitor){.porch = p, .arrival = a};
    v->poll.data = v;
    if (uv_poll_init(&p->loop->uv, &v->poll, a->fd) != 0) {
        free(v);
        return false;
    }
    p->handles++;
    v->read = *read;
    v->until_ms = loop_now_ms(p->loop) + PORCH_MS;
    list_push(&p->visitors, &v->link);
    p->count++;
    (void)uv_poll_start(&v->poll, UV_READABLE, on_readable); /* fails only on a closing handle */
    if (p->count == 1)
        set_deadline(p);
    return true;
}

void porch_enter(struct porch *p, struct arrival *a, uint32_t most)
{
    struct buf read = {0};
    enum proxy_verdict verdict = read_some(a, &read);

    if (verdict == PROXY_MORE && p->count >= most && p->count > 0)
        send_off(container_of(p->visitors.next, struct visitor, link), false);
    if (verdict == PROXY_MORE && wait_for(p, a, &read))
        return;
    buf_deinit(&read);
    p->leave(p->owner, a, verdict == PROXY_WHOLE);
}

uint32_t porch_count(const struct porch *p)
{
    return p->count;
}

void porch_stop(struct porch *p)
{
    loop_cancel(p->loop, &p->deadline);
    while (!list_empty(&p->visitors))
        arrival_free(take_out(container_of(p->visitors.next, struct visitor, link)));
}

void porch_free(struct porch *p)
{
    if (!p)
        return;
    p->freed = true;
    release(p);
}
