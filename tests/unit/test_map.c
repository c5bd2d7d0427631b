/* SPDX-License-Identifier: MIT */
#include "backplane/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct word {
    char text[24];
    int n;
    UT_hash_handle hh;
};

/* Before the seed is drawn the key is zero, and the values are those of the algorithm's reference
 * for the bytes 0, 1, 2, ... */
static void with_a_zero_key_the_hash_is_siphash_1_3(void **state)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } known[] = {{1, 0x68a914128e01e473},  {3, 0x4d4c9a4a8ef6e0ad},  {7, 0x2f098ab0c751325a},
                 {8, 0xead411e67ebe2eea},  {9, 0x75927f9d95124362},  {15, 0xf30eb725bb91c9ea},
                 {16, 0x8972188433a5c5b7}, {31, 0x169739443111d49b}, {63, 0x385d3e39e5f37359},
                 {100, 0x1c6a66e1506e7908}};
    unsigned char bytes[101];

    (void)state;
    for (size_t at = 0; at < 2; at++) { /* aligned or not */
        for (size_t i = 0; i < 100; i++)
            bytes[at + i] = (unsigned char)i;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            assert_int_equal(map_hash(bytes + at, known[i].n, 0), known[i].hash);
    }
}

static void lanes_are_different_hashes(void **state)
{
    (void)state;
    assert_int_not_equal(map_hash("room", 4, 0), map_hash("room", 4, 1));
    assert_int_not_equal(map_hash("room", 4, 1), map_hash("room", 4, 2));
    assert_int_equal(map_hash("room", 4, 1), map_hash("room", 4, 1));
}

static void a_seed_changes_every_hash_and_no_two_seeds_are_the_same(void **state)
{
    uint64_t unseeded = map_hash("room", 4, 0);

    (void)state;
    map_seed();
    uint64_t once = map_hash("room", 4, 0);
    map_seed();
    uint64_t twice = map_hash("room", 4, 0);
    assert_int_not_equal(unseeded, once);
    assert_int_not_equal(once, twice);
}

static void the_empty_key_has_a_hash(void **state)
{
    (void)state;
    assert_int_equal(map_hash(NULL, 0, 0), map_hash("", 0, 0));
    assert_int_not_equal(map_hash("", 0, 0), map_hash("\0", 1, 0));
}

static void name_it(char text[24], int n)
{
    assert_in_range(snprintf(text, 24, "room-%d", n), 6, 23);
}

static void what_was_put_into_a_map_is_found_in_it(void **state)
{
    static struct word words[1000];
    struct word *map = NULL, *found, *tmp;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        words[i].n = i;
        name_it(words[i].text, i);
        HASH_ADD_KEYPTR(hh, map, words[i].text, strlen(words[i].text), &words[i]);
        assert_non_null(words[i].hh.tbl);
    }
    for (int i = 0; i < 1000; i++) {
        char name[24];
        name_it(name, i);
        HASH_FIND(hh, map, name, strlen(name), found);
        assert_ptr_equal(found, &words[i]);
    }
    HASH_FIND(hh, map, "room-1000", 9, found);
    assert_null(found);
    HASH_ITER (hh, map, found, tmp)
        HASH_DEL(map, found);
    assert_null(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, while there is no seed */
        cmocka_unit_test(with_a_zero_key_the_hash_is_siphash_1_3),
        cmocka_unit_test(lanes_are_different_hashes),
        cmocka_unit_test(a_seed_changes_every_hash_and_no_two_seeds_are_the_same),
        cmocka_unit_test(the_empty_key_has_a_hash),
        cmocka_unit_test(what_was_put_into_a_map_is_found_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
