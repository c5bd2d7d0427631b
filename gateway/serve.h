/* SPDX-License-Identifier: MIT */
/* serve.h: the life of a serving gateway, from the first socket to the last close. */
#ifndef MADANG_GATEWAY_SERVE_H
#define MADANG_GATEWAY_SERVE_H

struct options;
struct options_sources;

/* Serves until told to stop. Takes the options over; `sources` are where they were read from, and
 * are read again on SIGHUP. Runs on the main thread. Returns the exit code of the process. */
int serve_run(struct options *o, const struct options_sources *sources);

#endif
