/* SPDX-License-Identifier: MIT */
#include "backplane/store/schema.h"

#include <stddef.h>

/* Publications lie in the order in which they are read, so a room's history is one run of pages.
 * A room's row holds its top: what was trimmed, and all of it may be, leaves the offset behind. */
static const char ROOMS[] =
    "CREATE TABLE number(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE TABLE room("
    " id INTEGER PRIMARY KEY,"
    " name BLOB NOT NULL UNIQUE,"
    " epoch BLOB NOT NULL,"
    " generation INTEGER NOT NULL,"
    " top INTEGER NOT NULL,"
    " version INTEGER NOT NULL DEFAULT 0,"
    " version_epoch BLOB NOT NULL DEFAULT x'',"
    " written INTEGER NOT NULL," /* ms since 1970, of the last publication */
    " bytes INTEGER NOT NULL DEFAULT 0,"
    " count INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX room_written ON room(written);"
    "CREATE TABLE publication("
    " room INTEGER NOT NULL,"
    " offset INTEGER NOT NULL,"
    " time INTEGER NOT NULL,"
    " sender BLOB,"        /* 16 bytes: who, and under which key; NULL: no key */
    " digest INTEGER,"     /* of the data, by which a key used twice is told apart */
    " body BLOB NOT NULL," /* the members of the publication as they are pushed, offset left out */
    " PRIMARY KEY(room, offset)"
    ") WITHOUT ROWID, STRICT;"
    "CREATE UNIQUE INDEX publication_key ON publication(room, sender) WHERE sender IS NOT NULL;";

const char *const schema_scripts[] = {ROOMS, NULL};

int schema_version(void)
{
    int n = 0;
    while (schema_scripts[n])
        n++;
    return n;
}
