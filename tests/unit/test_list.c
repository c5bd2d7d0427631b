/* SPDX-License-Identifier: MIT */
#include "backplane/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct thing {
    int n;
    struct list node;
};

static struct thing *thing_of(struct list *l)
{
    return container_of(l, struct thing, node);
}

/* Fills the list with things numbered from `first`. */
static void fill(struct list *head, struct thing *things, int count, int first)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        things[i].n = first + i;
        list_push(head, &things[i].node);
    }
}

static void things_come_out_in_the_order_in_which_they_went_in(void **state)
{
    struct list head;
    struct thing things[3];

    (void)state;
    fill(&head, things, 3, 1);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(thing_of(list_shift(&head))->n, i);
    assert_null(list_shift(&head));
    assert_true(list_empty(&head));
}

static void deleting_what_is_in_no_list_is_harmless(void **state)
{
    struct thing t;

    (void)state;
    list_init(&t.node);
    assert_false(list_linked(&t.node));
    list_del(&t.node);
    list_del(&t.node);
    assert_false(list_linked(&t.node));
}

static void a_walk_may_delete_where_it_stands(void **state)
{
    struct list head, *pos, *tmp;
    struct thing things[5];
    int seen = 0;

    (void)state;
    fill(&head, things, 5, 0);
    list_for_each_safe (pos, tmp, &head) {
        assert_int_equal(thing_of(pos)->n, seen++);
        list_del(pos);
        assert_false(list_linked(pos));
    }
    assert_int_equal(seen, 5);
    assert_true(list_empty(&head));
}

static void splicing_moves_all_to_the_end(void **state)
{
    struct list a, b;
    struct thing as[2], bs[2];

    (void)state;
    fill(&a, as, 2, 0);
    fill(&b, bs, 2, 2);
    list_splice(&a, &b);
    assert_true(list_empty(&b));
    list_splice(&a, &b); /* nothing */
    for (int i = 0; i < 4; i++)
        assert_int_equal(thing_of(list_shift(&a))->n, i);
    assert_true(list_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_come_out_in_the_order_in_which_they_went_in),
        cmocka_unit_test(deleting_what_is_in_no_list_is_harmless),
        cmocka_unit_test(a_walk_may_delete_where_it_stands),
        cmocka_unit_test(splicing_moves_all_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
