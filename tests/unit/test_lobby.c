/* SPDX-License-Identifier: MIT */
#include "gateway/lobby.h"

#include "backplane/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arrival *from(const char *address)
{
    struct arrival *a = arrival_new(-1);

    assert_non_null(a);
    if (*address)
        assert_true(address_read(span_str(address), &a->peer));
    return a;
}

static void leave(struct lobby *l, struct arrival *a)
{
    lobby_leave(l, a);
    lobby_leave(l, a); /* once more is harmless */
    arrival_free(a);
}

static void empty(struct lobby *l)
{
    while (!list_empty(&l->arrivals))
        leave(l, container_of(l->arrivals.next, struct arrival, link));
    assert_int_equal(l->count, 0);
    assert_null(l->groups);
}

static void one_address_displaces_its_own_oldest(void **state)
{
    struct arrival *mine[4], *other;
    struct lobby l;

    (void)state;
    lobby_init(&l);
    other = from("192.0.2.2");
    assert_null(lobby_enter(&l, other, 12));
    for (size_t i = 0; i < 3; i++) /* a quarter of the places, in one /64 */
        assert_null(lobby_enter(&l, mine[i] = from(i ? "2001:db8::1" : "2001:db8::2"), 12));
    assert_ptr_equal(lobby_enter(&l, mine[3] = from("2001:db8::3"), 12), mine[0]);
    leave(&l, mine[0]);
    leave(&l, mine[2]); /* a place is free again */
    assert_null(lobby_enter(&l, mine[2] = from("2001:db8::1"), 12));
    assert_ptr_equal(lobby_enter(&l, mine[0] = from("2001:db8::1"), 12), mine[1]);
    empty(&l);
}

static void all_together_displace_the_oldest_of_all(void **state)
{
    static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
    struct arrival *a[4];
    struct lobby l;

    (void)state;
    lobby_init(&l);
    for (size_t i = 0; i < 4; i++)
        assert_null(lobby_enter(&l, a[i] = from(addresses[i]), 4));
    assert_ptr_equal(lobby_enter(&l, from("192.0.2.5"), 4), a[0]);
    leave(&l, a[0]);
    leave(&l, a[2]);
    assert_null(lobby_enter(&l, from("192.0.2.6"), 4));
    assert_ptr_equal(lobby_enter(&l, from("192.0.2.7"), 4), a[1]);
    empty(&l);
}

static void some_have_no_share(void **state)
{
    static const char *const addresses[] = {"127.0.0.1", "::1", "", "192.0.2.1"};
    struct lobby l;

    (void)state;
    lobby_init(&l);
    for (size_t i = 0; i < 4; i++) {
        for (size_t n = 0; n < 8; n++) {
            struct arrival *a = from(addresses[i]);
            a->trusted = i == 3;
            struct arrival *displaced = lobby_enter(&l, a, 8);
            assert_int_equal(displaced != NULL, i > 0); /* all have filled all places */
            if (displaced)
                leave(&l, displaced);
        }
        assert_int_equal(l.count, 8);
    }
    empty(&l);
}

static void a_single_place_goes_to_the_newest(void **state)
{
    struct arrival *first = from("192.0.2.1"), *second = from("127.0.0.1");
    struct lobby l;

    (void)state;
    lobby_init(&l);
    assert_null(lobby_enter(&l, first, 1));
    assert_ptr_equal(lobby_enter(&l, second, 1), first);
    empty(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_displaces_its_own_oldest),
        cmocka_unit_test(all_together_displace_the_oldest_of_all),
        cmocka_unit_test(some_have_no_share),
        cmocka_unit_test(a_single_place_goes_to_the_newest),
    };
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
