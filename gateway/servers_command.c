/* SPDX-License-Identifier: MIT */
#include "gateway/servers_command.h"

#include "backplane/redis_servers.h"
#include "gateway/backplane.h"

#include <string.h>

struct asked {
    enum { SHOW, ADD, REMOVE } what;
    const char *name; /* of add and remove */
    int words;        /* that these are */
};

/* False: they are none that we know. */
static bool read_words(int argc, char **argv, struct asked *a)
{
    static const char *const words[] = {"show", "add", "remove"};
    for (int i = 0; argc > 0 && i < 3; i++) {
        if (strcmp(argv[0], words[i]) != 0)
            continue;
        *a = (struct asked){.what = i, .words = i == SHOW ? 1 : 2};
        a->name = a->words == 2 && argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
        return i == SHOW || a->name;
    }
    return false;
}

static bool carry_out(const struct asked *a, const struct options *o, struct buf *text,
                      struct buf *report)
{
    struct chosen_backplane b;
    bool well = backplane_choose(&b, o, "servers", report);
    if (well && b.driver != &redis_driver) {
        buf_lit(report, "there are no servers with backplane local; say --backplane redis\n");
        well = false;
    }
    if (well && a->what == SHOW)
        well = redis_servers_show(&b.redis, text, report);
    else if (well)
        well = redis_servers_change(&b.redis, a->what == ADD ? SERVERS_ADD : SERVERS_REMOVE,
                                    a->name, text, report);
    backplane_deinit(&b);
    return well;
}

bool servers_command(int argc, char **argv, char **env, struct buf *text, struct buf *report)
{
    struct asked a;
    struct options *o = NULL;
    if (!read_words(argc, argv, &a)) {
        buf_lit(report, "say `madang servers show`, `madang servers add NAME` or `madang servers "
                        "remove NAME`; `madang servers --help` says more\n");
        return false;
    }
    if (!options_load(&o, argc - a.words, argv + a.words, env, report))
        return false;
    bool well = carry_out(&a, o, text, report);
    options_free(o);
    return well;
}

void servers_command_help(struct buf *text)
{
    buf_lit(text, "  madang servers show [OPTIONS]         which set each server belongs to\n"
                  "  madang servers add NAME [OPTIONS]     the set is larger by NAME from now on\n"
                  "  madang servers remove NAME [OPTIONS]  the set is smaller by NAME from now on\n"
                  "\n"
                  "OPTIONS are those of serve. Their [redis NAME] sections name the servers as "
                  "they are to be.\nRooms that move begin anew on their new server; what was in "
                  "them stays behind. Gateways of\nthe old set serve no rooms from then on: "
                  "restart them with the new one. docs/BACKPLANE.md\ntells the steps.\n");
}
