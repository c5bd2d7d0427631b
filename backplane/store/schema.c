/* SPDX-License-Identifier: MIT */
#include "backplane/store/schema.h"

#include <stddef.h>

/* Publications lie in the order in which they are read, so a room's history is one run of pages.
 * What a room keeps are its publications from `first` to `top`; what lies below is rubbish that is
 * not swept up yet. */
static const char ROOMS[] =
    "CREATE TABLE number(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE TABLE room("
    " id INTEGER PRIMARY KEY,"
    " name BLOB NOT NULL UNIQUE,"
    " epoch BLOB NOT NULL,"
    " generation INTEGER NOT NULL," /* of the file, when the epoch began */
    " first INTEGER NOT NULL,"
    " top INTEGER NOT NULL,"
    " version INTEGER NOT NULL,"
    " version_epoch BLOB NOT NULL,"
    " written INTEGER NOT NULL," /* ms since 1970, of the last publication */
    " ends INTEGER NOT NULL"     /* the same, when its publications are too old; 0: never */
    ") STRICT;"
    "CREATE TABLE publication("
    " room INTEGER NOT NULL,"
    " offset INTEGER NOT NULL,"
    " sender BLOB,"             /* 16 bytes: who, and under which key; NULL: no key */
    " digest INTEGER NOT NULL," /* of the data, by which a key used twice is told apart */
    " delta INTEGER NOT NULL,"  /* may be sent as what changed */
    " body BLOB NOT NULL,"      /* the publication as it is pushed, up to its offset */
    " PRIMARY KEY(room, offset)"
    ") WITHOUT ROWID, STRICT;"
    /* Keys that are remembered for a time, in the order in which they came. */
    "CREATE TABLE key("
    " id INTEGER PRIMARY KEY,"
    " sender BLOB NOT NULL,"
    " until INTEGER NOT NULL," /* ms since 1970 */
    " offset INTEGER NOT NULL,"
    " epoch BLOB NOT NULL"
    ") STRICT;";

/* Each index holds only what its question may find: of a million delayed jobs, no take sees one.
 * The dead lie apart, so that history does not slow down what is alive. In `queue_last` are the
 * last id, the last number of a lease, and the time of the last step, which never goes back. */
static const char JOBS[] =
    "CREATE TABLE queue("
    " id INTEGER PRIMARY KEY,"
    " name BLOB NOT NULL UNIQUE,"
    " paused INTEGER NOT NULL, draining INTEGER NOT NULL,"
    " rules BLOB NOT NULL," /* numbers, see jobs_shelf.c */
    " ready INTEGER NOT NULL, leased INTEGER NOT NULL, delayed INTEGER NOT NULL,"
    " blocked INTEGER NOT NULL, dead INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " put INTEGER NOT NULL, repeated INTEGER NOT NULL, delivered INTEGER NOT NULL,"
    " acked INTEGER NOT NULL, failed INTEGER NOT NULL, lapsed INTEGER NOT NULL,"
    " died INTEGER NOT NULL, cancelled INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE job("
    " id INTEGER PRIMARY KEY,"
    " queue INTEGER NOT NULL,"
    " state INTEGER NOT NULL," /* enum job_state */
    " priority INTEGER NOT NULL,"
    " due INTEGER NOT NULL," /* delayed: until; leased: end of the lease */
    " token INTEGER NOT NULL, nonce INTEGER NOT NULL," /* of the lease, else 0 */
    " first INTEGER NOT NULL,"                         /* when the lease was given */
    " deliveries INTEGER NOT NULL, failures INTEGER NOT NULL, max_failures INTEGER NOT NULL,"
    " created INTEGER NOT NULL,"
    " expires INTEGER,"
    " cancelled INTEGER NOT NULL,"
    " again INTEGER," /* leased: when acked, it is due again then */
    " owner BLOB, grp BLOB, key BLOB,"
    " kind BLOB NOT NULL,"
    " error BLOB,"
    " data BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX job_ready ON job(queue, priority, id) WHERE state=0;"
    "CREATE INDEX job_due ON job(due) WHERE state IN (1,2);"
    "CREATE INDEX job_group ON job(queue, grp, id) WHERE grp IS NOT NULL;"
    "CREATE INDEX job_expires ON job(expires) WHERE expires IS NOT NULL AND state<>1;"
    "CREATE TABLE job_key("
    " queue INTEGER NOT NULL, key BLOB NOT NULL, job INTEGER NOT NULL, until INTEGER NOT NULL,"
    " mode INTEGER NOT NULL," /* enum key_mode */
    " PRIMARY KEY(queue, key)"
    ") WITHOUT ROWID, STRICT;"
    "CREATE INDEX job_key_until ON job_key(until);"
    "CREATE TABLE job_dead("
    " id INTEGER PRIMARY KEY,"
    " queue INTEGER NOT NULL,"
    " died INTEGER NOT NULL,"
    " death INTEGER NOT NULL," /* enum job_death */
    " priority INTEGER NOT NULL,"
    " deliveries INTEGER NOT NULL, failures INTEGER NOT NULL, max_failures INTEGER NOT NULL,"
    " created INTEGER NOT NULL,"
    " grp BLOB, key BLOB,"
    " kind BLOB NOT NULL,"
    " error BLOB,"
    " data BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX job_dead_died ON job_dead(queue, died);"
    "CREATE INDEX job_dead_id ON job_dead(queue, id);"
    "CREATE TABLE job_result("
    " id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, until INTEGER NOT NULL, data BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX job_result_until ON job_result(until);"
    "CREATE TABLE queue_last("
    " one INTEGER PRIMARY KEY CHECK(one=1),"
    " id INTEGER NOT NULL, token INTEGER NOT NULL, time INTEGER NOT NULL) STRICT;"
    "INSERT INTO queue_last VALUES(1, 0, 0, 0);";

/* Followers outlive the rooms that they follow, so these stand here by name. What is quiet is rare,
 * and lies apart: to count the others takes a look at it alone. */
static const char FOLLOWERS[] = "CREATE TABLE follower("
                                " user BLOB NOT NULL,"
                                " room BLOB NOT NULL,"
                                " epoch BLOB NOT NULL, offset INTEGER NOT NULL," /* its marker */
                                " PRIMARY KEY(user, room)"
                                ") WITHOUT ROWID, STRICT;"
                                "CREATE INDEX follower_room ON follower(room, user);"
                                "CREATE TABLE quiet("
                                " room INTEGER NOT NULL, offset INTEGER NOT NULL,"
                                " PRIMARY KEY(room, offset)"
                                ") WITHOUT ROWID, STRICT;"
                                /* What is kept beside a stream: see struct commit. */
                                "CREATE TABLE record("
                                " stream BLOB NOT NULL, name BLOB NOT NULL, data BLOB NOT NULL,"
                                " PRIMARY KEY(stream, name)"
                                ") WITHOUT ROWID, STRICT;";

/* Up to where a follower was told, while away, of what there is to read. */
static const char TOLD[] = "ALTER TABLE follower ADD COLUMN told_epoch BLOB NOT NULL DEFAULT x'';"
                           "ALTER TABLE follower ADD COLUMN told INTEGER NOT NULL DEFAULT 0;";

/* Who holds a leased job, if its queue bounds how many one owner may hold. */
static const char HOLDERS[] =
    "ALTER TABLE job ADD COLUMN holder BLOB;"
    "CREATE INDEX job_holder ON job(queue, holder) WHERE holder IS NOT NULL;";

const char *const schema_scripts[] = {ROOMS, JOBS, FOLLOWERS, TOLD, HOLDERS, NULL};

int schema_version(void)
{
    int n = 0;
    while (schema_scripts[n])
        n++;
    return n;
}
