/* SPDX-License-Identifier: MIT */
#include "gateway/servers_command.h"

#include "backplane/redis_servers.h"
#include "gateway/backplane.h"

#include <stdlib.h>
#include <string.h>

struct asked {
    enum { SHOW, ADD, REMOVE } what;
    const char *name; /* of add and remove */
    char *was;        /* remove: the configuration that still names it; NULL: it is lost */
    int words;        /* that these are */
};

/* Of what follows the name of one that is removed: where it is, or that it is lost. */
static bool read_rest(int argc, char **argv, struct asked *a)
{
    if (argc > 3 && strcmp(argv[2], "--was") == 0)
        a->was = argv[3];
    else if (argc < 3 || strcmp(argv[2], "--lost") != 0)
        return false;
    a->words += a->was ? 2 : 1;
    return true;
}

/* False: they are none that we know. */
static bool read_words(int argc, char **argv, struct asked *a)
{
    static const char *const words[] = {"show", "add", "remove"};
    *a = (struct asked){0};
    for (int i = 0; argc > 0 && i < 3; i++) {
        if (strcmp(argv[0], words[i]) != 0)
            continue;
        *a = (struct asked){.what = i, .words = i == SHOW ? 1 : 2};
        a->name = a->words == 2 && argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
        return i == SHOW || (a->name && (i == ADD || read_rest(argc, argv, a)));
    }
    return false;
}

static bool change(const struct asked *a, const struct chosen_backplane *b,
                   const struct chosen_backplane *was, struct buf *text, struct buf *report)
{
    struct servers_wish wish = {a->what == ADD ? SERVERS_ADD : SERVERS_REMOVE, a->name, NULL};
    for (size_t i = 0; a->was && i < was->redis.server_count; i++)
        if (strcmp(was->redis.servers[i].name, a->name) == 0)
            wish.leaves = &was->redis.servers[i];
    if (a->was && !wish.leaves) {
        buf_fmt(report, "%s does not name %s\n", a->was, a->name);
        return false;
    }
    return redis_servers_change(&b->redis, &wish, text, report);
}

static bool carry_out(const struct asked *a, const struct options *o, const struct options *before,
                      struct buf *text, struct buf *report)
{
    struct chosen_backplane b, was = {0};
    bool well = backplane_choose(&b, o, "servers", report) &&
                (!before || backplane_choose(&was, before, "servers", report));
    if (well && b.driver != &redis_driver) {
        buf_lit(report, "there are no servers with backplane local; say --backplane redis\n");
        well = false;
    }
    if (well && a->what == SHOW)
        well = redis_servers_show(&b.redis, text, report);
    else if (well)
        well = change(a, &b, &was, text, report);
    backplane_deinit(&b);
    backplane_deinit(&was);
    return well;
}

/* The same options, but that they are read from another file. */
static bool load_before(struct options **out, char *file, char **argv, int argc, char **env,
                        struct buf *report)
{
    static char config[] = "--config";
    char **words = calloc((size_t)argc + 2, sizeof(*words));
    int n = 0;
    if (!words) {
        buf_lit(report, "out of memory\n");
        return false;
    }
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], config) == 0)
            i++; /* and its value */
        else if (strncmp(argv[i], "--config=", strlen("--config=")) != 0)
            words[n++] = argv[i];
    }
    words[n++] = config;
    words[n++] = file;
    bool well = options_load(out, n, words, env, report);
    free((void *)words);
    return well;
}

bool servers_command(int argc, char **argv, char **env, struct buf *text, struct buf *report)
{
    struct asked a;
    struct options *o = NULL, *before = NULL;
    if (!read_words(argc, argv, &a)) {
        if (a.what == REMOVE && a.name)
            buf_fmt(report,
                    "%s keeps followers that have to go along: say `--was FILE`, the configuration "
                    "that still\nnames it. If it is gone for good say `--lost`: then followers of "
                    "its rooms are lost, and\nnobody can say how many\n",
                    a.name);
        else
            buf_lit(report, "say `madang servers show`, `madang servers add NAME` or `madang "
                            "servers remove NAME`; `madang servers --help` says more\n");
        return false;
    }
    argc -= a.words;
    argv += a.words;
    if (!options_load(&o, argc, argv, env, report))
        return false;
    bool well = (!a.was || load_before(&before, a.was, argv, argc, env, report)) &&
                carry_out(&a, o, before, text, report);
    options_free(before);
    options_free(o);
    return well;
}

void servers_command_help(struct buf *text)
{
    buf_lit(text,
            "  madang servers show [OPTIONS]         which set each server belongs to\n"
            "  madang servers add NAME [OPTIONS]     the set is larger by NAME from now on\n"
            "  madang servers remove NAME --was FILE [OPTIONS]\n"
            "                                        the set is smaller by NAME from now on;\n"
            "                                        FILE is the configuration that names it\n"
            "  madang servers remove NAME --lost [OPTIONS]\n"
            "                                        … and NAME is gone, with its followers\n"
            "\n"
            "OPTIONS are those of serve. Their [redis NAME] sections name the servers as "
            "they are to be.\nRooms that move begin anew on their new server; what was in "
            "them stays behind. Gateways of\nthe old set serve no rooms from then on: "
            "restart them with the new one. docs/BACKPLANE.md\ntells the steps.\n");
}
