/* SPDX-License-Identifier: MIT */
/* worker_command.h: `madang worker`: does jobs of a gateway, in a process of its own. */
#ifndef MADANG_GATEWAY_WORKER_COMMAND_H
#define MADANG_GATEWAY_WORKER_COMMAND_H

#include "backplane/base/buf.h"

/* Works until told to stop by SIGTERM or SIGINT; the exit code of the process. */
int worker_command(int argc, char **argv, char **env);

void worker_command_help(struct buf *text);

#endif
