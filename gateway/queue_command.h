/* SPDX-License-Identifier: MIT */
/* queue_command.h: `madang queue VERB …`: queues for people, by the server API of a gateway that
 * runs. */
#ifndef MADANG_GATEWAY_QUEUE_COMMAND_H
#define MADANG_GATEWAY_QUEUE_COMMAND_H

#include "backplane/base/buf.h"

/* The words behind the verb. True: `text` is the result; false: `report` says in lines what is
 * wrong. */
bool queue_command(int argc, char **argv, char **env, struct buf *text, struct buf *report);

void queue_command_help(struct buf *text);

#endif
