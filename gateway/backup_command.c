/* SPDX-License-Identifier: MIT */
#include "gateway/backup_command.h"

#include "backplane/base/count.h"
#include "backplane/store/check.h"
#include "backplane/store/copy.h"
#include "gateway/api_client.h"
#include "gateway/options.h"
#include "gateway/path.h"
#include "gateway/store_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS    100 /* between two looks at how far it is */
#define SLICE_US   100000
#define SLICE_MAX  ((size_t)64 * 1024 * 1024)
#define SUFFIX_MAX 32

/* A backup is made beside its place, looked through, and put there. */
struct backup_order {
    const char *store;
    char target[PATH_MAX], part[PATH_MAX];
    bool force, terminal;
    sigset_t stop; /* signals that end it */
};

static bool complain(struct buf *report, const char *what, const char *path)
{
    buf_fmt(report, "%s: %s\n", path, what);
    return false;
}

static bool complain_errno(struct buf *report, const char *path)
{
    char why[128];
    return complain(report, strerror_r(errno, why, sizeof(why)), path);
}

/* ---- how far it is -------------------------------------------------------------------------- */

static void show(const struct backup_order *o, uint64_t copied, uint64_t bytes)
{
    if (o->terminal && bytes)
        (void)fprintf(stderr, "\r%3llu %% of %llu MiB ", (unsigned long long)(copied * 100 / bytes),
                      (unsigned long long)(bytes >> 20) + 1);
}

static void show_nothing(const struct backup_order *o)
{
    if (o->terminal)
        (void)fputs("\r                              \r", stderr);
}

/* Waits; true: it is to end. */
static bool is_stopped(const struct backup_order *o, long ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000};
    return sigtimedwait(&o->stop, NULL, &t) > 0;
}

/* ---- by the gateway that uses the store ----------------------------------------------------- */

/* One call; NULL: it failed, and `why` says how. */
static json_t *ask(const struct backup_order *o, bool cancel, struct buf *why)
{
    struct api_client to = {.store = o->store, .only_store = true};
    json_t *params = json_pack("{s:s,s:b}", "path", o->part, "cancel", cancel);
    if (!params) {
        buf_fmt(why, "%s: the gateway is asked in JSON, so the path has to be UTF-8", o->part);
        return NULL;
    }
    json_t *result = api_client_call(&to, "backup", params, why);
    json_decref(params);
    return result;
}

static uint64_t number(const json_t *result, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(result, name));
}

static bool copy_by_gateway(const struct backup_order *o, struct buf *report)
{
    struct buf why = {0};
    bool stopped = false, finished = false;
    json_t *result = NULL;
    while (!finished && !stopped && (result = ask(o, false, &why))) {
        finished = json_is_true(json_object_get(result, "finished"));
        show(o, number(result, "copied"), number(result, "bytes"));
        json_decref(result);
        stopped = !finished && is_stopped(o, LOOK_MS);
    }
    if (stopped) {
        buf_lit(report, "stopped; there is no backup\n");
        json_decref(ask(o, true, &why)); /* else the gateway notices that nobody asks */
    } else if (!finished) {
        buf_fmt(report, "%.*s\n", (int)why.n, why.p ? why.p : "");
    } else if (access(o->part, F_OK) != 0) {
        finished = complain(report,
                            "the gateway has written it, but it is not there: does it run with "
                            "folders of its own, such as a private /tmp?",
                            o->part);
    }
    buf_deinit(&why);
    return finished;
}

/* ---- without one ---------------------------------------------------------------------------- */

static bool sync_file(const char *path, struct buf *report)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool well = fd >= 0 && fsync(fd) == 0;
    if (!well)
        (void)complain_errno(report, path);
    if (fd >= 0)
        close(fd);
    return well;
}

static bool copy_all(const struct backup_order *o, struct file *f, struct buf *report)
{
    char why[FILE_WHY_MAX] = "stopped; there is no backup";
    struct copy *c = copy_new(f, o->part, why);
    enum copy_state state = c ? COPY_MORE : COPY_FAILED;
    while (state == COPY_MORE && !is_stopped(o, 0)) {
        state = copy_step(c, SLICE_US, SLICE_MAX, why);
        show(o, copy_bytes_done(c), copy_bytes(c));
    }
    copy_free(c);
    if (state != COPY_WHOLE)
        buf_fmt(report, "%s\n", why);
    return state == COPY_WHOLE && sync_file(o->part, report);
}

static bool copy_alone(const struct backup_order *o, struct buf *report)
{
    char why[FILE_WHY_MAX];
    struct file *f = file_open(&(struct file_config){.path = o->store, .as_is = true}, why);
    if (!f) {
        buf_fmt(report, "%s\n", why);
        return false;
    }
    bool well = copy_all(o, f, report);
    file_abandon(f);
    return well;
}

/* ---- its place ------------------------------------------------------------------------------ */

/* SQLite would take it for the backup's own, and make another database of the two. */
static bool has_no_log(const struct backup_order *o, struct buf *report)
{
    char log[PATH_MAX + sizeof("-wal")];
    struct stat st;
    (void)snprintf(log, sizeof(log), "%s-wal", o->target);
    return lstat(log, &st) != 0 ||
           complain(report, "has a -wal beside it, of what was there before; move it away",
                    o->target);
}

/* What lies beside a store has such a name: a backup in its place would be taken for that, or take
 * it away from a gateway that runs. */
static bool is_no_part(const struct backup_order *o, struct buf *report)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal", ".ballast", ".sock"};
    size_t n = strlen(o->target);
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        size_t end = strlen(endings[i]);
        if (n > end && strcmp(o->target + n - end, endings[i]) == 0)
            return complain(report, "is the name of a part of a store; choose another", o->target);
    }
    return true;
}

/* Nothing that matters is in the way. */
static bool is_free(const struct backup_order *o, struct buf *report)
{
    struct stat there, store;
    if (!is_no_part(o, report))
        return false;
    if (lstat(o->target, &there) != 0)
        return errno == ENOENT ? has_no_log(o, report) : complain_errno(report, o->target);
    if (!S_ISREG(there.st_mode))
        return complain(report, "is there already, and is no file that could be replaced",
                        o->target);
    if (stat(o->store, &store) == 0 && store.st_dev == there.st_dev && store.st_ino == there.st_ino)
        return complain(report, "is the store itself", o->target);
    if (store_socket_answers(o->target))
        return complain(report, "is the store of a gateway that runs", o->target);
    return o->force ? has_no_log(o, report)
                    : complain(report, "is there already; --force replaces it", o->target);
}

static bool sync_folder(const char *path, struct buf *report)
{
    char folder[PATH_MAX];
    (void)snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0'; /* the path is absolute */
    return sync_file(folder, report);
}

/* File systems without links and such a rename are left to the look before. */
static bool put_in_place(const struct backup_order *o, struct buf *report)
{
    unsigned flags = o->force ? 0 : RENAME_NOREPLACE;
    int rc = renameat2(AT_FDCWD, o->part, AT_FDCWD, o->target, flags);
    if (rc != 0 && (errno == EINVAL || errno == ENOSYS))
        rc = rename(o->part, o->target);
    if (rc != 0)
        return complain_errno(report, o->target);
    return sync_folder(o->target, report);
}

/* ---- the command ---------------------------------------------------------------------------- */

static bool make(const struct backup_order *o, struct buf *text, struct buf *report)
{
    struct buf found = {0};
    bool made = store_socket_answers(o->store) ? copy_by_gateway(o, report) : copy_alone(o, report);
    show_nothing(o);
    bool well = made && check_store(o->part, false, &found, report) && put_in_place(o, report);
    if (well) {
        buf_fmt(text, "%s: ", o->target);
        buf_add(text, found.p, found.n);
    } else {
        (void)unlink(o->part); /* it may not be there (any more) */
    }
    buf_deinit(&found);
    return well;
}

static bool prepare(struct backup_order *o, const char *target, const struct options *options,
                    struct buf *report)
{
    char suffix[SUFFIX_MAX];
    (void)snprintf(suffix, sizeof(suffix), ".%ld.part", (long)getpid());
    o->store = options->store;
    o->terminal = isatty(STDERR_FILENO);
    if (!options_have_store(options)) {
        buf_lit(report, "this configuration keeps nothing in a file: with Redis, back up its "
                        "servers; with `store = none` there is nothing to back up\n");
        return false;
    }
    if (!path_absolute(target, "", o->target) || !path_absolute(target, suffix, o->part))
        return complain(report, "there is no such folder, or this is one", target);
    (void)sigemptyset(&o->stop); /* none of these can fail */
    (void)sigaddset(&o->stop, SIGINT);
    (void)sigaddset(&o->stop, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &o->stop, NULL);
    return is_free(o, report);
}

/* FILE and --force are taken out of the words; the others are options of the table. NULL: there is
 * no FILE, or two. */
static const char *take_words(struct backup_order *o, int *argc, char **argv)
{
    const char *target = NULL;
    int kept = 0, names = 0;
    for (int i = 0; i < *argc; i++) {
        bool flag = strncmp(argv[i], "--", 2) == 0;
        if (flag && strcmp(argv[i], "--force") == 0) {
            o->force = true;
        } else if (flag) {
            argv[kept++] = argv[i];
            if (!strchr(argv[i], '=') && i + 1 < *argc) /* its value */
                argv[kept++] = argv[++i];
        } else {
            target = argv[i];
            names++;
        }
    }
    *argc = kept;
    return names == 1 ? target : NULL;
}

bool backup_command(int argc, char **argv, char **env, struct buf *text, struct buf *report)
{
    struct backup_order *o = calloc(1, sizeof(*o));
    struct options *options = NULL;
    if (!o) {
        buf_lit(report, "out of memory\n");
        return false;
    }
    const char *target = take_words(o, &argc, argv);
    bool well = options_load(&options, argc, argv, env, report);
    if (well && !target)
        buf_lit(report, "say where the backup goes, one FILE: `madang backup FILE`\n");
    well = well && target && prepare(o, target, options, report) && make(o, text, report);
    options_free(options);
    free(o);
    return well;
}

void backup_command_help(struct buf *text)
{
    buf_lit(
        text,
        "The store is that of the configuration: ./madang.db, unless --config FILE, --store\n"
        "FILE or MADANG_STORE says otherwise; other options of `madang serve` are taken and do\n"
        "nothing here. A gateway that uses it makes the copy itself, beside its work; it is\n"
        "reached by the socket beside the store, and its user has to be able to write into the\n"
        "folder of FILE. If none runs, the store is opened for a moment and copied.\n\n"
        "The copy has all that was acknowledged when it was begun. It is looked through before\n"
        "it gets its name, and only its owner may read it.\n\n"
        "  --force                replace FILE if it is there\n\n"
        "To restore, stop the gateway, move the store and its -wal away together, put the backup\n"
        "in the place of the store, and start the gateway. Rooms go on under new epochs, so\n"
        "clients learn that something may be missing. `madang check FILE` looks through a "
        "backup.\n");
}
