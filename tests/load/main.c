/* SPDX-License-Identifier: MIT */
/*
 * madang-load: exit 0 when every delivery was right, 1 when not, 2 for a wrong command line or
 * when it could not run at all.
 */
#include <signal.h>
#include <stdlib.h>

#include "load/memory.h"
#include "load/options.h"
#include "load/report.h"
#include "load/run.h"

static int conduct(struct run *run, const struct options *opt)
{
    if (!run_all(run, opt))
        return 2;
    bool failed = run->check.verdict.total > 0;
    if (!opt->quiet || failed)
        report_table(run);
    report_failures(run);
    if (opt->json && !report_json(run, opt->json))
        return 2;
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options opt;
    enum options_result parsed = options_parse(&opt, argc, argv);
    if (parsed != OPTIONS_OK)
        return parsed == OPTIONS_HELP ? 0 : 2;
    signal(SIGPIPE, SIG_IGN);
    struct run *run = memory_zeroed(sizeof *run);
    int code = conduct(run, &opt);
    run_deinit(run);
    free(run);
    return code;
}
