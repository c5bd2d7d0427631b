/* SPDX-License-Identifier: MIT */
/* test_rendezvous.c: keys are spread evenly, and move only where they must. */
#include "backplane/rendezvous.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define KEYS 20000

static const char *const names[] = {"a", "b", "c", "d", "e", "redis", "north-1", "north-2"};

static struct rendezvous of(size_t count)
{
    struct rendezvous r = {0};
    for (size_t i = 0; i < count; i++)
        rendezvous_add(&r, span_str(names[i]));
    return r;
}

static size_t choose(const struct rendezvous *r, unsigned key)
{
    char name[32];
    int n = snprintf(name, sizeof(name), "chat:%u", key);
    return rendezvous_choose(r, (struct span){name, (size_t)n});
}

static void each_node_gets_an_even_share(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 8; count++) {
        struct rendezvous r = of(count);
        size_t share[8] = {0};
        for (unsigned k = 0; k < KEYS; k++)
            share[choose(&r, k)]++;
        for (size_t i = 0; i < count; i++) {
            assert_true(share[i] > KEYS / count * 9 / 10);
            assert_true(share[i] < KEYS / count * 11 / 10 + 1);
        }
    }
}

static void a_new_node_takes_keys_and_no_other_key_moves(void **state)
{
    (void)state;
    for (size_t count = 1; count < 8; count++) {
        struct rendezvous before = of(count), after = of(count + 1);
        for (unsigned k = 0; k < KEYS; k++) {
            size_t to = choose(&after, k);
            if (to != count)
                assert_int_equal(choose(&before, k), to);
        }
    }
}

static void the_order_of_the_names_does_not_matter(void **state)
{
    (void)state;
    struct rendezvous there = of(8), back = {0};
    for (size_t i = 8; i--;)
        rendezvous_add(&back, span_str(names[i]));
    for (unsigned k = 0; k < KEYS; k++)
        assert_int_equal(choose(&there, k), 7 - choose(&back, k));
}

/* What is stored lies where these say: another answer in a later version loses rooms. */
static void the_answers_never_change(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t node;
    } known[] = {{"lobby", 2}, {"yard", 2}, {"chat:1", 0}, {"chat:2", 1},
                 {"#42", 0},   {"마당", 0}, {"", 1},       {"a", 1}};
    struct rendezvous r = of(3);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(rendezvous_choose(&r, span_str(known[i].key)), known[i].node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_gets_an_even_share),
        cmocka_unit_test(a_new_node_takes_keys_and_no_other_key_moves),
        cmocka_unit_test(the_order_of_the_names_does_not_matter),
        cmocka_unit_test(the_answers_never_change),
    };
    return cmocka_run_group_tests_name("rendezvous", tests, NULL, NULL);
}
