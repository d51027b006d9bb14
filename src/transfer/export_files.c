/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"

static int make_parent(struct export *x, struct arena *a, const char *path) {
    char *parent = arena_strdup(a, path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    return dir_mkdirs(x->files, parent);
}

/* Copies while it hashes: what arrives is what the name says. */
static int copy_bytes(int from, int to, const char *want) {
    struct sha256 *sha = sha256_new();
    unsigned char digest[32];
    char hex[65], *part = mem_alloc((size_t)1 << 18);
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = fd_read_all(from, part, (size_t)1 << 18)) > 0) {
        sha256_add(sha, part, (size_t)n);
        rc = fd_write_all(to, part, (size_t)n);
    }
    free(part);
    sha256_end(sha, digest);
    hex_encode(digest, 32, hex);
    return rc != 0 ? rc : str_eq(hex, want) ? 0 : -EIO;
}

static void put_file(struct export *x, struct ctx *c, const struct artifact_entry *e) {
    struct transfer_count *n = &x->report->kinds[TRANSFER_FILES];
    int64_t size = 0;
    int in = -1;
    n->seen++;
    int rc = blob_open(c, e->sha256, &in, &size);
    int out = rc == 0 && make_parent(x, c->arena, e->path) == 0
                  ? dir_openat(x->files, e->path, O_WRONLY | O_CREAT | O_TRUNC, 0644)
                  : -1;
    rc = rc == 0 && out >= 0 ? copy_bytes(in, out, e->sha256) : -1;
    fd_close(in);
    if (out >= 0 && fsync(out) != 0)
        rc = -1;
    fd_close(out);
    if (rc == 0) {
        n->fresh++;
        n->equal++;
        x->report->bytes += size;
    } else {
        export_say(x, TRANSFER_FILES, e->path, "cannot be written, or its bytes are damaged");
    }
    err_clear(c);
}

int export_files(struct export *x) {
    struct artifact_entries top = {0};
    struct ctx c;
    ctx_begin(&c);
    c.project = x->o->project;
    int rc = db_read_begin(x->o->db, &c);
    if (rc == 0) {
        rc = artifact_list(&c, "", &top);
        for (size_t i = 0; i < top.n && rc == 0; i++) {
            struct artifact_entries tree = {0};
            if (!top.items[i].is_dir) {
                rc = artifact_stat(&c, top.items[i].path, &top.items[i]);
                tree = (struct artifact_entries){&top.items[i], 1};
            } else {
                rc = artifact_list_tree(&c, top.items[i].path, &tree);
            }
            for (size_t k = 0; k < tree.n && rc == 0; k++)
                put_file(x, &c, &tree.items[k]);
        }
        db_read_end(&c);
    }
    if (rc != 0)
        export_say(x, TRANSFER_FILES, "the artifacts",
                   c.err.message ? c.err.message : "cannot be listed");
    ctx_end(&c);
    return rc;
}
