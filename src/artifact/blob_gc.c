/* SPDX-License-Identifier: Apache-2.0 */
/* Blob gc: candidates are found on disk and in a snapshot, one shard at a time; each is doomed in a
 * write that sees no reference, and removed after the commit unless it was spared meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact_store.h"
#include "blob.h"
#include "pin.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define PER_WRITE 128 /* candidates judged in one write, so that the writer is not held up */

struct candidate {
    char sha256[65];
    int64_t size;
    bool doomed;
};
struct candidates {
    struct candidate *items;
    size_t n;
};

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int find_old(struct ctx *c, const char *shard, int64_t older_than_ms,
                    struct candidates *out) {
    char **names = NULL;
    size_t n = 0;
    int rc = dir_list(blob_store.blobs, shard, c->arena, &names, &n);
    if (rc == -ENOENT)
        return 0;
    if (rc != 0)
        return blob_fail(c, "Listing the artifact store", rc);
    out->items = ARENA_ARRAY(c->arena, struct candidate, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        struct candidate k = {.doomed = false};
        struct stat st;
        char name[BLOB_NAME_SIZE];
        if (strlen(names[i]) != 62)
            continue;
        memcpy(k.sha256, shard, 2);
        memcpy(k.sha256 + 2, names[i], 63);
        if (!blob_sha_ok(k.sha256) || pin_held(k.sha256))
            continue;
        blob_name(k.sha256, name);
        if (fstatat(dir_fd(blob_store.blobs), name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 > older_than_ms)
            continue;
        k.size = st.st_size;
        out->items[out->n++] = k;
    }
    return 0;
}

/* Most old blobs are in use; a snapshot sorts those out without troubling the writer. */
static int drop_referenced(struct ctx *c, struct candidates *list) {
    size_t kept = 0;
    int rc = list->n ? db_read_begin(blob_store.db, c) : 0;
    if (rc != 0 || list->n == 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < list->n; i++) {
        bool found = false;
        rc = blob_store_referenced(c, list->items[i].sha256, &found);
        if (!found)
            list->items[kept++] = list->items[i];
    }
    db_read_end(c);
    list->n = kept;
    return rc;
}

static int doom(struct ctx *c, void *arg) {
    struct candidates *part = arg;
    for (size_t i = 0; i < part->n; i++) {
        bool found = false;
        int rc = blob_store_referenced(c, part->items[i].sha256, &found);
        if (rc != 0)
            return rc;
        part->items[i].doomed = !found && pin_doom(part->items[i].sha256);
    }
    return 0;
}

static int collect_part(struct ctx *c, struct candidates *part, int64_t *blobs, int64_t *bytes) {
    int rc = db_write(blob_store.db, c, doom, part);
    for (size_t i = 0; i < part->n; i++) {
        const struct candidate *k = &part->items[i];
        char trash[64];
        if (rc != 0) {
            pin_forgive(k->sha256);
            continue;
        }
        if (!k->doomed) /* a first run of this write may have thought otherwise */
            pin_forgive(k->sha256);
        int gone = k->doomed ? pin_execute(k->sha256, trash) : 0;
        if (gone < 0)
            log_error("blob.gc", "cannot remove %s: %s", k->sha256, strerror(-gone));
        if (gone <= 0)
            continue;
        unlinkat(dir_fd(blob_store.tmp), trash, 0);
        *blobs += 1;
        *bytes += k->size;
    }
    return rc;
}

static int collect_shard(struct ctx *c, const char *shard, int64_t older_than_ms, int64_t *blobs,
                         int64_t *bytes) {
    struct candidates all = {0};
    int rc = find_old(c, shard, older_than_ms, &all);
    if (rc == 0)
        rc = drop_referenced(c, &all);
    for (size_t i = 0; rc == 0 && i < all.n; i += PER_WRITE) {
        struct candidates part = {all.items + i, all.n - i < PER_WRITE ? all.n - i : PER_WRITE};
        rc = collect_part(c, &part, blobs, bytes);
    }
    return rc;
}

void artifact_gc_pause(void) {
    pthread_mutex_lock(&one_at_a_time);
}

void artifact_gc_resume(void) {
    pthread_mutex_unlock(&one_at_a_time);
}

int artifact_gc(struct ctx *c, int64_t *blobs, int64_t *bytes) {
    *blobs = *bytes = 0;
    if (pthread_mutex_trylock(&one_at_a_time) != 0)
        return fail(c, ERR_CONFLICT, "A collection or a backup is already under way.");
    int rc = 0;
    int64_t older_than_ms = clock_wall_ms() - blob_store.gc_grace_ms;
    for (unsigned i = 0; rc == 0 && i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        char shard[3];
        struct ctx mine; /* memory of one shard only, whatever the store's size */
        hex_encode(&byte, 1, shard);
        ctx_begin(&mine);
        rc = collect_shard(&mine, shard, older_than_ms, blobs, bytes);
        if (rc != 0)
            fail(c, -rc, "%s", mine.err.message ? mine.err.message : "The collection failed.");
        ctx_end(&mine);
    }
    pthread_mutex_unlock(&one_at_a_time);
    if (*blobs > 0)
        log_info("blob.gc", "removed %lld blobs with %lld bytes", (long long)*blobs,
                 (long long)*bytes);
    return rc;
}
