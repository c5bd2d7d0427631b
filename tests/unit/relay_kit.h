/* SPDX-License-Identifier: MIT */
/* relay_kit.h: a way to a server's unix socket that can go silent without breaking, on the loop of
 * the test.
 */
#ifndef MADANG_TESTS_UNIT_RELAY_KIT_H
#define MADANG_TESTS_UNIT_RELAY_KIT_H

#include "tests/unit/link_kit.h"

#define LANES_MAX 16

struct lane {
    uv_pipe_t near, far;
    uv_connect_t connect;
    bool subscriber, frozen;
};

static struct relay {
    uv_pipe_t listener;
    char path[80];
    const char *target;
    struct lane *lanes[LANES_MAX];
    size_t count;
} relay;

struct relay_write {
    uv_write_t request;
    char bytes[];
};

static inline void relay_written(uv_write_t *request, int status)
{
    (void)status; /* the reading side sees the end */
    free(container_of(request, struct relay_write, request));
}

static inline void relay_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char bytes[65536];

    (void)handle, (void)size;
    *buf = uv_buf_init(bytes, sizeof(bytes));
}

static inline void relay_end(struct lane *lane)
{
    if (!uv_is_closing((uv_handle_t *)&lane->near))
        uv_close((uv_handle_t *)&lane->near, NULL);
    if (!uv_is_closing((uv_handle_t *)&lane->far))
        uv_close((uv_handle_t *)&lane->far, NULL);
}

static inline void relay_read(uv_stream_t *from, ssize_t n, const uv_buf_t *buf)
{
    struct lane *lane = from->data;
    bool up = from == (uv_stream_t *)&lane->near;

    if (n <= 0) {
        if (n < 0)
            relay_end(lane);
        return;
    }
    lane->subscriber |= up && memmem(buf->base, (size_t)n, "SUBSCRIBE", 9);
    struct relay_write *w = malloc(sizeof(*w) + (size_t)n);
    assert_non_null(w);
    memcpy(w->bytes, buf->base, (size_t)n);
    uv_buf_t out = uv_buf_init(w->bytes, (unsigned)n);
    uv_stream_t *to = (uv_stream_t *)(up ? &lane->far : &lane->near);
    if (uv_write(&w->request, to, &out, 1, relay_written) != 0)
        free(w);
}

static inline void relay_connected(uv_connect_t *connect, int status)
{
    struct lane *lane = container_of(connect, struct lane, connect);

    if (status != 0 || uv_read_start((uv_stream_t *)&lane->near, relay_room, relay_read) != 0 ||
        uv_read_start((uv_stream_t *)&lane->far, relay_room, relay_read) != 0)
        relay_end(lane);
}

static inline void relay_accept(uv_stream_t *listener, int status)
{
    struct lane *lane = calloc(1, sizeof(*lane));

    assert_int_equal(status, 0);
    assert_non_null(lane);
    assert_true(relay.count < LANES_MAX);
    relay.lanes[relay.count++] = lane;
    (void)uv_pipe_init(&loop.uv, &lane->near, 0);
    (void)uv_pipe_init(&loop.uv, &lane->far, 0);
    lane->near.data = lane->far.data = lane;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&lane->near), 0);
    uv_pipe_connect(&lane->connect, &lane->far, relay.target, relay_connected);
}

/* Leads from relay.path to `target`. */
static inline void relay_start(const char *target)
{
    memset(&relay, 0, sizeof(relay));
    relay.target = target;
    (void)snprintf(relay.path, sizeof(relay.path), "%s.relay", target);
    (void)uv_pipe_init(&loop.uv, &relay.listener, 0);
    assert_int_equal(uv_pipe_bind(&relay.listener, relay.path), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&relay.listener, 16, relay_accept), 0);
}

/* The connections of now, of subscribers or of others, carry nothing any more and do not end. */
static inline void relay_freeze(bool subscribers)
{
    for (size_t i = 0; i < relay.count; i++) {
        struct lane *lane = relay.lanes[i];
        if (lane->subscriber != subscribers || uv_is_closing((uv_handle_t *)&lane->near))
            continue;
        (void)uv_read_stop((uv_stream_t *)&lane->near);
        (void)uv_read_stop((uv_stream_t *)&lane->far);
        lane->frozen = true;
    }
}

static inline void relay_stop(void)
{
    uv_close((uv_handle_t *)&relay.listener, NULL);
    for (size_t i = 0; i < relay.count; i++)
        relay_end(relay.lanes[i]);
    loop_settle(&loop);
    for (size_t i = 0; i < relay.count; i++)
        free(relay.lanes[i]);
    relay.count = 0;
}

#endif
