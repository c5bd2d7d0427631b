/* SPDX-License-Identifier: MIT */
#include "backplane/store/place.h"

#include "backplane/base/count.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Of SQLite's format: the version that writing takes, which is 2 with a log and 1 without. */
#define WRITE_VERSION 18

char *place_find(const char *path, const char *vfs)
{
    sqlite3_vfs *system = sqlite3_vfs_find(vfs);
    char found[PATH_MAX];
    int rc = system ? system->xFullPathname(system, path, sizeof(found), found) : SQLITE_ERROR;
    return strdup(rc == SQLITE_OK || rc == SQLITE_OK_SYMLINK ? found : path);
}

bool place_on_network(const char *path)
{
    static const unsigned kinds[] = {0x6969 /* NFS */, 0x517b /* SMB */, 0xff534d42 /* CIFS */,
                                     0xfe534d42 /* SMB2 */};
    char dir[PATH_MAX];
    (void)snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    struct statfs fs;
    if (slash)
        slash[slash == dir] = '\0';
    if (statfs(slash ? dir : ".", &fs) != 0)
        return false; /* opening says what is wrong */
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if ((unsigned)fs.f_type == kinds[i])
            return true;
    return false;
}

bool place_has_log(const char *path)
{
    struct stat st;
    char log[PATH_MAX + 8];
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    return stat(log, &st) == 0 && st.st_size > 0;
}

/* A backup is one file without a log, and says so until it is opened as a store. */
static bool is_backup(const char *path)
{
    unsigned char head[WRITE_VERSION + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool seen = fd >= 0 && pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head);
    if (fd >= 0)
        close(fd);
    return seen && head[WRITE_VERSION] == 1;
}

const char *place_refuses(const char *path, const char *ballast)
{
    struct stat st;
    bool there = stat(path, &st) == 0, log = place_has_log(path);
    if (there && !S_ISREG(st.st_mode))
        return "is no file; name one, or where one is to be";
    if (there ? access(path, R_OK | W_OK) != 0 : errno == EACCES)
        return "may not be read and written by this user; check owner and mode of the file and of "
               "the folders above it";
    if (there && st.st_size > 0)
        return log && is_backup(path) ? "is a backup, and the -wal beside it is that of another "
                                        "file; move the -wal away"
                                      : NULL;
    if (log)
        return there ? "is empty, though there is a -wal beside it; restore a backup, or move both "
                       "away to begin anew"
                     : "is not there, though its -wal is; put the file back, or move the -wal away "
                       "too to begin anew";
    if (there && access(ballast, F_OK) == 0)
        return "is empty, and was not when it was last used; restore a backup, or move it away to "
               "begin anew";
    return NULL;
}

void place_make(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}
