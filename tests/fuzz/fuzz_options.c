/* SPDX-License-Identifier: MIT */
/* fuzz_options.c: the text of a configuration file, from anybody.
 *
 * Whatever the text: it is refused with whole lines of plain text, or the configuration that it
 * makes, printed, loads again and prints the same.
 */
#include "backplane/base/utf8.h"
#include "gateway/options.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_report(const struct buf *report)
{
    MUST(report->n > 0 && report->p[report->n - 1] == '\n');
    MUST(utf8_valid((struct span){report->p, report->n}));
    for (size_t i = 0; i < report->n; i++)
        MUST(report->p[i] == '\n' || (unsigned char)report->p[i] >= 0x20);
}

/* The printed text without the sources, which differ; in place. */
static void drop_sources(struct buf *text)
{
    size_t out = 0;
    bool comment = false;
    for (size_t i = 0; i < text->n; i++) {
        if (text->p[i] == ';')
            comment = true;
        if (text->p[i] == '\n')
            comment = false;
        if (!comment)
            text->p[out++] = text->p[i];
    }
    text->n = out;
}

static void check_round_trip(const struct options *o)
{
    struct options *again = NULL;
    struct buf first = {0}, second = {0}, report = {0};
    if (o->api_key && *o->api_key) /* what is secret is not printed */
        return;
    options_print(o, &first);
    MUST(options_load_text(&again, "again", (struct span){first.p, first.n}, &report));
    options_print(again, &second);
    MUST(!first.failed && !second.failed && report.n == 0);
    drop_sources(&first);
    drop_sources(&second);
    MUST(span_eq((struct span){first.p, first.n}, (struct span){second.p, second.n}));
    buf_deinit(&first);
    buf_deinit(&second);
    options_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options *o = NULL;
    struct buf report = {0};
    if (options_load_text(&o, "file", (struct span){(const char *)data, size}, &report))
        check_round_trip(o);
    else
        check_report(&report);
    buf_deinit(&report);
    options_free(o);
    return 0;
}
