/* SPDX-License-Identifier: MIT */
#include "gateway/options.h"

#include "backplane/base/count.h"
#include "backplane/base/log.h"
#include "gateway/options_help.h"
#include "gateway/options_table.h"
#include "tests/unit/options_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the table ---- */

static void check_entry(const struct option_section *s, const struct option *o)
{
    bool is_number = o->type == OPTION_NUMBER || o->type == OPTION_SIZE;
    if (!o->initial || !o->help || !*o->help || o->help[strlen(o->help) - 1] != '.')
        fail_msg("[%s] %s lacks a default or a sentence", s->name, o->key);
    if (is_number)
        assert_true(o->width == 8 || (o->width == 4 && o->max <= UINT32_MAX));
    if (is_number || o->type == OPTION_DURATION)
        assert_true(o->max > o->min);
    if (o->type == OPTION_DURATION)
        assert_int_equal(o->width, 8);
    if (o->type == OPTION_CHOICE)
        assert_int_equal(o->width, sizeof(int));
    if (o->type == OPTION_BOOL)
        assert_int_equal(o->width, sizeof(bool));
    if (o->type == OPTION_LIST)
        assert_true(o->max > 0 && o->count_offset > 0 && o->allowed);
    assert_int_equal(o->check != NULL, o->allowed != NULL);
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct option_section *s = &option_sections[i];
        assert_true(s->count > 0);
        for (size_t j = 0; j < s->count; j++) {
            check_entry(s, &s->list[j]);
            if (j && strcmp(s->list[j - 1].key, s->list[j].key) >= 0)
                fail_msg("[%s] %s is not in its place", s->name, s->list[j].key);
        }
    }
}

static void every_flag_has_one_meaning(void **state)
{
    char *seen[256] = {NULL};
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < SECTION_SERVERS; i++) {
        for (size_t j = 0; j < option_sections[i].count; j++) {
            struct buf flag = {0};
            option_flag(&option_sections[i], &option_sections[i].list[j], &flag);
            seen[n] = strdup(text_of(&flag));
            for (size_t k = 0; k < n; k++)
                assert_string_not_equal(seen[k], seen[n]);
            n++;
        }
    }
    for (size_t k = 0; k < n; k++)
        free(seen[k]);
}

static void defaults_are_those_of_the_design(void **state)
{
    struct options *o = options_new();
    (void)state;
    assert_int_equal(o->listen_count, 2);
    assert_string_equal(o->listen[0], "127.0.0.1:8000");
    assert_string_equal(o->listen[1], "[::1]:8000");
    assert_int_equal(o->auth, AUTH_GUEST);
    assert_int_equal(o->backplane, BACKPLANE_LOCAL);
    assert_string_equal(o->store, "./madang.db");
    assert_int_equal(o->hubs, 0);
    assert_int_equal(o->max_connections, 19000);
    assert_int_equal(o->log_level, LOG_INFO);
    assert_int_equal(o->shutdown_timeout_ms, 9000);
    assert_int_equal(o->ping_interval_ms, 25000);
    assert_int_equal(o->pong_timeout_ms, 8000);
    assert_int_equal(o->command_size, 65536);
    assert_int_equal(o->frame_size, 1 << 20);
    assert_int_equal(o->queue_ms, 10000);
    assert_int_equal(o->credits, 256);
    assert_int_equal(o->hub_credits, 16384);
    assert_int_equal(o->hub_queue_bytes, 256 << 20);
    assert_int_equal(o->max_stream_bytes, 256 << 20);
    assert_memory_equal(&o->queue, &queue_default_rules, sizeof(o->queue));
    assert_int_equal(o->named_queue_count, 0);
    assert_ptr_equal(options_queue_rules(o, SPAN("any")), &o->queue);
    assert_int_equal(o->rules.count, 1);
    const struct room_rules *r = &o->rules.list[0];
    assert_string_equal(r->name, "");
    assert_int_equal(r->history_size, 1000);
    assert_int_equal(r->history_ttl_ms, 86400000);
    assert_true(r->force_recovery && r->presence && r->join_leave && r->stamp_time);
    assert_true(r->allow_publish_for_client && r->allow_subscribe_for_client);
    assert_false(r->force_push_join_leave || r->force_positioning);
    assert_string_equal(r->idempotency_field, "cid");
    options_free(o);
    options_free(NULL);
}

static void log_levels_match_their_words(void **state)
{
    (void)state;
    for (int level = 0; log_level_words[level]; level++) {
        struct options *o = accept_flags(WORDS("--log-level", log_level_words[level]));
        assert_int_equal(o->log_level, level);
        options_free(o);
    }
}

/* ---- sources ---- */

/* A file that is there while a test runs. */
static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static void later_sources_win(void **state)
{
    char path[] = "/tmp/options-XXXXXX", flag[64];
    struct buf report = {0};
    (void)state;
    write_file(path, "[gateway]\nhubs = 1\nmax_connections = 11\nlisten = 127.0.0.1:1\n"
                     "listen = 127.0.0.1:2\n[client]\ncredits = 21\n");
    assert_true(snprintf(flag, sizeof(flag), "--config=%s", path) > 0);
    struct options *o = load(
        WORDS("--hubs", "3", flag, "--listen", "127.0.0.1:4,127.0.0.1:5", "--listen=127.0.0.1:6"),
        WORDS("MADANG_HUBS=2", "MADANG_MAX_CONNECTIONS=12", "PATH=/bin",
              "MADANG_LISTEN=127.0.0.1:3", "MADANG_CONFIG=/nowhere"),
        &report);
    assert_int_equal(unlink(path), 0);
    assert_non_null(o);
    assert_int_equal(o->hubs, 3);
    assert_int_equal(o->max_connections, 12);
    assert_int_equal(o->credits, 21);
    assert_int_equal(o->listen_count, 3);
    assert_string_equal(o->listen[0], "127.0.0.1:4");
    assert_string_equal(o->listen[2], "127.0.0.1:6");
    options_free(o);
}

static void the_last_of_two_flags_wins(void **state)
{
    struct options *o = accept_flags(WORDS("--hubs", "3", "--hubs=4"));
    (void)state;
    assert_int_equal(o->hubs, 4);
    options_free(o);
}

static void the_environment_can_name_the_file(void **state)
{
    struct buf report = {0};
    struct options *o = load(NULL, WORDS("MADANG_CONFIG=/nowhere/madang.ini"), &report);
    (void)state;
    assert_null(o);
    assert_string_equal(text_of(&report), "/nowhere/madang.ini: No such file or directory\n");
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    refuse_flags(WORDS("--config", "/tmp"), "/tmp: Is a directory\n");
    refuse_flags(WORDS("--config", "/dev/zero"), "/dev/zero: the file is larger than 1MiB\n");
    refuse_flags(WORDS("--config"), "--config: a value is missing; allowed: the name of a file\n");
}

static void variables_of_others_are_left_alone(void **state)
{
    struct buf report = {0};
    struct options *o =
        load(NULL,
             WORDS("MADANG_BIN=/x", "MADANG_LOAD=/x", "MADANG_TORTURE=1", "MADANG_PORT=tcp://x:1",
                   "MADANG_SERVICE_HOST=x", "MADANG_SERVICE_PORT=1", "MADANG_PORT_8000_TCP_ADDR=x",
                   "MADANGHUBS=x", "MADANG_", "NO_EQUALS"),
             &report);
    (void)state;
    if (!o)
        fail_msg("refused: %s", text_of(&report));
    options_free(o);
}

static void sections_with_a_prefix_are_reached_too(void **state)
{
    struct buf report = {0};
    struct options *o = load(WORDS("--hub-queue-bytes", "2GiB", "--rooms-history-ttl", "1h"),
                             WORDS("MADANG_HUB_CREDITS=300", "MADANG_ROOMS_PRESENCE=off"), &report);
    (void)state;
    assert_non_null(o);
    assert_int_equal(o->hub_queue_bytes, 2ULL << 30);
    assert_int_equal(o->queue_bytes, 1 << 20);
    assert_int_equal(o->hub_credits, 300);
    assert_int_equal(o->rules.list[0].history_ttl_ms, 3600000);
    assert_false(o->rules.list[0].presence);
    options_free(o);
}

/* ---- rooms ---- */

static void a_namespace_begins_with_the_defaults(void **state)
{
    struct options *o = accept_text("[rooms]\npresence = off\n[rooms chat]\nhistory_size = 2\n"
                                    "[rooms empty]\n[rooms chat]\nidempotency_field =\n");
    (void)state;
    assert_int_equal(o->rules.count, 3);
    assert_false(o->rules.list[0].presence);
    const struct room_rules *chat = rules_of(&o->rules, SPAN("chat:x"));
    assert_true(chat->presence);
    assert_int_equal(chat->history_size, 2);
    assert_string_equal(chat->idempotency_field, "");
    assert_string_equal(rules_of(&o->rules, SPAN("empty:x"))->idempotency_field, "cid");
    assert_null(rules_of(&o->rules, SPAN("other:x")));
    options_free(o);
}

static void a_room_without_stream_settles_the_rest(void **state)
{
    struct options *o = accept_text("[rooms]\nhistory_size = 0\n[rooms ab]\nhistory_bytes = 0\n");
    (void)state;
    for (size_t i = 0; i < o->rules.count; i++) {
        const struct room_rules *r = &o->rules.list[i];
        assert_int_equal(r->history_size, 0);
        assert_int_equal(r->history_bytes, 0);
        assert_false(r->force_recovery || r->allow_recovery || r->allow_positioning);
    }
    options_free(o);
}

/* ---- tokens ---- */

static void with_tokens_rooms_are_shut_until_opened(void **state)
{
    struct buf report = {0};
    struct options *o = NULL;
    (void)state;
    const char *text = "[gateway]\nauth = jwt\n[jwt]\nhmac_secret = s\n[rooms]\npresence = on\n"
                       "[rooms ab]\nhistory_size = 7\nallow_recovery = on\n";
    assert_true(options_load_text(&o, "x", span_str(text), &report));
    const struct room_rules *all = &o->rules.list[0], *a = &o->rules.list[1];
    assert_true(all->presence);
    assert_false(all->join_leave || all->allow_subscribe_for_client || all->force_recovery ||
                 all->stamp_time || all->history_size || *all->idempotency_field);
    assert_int_equal(a->history_size, 7);
    assert_int_equal(a->history_bytes, 1 << 20);
    assert_true(a->allow_recovery);
    assert_false(a->force_recovery || a->presence || a->allow_publish_for_subscriber);
    options_free(o);
    buf_deinit(&report);
}

static void the_personal_room_is_its_users(void **state)
{
    struct buf report = {0};
    struct options *o = NULL;
    (void)state;
    const char *text = "[client]\npersonal_room = on\npersonal_room_namespace = ab\n[rooms ab]\n";
    assert_true(options_load_text(&o, "x", span_str(text), &report));
    assert_true(o->rules.list[1].allow_user_limited_channels);
    assert_false(o->rules.list[0].allow_user_limited_channels);
    options_free(o);
    text = "[client]\npersonal_room = on\npersonal_room_namespace = ab\n";
    assert_false(options_load_text(&o, "x", span_str(text), &report));
    assert_string_equal(text_of(&report),
                        "[client] personal_room_namespace (ab, x:3) has no section [rooms NAME]\n");
}

/* ---- what is printed ---- */

static char *print_without_sources(const struct options *o)
{
    struct buf text = {0};
    options_print(o, &text);
    assert_false(text.failed);
    buf_char(&text, '\0');
    char *out = text.p;
    for (char *p = strstr(out, " ; "); p; p = strstr(p, " ; ")) {
        char *end = strchr(p, '\n');
        memmove(p, end, strlen(end) + 1);
    }
    return out;
}

static void what_is_printed_loads_again(void **state)
{
    struct options *a = accept_text(
        "[gateway]\nlisten = 10.0.0.1:80 [::]:80\nallowed_origins = https://a.example\nhubs = 5\n"
        "[client]\npong_timeout = 7500ms\n[hub]\nqueue_bytes = 3GiB\n"
        "[rooms]\nhistory_size = 0\nidempotency_field =\n[rooms a.b]\nhistory_ttl = 90m\n");
    struct buf text = {0};
    (void)state;
    options_print(a, &text);
    assert_false(text.failed);
    struct options *b = NULL;
    struct buf report = {0};
    if (!options_load_text(&b, "printed", (struct span){text.p, text.n}, &report))
        fail_msg("refused: %s", text_of(&report));
    buf_deinit(&text);
    char *first = print_without_sources(a), *second = print_without_sources(b);
    assert_string_equal(first, second);
    free(first);
    free(second);
    assert_int_equal(b->hub_queue_bytes, 3ULL << 30);
    assert_int_equal(b->rules.list[1].history_ttl_ms, 5400000);
    options_free(a);
    options_free(b);
}

static void each_value_is_printed_with_its_source(void **state)
{
    struct options *o = accept_text("[gateway]\nhubs = 5\n[rooms ab]\npresence = off\n");
    struct buf text = {0};
    (void)state;
    options_print(o, &text);
    options_free(o);
    const char *said = text_of(&text);
    assert_non_null(strstr(said, "\nhubs = 5                                         ; x.ini:2\n"));
    assert_non_null(strstr(said, "\nauth = guest                                     ; default\n"));
    assert_non_null(strstr(said, "\n[rooms ab]\n"));
    assert_non_null(strstr(said, "\npresence = off                                   ; x.ini:4\n"));
    assert_non_null(strstr(said, "\npresence = on                                    ; default\n"));
}

static void servers_have_names(void **state)
{
    (void)state;
    struct options *o = accept_text("[redis b]\nurl = redis://h\n[redis a]\nurl_file = f\n");
    struct buf text = {0};
    assert_int_equal(o->redis.place_count, 2);
    assert_string_equal(o->redis.places[0].name, "b");
    assert_string_equal(o->redis.places[0].url, "redis://h");
    assert_string_equal(o->redis.places[1].name, "a");
    assert_string_equal(o->redis.places[1].url_file, "f");
    options_print(o, &text);
    const char *said = text_of(&text);
    assert_non_null(strstr(said, "\n; url = (not shown) "));
    assert_non_null(strstr(said, "\n[redis a]\n"));
    assert_non_null(strstr(said, "\n[redis b]\n"));
    assert_null(strstr(said, "redis://h"));
    options_free(o);
}

static void help_has_every_option(void **state)
{
    struct buf help = {0}, markdown = {0}, name = {0};
    (void)state;
    options_help(&help);
    options_markdown(&markdown);
    buf_char(&help, '\0');
    buf_char(&markdown, '\0');
    assert_false(help.failed || markdown.failed);
    for (size_t i = 0; i < SECTION_SERVERS; i++) {
        for (size_t j = 0; j < option_sections[i].count; j++) {
            option_flag(&option_sections[i], &option_sections[i].list[j], &name);
            const char *flag = text_of(&name);
            if (!strstr(help.p, flag) || !strstr(markdown.p, flag))
                fail_msg("%s is missing", flag);
            option_variable(&option_sections[i], &option_sections[i].list[j], &name);
            const char *variable = text_of(&name);
            if (!strstr(help.p, variable) || !strstr(markdown.p, variable))
                fail_msg("%s is missing", variable);
        }
    }
    buf_deinit(&help);
    buf_deinit(&markdown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(every_flag_has_one_meaning),
        cmocka_unit_test(defaults_are_those_of_the_design),
        cmocka_unit_test(log_levels_match_their_words),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(the_last_of_two_flags_wins),
        cmocka_unit_test(the_environment_can_name_the_file),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(variables_of_others_are_left_alone),
        cmocka_unit_test(sections_with_a_prefix_are_reached_too),
        cmocka_unit_test(a_namespace_begins_with_the_defaults),
        cmocka_unit_test(a_room_without_stream_settles_the_rest),
        cmocka_unit_test(with_tokens_rooms_are_shut_until_opened),
        cmocka_unit_test(the_personal_room_is_its_users),
        cmocka_unit_test(what_is_printed_loads_again),
        cmocka_unit_test(each_value_is_printed_with_its_source),
        cmocka_unit_test(servers_have_names),
        cmocka_unit_test(help_has_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
