/* SPDX-License-Identifier: MIT */
#include "load/gauge.h"

#include <stdio.h>
#include <unistd.h>

/* smaps_rollup counts pages exactly; statm lags by up to 64 pages per thread on newer kernels. */
static bool read_rollup(pid_t pid, uint64_t *bytes)
{
    char line[256];
    unsigned long long kib;
    bool found = false;
    snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(line, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "Rss: %llu kB", &kib) == 1;
    fclose(file);
    if (found)
        *bytes = kib * 1024;
    return found;
}

static bool read_statm(pid_t pid, uint64_t *bytes)
{
    char path[64];
    unsigned long long pages;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool found = fscanf(file, "%*u %llu", &pages) == 1;
    fclose(file);
    if (found)
        *bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return found;
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
    if (!read_rollup(gauge->pid, &bytes) && !read_statm(gauge->pid, &bytes))
        return 0;
    if (bytes > gauge->peak)
        gauge->peak = bytes;
    return bytes;
}
