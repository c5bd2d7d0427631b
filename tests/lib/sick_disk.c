/* SPDX-License-Identifier: MIT */
/* sick_disk.c: preloaded into a program, makes its syncs stand still while a file is there that the
 * environment names (STALL_FILE), and lets no file grow while another one is there (FULL_FILE).
 * Built and used by sick_disk.mjs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_there(const char *variable)
{
    const char *file = getenv(variable);
    return file && access(file, F_OK) == 0;
}

static void stand_still(void)
{
    while (is_there("STALL_FILE"))
        usleep(2000);
}

int fdatasync(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    stand_still();
    return next(fd);
}

int fsync(int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    stand_still();
    return next(fd);
}

/* As SQLite writes. */
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) =
        (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    struct stat64 now;
    if (is_there("FULL_FILE") && fstat64(fd, &now) == 0 && at + (off64_t)n > now.st_size) {
        errno = ENOSPC;
        return -1;
    }
    return next(fd, bytes, n, at);
}

/* As the reserve is taken. */
int posix_fallocate(int fd, off_t at, off_t n)
{
    int (*next)(int, off_t, off_t) =
        (int (*)(int, off_t, off_t))dlsym(RTLD_NEXT, "posix_fallocate");
    return is_there("FULL_FILE") ? ENOSPC : next(fd, at, n);
}
