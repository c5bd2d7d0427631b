/* SPDX-License-Identifier: MIT */
#include "backplane/base/inifile.h"

#include <ini.h>

#include <stdlib.h>
#include <string.h>

struct reader {
    struct inifile *file;
    struct span rest;
    size_t line;
    size_t cap;    /* of file->list */
    char *section; /* of the last header */
    bool awaiting; /* the line given out last should come back as key and value */
    bool no_memory;
};

static char *copy(struct span s)
{
    char *p = malloc(s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

/* Appends an entry for the current line; a span without pointer leaves its member NULL. */
static void add(struct reader *r, enum inifile_kind kind, struct span section, struct span key,
                struct span value)
{
    struct inifile *f = r->file;
    if (f->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 32;
        struct inifile_entry *list = realloc(f->list, cap * sizeof(*list));
        if (!list) {
            r->no_memory = true;
            return;
        }
        f->list = list;
        r->cap = cap;
    }
    struct inifile_entry *e = &f->list[f->count++];
    *e = (struct inifile_entry){.kind = kind, .line = r->line};
    e->section = section.p ? copy(section) : NULL;
    e->key = key.p ? copy(key) : NULL;
    e->value = value.p ? copy(value) : NULL;
    if ((section.p && !e->section) || (key.p && !e->key) || (value.p && !e->value))
        r->no_memory = true;
}

static void wrong(struct reader *r, const char *what)
{
    add(r, INIFILE_WRONG, (struct span){0}, (struct span){0}, span_str(what));
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without the white space around it. */
static struct span trim(struct span s)
{
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Takes the next line off the text, without its end of line and a byte order mark. */
static struct span next_line(struct reader *r)
{
    const char *end = memchr(r->rest.p, '\n', r->rest.n);
    size_t n = end ? (size_t)(end - r->rest.p) : r->rest.n;
    struct span line = {r->rest.p, n};
    r->rest.p += end ? n + 1 : n;
    r->rest.n -= end ? n + 1 : n;
    r->line++;
    if (r->line == 1 && line.n >= 3 && memcmp(line.p, "\xEF\xBB\xBF", 3) == 0)
        line = (struct span){line.p + 3, line.n - 3};
    return line;
}

/* "[name]", perhaps with a comment behind it. */
static void take_section(struct reader *r, struct span line)
{
    const char *end = memchr(line.p, ']', line.n);
    struct span behind = {0};
    if (end)
        behind = trim((struct span){end + 1, (size_t)(line.p + line.n - end - 1)});
    if (!end || (behind.n && behind.p[0] != ';' && behind.p[0] != '#')) {
        wrong(r, "a section is written [name], alone on its line");
        return;
    }
    struct span name = trim((struct span){line.p + 1, (size_t)(end - line.p - 1)});
    free(r->section);
    r->section = copy(name);
    if (!r->section)
        r->no_memory = true;
    else
        add(r, INIFILE_SECTION, name, (struct span){0}, (struct span){0});
}

/* Cuts off " ; a comment". inih does so too, but has a short buffer, and a comment may be long. */
static struct span without_comment(struct span line)
{
    for (size_t i = 1; i < line.n; i++)
        if (line.p[i] == ';' && is_space(line.p[i - 1]))
            return trim((struct span){line.p, i});
    return line;
}

/* True if the line is one for inih to split; others are dealt with here. */
static bool is_for_ini(struct reader *r, struct span line, size_t cap)
{
    if (line.n == 0 || line.p[0] == ';' || line.p[0] == '#')
        return false;
    if (memchr(line.p, '\0', line.n)) {
        wrong(r, "the line holds a NUL byte");
        return false;
    }
    if (line.p[0] == '[') {
        take_section(r, line);
        return false;
    }
    if (line.n + 2 > cap) { /* '\n' and '\0' */
        wrong(r, "the line is too long; a list may be given on several lines, each with its key");
        return false;
    }
    return true;
}

/* The fgets() that inih reads with: gives a whole line per call, an empty one for what inih is not
 * to see. */
static char *give_line(char *out, int cap, void *stream)
{
    struct reader *r = stream;
    if (r->awaiting)
        wrong(r, "expected key = value");
    r->awaiting = false;
    if (r->rest.n == 0 || r->no_memory || cap < 2)
        return NULL;
    struct span line = without_comment(trim(next_line(r)));
    size_t n = 0;
    if (is_for_ini(r, line, (size_t)cap)) {
        memcpy(out, line.p, line.n);
        n = line.n;
        r->awaiting = true;
    }
    out[n] = '\n';
    out[n + 1] = '\0';
    return out;
}

static int take_value(void *user, const char *section, const char *key, const char *value)
{
    struct reader *r = user;
    (void)section; /* kept by ourselves */
    r->awaiting = false;
    if (!*key || !value)
        wrong(r, "expected key = value");
    else
        add(r, INIFILE_VALUE, r->section ? span_str(r->section) : SPAN(""), span_str(key),
            span_str(value));
    return !r->no_memory;
}

bool inifile_parse(struct inifile *f, struct span text)
{
    struct reader r = {.file = f, .rest = text};
    /* A positive result is the first line that could not be split: it has an entry already. */
    if (ini_parse_stream(give_line, &r, take_value, &r) < 0)
        r.no_memory = true;
    free(r.section);
    return !r.no_memory;
}

void inifile_deinit(struct inifile *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->list[i].section);
        free(f->list[i].key);
        free(f->list[i].value);
    }
    free(f->list);
    *f = (struct inifile){0};
}
