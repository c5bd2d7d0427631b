/* SPDX-License-Identifier: MIT */
#include "gateway/queue_command.h"

#include "backplane/base/count.h"
#include "backplane/base/option.h"
#include "backplane/base/suggest.h"
#include "backplane/base/utf8.h"
#include "backplane/queue/queue.h"
#include "gateway/api_client.h"
#include "gateway/http_client.h"
#include "gateway/keys.h"
#include "gateway/queue_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_MAX  ((size_t)8 * 1024 * 1024)
#define WORDS_MAX 300

/* ---- options -------------------------------------------------------------------------------- */

struct asked {
    char *store, *url, *api_key, *api_key_file, *key, *group, *owner;
    bool json, all, ack;
    uint64_t delay_ms, ttl_ms, lease_ms, wait_ms, priority, max, limit, max_failures;
    /* the words that are no options */
    char *words[WORDS_MAX];
    int count;
};

enum { PUT = 1, TAKE = 2, SETTLE = 4, DEAD = 8, PICK = 16, STATS = 32, ANY = 63 };

#define FIELD(field) OPTION_FIELD(struct asked, field)
#define TEXT(key_, field_, argument_, initial_, help_)                                             \
    {                                                                                              \
        .key = key_, .type = OPTION_STRING, FIELD(field_), .argument = argument_,                  \
        .initial = initial_, .help = help_                                                         \
    }
#define SWITCH(key_, field_, help_)                                                                \
    {                                                                                              \
        .key = key_, .type = OPTION_BOOL, FIELD(field_), .initial = "off", .help = help_           \
    }
#define TIME(key_, field_, max_, initial_, help_)                                                  \
    {                                                                                              \
        .key = key_, .type = OPTION_DURATION, FIELD(field_), .max = max_, .initial = initial_,     \
        .help = help_                                                                              \
    }
#define NUMBER(key_, field_, min_, max_, initial_, help_)                                          \
    {                                                                                              \
        .key = key_, .type = OPTION_NUMBER, FIELD(field_), .min = min_, .max = max_,               \
        .initial = initial_, .help = help_                                                         \
    }

static bool is_url(const char *text)
{
    return !*text || http_url_is(text);
}

static const struct flag {
    struct option option;
    unsigned verbs;
} FLAGS[] = {
    {SWITCH("ack", ack, "Say at once that they are done."), TAKE},
    {SWITCH("all", all, "All of them."), PICK},
    {TEXT("api_key", api_key, "KEY", "", "With --url: a key with the scope jobs."), ANY},
    {TEXT("api_key_file", api_key_file, "FILE", "", "A file with that key."), ANY},
    {TIME("delay", delay_ms, QUEUE_DELAY_MAX, "0", "Not before so long."), PUT | PICK},
    {TEXT("group", group, "NAME", "", "Jobs of a group are done one after the other."), PUT},
    {SWITCH("json", json, "Print the answer of the server API."), ANY},
    {TEXT("key", key, "KEY", "", "Not again while a job has this key."), PUT},
    {TIME("lease", lease_ms, QUEUE_LEASE_MAX, "30s", "How long they are held."), TAKE},
    {NUMBER("limit", limit, 1, QUEUE_ITEMS_MAX, "20", "At most so many."), DEAD},
    {NUMBER("max", max, 1, QUEUE_ITEMS_MAX, "1", "At most so many."), TAKE},
    {NUMBER("max_failures", max_failures, 0, 1000000, "0",
            "Dead after so many; 0: as the queue "
            "says."),
     PUT},
    {TEXT("owner", owner, "NAME", "madang queue", "Who takes them."), TAKE},
    {NUMBER("priority", priority, 0, 3, "0", "0 comes first."), PUT},
    {TEXT("store", store, "FILE", "./madang.db", "The store of the gateway that is asked."), ANY},
    {TIME("ttl", ttl_ms, QUEUE_DELAY_MAX, "0", "Of no use after so long; 0: always."), PUT},
    {{
         .key = "url",
         .type = OPTION_STRING,
         FIELD(url),
         .check = is_url,
         .allowed = "a URL that begins with http:// or https://",
         .argument = "URL",
         .initial = "",
         .help = "The gateway to ask instead: http://HOST:PORT.",
     },
     ANY},
    {TIME("wait", wait_ms, SECONDS(30), "0", "Wait so long for a job."), TAKE},
};
#define FLAG_COUNT COUNT_OF(FLAGS)

static const struct option_section NO_SECTION = {.name = ""};

/* The flag that the word is, and what stands behind its '='. */
static const struct flag *flag_of(const char *word, const char **value)
{
    const struct flag *found = NULL;
    for (size_t i = 0; !found && i < FLAG_COUNT; i++) {
        struct buf text = {0};
        option_flag(&NO_SECTION, &FLAGS[i].option, &text);
        size_t n = text.failed ? 0 : text.n;
        if (n && strncmp(word, text.p, n) == 0 && (word[n] == '\0' || word[n] == '=')) {
            found = &FLAGS[i];
            *value = word[n] ? word + n + 1 : NULL;
        }
        buf_deinit(&text);
    }
    return found;
}

static bool set(struct asked *a, const struct flag *f, const char *value, struct buf *report)
{
    struct buf why = {0};
    bool well = option_set(&f->option, a, value, &why);
    if (!well) {
        option_flag(&NO_SECTION, &f->option, report);
        buf_fmt(report, ": %.*s\n", (int)why.n, why.p ? why.p : "");
    }
    buf_deinit(&why);
    return well;
}

/* One word, and the next one if that is its value; false after complaining. */
static bool read_word(struct asked *a, unsigned verb, char **argv, int left, int *used,
                      struct buf *report)
{
    const char *value = NULL;
    const struct flag *f = strncmp(argv[0], "--", 2) == 0 ? flag_of(argv[0], &value) : NULL;
    *used = 1;
    if (strncmp(argv[0], "--", 2) != 0) {
        if (a->count == WORDS_MAX) {
            buf_lit(report, "too many words\n");
            return false;
        }
        a->words[a->count++] = argv[0];
        return true;
    }
    if (!f || !(f->verbs & verb)) {
        buf_fmt(report, "%s is unknown here; `madang queue --help` lists what there is\n", argv[0]);
        return false;
    }
    if (!value && f->option.type == OPTION_BOOL)
        value = "on";
    if (!value && left < 2) {
        buf_fmt(report, "%s: a value is missing\n", argv[0]);
        return false;
    }
    *used = value ? 1 : 2;
    return set(a, f, value ? value : argv[1], report);
}

static bool read_words(struct asked *a, unsigned verb, int argc, char **argv, struct buf *report)
{
    bool well = true;
    for (size_t i = 0; i < FLAG_COUNT; i++)
        well = well && set(a, &FLAGS[i], FLAGS[i].option.initial, report);
    for (int i = 0, used; well && i < argc; i += used)
        well = read_word(a, verb, argv + i, argc - i, &used, report);
    return well;
}

static void drop(struct asked *a)
{
    for (size_t i = 0; i < FLAG_COUNT; i++)
        option_clear(&FLAGS[i].option, a);
}

/* ---- what is asked of the gateway ----------------------------------------------------------- */

static void add_text(json_t *to, const char *key, const char *text)
{
    if (*text)
        (void)json_object_set_new(to, key, json_string(text));
}

static void add_number(json_t *to, const char *key, uint64_t n)
{
    if (n)
        (void)json_object_set_new(to, key, json_integer((json_int_t)n));
}

static bool read_stdin(struct buf *text)
{
    size_t n = 0;
    do {
        if (text->n > DATA_MAX || !buf_reserve(text, BUFSIZ))
            return false;
        n = fread(text->p + text->n, 1, BUFSIZ, stdin);
        text->n += n;
    } while (n);
    return !ferror(stdin);
}

/* The third word, `-` for what is piped in; NULL: it is no JSON. */
static json_t *read_data(const struct asked *a, struct buf *report)
{
    struct buf text = {0};
    json_error_t why = {.text = "it cannot be read"};
    json_t *data = NULL;
    if (a->count < 3)
        return json_null();
    if (strcmp(a->words[2], "-") != 0)
        buf_str(&text, a->words[2]);
    if (text.n || read_stdin(&text))
        data = json_loadb(text.p ? text.p : "", text.n, JSON_DECODE_ANY, &why);
    if (!data)
        buf_fmt(report, "the data is no JSON: %s (text needs quotes: '\"text\"')\n", why.text);
    buf_deinit(&text);
    return data;
}

static json_t *make_put(const struct asked *a, struct buf *report)
{
    json_t *data = read_data(a, report);
    if (!data)
        return NULL;
    json_t *job = json_pack("{s:s,s:o}", "kind", a->words[1], "data", data);
    add_number(job, "delay_ms", a->delay_ms);
    add_number(job, "ttl_ms", a->ttl_ms);
    add_number(job, "priority", a->priority);
    add_number(job, "max_failures", a->max_failures);
    add_text(job, "key", a->key);
    add_text(job, "group", a->group);
    return json_pack("{s:s,s:[o]}", "queue", a->words[0], "jobs", job);
}

static json_t *make_take(const struct asked *a, struct buf *report)
{
    json_t *p = json_pack("{s:s}", "queue", a->words[0]);
    (void)report;
    add_number(p, "max", a->max);
    add_number(p, "lease_ms", a->lease_ms);
    add_number(p, "wait_ms", a->wait_ms);
    add_text(p, "owner", a->owner);
    return p;
}

/* ID TOKEN, or an ID alone. */
static json_t *make_settle(const struct asked *a, struct buf *report)
{
    json_t *job = json_pack("{s:s}", "id", a->words[0]);
    (void)report;
    if (a->count > 1)
        add_text(job, "token", a->words[1]);
    return json_pack("{s:[o]}", "jobs", job);
}

static json_t *make_get(const struct asked *a, struct buf *report)
{
    (void)report;
    return json_pack("{s:s}", "id", a->words[0]);
}

/* A queue that is named, or none. */
static json_t *make_queue(const struct asked *a, struct buf *report)
{
    json_t *p = json_object();
    (void)report;
    if (a->count)
        add_text(p, "queue", a->words[0]);
    return p;
}

static json_t *make_dead(const struct asked *a, struct buf *report)
{
    json_t *p = make_queue(a, report);
    add_number(p, "limit", a->limit);
    return p;
}

static json_t *make_pick(const struct asked *a, struct buf *report)
{
    json_t *p = make_queue(a, report), *ids = json_array();
    if (a->all == (a->count > 1)) {
        buf_lit(report, "name dead jobs by their ids, or say --all\n");
        json_decref(p);
        json_decref(ids);
        return NULL;
    }
    for (int i = 1; i < a->count; i++)
        (void)json_array_append_new(ids, json_string(a->words[i]));
    if (a->all)
        add_number(p, "limit", QUEUE_ITEMS_MAX);
    else
        (void)json_object_set(p, "ids", ids);
    json_decref(ids);
    add_number(p, "delay_ms", a->delay_ms);
    return p;
}

/* ---- the verbs ------------------------------------------------------------------------------ */

static const struct verb {
    const char *name, *method, *words, *help;
    int least, most; /* words */
    unsigned flags;
    json_t *(*make)(const struct asked *a, struct buf *report);
    /* What people are to read; false: the report says why that was not done. */
    bool (*print)(const json_t *result, const char *queue, struct buf *text, struct buf *report);
} VERBS[] = {
    {"stats", "queue_stats", "[QUEUE]", "what is in one queue, or in all", 0, 1, STATS, make_queue,
     queue_print_stats},
    {"cron", "queue_cron", "", "what is put again and again, and when next", 0, 0, STATS,
     make_queue, queue_print_cron},
    {"put", "queue_put", "QUEUE KIND [JSON|-]", "adds a job; - reads its data from the input", 2, 3,
     PUT, make_put, queue_print_put},
    {"take", "queue_take", "QUEUE", "takes jobs: id, token, kind, data", 1, 1, TAKE, make_take,
     queue_print_taken},
    {"ack", "queue_ack", "ID TOKEN", "a job that was taken is done", 2, 2, SETTLE, make_settle,
     queue_print_settled},
    {"release", "queue_release", "ID TOKEN", "… was not tried", 2, 2, SETTLE, make_settle,
     queue_print_settled},
    {"cancel", "queue_cancel", "ID", "a job is not wanted any more", 1, 1, SETTLE, make_settle,
     queue_print_settled},
    {"get", "queue_get", "ID", "all that is known of a job", 1, 1, SETTLE, make_get,
     queue_print_all},
    {"dead", "queue_dead", "QUEUE", "lists the dead", 1, 1, DEAD, make_dead, queue_print_dead},
    {"retry", "queue_retry", "QUEUE ID …|--all", "puts dead jobs again", 1, WORDS_MAX, PICK,
     make_pick, queue_print_picked},
    {"purge", "queue_purge", "QUEUE ID …|--all", "forgets dead jobs", 1, WORDS_MAX, PICK, make_pick,
     queue_print_picked},
    {"pause", "queue_pause", "QUEUE", "nothing is handed out any more", 1, 1, STATS, make_queue,
     queue_print_done},
    {"drain", "queue_drain", "QUEUE", "nothing is taken in any more", 1, 1, STATS, make_queue,
     queue_print_done},
    {"resume", "queue_resume", "QUEUE", "neither holds", 1, 1, STATS, make_queue, queue_print_done},
};
#define VERB_COUNT COUNT_OF(VERBS)

static const struct verb *verb_of(const char *word)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(VERBS[i].name, word) == 0)
            return &VERBS[i];
    return NULL;
}

/* Where words from the environment stand in for options. */
static const char *from(char **env, const char *name, const char *otherwise)
{
    size_t n = strlen(name);
    for (; env && *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return otherwise;
}

static json_t *ask(const struct api_client *c, const struct verb *v, const json_t *params,
                   struct buf *report)
{
    struct buf why = {0};
    json_t *result = api_client_call(c, v->method, params, &why);
    if (!result)
        buf_fmt(report, "%.*s\n", (int)why.n, why.p ? why.p : "");
    buf_deinit(&why);
    return result;
}

/* How many are dead now; -1: the report says why that is not known. */
static json_int_t ask_dead(const struct api_client *c, const json_t *queue, struct buf *report)
{
    json_t *params = json_pack("{s:O}", "queue", queue);
    json_t *result = ask(c, verb_of("stats"), params, report);
    json_int_t n = result ? json_integer_value(json_object_get(result, "dead")) : -1;
    json_decref(params);
    json_decref(result);
    return n;
}

/* `--all` takes as many calls as there are jobs for, but for no more than are dead now: one that
 * is tried again may be dead again at once. The last call finds what has to stay. */
static json_t *ask_all(const struct api_client *c, const struct verb *v, json_t *params,
                       struct buf *report)
{
    json_int_t left = ask_dead(c, json_object_get(params, "queue"), report);
    json_int_t changed = 0, repeated = 0, more = 1;
    if (left < 0)
        return NULL;
    for (; left > 0 && more > 0; left -= more) {
        json_int_t limit = left < QUEUE_ITEMS_MAX ? left : QUEUE_ITEMS_MAX;
        (void)json_object_set_new(params, "limit", json_integer(limit));
        json_t *result = ask(c, v, params, report);
        if (!result)
            return NULL;
        more = json_integer_value(json_object_get(result, "changed"));
        changed += more;
        repeated = json_integer_value(json_object_get(result, "repeated"));
        json_decref(result);
    }
    return json_pack("{s:I,s:I}", "changed", changed, "repeated", repeated);
}

/* Jobs that were printed are done. */
static bool ack(const struct api_client *c, const json_t *taken, struct buf *report)
{
    const json_t *jobs = json_object_get(taken, "jobs");
    if (!json_array_size(jobs))
        return true;
    json_t *items = json_array();
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const json_t *job = json_array_get(jobs, i);
        (void)json_array_append_new(items, json_pack("{s:O,s:O}", "id", json_object_get(job, "id"),
                                                     "token", json_object_get(job, "token")));
    }
    json_t *params = json_pack("{s:o}", "jobs", items);
    json_t *result = ask(c, verb_of("ack"), params, report);
    json_decref(params);
    json_decref(result);
    return result != NULL;
}

static bool carry_out(const struct api_client *c, const struct verb *v, const struct asked *a,
                      struct buf *text, struct buf *report)
{
    json_t *params = v->make(a, report);
    if (!params)
        return false;
    json_t *result = a->all ? ask_all(c, v, params, report) : ask(c, v, params, report);
    json_decref(params);
    bool well = result != NULL;
    if (well && a->json)
        well = queue_print_all(result, "", text, report);
    else if (well)
        well = v->print(result, a->count ? a->words[0] : "", text, report);
    if (well && a->ack)
        well = ack(c, result, report);
    json_decref(result);
    return well;
}

static bool run(const struct verb *v, const struct asked *a, char **env, struct buf *text,
                struct buf *report)
{
    struct buf key = {0};
    const char *known = *a->api_key ? a->api_key : from(env, "MADANG_API_KEY", "");
    bool by_default = strcmp(a->store, "./madang.db") == 0;
    struct api_client c = {
        .store = by_default ? from(env, "MADANG_STORE", a->store) : a->store,
        .url = *a->url ? a->url : NULL,
    };
    if (a->count < v->least || a->count > v->most) {
        buf_fmt(report, "say `madang queue %s%s%s`\n", v->name, *v->words ? " " : "", v->words);
        return false;
    }
    bool well = keys_read_secret(known, a->api_key_file, &key, report);
    buf_char(&key, '\0');
    if (well && !key.failed && key.n > 1)
        c.key = key.p;
    well = well && carry_out(&c, v, a, text, report);
    buf_deinit(&key);
    return well;
}

static void complain_of_verb(const char *word, struct buf *report)
{
    struct suggest near;
    if (!word || *word == '-') {
        buf_lit(report, "say what is to be done: `madang queue --help` lists it\n");
        return;
    }
    suggest_init(&near, word);
    for (size_t i = 0; i < VERB_COUNT; i++)
        suggest_offer(&near, VERBS[i].name);
    buf_lit(report, "unknown word ");
    option_quote(report, word);
    if (suggest_best(&near))
        buf_fmt(report, "; did you mean %s?\n", suggest_best(&near));
    else
        buf_lit(report, "; `madang queue --help` lists what there is\n");
}

bool queue_command(int argc, char **argv, char **env, struct buf *text, struct buf *report)
{
    const struct verb *v = argc > 0 ? verb_of(argv[0]) : NULL;
    struct asked *a = calloc(1, sizeof(*a));
    bool well = a && v;
    if (!v)
        complain_of_verb(argc > 0 ? argv[0] : NULL, report);
    well =
        well && read_words(a, v->flags, argc - 1, argv + 1, report) && run(v, a, env, text, report);
    if (a)
        drop(a);
    free(a);
    return well;
}

#define WORDS_WIDTH 22

static size_t columns_of(struct span text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += !utf8_is_tail((unsigned char)text.p[i]);
    return n;
}

void queue_command_help(struct buf *text)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        struct span words = span_str(VERBS[i].words);
        buf_fmt(text, "  %-8s%s%*s%s\n", VERBS[i].name, words.p,
                (int)(WORDS_WIDTH - columns_of(words)), "", VERBS[i].help);
    }
    buf_lit(text, "\n");
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct option *o = &FLAGS[i].option;
        struct buf flag = {0};
        option_flag(&NO_SECTION, o, &flag);
        if (o->type != OPTION_BOOL) {
            buf_char(&flag, ' ');
            option_argument(o, &flag);
        }
        buf_fmt(text, "  %-22.*s %s", (int)flag.n, flag.p ? flag.p : "", o->help);
        for (size_t v = 0; FLAGS[i].verbs != ANY && v < VERB_COUNT; v++)
            if (VERBS[v].flags & FLAGS[i].verbs)
                buf_fmt(text, " (%s)", VERBS[v].name);
        buf_char(text, '\n');
        buf_deinit(&flag);
    }
    buf_lit(text, "\nThe gateway is reached by the socket beside its store, which only the user it "
                  "runs as can\nuse, or with --url. MADANG_STORE and MADANG_API_KEY stand in for "
                  "their options.\n");
}
