/* SPDX-License-Identifier: MIT */
/* options_cron.c: the table of the sections [cron NAME]. */
#include "gateway/options_table.h"

#include "backplane/base/json.h"
#include "gateway/options.h"

#include <string.h>

#define ENTRY(field) OPTION_FIELD(struct cron_entry, field)

static const char *const ZONE_WORDS[] = {"utc", "local", NULL}; /* enum cron_zone */

static bool is_word(const char *text)
{
    size_t n = strlen(text);
    return n <= QUEUE_NAME_MAX && utf8_valid((struct span){text, n});
}

static bool is_json(const char *text)
{
    struct span value;
    return json_document(span_str(text), JSON_MAX_DEPTH, &value);
}

/* What is wrong with it is said when all of it is known. */
static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

const struct option cron_options[CRON_OPTION_COUNT] = {
    {
        .key = "catch_up",
        .type = OPTION_DURATION,
        ENTRY(catch_up_ms),
        .min = SECONDS(10),
        .max = DAYS(7),
        .initial = "1m",
        .help = "A time at which the job could not be put (no gateway ran, the queue was full) is "
                "made up for until it is so long ago; at most 64 of them at once, the newest. The "
                "rest are skipped, which is counted and logged.",
    },
    {
        .key = "data",
        .type = OPTION_STRING,
        ENTRY(data),
        .check = is_json,
        .allowed = "JSON",
        .argument = "JSON",
        .initial = "null",
        .help = "The data of the job. A semicolon behind a space would begin a comment.",
    },
    {
        .key = "kind",
        .type = OPTION_STRING,
        ENTRY(kind),
        .check = is_word,
        .allowed = "1 to 64 bytes of UTF-8",
        .argument = "NAME",
        .initial = "cron",
        .help = "The kind of the job.",
    },
    {
        .key = "priority",
        .type = OPTION_NUMBER,
        ENTRY(priority),
        .max = 3,
        .initial = "0",
        .help = "0 comes first.",
    },
    {
        .key = "queue",
        .type = OPTION_STRING,
        ENTRY(queue),
        .check = is_word,
        .allowed = "1 to 64 bytes of UTF-8",
        .argument = "NAME",
        .initial = "",
        .help = "The queue that the job is put into. It must be said.",
    },
    {
        .key = "schedule",
        .type = OPTION_STRING,
        ENTRY(schedule),
        .check = is_printable,
        .allowed = "printable ASCII",
        .argument = "TIMES",
        .initial = "",
        .help = "When. Five fields as in crontab (minute, hour, day of the month, month, day of "
                "the week), or @hourly, @daily, @weekly, @monthly, @yearly, or @every DURATION. It "
                "must be said.",
    },
    {
        .key = "time_zone",
        .type = OPTION_CHOICE,
        ENTRY(zone),
        .choices = ZONE_WORDS,
        .initial = "utc",
        .help = "Whose time that is. local: that of the machine, or of the variable TZ.",
    },
};
