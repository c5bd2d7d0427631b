/* SPDX-License-Identifier: MIT */
/* options_kit.h: loading options in a test, from words and from the text of a file. */
#ifndef MADANG_TESTS_UNIT_OPTIONS_KIT_H
#define MADANG_TESTS_UNIT_OPTIONS_KIT_H

#include "backplane/base/count.h"
#include "gateway/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

/* The text of a buffer until the next call. */
static inline const char *text_of(struct buf *b)
{
    static char text[16384];
    assert_false(b->failed);
    assert_true(b->n < sizeof(text));
    if (b->n)
        memcpy(text, b->p, b->n);
    text[b->n] = '\0';
    buf_deinit(b);
    return text;
}

/* Copies words into memory of their own, as exec() would; the last is NULL. */
static inline char **words_new(const char *const *words)
{
    char **copy = calloc(WORDS_MAX, sizeof(*copy));
    assert_non_null(copy);
    for (size_t i = 0; words && words[i]; i++) {
        assert_true(i + 1 < WORDS_MAX);
        copy[i] = strdup(words[i]);
    }
    return copy;
}

static inline void words_free(char **words)
{
    for (size_t i = 0; words[i]; i++)
        free(words[i]);
    free(words);
}

static inline struct options *load(const char *const *flags, const char *const *env,
                                   struct buf *report)
{
    struct options *o = NULL;
    char **argv = words_new(flags), **envp = words_new(env);
    int argc = 0;
    while (argv[argc])
        argc++;
    bool ok = options_load(&o, argc, argv, envp, report);
    words_free(argv);
    words_free(envp);
    assert_int_equal(ok, o != NULL);
    assert_int_equal(ok, report->n == 0);
    return o;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Flags that must be accepted. */
static inline struct options *accept_flags(const char *const *flags)
{
    struct buf report = {0};
    struct options *o = load(flags, NULL, &report);
    if (!o)
        fail_msg("refused: %s", text_of(&report));
    return o;
}

static inline struct options *accept_text(const char *text)
{
    struct options *o = NULL;
    struct buf report = {0};
    if (!options_load_text(&o, "x.ini", span_str(text), &report))
        fail_msg("refused: %s", text_of(&report));
    return o;
}

static inline void refuse_flags(const char *const *flags, const char *want)
{
    struct buf report = {0};
    struct options *o = load(flags, NULL, &report);
    assert_null(o);
    assert_string_equal(text_of(&report), want);
}

static inline void refuse_env(const char *const *env, const char *want)
{
    struct buf report = {0};
    struct options *o = load(NULL, env, &report);
    assert_null(o);
    assert_string_equal(text_of(&report), want);
}

static inline void refuse_text(const char *text, const char *want)
{
    struct options *o = NULL;
    struct buf report = {0};
    assert_false(options_load_text(&o, "x.ini", span_str(text), &report));
    assert_null(o);
    assert_string_equal(text_of(&report), want);
}

#endif
