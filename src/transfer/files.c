/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "source.h"

#define PART ((size_t)256 << 10)
#define DEPTH_MAX 64

struct walk {
    const struct transfer_options *o;
    const struct place *place; /* or */
    struct source *source;
    struct transfer_report *report;
};

struct link {
    const char *path;
    char sha256[65];
    int64_t size;
};

static int fault(const struct walk *w, struct ctx *c, const char *rel, const char *why) {
    w->report->kinds[TRANSFER_FILES].faults++;
    if (w->o->say)
        w->o->say(w->o->arg, arena_printf(c->arena, "file %s: %s", rel, why));
    err_clear(c);
    return 0;
}

static int link_op(struct ctx *c, void *arg) {
    const struct link *l = arg;
    return artifact_link(c, l->path, l->sha256, l->size);
}

static int read_fd(struct ctx *c, int fd, struct blob_writer *blob) {
    char *part = mem_alloc(PART);
    ssize_t n = 0;
    int rc = 0;
    while (rc == 0 && (n = fd_read_all(fd, part, PART)) > 0)
        rc = blob_add(c, blob, part, (size_t)n);
    free(part);
    return rc == 0 && n < 0 ? fail(c, ERR_INTERNAL, "cannot be read: %s", strerror((int)-n)) : rc;
}

struct taking {
    struct ctx *c;
    struct blob_writer *blob;
    int rc;
};

static bool take(void *arg, const char *data, size_t n) {
    struct taking *t = arg;
    t->rc = blob_add(t->c, t->blob, data, n);
    return t->rc == 0;
}

/* The bytes into the store; they are pinned until the link commits. 1 when the source says that
 * they are those of `known`. */
static int take_bytes(const struct walk *w, struct ctx *c, int fd, const char *known,
                      struct link *l) {
    struct blob_writer *blob = NULL;
    int rc = blob_begin(c, &blob);
    if (rc == 0 && w->source) {
        struct taking t = {.c = c, .blob = blob};
        rc = w->source->ops->file(w->source, c, l->path, known, take, &t);
        rc = t.rc ? t.rc : rc;
    } else if (rc == 0) {
        rc = read_fd(c, fd, blob);
    }
    if (rc == 0)
        return blob_end(c, blob, l->sha256, &l->size);
    if (blob)
        blob_abort(blob);
    return rc;
}

static int stat_link(struct ctx *c, struct db *db, const char *path, struct artifact_entry *e,
                     bool *there) {
    int rc = db_read_begin(db, c);
    if (rc != 0)
        return rc;
    rc = artifact_stat(c, path, e);
    db_read_end(c);
    *there = rc == 0;
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        rc = 0;
    }
    return rc;
}

/* What stands here already, if it is sound: bytes that are damaged must come again. */
static const char *known_of(struct ctx *c, const struct artifact_entry *before, bool was) {
    if (!was || before->is_dir)
        return NULL;
    int rc = blob_verify(c, before->sha256);
    err_clear(c);
    return rc == 0 ? before->sha256 : NULL;
}

static bool digest_fd(int fd, int64_t *size, char sha256[65]) {
    struct sha256 *sha = sha256_new();
    unsigned char digest[32];
    char *part = mem_alloc(PART);
    ssize_t n;
    *size = 0;
    while ((n = fd_read_all(fd, part, PART)) > 0) {
        sha256_add(sha, part, (size_t)n);
        *size += n;
    }
    free(part);
    sha256_end(sha, digest);
    hex_encode(digest, sizeof digest, sha256);
    return n == 0 && lseek(fd, 0, SEEK_SET) == 0;
}

/* A file of the folder is read once more instead of being written once more. */
static bool same_file(const struct artifact_entry *before, int fd) {
    struct stat st;
    char sha256[65];
    int64_t size = 0;
    return fstat(fd, &st) == 0 && st.st_size == before->size && digest_fd(fd, &size, sha256) &&
           size == before->size && str_eq(sha256, before->sha256);
}

static int copy_file(const struct walk *w, struct ctx *c, const char *rel, int fd, struct link *l) {
    struct transfer_count *n = &w->report->kinds[TRANSFER_FILES];
    struct artifact_entry before = {0}, after = {0};
    bool was = false, is = false, same = false;
    int rc = artifact_check_path(c, l->path);
    if (rc == 0)
        rc = stat_link(c, w->o->db, l->path, &before, &was);
    const char *known = rc == 0 ? known_of(c, &before, was) : NULL;
    if (rc == 0 && known && !w->source)
        rc = same_file(&before, fd);
    if (rc == 0)
        rc = take_bytes(w, c, fd, known, l);
    if (rc < 0)
        return fault(w, c, rel, c->err.message ? c->err.message : "cannot be stored");
    const bool pinned = rc == 0;
    if (rc > 0) {
        memcpy(l->sha256, before.sha256, sizeof l->sha256);
        l->size = before.size;
    }
    same = was && !before.is_dir && str_eq(before.sha256, l->sha256);
    rc = same ? 0 : db_write(w->o->db, c, link_op, l);
    if (pinned)
        blob_unpin(l->sha256);
    if (rc == 0)
        rc = stat_link(c, w->o->db, l->path, &after, &is);
    if (rc != 0)
        return fault(w, c, rel, c->err.message ? c->err.message : "cannot be linked");
    n->same += same;
    n->fresh += !same && !was;
    n->changed += !same && was;
    w->report->bytes += l->size;
    if (!is || !str_eq(after.sha256, l->sha256) || after.size != l->size)
        return fault(w, c, rel, "stands here with other bytes");
    n->equal++;
    return 0;
}

static int walk(const struct walk *w, const char *rel, const char *logical, int depth);

static int visit(const struct walk *w, const char *rel, const char *logical, int depth) {
    struct ctx c;
    struct stat st = {0};
    ctx_begin(&c);
    c.project = w->o->project;
    /* A FIFO must not keep the import waiting until it is known for one. */
    int fd = dir_openat(w->place->root, rel, O_RDONLY | O_NONBLOCK, 0);
    int rc = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        w->report->kinds[TRANSFER_FILES].seen++;
        rc = fault(w, &c, rel,
                   fd == -ELOOP ? "is a link, and links are not followed" : "cannot be opened");
    } else if (S_ISDIR(st.st_mode)) {
        rc = walk(w, rel, logical, depth + 1);
    } else if (S_ISREG(st.st_mode)) {
        struct link l = {.path = logical};
        w->report->kinds[TRANSFER_FILES].seen++;
        if (w->o->dry_run)
            w->report->bytes += st.st_size;
        else
            rc = copy_file(w, &c, rel, fd, &l);
    } else {
        w->report->kinds[TRANSFER_FILES].seen++;
        rc = fault(w, &c, rel, "is no regular file");
    }
    fd_close(fd);
    ctx_end(&c);
    return rc;
}

static int walk(const struct walk *w, const char *rel, const char *logical, int depth) {
    struct arena *a = arena_new();
    char **names = NULL;
    size_t n = 0;
    int rc =
        depth > DEPTH_MAX ? -ELOOP : dir_list(w->place->root, *rel ? rel : NULL, a, &names, &n);
    if (rc == -ENOENT) /* a run without artifacts has no folder */
        rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = visit(w, *rel ? arena_printf(a, "%s/%s", rel, names[i]) : names[i],
                   arena_printf(a, "%s/%s", logical, names[i]), depth);
    arena_free(a);
    if (rc < 0 && w->o->say) {
        w->report->kinds[TRANSFER_FILES].faults++;
        w->o->say(w->o->arg, "an artifact folder cannot be listed");
    }
    return 0;
}

int files_copy(struct ctx *c, const struct transfer_options *o, const struct place *p,
               const char *rel, const char *logical, struct transfer_report *report) {
    struct walk w = {.o = o, .place = p, .report = report};
    (void)c;
    return walk(&w, rel, logical, 0);
}

/* ------------------------------------------------------------------ over an API */

static int fetch(const struct walk *w, const char *logical, int depth);

static int fetch_one(const struct walk *w, const struct source_entry *e, const char *logical,
                     int depth) {
    struct ctx c;
    struct link l = {.path = logical};
    int rc = 0;
    if (e->is_dir)
        return fetch(w, logical, depth + 1);
    ctx_begin(&c);
    c.project = w->o->project;
    w->report->kinds[TRANSFER_FILES].seen++;
    if (w->o->dry_run)
        w->report->bytes += e->size;
    else
        rc = copy_file(w, &c, logical, -1, &l);
    ctx_end(&c);
    return rc;
}

static int fetch(const struct walk *w, const char *logical, int depth) {
    struct source_entry *entries = NULL;
    size_t n = 0;
    struct ctx c;
    ctx_begin(&c);
    int rc = depth > DEPTH_MAX ? fail(&c, ERR_INVALID, "lies too deep")
                               : w->source->ops->list(w->source, &c, logical, &entries, &n);
    if (rc < 0)
        (void)fault(w, &c, logical, c.err.message);
    for (size_t i = 0; i < n && rc == 0; i++) {
        const char *name = entries[i].name;
        if (!*name || strchr(name, '/') || str_eq(name, ".") || str_eq(name, ".."))
            rc = fault(w, &c, logical, "lists a name that no file can have");
        else
            rc = fetch_one(w, &entries[i], arena_printf(c.arena, "%s/%s", logical, name), depth);
    }
    ctx_end(&c);
    return 0;
}

int files_fetch(const struct transfer_options *o, struct source *s, const char *logical,
                struct transfer_report *report) {
    struct walk w = {.o = o, .source = s, .report = report};
    return fetch(&w, logical, 0);
}
