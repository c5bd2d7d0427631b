/* SPDX-License-Identifier: MIT */
/* stalling_disk.c: preloaded into a program, makes its syncs stand still while a file is there,
 * which the environment names (STALL_FILE). Built and used by stalling_disk.mjs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void stand_still(void)
{
    const char *file = getenv("STALL_FILE");
    while (file && access(file, F_OK) == 0)
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
