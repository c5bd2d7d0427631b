/* SPDX-License-Identifier: MIT */
/* served.h: a gateway as HTTP sees it: real options, acceptor and sequencer, and hubs that are only
 * counters. Nothing runs.
 */
#ifndef MADANG_TESTS_UNIT_SERVED_H
#define MADANG_TESTS_UNIT_SERVED_H

#include "backplane/local.h"
#include "gateway/acceptor.h"
#include "gateway/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SERVED_HUBS 2

struct served {
    struct loop main_loop, hub_loops[SERVED_HUBS], sequencer_loop;
    struct hub hubs[SERVED_HUBS];
    struct options *options;
    struct gateway gateway;
};

/* `config`: more lines for the options file. The phase is PHASE_READY. */
static inline void served_init(struct served *s, const char *config)
{
    static const struct sequencer_config sequencer = {.driver = &local_driver,
                                                      .max_stream_bytes = 1 << 20,
                                                      .hub_inbox_bytes = 1 << 20,
                                                      .max_rooms = 10};
    struct inbox *inboxes[SERVED_HUBS];
    struct buf text = {0}, report = {0};
    struct gateway *g = &s->gateway;

    *s = (struct served){0};
    buf_fmt(&text, "[gateway]\nlisten = 127.0.0.1:0\nstore = none\n%s", config);
    if (!options_load_text(&s->options, "test", (struct span){text.p, text.n}, &report))
        fail_msg("%.*s", (int)report.n, report.p);
    buf_deinit(&text);
    buf_deinit(&report);
    assert_int_equal(loop_init(&s->main_loop), 0);
    assert_int_equal(loop_init(&s->sequencer_loop), 0);
    g->settings = settings_new(s->options, &report);
    assert_non_null(g->settings);
    counter_set(&g->max_connections, s->options->max_connections);
    g->main_loop = &s->main_loop;
    g->sequencer_loop = &s->sequencer_loop;
    g->started_ms = wall_ms();
    g->phase = PHASE_READY;
    g->hub_count = SERVED_HUBS;
    for (uint32_t i = 0; i < SERVED_HUBS; i++) {
        assert_int_equal(loop_init(&s->hub_loops[i]), 0);
        inbox_init(&s->hubs[i].inbox, &s->hub_loops[i]);
        s->hubs[i].loop = &s->hub_loops[i];
        inboxes[i] = &s->hubs[i].inbox;
        g->hubs[i] = &s->hubs[i];
    }
    g->acceptor = acceptor_open(g, inboxes, &report);
    assert_non_null(g->acceptor);
    assert_int_equal(sequencer_new(&g->sequencer, g->sequencer_loop, &sequencer), OK);
}

static inline void served_deinit(struct served *s)
{
    sequencer_free(s->gateway.sequencer);
    acceptor_stop(s->gateway.acceptor);
    acceptor_free(s->gateway.acceptor);
    for (uint32_t i = 0; i < SERVED_HUBS; i++) {
        inbox_deinit(&s->hubs[i].inbox);
        assert_int_equal(loop_deinit(&s->hub_loops[i]), 0);
    }
    assert_int_equal(loop_deinit(&s->sequencer_loop), 0);
    assert_int_equal(loop_deinit(&s->main_loop), 0);
    settings_unref(s->gateway.settings);
}

#endif
