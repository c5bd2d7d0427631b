/* SPDX-License-Identifier: MIT */
#include "load/gauge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first line of a file in the process's /proc folder that begins with `prefix`, after it. */
static bool read_line(pid_t pid, const char *name, const char *prefix, char out[256])
{
    char path[64];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(out, 256, file))
        found = strncmp(out, prefix, strlen(prefix)) == 0;
    if (fclose(file) != 0 || !found)
        return false;
    memmove(out, out + strlen(prefix), strlen(out) - strlen(prefix) + 1);
    return true;
}

/* smaps_rollup counts pages exactly; the counters behind statm lag by some pages per thread. */
static bool read_memory(pid_t pid, uint64_t *bytes)
{
    char line[256], *at = line;
    if (read_line(pid, "smaps_rollup", "Rss:", line)) {
        *bytes = strtoull(line, NULL, 10) * 1024;
        return true;
    }
    if (!read_line(pid, "statm", "", line))
        return false;
    (void)strtoull(line, &at, 10); /* the first number is address space */
    *bytes = strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

bool gauge_open(struct gauge *gauge, pid_t pid)
{
    *gauge = (struct gauge){.pid = pid};
    return pid == 0 || clock_getcpuclockid(pid, &gauge->clock) == 0;
}

uint64_t gauge_cpu_ns(const struct gauge *gauge)
{
    struct timespec ts;
    if (gauge->pid == 0 || clock_gettime(gauge->clock, &ts) != 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t gauge_memory(struct gauge *gauge)
{
    uint64_t bytes = 0;
    if (gauge->pid == 0)
        return 0;
    if (!read_memory(gauge->pid, &bytes))
        return 0;
    if (bytes > gauge->peak)
        gauge->peak = bytes;
    return bytes;
}
