/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_ARTIFACT_H
#define QUERN_ARTIFACT_ARTIFACT_H
/* Artifact: content-addressed blobs and logical names.
 *
 * Blobs lie in DATA/blobs/ab/cdef... (SHA-256), written to DATA/tmp with O_TMPFILE or a random
 * name, fsynced, linked into place, directory fsynced, all before the row that names them commits.
 * A logical name (project, path) points to one blob; it is a database string, never a file name:
 * valid UTF-8, no NUL, control or '\', segments not empty, ".", "..", at most 255 bytes each,
 * 1,024 in all. Paths below an MLflow root look like "1/<run>/artifacts/model/MLmodel". */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/access/access.h"
#include "quern/http/route.h"

struct artifacts;
struct blob_writer;
struct db;
struct dir;
struct buf;

struct artifact_entry {
    const char *path; /* full logical path, or base name in listings */
    bool is_dir;
    int64_t size;
    char sha256[65];
    int64_t updated_ms;
};
struct artifact_entries {
    struct artifact_entry *items;
    size_t n;
};

/* Opens the store below the data directory and removes what a crash left in tmp. */
int artifacts_open(struct db *db, struct dir *data, uint64_t upload_cap, int64_t gc_grace_ms,
                   struct buf *error);
void artifacts_close(void);
/* Who tells which run made a logged model, which only a room to the right knows: a run's token may
 * write below the models of its own run. Unset: below none. ERR_NOT_FOUND for an unknown model. */
typedef int artifact_model_run(struct ctx *c, const char *model_id, const char **run_id);
void artifact_model_owner(artifact_model_run *fn);

/* Writing bytes: begin, add, end (fsynced and in place, sha and size known, pinned against garbage
 * collection until blob_unpin or a committed artifact_link). Any thread but the writer. */
int blob_begin(struct ctx *c, struct blob_writer **out);
int blob_add(struct ctx *c, struct blob_writer *w, const void *data, size_t n);
int blob_end(struct ctx *c, struct blob_writer *w, char sha256[65], int64_t *size);
void blob_abort(struct blob_writer *w);
int blob_put(struct ctx *c, const void *data, size_t n, char sha256[65]);
void blob_unpin(const char *sha256);
int blob_open(struct ctx *c, const char *sha256, int *fd, int64_t *size); /* ERR_NOT_FOUND */
/* Reads whole and verifies the digest; ERR_INTERNAL and a log line when it does not match. */
int blob_read(struct ctx *c, const char *sha256, size_t cap, char **data, size_t *n);
int blob_verify(struct ctx *c, const char *sha256);

/* Names: inside a write (c->db is the writer). Replaces an older binding. */
int artifact_link(struct ctx *c, const char *path, const char *sha256, int64_t size);
/* On a worker: stores the bytes and links them, in one write, where `name` tells inside of it. */
typedef int artifact_namer(struct ctx *c, const void *arg, const char **path);
int artifact_put(struct ctx *c, const void *data, size_t n, artifact_namer *name, const void *arg);
int artifact_unlink_tree(struct ctx *c, const char *path); /* file or folder; absent is fine */
/* The same for a caller who may want it back: who keeps deleted names is told before, within the
 * same write. Unset: nobody. */
typedef int artifact_keep(struct ctx *c, const char *path);
void artifact_keeper(artifact_keep *fn);
/* Who bounds the bytes of a project, asked inside a read before parts of an upload are taken, since
 * those lie on the disk long before a name counts them: 1 and how many more it may hold, 0 when
 * there is no bound. Unset: none has one. */
typedef int artifact_room(struct ctx *c, int64_t *left);
void artifact_bounds(artifact_room *fn);
int artifact_discard(struct ctx *c, const char *path);
/* The same for good, at most `most` names at once; 1 when there may be more. */
int artifact_erase_tree(struct ctx *c, const char *path, int64_t most);
/* Names: inside a read or write. */
int artifact_stat(struct ctx *c, const char *path, struct artifact_entry *out);
int artifact_list(struct ctx *c, const char *dir,
                  struct artifact_entries *out); /* one level, sorted */
int artifact_list_tree(struct ctx *c, const char *dir,
                       struct artifact_entries *out); /* files below */
/* ERR_FORBIDDEN when the caller may not do this with the experiment that the first segment names;
 * other names follow the role on the project. Sending and listing ask by themselves. */
int artifact_permit(struct ctx *c, const char *path, enum object_need need);
/* For a listing of `dir`: leaves out of the root's what the caller may not read. */
int artifact_permit_list(struct ctx *c, const char *dir, struct artifact_entries *found);
/* Whether content has a name in the project that the caller may read. */
int artifact_permit_blob(struct ctx *c, const char *sha256, bool *found);
int artifact_check_path(struct ctx *c, const char *path); /* the grammar above; "Invalid path" */
/* "mlflow-artifacts:/1/r/artifacts" (also with //host:port) to "1/r/artifacts"; NULL otherwise. */
char *artifact_uri_path(struct ctx *c, const char *uri);
const char *artifact_content_type(const char *path); /* by extension, MLflow's text-like set */
/* Deletes unreferenced, unpinned blobs older than the grace. A blob is referenced by an artifact
 * row or by a row of blob_ref(owner, sha256), which other rooms write for blobs they keep. */
int artifact_gc(struct ctx *c, int64_t *blobs, int64_t *bytes);
/* Between the two, on one thread, no blob is collected (artifact_gc gives ERR_CONFLICT): a backup
 * takes the blobs that its snapshot of the database names. Waits for a collection under way. */
void artifact_gc_pause(void);
void artifact_gc_resume(void);
/* Uploads in parts that nobody completed are given up this long after their creation. */
void artifact_upload_keep(int64_t ms);
/* On a worker: gives up what is over its time, and removes what a crash left of others. */
int artifact_uploads_sweep(struct ctx *c, int64_t *gone);
int blob_ref_add(struct ctx *c, const char *owner_ref, const char *sha256);
int blob_ref_drop(struct ctx *c, const char *owner_ref); /* all of the owner's */

/* Inside a read: answers with the file at `path` (content type, ETag "sha256:...", attachment,
 * ranges). Small files are verified first. ERR_NOT_FOUND "No such artifact: 'p'"; ERR_INVALID for a
 * folder. */
int artifact_send(struct ctx *c, const char *path);
/* Percent-decodes again and again until nothing changes, as MLflow does before it judges a path or
 * a source. Bad escapes stay as they are. NULL when a NUL appears or ten rounds do not suffice. */
char *artifact_decode_fully(struct ctx *c, const char *text);

/* For doctor, inside a read: every blob on disk is read and hashed, every name and reference is
 * checked for its blob. Faults are lines in `text`; the result is 0 even when there are some. */
struct artifact_report {
    int64_t blobs, bytes; /* on disk */
    int64_t damaged;      /* content does not match the name */
    int64_t missing;      /* named or referenced, but not on disk */
    int64_t unreferenced; /* on disk, for the next collection to judge */
    int64_t foreign;      /* files in blob folders that are no blobs; the first is told */
};
int artifact_check_all(struct ctx *c, struct artifact_report *out, struct buf *text);

extern const struct route_list artifact_routes;

#endif
