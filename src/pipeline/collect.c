/* SPDX-License-Identifier: Apache-2.0 */
/* Declared outputs of an ended attempt become blobs. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "executor.h"
#include "json_value.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/json/json_in.h"

#define DOCUMENT_CAP ((size_t)4 << 20)
#define FOLDER_FILES ((size_t)100000)
#define FOLDER_DEPTH 32
#define COPY_BYTES ((size_t)1 << 17)

struct collector {
    struct ctx *c;
    struct dir *d;
    const struct step_output *o;
    struct collected *out;
};

static const char *const kind_names[] = {"artifact", "metrics", "values", "model"};

static int store_fd(struct ctx *c, int fd, char sha256[65], int64_t *size) {
    struct blob_writer *w;
    int rc = blob_begin(c, &w);
    if (rc) {
        return rc;
    }
    char *part = mem_alloc(COPY_BYTES);
    ssize_t n;
    while (rc == 0 && (n = fd_read_all(fd, part, COPY_BYTES)) != 0) {
        rc = n < 0 ? fail(c, ERR_INTERNAL, "an output could not be read: %s", strerror((int)-n))
                   : blob_add(c, w, part, (size_t)n);
    }
    free(part);
    if (rc) {
        blob_abort(w);
        return rc;
    }
    return blob_end(c, w, sha256, size);
}

static int store_file(struct collector *k, const char *rel, const char *name) {
    struct ctx *c = k->c;
    char sha[65];
    int64_t size;
    /* O_NONBLOCK: a FIFO left in place of a file must not hold a worker. */
    int fd = dir_openat(k->d, rel, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        fd_close(fd);
        return fail(c, ERR_CONFLICT, "output %s: \"%s\" is no regular file that can be read%s",
                    k->o->name, rel, fd == -ELOOP ? " (links are not followed)" : "");
    }
    int rc = store_fd(c, fd, sha, &size);
    fd_close(fd);
    if (rc) {
        return rc;
    }
    k->out->files = rows_grown(c, k->out->files, k->out->n, sizeof *k->out->files);
    k->out->files[k->out->n++] =
        (struct bound_file){.path = name, .sha256 = arena_strdup(c->arena, sha), .size = size};
    k->out->row.size += size;
    return 0;
}

static int walk(struct collector *k, const char *rel, const char *name, int depth) {
    struct ctx *c = k->c;
    char **names;
    size_t n;
    if (depth > FOLDER_DEPTH) {
        return fail(c, ERR_TOO_LARGE, "output %s is nested deeper than %d folders", k->o->name,
                    FOLDER_DEPTH);
    }
    int got = dir_list(k->d, rel, c->arena, &names, &n);
    if (got) {
        return fail(c, ERR_CONFLICT, "output %s: the folder \"%s\" cannot be read: %s", k->o->name,
                    rel, strerror(-got));
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const char *below = arena_printf(c->arena, "%s/%s", rel, names[i]);
        const char *full = arena_printf(c->arena, "%s/%s", name, names[i]);
        struct stat st;
        if (!utf8_valid(names[i], strlen(names[i]))) {
            return fail(c, ERR_CONFLICT, "output %s holds a file whose name is not UTF-8",
                        k->o->name);
        }
        if (k->out->n >= FOLDER_FILES) {
            return fail(c, ERR_TOO_LARGE, "output %s holds more than %zu files", k->o->name,
                        FOLDER_FILES);
        }
        int fd = dir_openat(k->d, below, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
        bool folder = fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
        fd_close(fd);
        rc = folder ? walk(k, below, full, depth + 1) : store_file(k, below, full);
    }
    return rc;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct bound_file *)a)->path, ((const struct bound_file *)b)->path);
}

/* A folder is known by the digest of its manifest. */
static int store_manifest(struct collector *k) {
    struct ctx *c = k->c;
    json_t *list = json_on_arena(c, json_array());
    size_t skip = strlen(k->o->name) + 1;
    if (k->out->n) {
        qsort(k->out->files, k->out->n, sizeof *k->out->files, by_path);
    }
    for (size_t i = 0; i < k->out->n; i++) {
        json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "path", k->out->files[i].path + skip,
                                              "sha256", k->out->files[i].sha256, "size",
                                              (json_int_t)k->out->files[i].size));
    }
    char sha[65], *text = json_canonical(c, list);
    int rc = blob_put(c, text, strlen(text), sha);
    k->out->row.sha256 = arena_strdup(c->arena, sha);
    return rc;
}

static int read_document(struct collector *k, const char *rel) {
    struct ctx *c = k->c;
    char *text;
    size_t n;
    json_t *t;
    struct fpairs flat;
    int got = dir_read_file(k->d, rel, c->arena, DOCUMENT_CAP, &text, &n);
    if (got) {
        return fail(c, ERR_CONFLICT, "output %s: %s", k->o->name,
                    got == -EFBIG ? "the document has more than 4 MiB" : strerror(-got));
    }
    int rc = json_parse(c, DIALECT_PROBLEM, text, n, &t);
    if (rc) {
        const char *message = c->err.message ? c->err.message : "not JSON";
        err_clear(c);
        return fail(c, ERR_CONFLICT, "output %s (%s) is not a JSON document: %s", k->o->name,
                    k->o->path, message);
    }
    if (!json_is_object(t)) {
        return fail(c, ERR_CONFLICT, "output %s (%s) must be a JSON object", k->o->name,
                    k->o->path);
    }
    if (k->o->kind == OUTPUT_METRICS) {
        rc = json_flatten(c, t, &flat);
        if (rc == 0 && flat.n == 0) {
            rc = fail(c, ERR_CONFLICT, "output %s (%s) holds no number", k->o->name, k->o->path);
        }
    }
    k->out->row.data = json_canonical(c, t);
    return rc;
}

static bool is_source(const struct run_view *v, const char *path) {
    for (size_t i = 0; i < v->files.n; i++) {
        if (str_eq(v->files.items[i].path, path)) {
            return true;
        }
    }
    return false;
}

static int collect(struct collector *k, const struct run_view *v, bool *found) {
    struct ctx *c = k->c;
    const struct step_output *o = k->o;
    const char *rel = arena_printf(c->arena, "out/%s", o->path);
    if (!dir_exists(k->d, rel) && !is_source(v, o->path)) {
        /* A script that knows of no outputs folder writes where it stands. */
        rel = arena_printf(c->arena, "src/%s", o->path);
    }
    *found = dir_exists(k->d, rel);
    if (!*found) {
        return o->optional ? 0
                           : fail(c, ERR_CONFLICT,
                                  "output %s is missing: nothing at %s in the outputs folder "
                                  "(QUERN_OUTPUTS)",
                                  o->name, o->path);
    }
    const char *base = strrchr(o->path, '/');
    k->out->row =
        (struct output_row){.name = o->name, .kind = kind_names[o->kind], .path = o->path};
    struct stat st;
    int fd = dir_openat(k->d, rel, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    k->out->row.folder = fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    fd_close(fd);
    if (k->out->row.folder) {
        if (o->kind == OUTPUT_METRICS || o->kind == OUTPUT_VALUES) {
            return fail(c, ERR_CONFLICT, "output %s (%s) must be a file, not a folder", o->name,
                        o->path);
        }
        int rc = walk(k, rel, o->name, 1);
        return rc ? rc : store_manifest(k);
    }
    int rc =
        store_file(k, rel, arena_printf(c->arena, "%s/%s", o->name, base ? base + 1 : o->path));
    if (rc == 0) {
        k->out->row.sha256 = k->out->files[0].sha256;
    }
    return rc || (o->kind != OUTPUT_METRICS && o->kind != OUTPUT_VALUES) ? rc
                                                                         : read_document(k, rel);
}

int outputs_collect(struct ctx *c, const struct run_view *v, const struct step *s, const char *base,
                    struct collection *out) {
    struct dir *d;
    *out = (struct collection){.items = ARENA_ARRAY(c->arena, struct collected, s->noutputs + 1)};
    if (s->noutputs == 0) {
        return 0;
    }
    int rc = dir_open_sub(executor.o.data, base, false, &d);
    if (rc) {
        return fail(c, ERR_CONFLICT, "the attempt's folder is gone: %s", strerror(-rc));
    }
    for (size_t i = 0; rc == 0 && i < s->noutputs; i++) {
        struct collector k = {.c = c, .d = d, .o = &s->outputs[i], .out = &out->items[out->n]};
        bool found = false;
        rc = collect(&k, v, &found);
        out->n += found; /* also after a failure, so that what was stored is let go */
    }
    dir_close(d);
    return rc;
}

void collection_unpin(const struct collection *outputs) {
    for (size_t i = 0; i < outputs->n; i++) {
        const struct collected *o = &outputs->items[i];
        for (size_t k = 0; k < o->n; k++) {
            blob_unpin(o->files[k].sha256);
        }
        if (o->row.folder && o->row.sha256) {
            blob_unpin(o->row.sha256);
        }
    }
}
