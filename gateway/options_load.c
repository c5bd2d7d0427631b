/* SPDX-License-Identifier: MIT */
#include "gateway/options.h"

#include "backplane/base/inifile.h"
#include "backplane/base/suggest.h"
#include "backplane/redis.h"
#include "gateway/left_out.h"
#include "gateway/options_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (1024 * 1024)
#define ERRORS_SHOWN   20
#define FLAG_PREFIX    "--"
#define SERVERS_MAX    REDIS_SERVERS_MAX
#define QUEUES_MAX     1000
#define CRON_MAX       1000

/* One loading, from the first source to the last. */
struct load {
    struct options *o;
    const struct options *keep; /* where options come from that may not change; or NULL */
    struct buf *report;
    size_t errors;
};

/* An option of a namespace, and where it is being set. */
struct setting {
    const struct option_section *section;
    const struct option *option;
    size_t room;
    enum source source;
    const char *where;
};

static const struct option_section *const ROOMS = &option_sections[SECTION_ROOMS];
static const char OUT_OF_MEMORY[] = "out of memory";

/* ---- errors ---- */

/* Counts an error and starts its line, with where it is unless that is empty; false if enough have
 * been shown. */
static bool begin_error(struct load *l, const char *where)
{
    if (++l->errors > ERRORS_SHOWN)
        return false;
    if (*where)
        buf_fmt(l->report, "%s: ", where);
    return true;
}

static void add_error(struct load *l, const char *where, const char *what)
{
    if (begin_error(l, where))
        buf_fmt(l->report, "%s\n", what);
}

/* `prefix` is what names were offered without. */
static void add_suggestion(struct buf *b, const struct suggest *s, const char *prefix)
{
    if (suggest_best(s))
        buf_fmt(b, "; did you mean %s%s?", prefix, suggest_best(s));
}

/* What could help with an unknown name: that it is of something known and not offered, or what is
 * close; false: nothing. */
static bool add_hint(struct buf *b, const char *name, const struct suggest *s, const char *prefix)
{
    const char *feature = left_out(span_str(name));
    if (feature)
        buf_fmt(b, "; not offered: %s", feature);
    else
        add_suggestion(b, s, prefix);
    return feature || suggest_best(s);
}

/* ---- setting one option ---- */

/* Sets an option from a text. A list from a later source takes the place of the earlier one. */
static void set(struct load *l, const struct setting *to, const char *text)
{
    void *target = options_target(l->o, to->section, to->room);
    struct origin *origin = options_origin(l->o, to->section, to->option, to->room);
    bool is_list = to->option->type == OPTION_LIST;
    if (to->source == FROM_FILE && origin->source == FROM_FILE && !is_list) {
        if (begin_error(l, to->where))
            buf_fmt(l->report, "%s is already set at %s\n", to->option->key, origin->where);
        return;
    }
    char *where = strdup(to->where);
    struct buf why = {0};
    if (is_list && origin->source != to->source)
        option_clear(to->option, target);
    if (!where || !option_set(to->option, target, text, &why)) {
        if (begin_error(l, to->where)) {
            if (to->source == FROM_FILE)
                buf_fmt(l->report, "%s: ", to->option->key);
            buf_span(l->report, where ? (struct span){why.p, why.n} : span_str(OUT_OF_MEMORY));
            buf_char(l->report, '\n');
        }
        free(where);
    } else {
        free(origin->where);
        *origin = (struct origin){to->source, where};
    }
    buf_deinit(&why);
}

/* ---- the file ---- */

/* Sections with a name behind theirs, and what such a name may be. */
struct naming {
    const char *what, *too_many;
    int least, size;
    size_t most;
};

static const struct naming *naming_of(const struct option_section *s)
{
    static const struct naming table[] = {
        [0] = {"namespace", "too many namespaces", 2, NAMESPACE_NAME_MAX, NAMESPACES_MAX + 1},
        [SECTION_SERVERS -
            SECTION_ROOMS] = {"server name", "too many servers", 1, SERVER_NAME_MAX, SERVERS_MAX},
        [SECTION_QUEUES -
            SECTION_ROOMS] = {"queue", "too many queues", 1, QUEUE_NAME_MAX + 1, QUEUES_MAX},
        [SECTION_CRON -
            SECTION_ROOMS] = {"name", "too many cron entries", 1, QUEUE_NAME_MAX + 1, CRON_MAX},
    };
    return s < ROOMS ? NULL : &table[s - ROOMS];
}

/* ^[-a-zA-Z0-9_.]+$, long and short enough. */
static bool is_name(const char *name, const struct naming *as)
{
    int n = (int)strnlen(name, (size_t)as->size);
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
            return false;
    return n >= as->least && n < as->size;
}

/* Finds the item of that name or makes it; false after an error was added. */
static bool enter_item(struct load *l, const char *where, const struct option_section *s,
                       const char *name, size_t *item)
{
    const struct naming *as = naming_of(s);
    if (!is_name(name, as)) {
        if (begin_error(l, where)) {
            buf_fmt(l->report, "%s ", as->what);
            option_quote(l->report, name);
            buf_fmt(l->report, " cannot be used; allowed: %d to %d letters, digits and - _ .\n",
                    as->least, as->size - 1);
        }
        return false;
    }
    size_t count = options_item_count(l->o, s);
    *item = options_item_at(l->o, s, name);
    if (*item < count || (count < as->most && options_add_item(l->o, s, name)))
        return true;
    add_error(l, where, count >= as->most ? as->too_many : OUT_OF_MEMORY);
    return false;
}

static void unknown_section(struct load *l, const char *where, const char *name)
{
    struct suggest s;
    if (!begin_error(l, where))
        return;
    buf_lit(l->report, "unknown section ");
    option_quote(l->report, name);
    suggest_init(&s, name);
    for (size_t i = 0; i <= SECTION_ROOMS; i++)
        suggest_offer(&s, option_sections[i].name);
    if (!add_hint(l->report, name, &s, "")) {
        buf_lit(l->report, "; allowed: ");
        for (size_t i = 0; i <= SECTION_ROOMS; i++)
            buf_fmt(l->report, "[%s], ", option_sections[i].name);
        buf_lit(l->report, "[rooms NAME], [redis NAME], [queue NAME], [cron NAME]");
    }
    buf_char(l->report, '\n');
}

/* A header of the file: *section is NULL after an error was added. */
static void enter_section(struct load *l, const char *where, const char *name,
                          const struct option_section **section, size_t *room)
{
    size_t n = strcspn(name, " \t");
    const char *rest = name + n + strspn(name + n, " \t");
    *section = NULL;
    *room = 0;
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct option_section *s = &option_sections[i];
        bool fits = *rest ? s >= ROOMS : s <= ROOMS;
        if (fits && strlen(s->name) == n && strncmp(s->name, name, n) == 0)
            *section = s;
    }
    if (!*section)
        unknown_section(l, where, name);
    else if (*rest && !enter_item(l, where, *section, rest, room))
        *section = NULL;
}

static void unknown_key(struct load *l, const char *where, const struct option_section *section,
                        const char *key)
{
    struct suggest s;
    const struct option_section *home = NULL;
    if (!begin_error(l, where))
        return;
    suggest_init(&s, key);
    for (size_t i = 0; i < section->count; i++)
        suggest_offer(&s, section->list[i].key);
    for (size_t i = 0; i < SECTION_COUNT && !home; i++)
        if (options_find(&option_sections[i], key))
            home = &option_sections[i];
    buf_lit(l->report, "unknown option ");
    option_quote(l->report, key);
    buf_fmt(l->report, " in [%s%s]", section->name, section > ROOMS ? " NAME" : "");
    if (home)
        buf_fmt(l->report, "; it belongs to [%s]", home->name);
    else
        (void)add_hint(l->report, key, &s, "");
    buf_char(l->report, '\n');
}

/* "madang.ini:12", kept in `b` until the next call. */
static const char *line_of(struct buf *b, const char *name, size_t line)
{
    buf_clear(b);
    buf_fmt(b, "%s:%zu", name, line);
    buf_char(b, '\0');
    return b->failed || !b->p ? name : b->p;
}

/* Keys below a header that was refused are passed over: one mistake, one message. */
static void apply_entries(struct load *l, const char *name, const struct inifile *f)
{
    const struct option_section *section = NULL;
    size_t room = 0;
    bool seen_section = false;
    struct buf where = {0};
    for (size_t i = 0; i < f->count; i++) {
        const struct inifile_entry *e = &f->list[i];
        const char *at = line_of(&where, name, e->line);
        const struct option *option = NULL;
        if (e->kind == INIFILE_WRONG) {
            add_error(l, at, e->value);
        } else if (e->kind == INIFILE_SECTION) {
            enter_section(l, at, e->section, &section, &room);
            seen_section = true;
        } else if (!section && !seen_section) {
            add_error(l, at, "an option must stand below a [section]");
        } else if (section && !(option = options_find(section, e->key))) {
            unknown_key(l, at, section, e->key);
        } else if (section) {
            set(l, &(struct setting){section, option, room, FROM_FILE, at}, e->value);
        }
    }
    buf_deinit(&where);
}

static void apply_text(struct load *l, const char *name, struct span text)
{
    struct inifile f = {0};
    if (inifile_parse(&f, text))
        apply_entries(l, name, &f);
    else
        add_error(l, name, OUT_OF_MEMORY);
    inifile_deinit(&f);
}

static void apply_file(struct load *l, const char *name)
{
    char why[128];
    struct buf text = {0};
    FILE *file = fopen(name, "re");
    if (!file) {
        add_error(l, name, strerror_r(errno, why, sizeof(why)));
        return;
    }
    errno = 0;
    while (text.n <= FILE_BYTES_MAX && buf_reserve(&text, BUFSIZ)) {
        size_t n = fread(text.p + text.n, 1, BUFSIZ, file);
        text.n += n;
        if (n < BUFSIZ)
            break;
    }
    if (ferror(file))
        add_error(l, name, strerror_r(errno, why, sizeof(why)));
    else if (text.failed)
        add_error(l, name, OUT_OF_MEMORY);
    else if (text.n > FILE_BYTES_MAX)
        add_error(l, name, "the file is larger than 1MiB");
    else
        apply_text(l, name, (struct span){text.p, text.n});
    (void)fclose(file); /* only read from */
    buf_deinit(&text);
}

/* ---- environment and command line ---- */

typedef void (*name_writer)(const struct option_section *s, const struct option *o,
                            struct buf *text);

/* Finds the option that `write` calls `name`; offers what it saw to `near`. */
static bool find_by_name(const char *name, name_writer write, struct setting *found,
                         struct suggest *near)
{
    struct buf known = {0};
    bool same = false;
    for (size_t i = 0; i <= SECTION_ROOMS && !same; i++) {
        const struct option_section *s = &option_sections[i];
        for (size_t j = 0; j < s->count && !same; j++) {
            buf_clear(&known);
            write(s, &s->list[j], &known);
            buf_char(&known, '\0');
            if (known.failed)
                continue;
            same = strcmp(known.p, name) == 0;
            if (same)
                *found = (struct setting){.section = s, .option = &s->list[j]};
            suggest_offer(near, known.p);
        }
    }
    buf_deinit(&known);
    return same;
}

/* Names without what all of them share, so that the rest alone decides what is close. */
static void write_rest(const struct option_section *s, const struct option *o, name_writer write,
                       size_t skip, struct buf *text)
{
    struct buf whole = {0};
    write(s, o, &whole);
    if (whole.failed)
        text->failed = true;
    else
        buf_add(text, whole.p + skip, whole.n - skip);
    buf_deinit(&whole);
}

static void write_variable_rest(const struct option_section *s, const struct option *o,
                                struct buf *text)
{
    write_rest(s, o, option_variable, strlen(OPTIONS_VARIABLE_PREFIX), text);
}

static void write_flag_rest(const struct option_section *s, const struct option *o,
                            struct buf *text)
{
    write_rest(s, o, option_flag, strlen(FLAG_PREFIX), text);
}

/* The part behind MADANG_ of a variable that is for us, or NULL. */
static const char *variable_rest(const char *entry)
{
    size_t n = strlen(OPTIONS_VARIABLE_PREFIX);
    return strncmp(entry, OPTIONS_VARIABLE_PREFIX, n) == 0 ? entry + n : NULL;
}

/* Containers are given MADANG_PORT, MADANG_MAP_SERVICE_HOST and the like for services of such
 * names. */
static bool is_of_a_service(const char *rest)
{
    return strstr(rest, "PORT") || strstr(rest, "SERVICE");
}

static void unknown_variable(struct load *l, const char *name, const struct suggest *near)
{
    const char *rest = variable_rest(name);
    bool known = left_out(span_str(rest)) && !is_of_a_service(rest);
    if (strcmp(name, OPTIONS_CONFIG_VARIABLE) == 0 || (!known && !suggest_best(near)))
        return;
    if (!begin_error(l, name))
        return;
    buf_lit(l->report, "unknown variable");
    (void)add_hint(l->report, known ? rest : "", near, OPTIONS_VARIABLE_PREFIX);
    buf_char(l->report, '\n');
}

/* Variables that look like ours by accident are common, so an unknown one is refused only if it
 * looks misspelt, or like something that is not offered. */
static void apply_variable(struct load *l, const char *entry)
{
    const char *value = strchr(entry, '=');
    if (!value || !variable_rest(entry))
        return;
    char *name = strndup(entry, (size_t)(value - entry));
    if (!name) {
        add_error(l, "", OUT_OF_MEMORY);
        return;
    }
    struct setting to;
    struct suggest near;
    suggest_init(&near, variable_rest(name));
    if (find_by_name(variable_rest(name), write_variable_rest, &to, &near)) {
        to.source = FROM_ENVIRONMENT;
        to.where = name;
        set(l, &to, value + 1);
    } else {
        unknown_variable(l, name, &near);
    }
    free(name);
}

/* One word of the command line, and the next one if it is the value. */
struct flag {
    char *name;        /* owned; "--listen" */
    const char *value; /* NULL: missing */
    int words;         /* 1 or 2 */
};

static bool is_flag(const char *word)
{
    return strncmp(word, FLAG_PREFIX, strlen(FLAG_PREFIX)) == 0;
}

static bool read_flag(int argc, char **argv, struct flag *flag)
{
    const char *equals = strchr(argv[0], '=');
    size_t n = equals ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    *flag = (struct flag){.name = strndup(argv[0], n), .words = 1};
    if (equals) {
        flag->value = equals + 1;
    } else if (argc > 1 && !is_flag(argv[1])) {
        flag->value = argv[1];
        flag->words = 2;
    }
    return flag->name != NULL;
}

static void unknown_flag(struct load *l, const struct flag *flag, struct suggest *near)
{
    bool named = is_flag(flag->name);
    suggest_offer(near, &OPTIONS_CONFIG_FLAG[strlen(FLAG_PREFIX)]);
    suggest_offer(near, "help");
    if (!begin_error(l, ""))
        return;
    buf_str(l->report, named ? "unknown option " : "unexpected word ");
    option_quote(l->report, flag->name);
    if (!add_hint(l->report, flag->name, near, FLAG_PREFIX))
        buf_lit(l->report, "; --help lists what there is");
    buf_char(l->report, '\n');
}

static void apply_flag(struct load *l, struct flag *flag)
{
    struct setting to;
    struct suggest near;
    const char *rest = flag->name + (is_flag(flag->name) ? strlen(FLAG_PREFIX) : 0);
    suggest_init(&near, rest);
    bool is_config = strcmp(flag->name, OPTIONS_CONFIG_FLAG) == 0;
    bool known = find_by_name(rest, write_flag_rest, &to, &near) && is_flag(flag->name);
    if (!known && !is_config) {
        unknown_flag(l, flag, &near);
        if (!is_flag(flag->name))
            flag->words = 1;
    } else if (!flag->value) {
        if (!begin_error(l, flag->name))
            return;
        buf_lit(l->report, "a value is missing; allowed: ");
        if (is_config)
            buf_lit(l->report, "the name of a file");
        else
            option_allowed(to.option, l->report);
        buf_char(l->report, '\n');
    } else if (!is_config) {
        to.source = FROM_COMMAND_LINE;
        to.where = flag->name;
        set(l, &to, flag->value);
    }
}

/* Calls apply_flag() for each flag; or, given `config`, only looks for the last --config. */
static void walk_flags(struct load *l, int argc, char **argv, const char **config)
{
    struct flag flag;
    for (int i = 0; i < argc; i += flag.words) {
        if (!read_flag(argc - i, argv + i, &flag)) {
            add_error(l, "", OUT_OF_MEMORY);
            return;
        }
        if (!config)
            apply_flag(l, &flag);
        else if (flag.value && strcmp(flag.name, OPTIONS_CONFIG_FLAG) == 0)
            *config = flag.value;
        else if (!is_flag(flag.name))
            flag.words = 1;
        free(flag.name);
    }
}

/* ---- the doors ---- */

/* The file that was asked for: the command line wins over the environment. NULL: none. */
static const char *config_name(struct load *l, int argc, char **argv, char **env)
{
    const char *name = NULL;
    size_t n = strlen(OPTIONS_CONFIG_VARIABLE);
    for (char **e = env; e && *e; e++)
        if (strncmp(*e, OPTIONS_CONFIG_VARIABLE "=", n + 1) == 0)
            name = *e + n + 1;
    walk_flags(l, argc, argv, &name);
    return name;
}

/* Values are all set: the end of every loading. Takes l->o. */
static bool finish(struct load *l, struct options **out)
{
    if (l->errors == 0 && l->keep && !options_keep(l->o, l->keep))
        add_error(l, "", OUT_OF_MEMORY);
    if (l->errors == 0)
        l->errors = options_settle(l->o, l->report);
    if (l->errors > ERRORS_SHOWN)
        buf_fmt(l->report, "and %zu more\n", l->errors - ERRORS_SHOWN);
    if (l->errors == 0)
        *out = l->o;
    else
        options_free(l->o);
    return l->errors == 0;
}

static bool begin(struct load *l, struct buf *report)
{
    *l = (struct load){.o = options_new(), .report = report};
    if (!l->o)
        buf_fmt(report, "%s\n", OUT_OF_MEMORY);
    return l->o != NULL;
}

bool options_load_keeping(struct options **out, const struct options *now,
                          const struct options_sources *from, struct buf *report)
{
    struct load l;
    if (!begin(&l, report))
        return false;
    l.keep = now;
    const char *config = config_name(&l, from->argc, from->argv, from->env);
    if (config)
        apply_file(&l, config);
    for (char **e = from->env; e && *e; e++)
        apply_variable(&l, *e);
    walk_flags(&l, from->argc, from->argv, NULL);
    return finish(&l, out);
}

bool options_load(struct options **out, int argc, char **argv, char **env, struct buf *report)
{
    return options_load_keeping(out, NULL, &(struct options_sources){argc, argv, env}, report);
}

bool options_load_text(struct options **out, const char *name, struct span text, struct buf *report)
{
    struct load l;
    if (!begin(&l, report))
        return false;
    apply_text(&l, name, text);
    return finish(&l, out);
}
