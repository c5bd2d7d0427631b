/* SPDX-License-Identifier: MIT */
/* token_command.h: `madang token`: a token made on the command line. */
#ifndef MADANG_GATEWAY_TOKEN_COMMAND_H
#define MADANG_GATEWAY_TOKEN_COMMAND_H

#include "backplane/base/buf.h"

/* Appends the token that the words (without program and verb) ask for, with a line end. False:
 * `report` has a line for each thing that is wrong. */
bool token_command(int argc, char **argv, char **env, struct buf *text, struct buf *report);

/* Appends what the words may be, for a terminal. */
void token_command_help(struct buf *text);

#endif
