/* SPDX-License-Identifier: MIT */
#include "backplane/base/inbox.h"

#include "backplane/base/list.h" /* container_of */
#include "backplane/base/loop.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct note {
    struct entry entry;
    int sender, n;
};

static struct note *note_of(struct entry *e)
{
    return container_of(e, struct note, entry);
}

static bool woken(struct loop *l)
{
    struct pollfd p = {.fd = l->wake_fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* What is taken must be the notes first..last of one sender. */
static void assert_taken(struct inbox *in, int first, int last)
{
    struct entry *e = inbox_take(in);

    for (int n = first; n <= last; n++, e = e->next) {
        assert_non_null(e);
        assert_int_equal(note_of(e)->n, n);
    }
    assert_null(e);
}

static struct loop here, there;
static struct inbox box;
static struct outbox near, far;
static struct note notes[10];

static int start(void **state)
{
    (void)state;
    if (loop_init(&here) != 0 || loop_init(&there) != 0)
        return -1;
    /* Without the turn each second a lost wake-up is a test that hangs, until the alarm. */
    uv_timer_stop(&here.beat);
    uv_timer_stop(&there.beat);
    alarm(60);
    inbox_init(&box, &here);
    outbox_init(&near, &here, &box);
    outbox_init(&far, &there, &box);
    for (int i = 0; i < 10; i++)
        notes[i] = (struct note){.n = i, .entry.weight = 100};
    return 0;
}

static int finish(void **state)
{
    (void)state;
    inbox_deinit(&box);
    return loop_deinit(&here) != 0 || loop_deinit(&there) != 0 ? -1 : 0;
}

static void an_empty_inbox_gives_nothing(void **state)
{
    (void)state;
    assert_null(inbox_take(&box));
    outbox_flush(&near);
    outbox_flush(&far);
    assert_null(inbox_take(&box));
    assert_false(woken(&here));
}

static void what_is_posted_near_is_there_at_once_without_waking(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        outbox_post(&near, &notes[i].entry);
    assert_int_equal(here.near_inboxes, 1);
    assert_false(woken(&here));
    assert_taken(&box, 0, 2);
    assert_int_equal(here.near_inboxes, 0);
    outbox_post(&near, &notes[3].entry);
    assert_int_equal(here.near_inboxes, 1);
    assert_taken(&box, 3, 3);
    outbox_flush(&near);
    assert_null(inbox_take(&box));
    assert_false(woken(&here));
}

static void what_is_posted_far_arrives_with_the_flush(void **state)
{
    (void)state;
    outbox_post(&far, &notes[0].entry);
    outbox_post(&far, &notes[1].entry);
    assert_null(inbox_take(&box));
    assert_false(woken(&here));
    outbox_flush(&far);
    assert_true(woken(&here));
    assert_int_equal(here.near_inboxes, 0);
    assert_taken(&box, 0, 1);
}

static void only_the_first_flush_wakes(void **state)
{
    uint64_t count;

    (void)state;
    for (int i = 0; i < 3; i++) {
        outbox_post(&far, &notes[i].entry);
        outbox_flush(&far);
    }
    assert_int_equal(read(here.wake_fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    assert_taken(&box, 0, 2);
    outbox_post(&far, &notes[3].entry);
    outbox_flush(&far);
    assert_true(woken(&here)); /* it was empty again */
    assert_taken(&box, 3, 3);
}

static void a_thread_without_a_loop_can_send(void **state)
{
    struct outbox out;

    (void)state;
    outbox_init(&out, NULL, &box);
    outbox_post(&out, &notes[0].entry);
    outbox_flush(&out);
    assert_true(woken(&here));
    assert_taken(&box, 0, 0);
}

static void near_and_far_are_taken_together(void **state)
{
    int seen = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        notes[i].sender = i % 2;
        outbox_post(i % 2 ? &far : &near, &notes[i].entry);
    }
    outbox_flush(&far);
    int last[2] = {-1, -1};
    for (struct entry *e = inbox_take(&box); e; e = e->next, seen++) {
        assert_true(note_of(e)->n > last[note_of(e)->sender]);
        last[note_of(e)->sender] = note_of(e)->n;
    }
    assert_int_equal(seen, 10);
}

static void the_backlog_counts_what_is_not_taken(void **state)
{
    (void)state;
    outbox_post(&near, &notes[0].entry);
    assert_int_equal(outbox_backlog(&near), 100);
    assert_int_equal(outbox_backlog(&far), 100);
    outbox_post(&far, &notes[1].entry);
    outbox_post(&far, &notes[2].entry);
    assert_int_equal(outbox_backlog(&near), 100); /* not flushed: its sender's business */
    assert_int_equal(outbox_backlog(&far), 300);
    outbox_flush(&far);
    assert_int_equal(outbox_backlog(&near), 300);
    assert_int_equal(outbox_backlog(&far), 300);
    outbox_post(&far, &notes[3].entry);
    assert_non_null(inbox_take(&box));
    assert_int_equal(outbox_backlog(&near), 0);
    assert_int_equal(outbox_backlog(&far), 100);
    outbox_flush(&far);
    assert_taken(&box, 3, 3);
    assert_int_equal(outbox_backlog(&far), 0);
}

/* An entry that was taken may be posted again at once, to the same inbox too. */
static void an_entry_can_be_handed_on_while_the_chain_is_walked(void **state)
{
    struct entry *next;

    (void)state;
    for (int i = 0; i < 3; i++)
        outbox_post(&near, &notes[i].entry);
    for (struct entry *e = inbox_take(&box); e; e = next) {
        next = e->next;
        outbox_post(&near, e);
    }
    assert_taken(&box, 0, 2);
}

/* Many threads against one receiving loop. */
enum { SENDERS = 3, NOTES = 20000 };

struct receiver {
    struct actor actor;
    int next[SENDERS]; /* expected */
    int left;
};

static bool receive(struct actor *self)
{
    struct receiver *r = container_of(self, struct receiver, actor);
    struct entry *next;

    for (struct entry *e = inbox_take(&box); e; e = next) {
        struct note *n = note_of(e);
        next = e->next;
        if (n->n != r->next[n->sender]++)
            fail_msg("sender %d: note %d came out of order", n->sender, n->n);
        free(n);
        r->left--;
    }
    if (r->left == 0)
        loop_stop(&here);
    return false;
}

static void *send_all(void *arg)
{
    const int *sender = arg;
    struct outbox out;

    outbox_init(&out, NULL, &box);
    for (int i = 0; i < NOTES; i++) {
        struct note *n = malloc(sizeof(*n));
        if (!n)
            abort();
        *n = (struct note){.sender = *sender, .n = i, .entry.weight = 1};
        outbox_post(&out, &n->entry);
        if (i % (7 + *sender) == 0)
            outbox_flush(&out);
    }
    outbox_flush(&out);
    return NULL;
}

static void entries_of_each_thread_arrive_in_order_and_none_is_lost(void **state)
{
    struct receiver r = {.actor = {.turn = receive}, .left = SENDERS * NOTES};
    pthread_t threads[SENDERS];
    int ids[SENDERS];

    (void)state;
    loop_add(&here, &r.actor);
    for (int i = 0; i < SENDERS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &ids[i]), 0);
    }
    loop_run(&here);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(r.next[i], NOTES);
    }
    assert_int_equal(outbox_backlog(&far), 0);
    loop_remove(&here, &r.actor);
}

/* Two loops that throw one entry to and fro: each throw needs a wake-up. */
enum { THROWS = 5000 };

struct player {
    struct actor actor;
    struct loop *loop;
    struct inbox in;
    struct outbox out;
    int caught;
};

static bool play(struct actor *self)
{
    struct player *p = container_of(self, struct player, actor);
    struct entry *e = inbox_take(&p->in);

    if (!e)
        return false;
    assert_null(e->next);
    if (++p->caught <= THROWS)
        outbox_post(&p->out, e);
    if (p->caught >= THROWS)
        loop_stop(p->loop);
    return false;
}

static void throw(struct actor * self)
{
    outbox_flush(&container_of(self, struct player, actor)->out);
}

static void *run_there(void *unused)
{
    loop_run(&there);
    return unused;
}

static void no_wake_up_is_lost_between_two_loops(void **state)
{
    struct player a = {.actor = {.turn = play, .flush = throw}, .loop = &here};
    struct player b = {.actor = {.turn = play, .flush = throw}, .loop = &there};
    pthread_t thread;

    (void)state;
    inbox_init(&a.in, &here);
    inbox_init(&b.in, &there);
    outbox_init(&a.out, &here, &b.in);
    outbox_init(&b.out, &there, &a.in);
    loop_add(&here, &a.actor);
    loop_add(&there, &b.actor);
    outbox_post(&a.out, &notes[0].entry);
    outbox_flush(&a.out);
    uint64_t start_ns = uv_hrtime();
    assert_int_equal(pthread_create(&thread, NULL, run_there, NULL), 0);
    loop_run(&here);
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("%d throws, %.1f us each\n", 2 * THROWS,
                  (double)(uv_hrtime() - start_ns) / (2e3 * THROWS));
    assert_int_equal(a.caught, THROWS);
    assert_int_equal(b.caught, THROWS);
    assert_non_null(inbox_take(&b.in)); /* the last throw, after the game */
    inbox_deinit(&a.in);
    inbox_deinit(&b.in);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_inbox_gives_nothing),
        TEST(what_is_posted_near_is_there_at_once_without_waking),
        TEST(what_is_posted_far_arrives_with_the_flush),
        TEST(only_the_first_flush_wakes),
        TEST(a_thread_without_a_loop_can_send),
        TEST(near_and_far_are_taken_together),
        TEST(the_backlog_counts_what_is_not_taken),
        TEST(an_entry_can_be_handed_on_while_the_chain_is_walked),
        TEST(entries_of_each_thread_arrive_in_order_and_none_is_lost),
        TEST(no_wake_up_is_lost_between_two_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
