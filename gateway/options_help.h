/* SPDX-License-Identifier: MIT */
/* options_help.h: what the table of options says to people. */
#ifndef MADANG_GATEWAY_OPTIONS_HELP_H
#define MADANG_GATEWAY_OPTIONS_HELP_H

#include "backplane/base/buf.h"
#include "gateway/options_table.h"

/* Appends every option, section by section, for a terminal. */
void options_help(struct buf *text);

/* The same of some sections only. */
void options_help_of(const enum section_id *sections, size_t count, struct buf *text);

/* Appends docs/OPTIONS.md. */
void options_markdown(struct buf *text);

#endif
