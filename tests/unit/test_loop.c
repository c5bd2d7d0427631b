/* SPDX-License-Identifier: MIT */
/* Most tests stop the loop's beat, the turn it makes each second: what would wait for the next
 * event then waits for ever, and the alarm ends the test. So little here depends on how fast
 * things are.
 */
#include "backplane/base/loop.h"

#include "backplane/base/inbox.h"
#include "backplane/base/list.h" /* container_of */

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct loop loop;

/* An actor that notes its turns and flushes, and does what a test wants in them. */
struct player {
    struct actor actor;
    char name;
    int turns, flushes;
    bool (*in_turn)(struct player *p);
    void (*in_flush)(struct player *p);
};

static char steps[64]; /* "a" turn of a, "A" flush of a */

static void note(char step)
{
    size_t n = strlen(steps);

    if (n < sizeof(steps) - 1)
        steps[n] = step;
}

static bool turn(struct actor *self)
{
    struct player *p = container_of(self, struct player, actor);

    p->turns++;
    note(p->name);
    return p->in_turn && p->in_turn(p);
}

static void flush(struct actor *self)
{
    struct player *p = container_of(self, struct player, actor);

    p->flushes++;
    note((char)(p->name - 'a' + 'A'));
    if (p->in_flush)
        p->in_flush(p);
}

static struct player player(char name)
{
    return (struct player){.actor = {.turn = turn, .flush = flush}, .name = name};
}

static int start(void **state)
{
    (void)state;
    if (loop_init(&loop) != 0)
        return -1;
    uv_timer_stop(&loop.beat);
    memset(steps, 0, sizeof(steps));
    alarm(60);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return loop_deinit(&loop) == 0 ? 0 : -1;
}

static bool stop_after_two(struct player *p)
{
    if (p->turns == 2)
        loop_stop(&loop);
    return p->turns < 2;
}

static void a_turn_calls_all_turns_in_order_and_then_all_flushes(void **state)
{
    struct player a = player('a'), b = player('b'), c = player('c');

    (void)state;
    b.actor.flush = NULL;
    c.in_turn = stop_after_two;
    loop_add(&loop, &a.actor);
    loop_add(&loop, &b.actor);
    loop_add(&loop, &c.actor);
    loop_wake(&loop);
    loop_run(&loop);
    assert_string_equal(steps, "abcACabcAC");
    assert_int_equal(loop.turns, 2);
    assert_false(loop.pending);
}

static bool count_to_100(struct player *p)
{
    if (p->turns == 100)
        loop_stop(&loop);
    return p->turns < 100;
}

static void a_turn_that_returns_true_is_called_again_at_once(void **state)
{
    struct player a = player('a');

    (void)state;
    a.in_turn = count_to_100;
    loop_add(&loop, &a.actor);
    loop_wake(&loop);
    loop_run(&loop);
    assert_int_equal(a.turns, 100);
}

/* From here on an actor with an inbox, and entries posted to it from everywhere. */
static struct inbox box;
static struct outbox out;
static struct entry entry;

static bool stop_when_it_comes(struct player *p)
{
    (void)p;
    if (inbox_take(&box))
        loop_stop(&loop);
    return false;
}

static void post(void)
{
    outbox_post(&out, &entry);
}

static void post_in_timer(uv_timer_t *t)
{
    (void)t;
    post();
}

static void post_on_close(uv_handle_t *h)
{
    (void)h;
    post();
}

static void close_in_timer(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, post_on_close);
}

static void post_in_prepare(uv_prepare_t *h)
{
    uv_prepare_stop(h);
    post();
}

static void post_in_check(uv_check_t *h)
{
    uv_check_stop(h);
    post();
}

static void post_in_flush(struct player *p)
{
    if (p->flushes == 1)
        post();
}

static void again_in_flush(struct player *p)
{
    if (p->flushes < 5)
        loop_again(&loop);
    else
        loop_stop(&loop);
}

static struct player listener;

static int start_with_inbox(void **state)
{
    if (start(state) != 0)
        return -1;
    inbox_init(&box, &loop);
    outbox_init(&out, &loop, &box);
    listener = player('l');
    listener.in_turn = stop_when_it_comes;
    loop_add(&loop, &listener.actor);
    return 0;
}

static int finish_with_inbox(void **state)
{
    inbox_deinit(&box);
    return finish(state);
}

static void what_is_posted_before_the_run_is_handled(void **state)
{
    (void)state;
    post();
    loop_run(&loop);
    assert_int_equal(listener.turns, 1);
}

static void what_a_timer_posts_is_handled_without_another_event(void **state)
{
    static uv_timer_t t;

    (void)state;
    uv_timer_init(&loop.uv, &t);
    uv_timer_start(&t, post_in_timer, 1, 0);
    loop_run(&loop);
    uv_close((uv_handle_t *)&t, NULL);
}

static void what_a_close_callback_posts_is_handled_without_another_event(void **state)
{
    static uv_timer_t t;

    (void)state;
    uv_timer_init(&loop.uv, &t);
    uv_timer_start(&t, close_in_timer, 1, 0);
    loop_run(&loop);
}

static void what_a_prepare_callback_posts_is_handled_without_another_event(void **state)
{
    static uv_prepare_t p;

    (void)state;
    uv_prepare_init(&loop.uv, &p);
    uv_prepare_start(&p, post_in_prepare);
    loop_run(&loop);
    uv_close((uv_handle_t *)&p, NULL);
}

static void what_a_check_callback_posts_is_handled_without_another_event(void **state)
{
    static uv_check_t c;

    (void)state;
    uv_check_init(&loop.uv, &c);
    uv_check_start(&c, post_in_check);
    loop_wake(&loop);
    loop_run(&loop);
    uv_close((uv_handle_t *)&c, NULL);
}

static void what_a_flush_posts_is_handled_without_another_event(void **state)
{
    (void)state;
    listener.in_flush = post_in_flush;
    loop_wake(&loop);
    loop_run(&loop);
    assert_int_equal(listener.turns, 2);
}

static bool post_in_first_turn(struct player *p)
{
    if (p->turns == 1)
        post();
    return false;
}

static void what_an_earlier_actor_posts_is_handled_in_the_same_turn(void **state)
{
    struct player early = player('e');

    (void)state;
    loop_remove(&loop, &listener.actor);
    early.in_turn = post_in_first_turn;
    loop_add(&loop, &early.actor);
    loop_add(&loop, &listener.actor);
    loop_wake(&loop);
    loop_run(&loop);
    assert_string_equal(steps, "elEL");
    /* and nothing is left that would keep the loop awake */
    assert_int_equal(loop.near_inboxes, 0);
    assert_false(loop.pending);
}

static void what_a_later_actor_posts_waits_for_one_turn(void **state)
{
    struct player late = player('z');

    (void)state;
    late.in_turn = post_in_first_turn;
    loop_add(&loop, &late.actor);
    loop_wake(&loop);
    loop_run(&loop);
    assert_string_equal(steps, "lzLZlzLZ");
    assert_int_equal(loop.near_inboxes, 0);
    assert_false(loop.pending);
}

static void asking_for_another_turn_works_in_a_flush(void **state)
{
    (void)state;
    listener.in_flush = again_in_flush;
    loop_wake(&loop);
    loop_run(&loop);
    assert_int_equal(listener.flushes, 5);
}

static void stop_in_timer(uv_timer_t *t)
{
    (void)t;
    loop_stop(&loop);
}

static void run_for(uint64_t ms)
{
    static uv_timer_t t;

    uv_timer_init(&loop.uv, &t);
    uv_timer_start(&t, stop_in_timer, ms, 0);
    loop_run(&loop);
    uv_close((uv_handle_t *)&t, NULL);
}

static void a_loop_with_nothing_to_do_sleeps(void **state)
{
    (void)state;
    post(); /* busy at first */
    loop_run(&loop);
    uint64_t turns = loop.turns;
    run_for(100);
    assert_true(loop.turns - turns <= 5);
}

static void an_idle_loop_shows_its_heartbeat_each_second(void **state)
{
    uint64_t first = atomic_load(&loop.heartbeat_ms);

    (void)state;
    uv_timer_again(&loop.beat); /* the one test that wants it */
    run_for(1300);
    assert_true(atomic_load(&loop.heartbeat_ms) >= first + 1000);
}

static struct player *victim;

static bool remove_victim(struct player *p)
{
    loop_remove(&loop, &victim->actor); /* the second time it is not there */
    return stop_after_two(p);
}

static void actors_can_be_removed_in_a_turn(void **state)
{
    /* b removes a, a removes b, b removes c */
    static const char *const want[] = {"abcBCbcBC", "acACacAC", "abABabAB"};
    static const int removers[] = {1, 0, 1};
    struct player all[3];

    (void)state;
    for (int gone = 0; gone < 3; gone++) {
        for (int i = 0; i < 3; i++)
            all[i] = player((char)('a' + i));
        victim = &all[gone];
        all[removers[gone]].in_turn = remove_victim;
        memset(steps, 0, sizeof(steps));
        for (int i = 0; i < 3; i++)
            loop_add(&loop, &all[i].actor);
        loop_wake(&loop);
        loop_run(&loop);
        assert_string_equal(steps, want[gone]);
        for (int i = 0; i < 3; i++)
            loop_remove(&loop, &all[i].actor);
        assert_null(loop.actors);
    }
}

static bool remove_itself(struct player *p)
{
    loop_remove(&loop, &p->actor);
    return true;
}

static void an_actor_can_remove_itself(void **state)
{
    struct player a = player('a'), b = player('b');

    (void)state;
    a.in_turn = remove_itself;
    b.in_turn = stop_after_two;
    loop_add(&loop, &a.actor);
    loop_add(&loop, &b.actor);
    loop_wake(&loop);
    loop_run(&loop);
    assert_string_equal(steps, "abBbB");
}

/* Timers. */
struct shot {
    struct timer timer;
    uint64_t armed_at, delay, fired_at;
    int left; /* how often to arm again */
};

static int shots_left;

static void fire(struct timer *t)
{
    struct shot *s = container_of(t, struct shot, timer);

    s->fired_at = loop_now_ms(&loop);
    assert_true(s->fired_at >= s->armed_at + s->delay);
    if (--s->left > 0) {
        s->armed_at = loop_now_ms(&loop);
        loop_arm(&loop, t, s->delay, fire);
    } else if (--shots_left == 0) {
        loop_stop(&loop);
    }
}

static void shoot(struct shot *s, uint64_t delay, int times)
{
    *s = (struct shot){.armed_at = loop_now_ms(&loop), .delay = delay, .left = times};
    loop_arm(&loop, &s->timer, delay, fire);
    shots_left++;
}

static void timers_fire_never_early_however_long_the_wheel_stood_still(void **state)
{
    struct shot a, b, c;

    (void)state;
    usleep(170 * 1000);
    uv_update_time(&loop.uv); /* the wheel has not turned meanwhile */
    shoot(&a, 0, 3);
    shoot(&b, 60, 2);
    shoot(&c, 120, 1);
    loop_run(&loop);
    assert_int_equal(a.left + b.left + c.left, 0);
    assert_int_equal(loop.wheel.armed, 0);
    assert_false(uv_is_active((uv_handle_t *)&loop.tick));
    usleep(70 * 1000);
    uv_update_time(&loop.uv);
    shoot(&a, 100, 1); /* and the tick starts again */
    loop_run(&loop);
    assert_int_equal(a.left, 0);
}

static void the_tick_stops_when_the_last_timer_is_cancelled(void **state)
{
    struct shot a;

    (void)state;
    shoot(&a, 10, 1);
    loop_cancel(&loop, &a.timer);
    loop_cancel(&loop, &a.timer);
    shots_left = 0;
    run_for(3 * LOOP_TICK_MS);
    assert_false(uv_is_active((uv_handle_t *)&loop.tick));
    assert_int_equal(a.fired_at, 0);
}

static void post_when_due(struct timer *t)
{
    (void)t;
    post();
}

static void what_a_wheel_timer_posts_is_handled_without_another_event(void **state)
{
    struct timer t = {0};

    (void)state;
    loop_arm(&loop, &t, 1, post_when_due);
    loop_run(&loop);
    assert_false(timer_armed(&t));
}

static void *wake_often(void *unused)
{
    for (int i = 0; i < 1000; i++)
        loop_wake(&loop);
    return unused;
}

static void any_thread_can_wake_a_loop(void **state)
{
    pthread_t thread;
    struct player a = player('a');

    (void)state;
    a.in_turn = stop_after_two;
    loop_add(&loop, &a.actor);
    assert_int_equal(pthread_create(&thread, NULL, wake_often, NULL), 0);
    loop_run(&loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.turns, 2);
}

static void *quit(void *unused)
{
    loop_quit(&loop);
    return unused;
}

static void any_thread_can_end_a_loop_for_good(void **state)
{
    pthread_t thread;
    struct player a = player('a');

    (void)state;
    loop_add(&loop, &a.actor);
    assert_int_equal(pthread_create(&thread, NULL, quit, NULL), 0);
    loop_run(&loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.turns, 1); /* the turn in which it ends is a whole one */
    assert_int_equal(a.flushes, 1);
    loop_wake(&loop);
    loop_run(&loop); /* ends at once again */
    assert_int_equal(a.turns, 2);
}

static void the_wall_clock_is_in_milliseconds(void **state)
{
    (void)state;
    assert_in_range(wall_ms() / 1000, time(NULL) - 1, time(NULL) + 60);
}

int main(void)
{
#define BARE(f)  cmocka_unit_test_setup_teardown(f, start, finish)
#define BOXED(f) cmocka_unit_test_setup_teardown(f, start_with_inbox, finish_with_inbox)
    const struct CMUnitTest tests[] = {
        BARE(a_turn_calls_all_turns_in_order_and_then_all_flushes),
        BARE(a_turn_that_returns_true_is_called_again_at_once),
        BOXED(what_is_posted_before_the_run_is_handled),
        BOXED(what_a_timer_posts_is_handled_without_another_event),
        BOXED(what_a_close_callback_posts_is_handled_without_another_event),
        BOXED(what_a_prepare_callback_posts_is_handled_without_another_event),
        BOXED(what_a_check_callback_posts_is_handled_without_another_event),
        BOXED(what_a_flush_posts_is_handled_without_another_event),
        BOXED(what_an_earlier_actor_posts_is_handled_in_the_same_turn),
        BOXED(what_a_later_actor_posts_waits_for_one_turn),
        BOXED(asking_for_another_turn_works_in_a_flush),
        BOXED(a_loop_with_nothing_to_do_sleeps),
        BARE(an_idle_loop_shows_its_heartbeat_each_second),
        BARE(actors_can_be_removed_in_a_turn),
        BARE(an_actor_can_remove_itself),
        BARE(timers_fire_never_early_however_long_the_wheel_stood_still),
        BARE(the_tick_stops_when_the_last_timer_is_cancelled),
        BOXED(what_a_wheel_timer_posts_is_handled_without_another_event),
        BARE(any_thread_can_wake_a_loop),
        BARE(any_thread_can_end_a_loop_for_good),
        BARE(the_wall_clock_is_in_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
