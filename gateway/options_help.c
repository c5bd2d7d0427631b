/* SPDX-License-Identifier: MIT */
#include "gateway/options_help.h"

#include <string.h>

#define COLUMNS     80
#define HELP_INDENT 6

static const char CONFIG_HELP[] = "The configuration file to read. Without it none is read.";

/* Its options have no flags and no variables. */
static bool is_file_only(const struct option_section *s)
{
    return s > &option_sections[SECTION_ROOMS];
}

/* Appends words, broken into lines, each after `indent` spaces. */
static void wrap(struct buf *text, const char *words, size_t indent)
{
    size_t column = 0;
    const char *p = words + strspn(words, " ");
    while (*p) {
        size_t n = strcspn(p, " ");
        if (column && column + 1 + n > COLUMNS) {
            buf_char(text, '\n');
            column = 0;
        }
        if (column == 0)
            buf_fmt(text, "%*s", (int)indent, "");
        else
            buf_char(text, ' ');
        buf_add(text, p, n);
        column += (column ? 1 : indent) + n;
        p += n;
        p += strspn(p, " ");
    }
    buf_char(text, '\n');
}

/* Terminates what a writer made, so that it can be used as a string. */
static const char *finish(struct buf *b)
{
    buf_char(b, '\0');
    return b->failed ? "" : b->p;
}

static void help_option(struct buf *text, const struct option_section *s, const struct option *o)
{
    struct buf facts = {0};
    buf_lit(text, "  ");
    if (is_file_only(s))
        buf_str(text, o->key);
    else
        option_flag(s, o, text);
    buf_char(text, ' ');
    option_argument(o, text);
    buf_char(text, '\n');
    wrap(text, o->help, HELP_INDENT);

    buf_lit(&facts, "Allowed: ");
    option_allowed(o, &facts);
    buf_fmt(&facts, ". Default: %s.", *o->initial ? o->initial : "none");
    wrap(text, finish(&facts), HELP_INDENT);

    buf_clear(&facts);
    if (is_file_only(s)) {
        buf_fmt(&facts, "[%s NAME] %s", s->name, o->key);
    } else {
        option_variable(s, o, &facts);
        buf_fmt(&facts, ", [%s] %s", s->name, o->key);
    }
    if (!option_is_live(s, o))
        buf_lit(&facts, " (changes need a restart)");
    wrap(text, finish(&facts), HELP_INDENT);
    if (facts.failed)
        text->failed = true;
    buf_deinit(&facts);
}

static void help_section(struct buf *text, const struct option_section *s)
{
    buf_fmt(text, "\n[%s%s]\n", s->name, is_file_only(s) ? " NAME" : "");
    wrap(text, s->help, 0);
    for (size_t j = 0; j < s->count; j++)
        help_option(text, s, &s->list[j]);
}

static void help_all(struct buf *text)
{
    buf_fmt(text,
            "Each option can be given on the command line, as a variable of the environment\n"
            "and in a file. The command line wins over the environment, that over the file,\n"
            "and that over the default. A duration is written 500ms, 25s, 2m or 24h; a size\n"
            "512, 64KiB or 1MiB; a list with commas or spaces, or given several times.\n\n"
            "  %s FILE\n",
            OPTIONS_CONFIG_FLAG);
    wrap(text, CONFIG_HELP, HELP_INDENT);
    buf_fmt(text, "%*s%s\n", HELP_INDENT, "", OPTIONS_CONFIG_VARIABLE);
}

void options_help(struct buf *text)
{
    help_all(text);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        help_section(text, &option_sections[i]);
}

void options_help_of(const enum section_id *sections, size_t count, struct buf *text)
{
    help_all(text);
    for (size_t i = 0; i < count; i++)
        help_section(text, &option_sections[sections[i]]);
}

/* Appends text for a cell of a table. */
static void cell(struct buf *text, const char *words)
{
    for (const char *p = words; *p; p++) {
        if (*p == '|')
            buf_char(text, '\\');
        buf_char(text, *p);
    }
}

static void markdown_option(struct buf *text, const struct option_section *s,
                            const struct option *o)
{
    struct buf allowed = {0};
    if (is_file_only(s)) {
        buf_fmt(text, "| `%s` | – | – | ", o->key);
    } else {
        buf_fmt(text, "| `%s` | `", o->key);
        option_flag(s, o, text);
        buf_lit(text, "` | `");
        option_variable(s, o, text);
        buf_lit(text, "` | ");
    }
    if (*o->initial)
        buf_fmt(text, "`%s` | ", o->initial);
    else
        buf_lit(text, "none | ");
    option_allowed(o, &allowed);
    cell(text, finish(&allowed));
    buf_fmt(text, " | %s | ", option_is_live(s, o) ? "yes" : "restart");
    cell(text, o->help);
    buf_lit(text, " |\n");
    if (allowed.failed)
        text->failed = true;
    buf_deinit(&allowed);
}

static const char MARKDOWN_HEAD[] =
    "<!-- Made by `madang help --markdown` from the table of options; edit that instead. -->\n"
    "# Options\n\n"
    "Each option can be given in three ways, and all three come from one table:\n\n"
    "| where | how | example |\n|---|---|---|\n"
    "| command line | `--key-with-dashes VALUE` or `--key-with-dashes=VALUE` | "
    "`--ping-interval 25s` |\n"
    "| environment | `MADANG_KEY` | `MADANG_PING_INTERVAL=25s` |\n"
    "| file | `[section]`, then `key = value` | `[client]`, then `ping_interval = 25s` |\n\n"
    "The command line wins over the environment, that over the file, and that over the default.\n"
    "The file is the one named by `--config FILE` or `MADANG_CONFIG`; without it none is read.\n"
    "`madang check` takes the same options as `madang serve` and prints what is in effect and\n"
    "where each value came from; its output can be used as a file.\n\n"
    "**Names.** Flags and variables are made from the key alone. Options of `[api]`, `[hub]`,\n"
    "`[jwt]`, `[limits]`, `[queue]` and `[rooms]` carry their section in front (`--api-key`,\n"
    "`MADANG_ROOMS_PRESENCE`), because other sections have keys of the same name.\n\n"
    "**Values.** Durations are a number with `ms`, `s`, `m` or `h`; sizes a number of bytes, or\n"
    "with `KiB`, `MiB` or `GiB`; switches `on` or `off`. A list has commas or spaces between its\n"
    "words, or is given several times; a list from a later source replaces the earlier one.\n\n"
    "**Reload.** On SIGHUP the file is read again, and what the command line and the environment "
    "say\n"
    "still wins. Where the column says yes, a new value is then in force; where it says restart, "
    "the\n"
    "log tells that it takes effect after a restart. See OPERATIONS.md.\n\n"
    "**The file** has `;` or `#` in front of a line that is a comment, and ` ;` in front of a\n"
    "comment behind a value. A key may be given once, a list several times. A line holds at most\n"
    "198 bytes, comments not counted.\n\n"
    "Unknown names and impossible values are refused, with what is allowed. Variables that begin\n"
    "with `MADANG_` by accident are left alone, unless they look like a misspelt option, or one of "
    "something\n"
    "that is [not offered](PROTOCOL.md).\n";

void options_markdown(struct buf *text)
{
    buf_str(text, MARKDOWN_HEAD);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct option_section *s = &option_sections[i];
        buf_fmt(text,
                "\n## [%s%s]\n\n%s\n\n"
                "| key | flag | variable | default | allowed | reload | meaning |\n"
                "|---|---|---|---|---|---|---|\n",
                s->name, is_file_only(s) ? " NAME" : "", s->help);
        for (size_t j = 0; j < s->count; j++)
            markdown_option(text, s, &s->list[j]);
    }
}
