/* SPDX-License-Identifier: MIT */
/* inifile.h: the text of an INI file as a list of entries.
 *
 *     ; a comment, also with #
 *     [section]
 *     key = value     ; a comment needs white space before its semicolon
 *
 * Splitting a line is inih's work. Around it this file keeps line numbers, takes sections itself
 * (inih cuts their names and is silent about empty ones), lets no indented line continue the one
 * before, and turns what cannot be read (a line longer than inih's buffer, a NUL byte, no '=') into
 * entries that say so. It knows nothing of what sections and keys mean.
 */
#ifndef MADANG_BASE_INIFILE_H
#define MADANG_BASE_INIFILE_H

#include "backplane/base/span.h"

#include <stdbool.h>
#include <stddef.h>

enum inifile_kind {
    INIFILE_SECTION, /* section */
    INIFILE_VALUE,   /* section (of the last header, "" before the first), key, value */
    INIFILE_WRONG,   /* value: what is wrong with the line */
};

struct inifile_entry {
    enum inifile_kind kind;
    size_t line;   /* from 1 */
    char *section; /* all three owned by the entry, or NULL */
    char *key;
    char *value;
};

/* Zeroed is empty. */
struct inifile {
    struct inifile_entry *list;
    size_t count;
};

/* Reads text into f, which must be empty. False only if memory ran out; f is to be freed anyway. */
bool inifile_parse(struct inifile *f, struct span text) __attribute__((warn_unused_result));
void inifile_deinit(struct inifile *f);

#endif
