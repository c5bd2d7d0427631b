/* SPDX-License-Identifier: MIT */
/* main.c: the verbs of the command line.
 *
 * Results go to standard output, complaints to standard error. Exit code 0: done; 1: not done.
 */
#include "backplane/base/buf.h"
#include "backplane/base/count.h"
#include "backplane/base/log.h"
#include "backplane/base/map.h"
#include "backplane/base/option.h"
#include "backplane/base/suggest.h"
#include "backplane/store/check.h"
#include "gateway/backplane.h"
#include "gateway/backup_command.h"
#include "gateway/jwks.h"
#include "gateway/options.h"
#include "gateway/options_help.h"
#include "gateway/queue_command.h"
#include "gateway/serve.h"
#include "gateway/servers_command.h"
#include "gateway/token_command.h"
#include "gateway/worker_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct verb {
    const char *name;
    const char *arguments;
    const char *summary;
    bool has_options;                  /* takes those of the table; its help lists them */
    void (*more)(struct buf *text);    /* what its help says beside that; may be NULL */
    int (*run)(int argc, char **argv); /* the words behind the verb */
};

/* ---- output ---- */

/* Writes text and frees it. A result that could not be written is a failure. */
static int finish(FILE *to, struct buf *text, int code)
{
    if (text->failed)
        (void)fputs("madang: out of memory\n", stderr);
    bool ok = !text->failed && (text->n == 0 || fwrite(text->p, 1, text->n, to) == text->n);
    buf_deinit(text);
    return fflush(to) == 0 && ok ? code : EXIT_FAILURE;
}

/* ---- verbs ---- */

/* Loads what the words, the environment and a file say; NULL after complaining. */
static struct options *load(int argc, char **argv)
{
    struct options *o = NULL;
    struct buf report = {0};
    if (!options_load(&o, argc, argv, environ, &report))
        (void)finish(stderr, &report, EXIT_FAILURE);
    buf_deinit(&report);
    return o;
}

static int run_serve(int argc, char **argv)
{
    struct options *o = load(argc, argv);
    if (!o)
        return EXIT_FAILURE;
    log_set_level((enum log_level)o->log_level);
    map_seed();
    return serve_run(o, &(struct options_sources){argc, argv, environ});
}

static int check_file(const char *path)
{
    struct buf found = {0}, wrong = {0};
    buf_fmt(&found, "%s: ", path);
    bool whole = check_store(path, true, &found, &wrong);
    int code = finish(stderr, &wrong, whole ? EXIT_SUCCESS : EXIT_FAILURE);
    if (whole)
        return finish(stdout, &found, code);
    buf_deinit(&found);
    return code;
}

static int run_check(int argc, char **argv)
{
    if (argc == 1 && argv[0][0] != '-')
        return check_file(argv[0]);
    struct options *o = load(argc, argv);
    struct buf text = {0}, report = {0};
    struct keys *keys = NULL;
    if (!o)
        return EXIT_FAILURE;
    struct settings *s = settings_new(o, &report);
    struct chosen_backplane backplane = {0};
    bool ok = s && jwks_prepare(NULL, s->options, &keys, &report) &&
              backplane_choose(&backplane, s->options, "check", &report) &&
              backplane_try(&backplane, s->options, &report);
    backplane_deinit(&backplane);
    if (ok) {
        options_print(s->options, &text);
        settings_warn(s, &report);
    }
    keys_unref(keys);
    settings_unref(s);
    int code = finish(stderr, &report, ok ? EXIT_SUCCESS : EXIT_FAILURE);
    return ok ? finish(stdout, &text, code) : code;
}

typedef bool (*command_fn)(int argc, char **argv, char **env, struct buf *text, struct buf *report);

static int run_command(command_fn command, int argc, char **argv)
{
    struct buf text = {0}, report = {0};
    if (command(argc, argv, environ, &text, &report)) {
        buf_deinit(&report);
        return finish(stdout, &text, EXIT_SUCCESS);
    }
    buf_deinit(&text);
    return finish(stderr, &report, EXIT_FAILURE);
}

static int run_token(int argc, char **argv)
{
    return run_command(token_command, argc, argv);
}

static int run_servers(int argc, char **argv)
{
    map_seed();
    return run_command(servers_command, argc, argv);
}

static int run_queue(int argc, char **argv)
{
    return run_command(queue_command, argc, argv);
}

static int run_backup(int argc, char **argv)
{
    return run_command(backup_command, argc, argv);
}

static int run_worker(int argc, char **argv)
{
    map_seed();
    return worker_command(argc, argv, environ);
}

static int complain(const char *what, const char *word, const char *hint)
{
    struct buf text = {0};
    buf_fmt(&text, "madang: %s ", what);
    option_quote(&text, word);
    if (hint)
        buf_fmt(&text, "; did you mean %s?", hint);
    else
        buf_lit(&text, "; `madang help` lists what there is");
    buf_char(&text, '\n');
    return finish(stderr, &text, EXIT_FAILURE);
}

static int run_version(int argc, char **argv)
{
    struct buf text = {0};
    if (argc > 0)
        return complain("unexpected word", argv[0], NULL);
    buf_lit(&text, "madang " MADANG_VERSION "\n");
    return finish(stdout, &text, EXIT_SUCCESS);
}

static int run_help(int argc, char **argv);

static void check_help(struct buf *text)
{
    buf_lit(text,
            "`madang check FILE` looks through a store that no gateway uses, or a backup, and "
            "says what\nis in it, or what is wrong.\n");
}

/* In the order of help. */
static const struct verb VERBS[] = {
    {"serve", "[OPTIONS]", "serve clients until stopped by SIGTERM or SIGINT", true, NULL,
     run_serve},
    {"check", "[OPTIONS]", "print the configuration in effect and where each value comes from",
     true, check_help, run_check},
    {"backup", "FILE", "copy the store, while its gateway runs or not", false, backup_command_help,
     run_backup},
    {"token", "[OPTIONS]", "print a token for a connection or a subscription", false,
     token_command_help, run_token},
    {"servers", "WORDS", "show or change which Redis servers share the rooms", false,
     servers_command_help, run_servers},
    {"queue", "WORDS", "look at queues of jobs, put and take, stop them and let them go on", false,
     queue_command_help, run_queue},
    {"worker", "[OPTIONS]", "do jobs of a gateway's queues", false, worker_command_help,
     run_worker},
    {"version", "", "print the version", false, NULL, run_version},
    {"help", "[VERB]", "say how to use madang, or one of its verbs", false, NULL, run_help},
};

#define VERB_COUNT COUNT_OF(VERBS)

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(name, VERBS[i].name) == 0)
            return &VERBS[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    struct suggest near;
    suggest_init(&near, name);
    for (size_t i = 0; i < VERB_COUNT; i++)
        suggest_offer(&near, VERBS[i].name);
    return complain("unknown verb", name, suggest_best(&near));
}

static void add_overview(struct buf *text)
{
    buf_lit(text, "madang, a WebSocket chat gateway\n\nusage:\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        buf_fmt(text, "  madang %-7s %-9s  %s\n", VERBS[i].name, VERBS[i].arguments,
                VERBS[i].summary);
    buf_lit(text, "\n`madang VERB --help` says more, and lists all options for serve and check.\n");
}

static int help_verb(const struct verb *v)
{
    struct buf text = {0};
    buf_fmt(&text, "usage: madang %s%s%s\n\n%s\n", v->name, *v->arguments ? " " : "", v->arguments,
            v->summary);
    if (v->more) {
        buf_char(&text, '\n');
        v->more(&text);
    }
    if (v->has_options) {
        buf_lit(&text, "\nWith wrong options nothing is done and the exit code is 1.\n\n");
        options_help(&text);
    }
    return finish(stdout, &text, EXIT_SUCCESS);
}

static int run_help(int argc, char **argv)
{
    struct buf text = {0};
    if (argc > 1)
        return complain("unexpected word", argv[1], NULL);
    if (argc == 0) {
        add_overview(&text);
        return finish(stdout, &text, EXIT_SUCCESS);
    }
    if (strcmp(argv[0], "--markdown") == 0) { /* how docs/OPTIONS.md is made */
        options_markdown(&text);
        return finish(stdout, &text, EXIT_SUCCESS);
    }
    const struct verb *v = find_verb(argv[0]);
    return v ? help_verb(v) : unknown_verb(argv[0]);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int main(int argc, char **argv)
{
    struct buf text = {0};
    if (argc < 2) {
        add_overview(&text);
        return finish(stderr, &text, EXIT_FAILURE);
    }
    if (is_help(argv[1]))
        return run_help(0, NULL);
    if (strcmp(argv[1], "--version") == 0)
        return run_version(argc - 2, argv + 2);
    const struct verb *v = find_verb(argv[1]);
    if (!v)
        return unknown_verb(argv[1]);
    for (int i = 2; i < argc; i++)
        if (is_help(argv[i]))
            return help_verb(v);
    return v->run(argc - 2, argv + 2);
}
