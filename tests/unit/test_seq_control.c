/* SPDX-License-Identifier: MIT */
/* test_seq_control.c: orders and decisions over a shared driver that answers when the test
 * says; and what it says at the very end. */
#include "backplane/seq_control.h"

#include "backplane/base/map.h"
#include "tests/unit/seq_scene.h"

#define BAN "{\"id\":\"n-1\",\"op\":\"sanction\",\"sanction\":\"ban\",\"user\":\"%s\"}"

/* It keeps what it was asked, at most one of each. */
struct far {
    struct driver base;
    struct stream_ref *watched;
    struct stream_read *read;
    struct share *records;
    struct share *beat; /* answered at the end, as if one of several servers had said this before */
    uint64_t top;       /* of the stream of orders */
};

static int opened; /* times */

static struct far *far(void)
{
    return container_of(sequencer_driver(seq), struct far, base);
}

/* ---- the driver ----------------------------------------------------------------------------- */

static enum err far_open(struct driver **out, const struct driver_config *config);

/* Another gateway lives. */
static void answer_beat(struct driver *d, struct share **beat)
{
    struct share *s = *beat;
    struct span words[] = {SPAN("0"), SPAN("0"), SPAN("other"), SPAN("{\"name\":\"other\"}")};
    s->answer = words;
    s->answers = 4;
    *beat = NULL;
    s->done(d->config.owner, s);
}

static void far_stop(struct driver *d)
{
    struct far *f = container_of(d, struct far, base);
    if (f->read) {
        operation_fail(&f->read->operation, ERR_INTERNAL);
        driver_tell(d, &f->read->operation);
    }
    if (f->records) {
        f->records->error = ERR_INTERNAL;
        f->records->done(d->config.owner, f->records);
    }
    if (f->beat)
        answer_beat(d, &f->beat);
}

static void far_close(struct driver *d)
{
    free(container_of(d, struct far, base));
}

static void far_read(struct driver *d, struct stream_read *r)
{
    struct far *f = container_of(d, struct far, base);
    assert_null(f->read);
    r->operation.kind = OPERATION_READ;
    f->read = r;
}

static void far_share(struct driver *d, struct share *s)
{
    struct far *f = container_of(d, struct far, base);
    if (s->verb == SHARE_RECORDS) {
        assert_null(f->records);
        f->records = s;
        return;
    }
    if (s->verb == SHARE_BEAT) {
        assert_null(f->beat);
        f->beat = s;
        return;
    }
    s->error = ERR_INTERNAL; /* nobody else is there */
    s->done(d->config.owner, s);
}

static bool far_watch(struct driver *d, struct stream_ref *room)
{
    container_of(d, struct far, base)->watched = room;
    return true;
}

static void far_leave(struct driver *d, struct stream_ref *room)
{
    (void)d, (void)room;
}

static bool far_turn(struct driver *d, uint64_t now_ms)
{
    (void)d, (void)now_ms;
    return false;
}

static size_t far_bytes(const struct driver *d)
{
    (void)d;
    return 0;
}

static const struct driver_ops far_driver = {
    .name = "far",
    .shared = true,
    .records = true,
    .open = far_open,
    .stop = far_stop,
    .close = far_close,
    .read = far_read,
    .share = far_share,
    .watch = far_watch,
    .unwatch = far_leave,
    .forget = far_leave,
    .turn = far_turn,
    .bytes = far_bytes,
};

static enum err far_open(struct driver **out, const struct driver_config *config)
{
    struct far *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->base = (struct driver){.ops = &far_driver, .config = *config};
    *out = &f->base;
    return OK;
}

/* ---- what it tells -------------------------------------------------------------------------- */

static void tell_returned(void)
{
    far()->base.config.events->returned(seq);
}

static void answer_read(void)
{
    struct far *f = far();
    struct stream_read *r = f->read;
    assert_non_null(r);
    f->read = NULL;
    r->top = (struct position){.epoch = "e", .offset = f->top};
    driver_tell(&f->base, &r->operation);
}

/* Who is banned by them; NULL: nobody. */
static void answer_records(const char *banned)
{
    struct share *s = far()->records;
    char text[200];
    assert_non_null(s);
    far()->records = NULL;
    (void)snprintf(text, sizeof(text), BAN, banned ? banned : "");
    struct span record = span_str(text);
    s->answer = &record;
    s->answers = banned != NULL;
    s->done(seq, s);
}

static void fail_records(void)
{
    struct share *s = far()->records;
    assert_non_null(s);
    far()->records = NULL;
    s->error = ERR_INTERNAL;
    s->done(seq, s);
}

/* Another gateway bans somebody. */
static void tell_banned(const char *user)
{
    char text[200];
    (void)snprintf(text, sizeof(text), BAN, user);
    struct msg *m = publication(CONTROL_STREAM, text);
    struct position at = {.epoch = "e", .offset = ++far()->top};
    push_close(m, at.offset, 0);
    far()->base.config.events->published(seq, far()->watched, m, &at);
    msg_unref(m);
}

static uint64_t bans(void)
{
    return counter_get(&sequencer_counters(seq)->bans);
}

/* ---- the scene ------------------------------------------------------------------------------ */

static void on_opened(void *owner)
{
    (void)owner;
    opened++;
}

static int start_far(void **state)
{
    (void)state;
    opened = 0;
    struct sequencer_config c = config();
    c.driver = &far_driver;
    c.node = "n";
    c.opened = on_opened;
    c.patience_ms = 60000;
    harness_open(&c, false);
    return 0;
}

/* As far as it comes without an answer about decisions. */
static void begin(void)
{
    tell_returned();
    answer_read();
    assert_int_equal(opened, 0);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void sessions_may_come_when_the_end_of_the_stream_and_decisions_are_known(void **state)
{
    (void)state;
    begin();
    answer_records("u");
    assert_int_equal(opened, 1);
    assert_int_equal(bans(), 1);
    assert_null(far()->records);
}

static void a_second_server_that_comes_meanwhile_keeps_nobody_out(void **state)
{
    (void)state;
    begin();
    tell_returned();
    answer_records(NULL);
    assert_int_equal(opened, 1);
    answer_records("u"); /* it was asked again */
    assert_int_equal(bans(), 1);
    assert_int_equal(counter_get(&sequencer_counters(seq)->recalls), 0);
}

static void a_decision_made_while_records_are_read_is_not_forgotten(void **state)
{
    (void)state;
    begin();
    tell_banned("u");
    assert_int_equal(bans(), 1);
    answer_records(NULL); /* as they were before */
    assert_int_equal(bans(), 1);
    answer_records("u");
    assert_int_equal(bans(), 1);
    assert_null(far()->records);
}

static void what_was_lifted_while_nothing_was_heard_is_forgotten(void **state)
{
    (void)state;
    begin();
    answer_records("u");
    tell_returned();
    answer_records(NULL);
    assert_int_equal(bans(), 0);
}

static void records_that_could_not_be_read_are_asked_for_again(void **state)
{
    (void)state;
    begin();
    fail_records();
    assert_int_equal(opened, 0);
    while (!far()->records)
        uv_run(&seq_loop.uv, UV_RUN_ONCE); /* until its timer has fired */
    answer_records("u");
    assert_int_equal(opened, 1);
    assert_int_equal(bans(), 1);
}

static void what_is_said_of_other_gateways_at_the_end_is_not_noted(void **state)
{
    (void)state;
    begin();
    assert_non_null(far()->beat);
    sequencer_stop(seq);
    assert_null(far()->beat);
    assert_int_equal(counter_get(&sequencer_counters(seq)->gateways), 0);
}

#define FAR(f) cmocka_unit_test_setup_teardown(f, start_far, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FAR(sessions_may_come_when_the_end_of_the_stream_and_decisions_are_known),
        FAR(a_second_server_that_comes_meanwhile_keeps_nobody_out),
        FAR(a_decision_made_while_records_are_read_is_not_forgotten),
        FAR(what_was_lifted_while_nothing_was_heard_is_forgotten),
        FAR(records_that_could_not_be_read_are_asked_for_again),
        FAR(what_is_said_of_other_gateways_at_the_end_is_not_noted),
    };
    map_seed();
    return cmocka_run_group_tests_name("seq control", tests, NULL, NULL);
}
