/* SPDX-License-Identifier: MIT */
/* schema.h: the tables of a store, version by version. */
#ifndef MADANG_BACKPLANE_STORE_SCHEMA_H
#define MADANG_BACKPLANE_STORE_SCHEMA_H

#define SCHEMA_APPLICATION 0x6d646e67 /* "mdng": PRAGMA application_id of our files */

/* The script that leads from version i to i + 1; the last one is followed by NULL. A script that
 * has been released is never changed: what comes later is a new one. */
extern const char *const schema_scripts[];

int schema_version(void); /* the newest */

#endif
