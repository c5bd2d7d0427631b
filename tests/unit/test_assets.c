/* SPDX-License-Identifier: MIT */
#include "gateway/assets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct asset *find(const char *path)
{
    return asset_find(path, strlen(path));
}

static void test_a_build_with_the_page_has_it(void **state)
{
    (void)state;
#if MADANG_PAGE
    const struct asset *page = find("/");

    assert_non_null(page);
    assert_ptr_equal(page, find("/index.html"));
    assert_string_equal(page->type, "text/html; charset=utf-8");
    assert_false(page->immutable);
#else
    assert_int_equal(asset_count, 0);
    assert_null(find("/"));
#endif
}

static void test_every_file_is_found_by_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < asset_count; i++)
        assert_ptr_equal(find(asset_table[i].path), &asset_table[i]);
}

static void test_a_path_must_match_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < asset_count; i++) {
        const char *path = asset_table[i].path;
        char longer[256];

        assert_true(strlen(path) + 2 < sizeof longer);
        (void)snprintf(longer, sizeof longer, "%sx", path);
        assert_null(find(longer));
        assert_null(asset_find(path, strlen(path) - 1));
    }
    assert_null(asset_find("", 0));
    assert_null(find("//"));
    assert_null(find("index.html"));
    assert_null(find("/\377"));
}

static void test_files_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < asset_count; i++) {
        const struct asset *asset = &asset_table[i];

        assert_true(asset->plain_len > 0);
        assert_memory_equal(asset->gzip, "\x1f\x8b\x08", 3);
        /* The last four bytes of a gzip file are the length of what is in it. */
        const unsigned char *tail = asset->gzip + asset->gzip_len - 4;
        uint32_t len =
            tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 | (uint32_t)tail[3] << 24;
        assert_int_equal(len, asset->plain_len);
        assert_memory_equal(asset->etag, "W/\"", 3);
    }
    assert_non_null(strstr(asset_policy, "default-src 'none'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_build_with_the_page_has_it),
        cmocka_unit_test(test_every_file_is_found_by_its_path),
        cmocka_unit_test(test_a_path_must_match_whole),
        cmocka_unit_test(test_files_are_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
