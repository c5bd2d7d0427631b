/* SPDX-License-Identifier: MIT */
/* servers_command.h: `madang servers`: which Redis servers share the rooms. */
#ifndef MADANG_GATEWAY_SERVERS_COMMAND_H
#define MADANG_GATEWAY_SERVERS_COMMAND_H

#include "backplane/base/buf.h"

/* Does what the words (without program and verb) ask for, and appends what was done or found.
 * False: `report` has a line for each thing that is wrong. */
bool servers_command(int argc, char **argv, char **env, struct buf *text, struct buf *report);

/* Appends what the words may be, for a terminal. */
void servers_command_help(struct buf *text);

#endif
