/* SPDX-License-Identifier: MIT */
/* fuzz_command.c: what two clients send, from anybody.
 *
 * An input is messages, each ended by a NUL byte and one byte that says how it arrives (see `how`).
 * Whatever they are: every line that comes back is an answer, a push or a ping; whoever is still
 * connected in the end has an answer to each command; whoever is not was told a reason of the list;
 * and nothing is left of either.
 */
#include "backplane/base/map.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/gateway_kit.h"

enum how {
    HOW_CHUNK = 0x03,   /* 0: whole, 1: byte by byte, 2: 7 bytes, 3: 512 */
    HOW_PIECES = 0x04,  /* two fragments */
    HOW_NO_TURN = 0x08, /* the next message comes in the same turn */
    HOW_FULL = 0x10,    /* the socket is full from now on … */
    HOW_DRAIN = 0x20,   /* … until it drains */
    HOW_OTHER = 0x40,   /* the other client */
    HOW_UNASKED = 0x80, /* comes although the session does not want to read */
};

static struct lws clients[2];

static void send_as(struct lws *wsi, struct span text, unsigned how)
{
    static const size_t chunks[] = {SIZE_MAX, 1, 7, 512};
    size_t chunk = chunks[how & HOW_CHUNK];
    if (how & HOW_PIECES) {
        size_t half = text.n / 2;
        client_frame(wsi, (struct span){text.p, half}, chunk, true, false);
        client_frame(wsi, (struct span){text.p + half, text.n - half}, chunk, false, true);
    } else {
        client_frame(wsi, text, chunk, true, true);
    }
}

static void arrive(struct span text, unsigned how)
{
    struct lws *wsi = &clients[!!(how & HOW_OTHER)];
    if (how & HOW_FULL)
        wsi->window = 300;
    if (how & HOW_DRAIN) {
        wsi->window = SIZE_MAX;
        client_drain(wsi);
    }
    for (int i = 0; i < 100 && wsi->paused && !(how & HOW_UNASKED); i++) {
        client_drain(wsi);
        kit_run();
    }
    send_as(wsi, text, how);
    if (!(how & HOW_NO_TURN))
        kit_turn();
}

static void check_clients(void)
{
    uint64_t replies = 0;
    bool whole = true;
    for (int i = 0; i < 2; i++) {
        struct session *s = clients[i].session;
        must(s || clients[i].killed);
        replies += clients[i].reply_count;
        whole &= s && !s->closing && !s->failed;
        must(!s || s->closing == (clients[i].close_code != 0));
        must(!s || s->closing || !s->in_flight);
    }
    if (whole)
        must(replies == kit_hub->counters.commands);
}

static struct options *small_options(void)
{
    struct options *o = NULL;
    struct buf report = {0};
    must(options_load_text(&o, "fuzz",
                           SPAN("[client]\ncredits = 3\nframe_size = 64KiB\ncommand_size = 8KiB\n"
                                "queue_bytes = 16KiB\nhistory_bytes = 8KiB\npresence_bytes = 4KiB\n"
                                "channel_limit = 5\n[hub]\ncredits = 5\ninbox_bytes = 4KiB\n"
                                "[backplane]\nmax_rooms = 10\n[rooms news]\nhistory_size = 4\n"
                                "[rooms bare]\nhistory_size = 0\npresence = false\n"),
                           &report));
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool seeded;
    if (!seeded)
        map_seed();
    seeded = true;
    struct options *o = small_options();
    kit_open(o);
    must(client_open(&clients[0]) && client_open(&clients[1]));
    struct span rest = {(const char *)data, size};
    while (rest.n) {
        const char *end = memchr(rest.p, 0, rest.n);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        unsigned how = end && n + 1 < rest.n ? (unsigned char)rest.p[n + 1] : 0;
        arrive((struct span){rest.p, n}, how);
        size_t used = n + 2 < rest.n ? n + 2 : rest.n;
        rest = (struct span){rest.p + used, rest.n - used};
    }
    for (int i = 0; i < 2; i++)
        clients[i].window = SIZE_MAX; /* both take all that is sent to them */
    kit_rest(clients, 2);
    check_clients();
    client_deinit(&clients[0]);
    client_deinit(&clients[1]);
    kit_close();
    return 0;
}
