/* SPDX-License-Identifier: MIT */
/* One round of uv_run (libuv 1.x) is: timers, idle, prepare, poll, check, closing.
 *
 * The turn is our check callback, so it comes after the sockets. The wait must not sleep if
 * anything is pending, wherever it became so: in the turn itself, in a close callback after it, or
 * in a timer before the next poll. All these lie before the prepare callbacks, and the length of
 * the wait is computed after them, so that is the one place where the idle handle, whose being
 * active means "do not sleep", is switched. libuv runs prepare and check handles newest first;
 * ours are the first of the loop and so run last.
 */
#include "backplane/base/loop.h"

#include "backplane/base/count.h"
#include "backplane/base/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BEAT_MS 1000

static void on_again(uv_idle_t *handle)
{
    (void)handle; /* being active is all it does */
}

static void on_prepare(uv_prepare_t *handle)
{
    struct loop *l = handle->data;

    if (l->pending || l->near_inboxes > 0)
        (void)uv_idle_start(&l->again, on_again); /* fails only without a callback */
    else
        (void)uv_idle_stop(&l->again);
}

/* Calls the actors' turns, then their flushes. l->cursor lets loop_remove repair the walk. */
static void on_check(uv_check_t *handle)
{
    struct loop *l = handle->data;
    struct actor *a;

    l->turns++;
    atomic_store_explicit(&l->heartbeat_ms, uv_now(&l->uv), memory_order_relaxed);
    l->pending = false; /* first: what is asked for from here on is for the next turn */
    for (l->cursor = l->actors; (a = l->cursor) != NULL;) {
        l->cursor = a->next;
        if (a->turn(a))
            l->pending = true;
    }
    for (l->cursor = l->actors; (a = l->cursor) != NULL;) {
        l->cursor = a->next;
        if (a->flush)
            a->flush(a);
    }
    if (atomic_load_explicit(&l->quit, memory_order_acquire))
        loop_stop(l);
}

static void on_wake(uv_poll_t *handle, int status, int events)
{
    struct loop *l = handle->data;
    uint64_t count;
    ssize_t n;

    (void)events;
    /* Reading resets it. An error can only be EAGAIN: somebody else's wake-up was read already. */
    do
        n = status == 0 ? read(l->wake_fd, &count, sizeof(count)) : 0;
    while (n < 0 && errno == EINTR);
}

static void on_beat(uv_timer_t *handle)
{
    (void)handle; /* the poll that it ends is followed by a turn, which writes the heartbeat */
}

/* It may have fired after a turn that took longer, without a wait: the next one must not sleep. */
static void on_soon(uv_timer_t *handle)
{
    loop_again(handle->data);
}

static void on_tick(uv_timer_t *handle);

/* The wheel's ticks are multiples of LOOP_TICK_MS on the loop's clock; waking just then makes a
 * timer at most one tick late, not two. */
static void tick_start(struct loop *l)
{
    uint64_t to_next = LOOP_TICK_MS - uv_now(&l->uv) % LOOP_TICK_MS;

    (void)uv_timer_start(&l->tick, on_tick, to_next, 0); /* fails only on a closing handle */
}

static void on_tick(uv_timer_t *handle)
{
    struct loop *l = handle->data;

    wheel_turn(&l->wheel, uv_now(&l->uv));
    if (l->wheel.armed > 0)
        tick_start(l);
}

/* The init functions of these handles cannot fail; the starts only without a callback. */
static void hooks_start(struct loop *l)
{
    (void)uv_prepare_init(&l->uv, &l->prepare);
    (void)uv_check_init(&l->uv, &l->check);
    (void)uv_idle_init(&l->uv, &l->again);
    (void)uv_timer_init(&l->uv, &l->tick);
    (void)uv_timer_init(&l->uv, &l->beat);
    (void)uv_timer_init(&l->uv, &l->soon);
    l->wake.data = l->prepare.data = l->check.data = l->again.data = l;
    l->tick.data = l->beat.data = l->soon.data = l;
    (void)uv_prepare_start(&l->prepare, on_prepare);
    (void)uv_check_start(&l->check, on_check);
    (void)uv_timer_start(&l->beat, on_beat, BEAT_MS, BEAT_MS);
}

int loop_init(struct loop *l)
{
    memset(l, 0, sizeof(*l));
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0)
        return uv_translate_sys_error(errno);
    int rc = uv_loop_init(&l->uv);
    if (rc != 0)
        goto no_loop;
    rc = uv_poll_init(&l->uv, &l->wake, l->wake_fd);
    if (rc != 0)
        goto no_poll;
    hooks_start(l);
    rc = uv_poll_start(&l->wake, UV_READABLE, on_wake);
    if (rc != 0) {
        (void)loop_deinit(l); /* only own handles exist, so it succeeds */
        return rc;
    }
    wheel_init(&l->wheel, uv_now(&l->uv), LOOP_TICK_MS);
    atomic_init(&l->heartbeat_ms, uv_now(&l->uv));
    return 0;

no_poll:
    (void)uv_loop_close(&l->uv); /* no handle was made */
no_loop:
    close(l->wake_fd);
    l->wake_fd = -1;
    return rc;
}

void loop_add(struct loop *l, struct actor *a)
{
    struct actor **at = &l->actors;

    while (*at)
        at = &(*at)->next;
    a->next = NULL;
    *at = a;
}

void loop_remove(struct loop *l, struct actor *a)
{
    struct actor **at = &l->actors;

    while (*at && *at != a)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = a->next;
    if (l->cursor == a)
        l->cursor = a->next;
    a->next = NULL;
}

void loop_run(struct loop *l)
{
    (void)uv_run(&l->uv, UV_RUN_DEFAULT); /* returns how many handles live: at least ours */
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    ssize_t n;

    do
        n = write(l->wake_fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    assert(n == sizeof(one) || errno == EAGAIN); /* a full counter wakes as well */
}

void loop_quit(struct loop *l)
{
    atomic_store_explicit(&l->quit, true, memory_order_release);
    loop_wake(l);
}

static void close_own(struct loop *l)
{
    uv_handle_t *own[] = {(uv_handle_t *)&l->wake,  (uv_handle_t *)&l->prepare,
                          (uv_handle_t *)&l->check, (uv_handle_t *)&l->again,
                          (uv_handle_t *)&l->tick,  (uv_handle_t *)&l->beat,
                          (uv_handle_t *)&l->soon};

    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (!uv_is_closing(own[i]))
            uv_close(own[i], NULL);
}

static void count_closing(uv_handle_t *handle, void *count)
{
    *(size_t *)count += uv_is_closing(handle) != 0;
}

static void count_all(uv_handle_t *handle, void *count)
{
    (void)handle;
    ++*(size_t *)count;
}

static void log_open(uv_handle_t *handle, void *unused)
{
    (void)unused;
    log_error("loop: a handle of type %s is still open, the loop cannot end",
              uv_handle_type_name(uv_handle_get_type(handle)));
}

void loop_settle(struct loop *l)
{
    size_t closing;

    do { /* a close callback may close more */
        (void)uv_run(&l->uv, UV_RUN_NOWAIT);
        closing = 0;
        uv_walk(&l->uv, count_closing, &closing);
    } while (closing > 0);
}

int loop_deinit(struct loop *l)
{
    size_t open = 0;

    close_own(l);
    loop_settle(l);
    uv_walk(&l->uv, count_all, &open);
    if (open == 0) /* what runs on libuv's threads, such as looking up a name, cannot be stopped */
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    l->wake_fd = -1;
    int rc = uv_loop_close(&l->uv);
    if (rc != 0)
        uv_walk(&l->uv, log_open, NULL);
    return rc;
}

void loop_soon(struct loop *l, uint64_t ms)
{
    /* One that is due is no turn to come: it ended the wait before this turn. */
    uint64_t due = uv_timer_get_due_in(&l->soon); /* 0 also if it is not running */

    if (due == 0 || due > ms)
        (void)uv_timer_start(&l->soon, on_soon, ms, 0); /* fails only on a closing handle */
}

void loop_arm(struct loop *l, struct timer *t, uint64_t delay_ms, timer_fn fire)
{
    /* The wheel's now is that of its last turn, which may be long ago if nothing was armed. */
    uint64_t behind = uv_now(&l->uv) - l->wheel.now;

    wheel_arm(&l->wheel, t, delay_ms < UINT64_MAX - behind ? delay_ms + behind : delay_ms, fire);
    if (!uv_is_active((uv_handle_t *)&l->tick))
        tick_start(l);
}

void loop_cancel(struct loop *l, struct timer *t)
{
    wheel_cancel(&l->wheel, t); /* the tick finds out by itself, at most one tick later */
}

uint64_t loop_now_ms(const struct loop *l)
{
    return uv_now(&l->uv);
}

uint64_t wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t monotonic_us(void)
{
    return uv_hrtime() / 1000;
}
