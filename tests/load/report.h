/* SPDX-License-Identifier: MIT */
/*
 * What a run found, as a table for people and as JSON for scripts.
 *
 * JSON names end in their unit. A number that was not measured (no --pid, no traffic) is null.
 */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include <stdbool.h>

#include "load/run.h"

void report_table(const struct run *run);

/* The failures, to stderr, one sentence each. */
void report_failures(const struct run *run);

/* False: the file could not be written; why was printed. */
bool report_json(const struct run *run, const char *path);

#endif
