/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_BACKUP_H
#define QUERN_APP_BACKUP_H
/* Backup: a folder with quern.db, the blobs and step logs, and manifest.json, which names every
 * file with its size and SHA-256. The server makes one below DATA/backups/ID while it serves: the
 * database by SQLite's backup interface first, then hard links to the blobs (they never change, and
 * every blob that the snapshot names was in place before) and copies of the logs. The command
 * fetches it file by file, verifies, and tells the server to drop its copy. */
#include <stddef.h>

struct arena;
struct ctx;
struct dir;
struct json_t;

#define BACKUP_MANIFEST "manifest.json"
#define BACKUP_FORMAT 1
#define RESTORE_MARK "restore.unfinished" /* in a data directory whose restore was cut off */

/* Makes DATA/backups/ID; id[17] is filled. Worker threads. */
int backup_make(struct ctx *c, char id[17]);
/* At start, before anybody is served: removes what backups that were cut off, or never fetched,
 * left in DATA/backups. -errno, told in the log. */
int backup_sweep(void);
/* SHA-256 and size of a file beneath d; -errno. */
int backup_digest(struct dir *d, const char *rel, char sha256[65], long long *size);

#endif
