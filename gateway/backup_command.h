/* SPDX-License-Identifier: MIT */
/* backup_command.h: `madang backup FILE …`: a copy of a store, whether a gateway uses it or not. */
#ifndef MADANG_GATEWAY_BACKUP_COMMAND_H
#define MADANG_GATEWAY_BACKUP_COMMAND_H

#include "backplane/base/buf.h"

/* The words behind the verb. True: `text` says what was made; false: `report` says in lines why
 * there is no backup. A terminal at standard error is shown how far it is. */
bool backup_command(int argc, char **argv, char **env, struct buf *text, struct buf *report);

void backup_command_help(struct buf *text);

#endif
