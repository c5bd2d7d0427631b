/* SPDX-License-Identifier: MIT */
#include "gateway/worker_command.h"

#include "backplane/base/count.h"
#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "gateway/crew.h"
#include "gateway/fetch.h"
#include "gateway/options.h"
#include "gateway/options_help.h"
#include "gateway/source_api.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define SOCKET_URL "http://localhost" /* who is behind a socket has no name */

static const int numbers[] = {SIGTERM, SIGINT};
#define SIGNALS COUNT_OF(numbers)

struct process {
    struct loop loop;
    struct options *options;
    struct crew *crew;
    uv_signal_t signals[SIGNALS];
    bool stopping;
};

/* ---- words ---------------------------------------------------------------------------------- */

/* Shorter names, for a command line that is about a worker. */
static const struct alias {
    const char *name, *meaning;
} ALIASES[] = {
    {"--url", "--worker-url"},
    {"--exec", "--worker-exec"},
};

/* Owned; NULL: the word stands for itself, or there is no memory. */
static char *meaning_of(const char *word)
{
    size_t n = strcspn(word, "=");
    char *text = NULL;

    for (size_t i = 0; i < COUNT_OF(ALIASES); i++)
        if (strlen(ALIASES[i].name) == n && strncmp(ALIASES[i].name, word, n) == 0 &&
            asprintf(&text, "%s%s", ALIASES[i].meaning, word + n) < 0)
            text = NULL;
    return text;
}

static struct options *load(int argc, char **argv, char **env)
{
    struct options *o = NULL;
    struct buf report = {0};
    char **words = calloc((size_t)argc + 1, sizeof(*words));
    char **made = calloc((size_t)argc + 1, sizeof(*made));

    for (int i = 0; words && made && i < argc; i++) {
        made[i] = meaning_of(argv[i]);
        words[i] = made[i] ? made[i] : argv[i];
    }
    if (!words || !made)
        buf_lit(&report, "out of memory\n");
    if (!words || !made || !options_load(&o, argc, words, env, &report))
        (void)fprintf(stderr, "%.*s", (int)report.n, report.p ? report.p : "");
    for (int i = 0; made && i < argc; i++)
        free(made[i]);
    free(made);
    free(words);
    buf_deinit(&report);
    return o;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_stopped(void *owner)
{
    loop_stop(&((struct process *)owner)->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *p = handle->data;
    uint64_t grace = p->stopping ? 0 : p->options->worker_grace_ms;

    (void)number;
    log_info(p->stopping ? "asked to stop a second time: giving back what is held"
                         : "stopping: jobs that are not done soon are given back");
    p->stopping = true;
    worker_stop(crew_worker(p->crew), grace, on_stopped, p);
}

static void watch_signals(struct process *p)
{
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)uv_signal_init(&p->loop.uv, &p->signals[i]);
        p->signals[i].data = p;
        (void)uv_signal_start(&p->signals[i], on_signal, numbers[i]);
    }
}

static struct job_source *open_source(struct process *p, struct buf *report)
{
    const struct options *o = p->options;
    char name[CREW_NAME_MAX], *path = NULL;
    bool near = !*o->worker_url;

    if (near && !options_have_store(o)) {
        buf_lit(report, "which gateway? Say --url http://HOST:PORT and --api-key KEY, or --store "
                        "PATH for the one that has that store\n");
        return NULL;
    }
    crew_name(o, name);
    if (near && asprintf(&path, "%s.sock", o->store) < 0)
        path = NULL;
    struct job_source *source = NULL;
    if (!near || path)
        source =
            source_api_new(&(struct source_api_config){.loop = &p->loop,
                                                       .url = near ? SOCKET_URL : o->worker_url,
                                                       .unix_path = near ? path : "",
                                                       .key = near ? "" : o->api_key,
                                                       .ca_file = o->webhook_ca_file,
                                                       .owner = name});
    free(path);
    if (!source)
        buf_lit(report, "out of memory\n");
    return source;
}

static bool make_crew(struct process *p, struct buf *report)
{
    struct job_source *source = open_source(p, report);

    if (!source)
        return false;
    p->crew = crew_new(
        &(struct crew_config){
            .loop = &p->loop, .source = source, .options = p->options, .exec = true},
        report);
    if (!p->crew)
        source->ops->free(source);
    return p->crew != NULL;
}

static int work(struct process *p)
{
    const struct options *o = p->options;
    struct buf report = {0};

    if (!make_crew(p, &report)) {
        (void)fprintf(stderr, "madang: %.*s", (int)report.n, report.p ? report.p : "\n");
        buf_deinit(&report);
        return EXIT_FAILURE;
    }
    buf_deinit(&report);
    watch_signals(p);
    log_info("worker: does jobs of %s", *o->worker_url ? o->worker_url : o->store);
    worker_start(crew_worker(p->crew));
    loop_run(&p->loop);
    for (size_t i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&p->signals[i], NULL);
    crew_free(p->crew);
    return EXIT_SUCCESS;
}

int worker_command(int argc, char **argv, char **env)
{
    struct process p = {.options = load(argc, argv, env)};

    if (!p.options)
        return EXIT_FAILURE;
    log_set_level((enum log_level)p.options->log_level);
    fetch_global_init();
    if (loop_init(&p.loop)) {
        log_error("no event loop for the worker");
        options_free(p.options);
        return EXIT_FAILURE;
    }
    int code = work(&p);
    loop_settle(&p.loop);
    if (loop_deinit(&p.loop))
        code = EXIT_FAILURE;
    options_free(p.options);
    return code;
}

void worker_command_help(struct buf *text)
{
    static const enum section_id sections[] = {SECTION_WORKER, SECTION_WEBHOOK};

    buf_lit(
        text,
        "It takes jobs of a gateway's queues and does them: calls of _webhook, and programs\n"
        "for _exec or the queues that --worker-exec-queues names. Any number of workers share\n"
        "the work. SIGTERM or SIGINT ends it: jobs under way may be finished for a moment,\n"
        "and are given back then.\n\n"
        "  madang worker                                     the gateway on this machine that\n"
        "                                                    has the store ./madang.db\n"
        "  madang worker --store PATH                        … that has this one\n"
        "  madang worker --url http://HOST:PORT --api-key KEY\n"
        "  madang worker --exec \"/usr/local/bin/resize --fast\" --worker-exec-queues pictures\n"
        "\n"
        "--url stands for --worker-url, --exec for --worker-exec.\n\n");
    options_help_of(sections, COUNT_OF(sections), text);
}
