/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles made and sent. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "folder.h"
#include "golden_load.h"
#include "golden_store.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"
#include "signature.h"
#include "tar.h"
#include "tryout.h"

#define KEY_FILE "bundle.key"

extern const char bundle_run_py[]; /* src/serving/bundle_run.py */

struct bundle_in {
    const char *name;
    struct opt_i64 version;
};
struct key_out {
    const char *public_key;
};
SHAPE_LOCAL(shape_bundle_in, "BundleKey", struct bundle_in,
            FIELD(struct bundle_in, name, T_STR, F_PATH | F_REQUIRED, "Registered model"),
            FIELD(struct bundle_in, version, T_I64, F_PATH | F_REQUIRED, "Its version"));
SHAPE_LOCAL(shape_key_out, "BundlePublicKey", struct key_out,
            FIELD(struct key_out, public_key, T_STR, F_ALWAYS, "Ed25519, 64 hex digits"));

/* A member of the archive: stored content, or text. */
struct member {
    const char *path;
    const char *sha256;
    int64_t size;
    const char *text; /* NULL: the blob of the digest */
};
struct contents {
    struct member *items;
    size_t n;
};

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct member *)a)->path, ((const struct member *)b)->path);
}

/* The signing key's seed, made with the first bundle. */
static int signing_seed(struct ctx *c, unsigned char seed[32]) {
    struct seal_key *key = NULL;
    const struct serving_options *o = tryout_options();
    if (!o)
        return fail(c, ERR_NOT_READY, "the server is ending");
    enum seal_fault fault = seal_key_open(o->data, KEY_FILE, true, &key);
    if (fault != SEAL_OK)
        return fail(c, ERR_INTERNAL, "the key that signs bundles: %s", seal_fault_text(fault));
    seal_mac(key, "quern bundle signature", "1", 1, seed);
    seal_key_free(key);
    return 0;
}

static void public_hex(const unsigned char seed[32], char out[65]) {
    unsigned char key[32];
    sign_public(seed, key);
    hex_encode(key, sizeof key, out);
}

static int add_text(struct ctx *c, struct member *m, const char *path, const char *text) {
    char *hex = arena_alloc(c->arena, 65);
    *m = (struct member){.path = path, .text = text, .size = (int64_t)strlen(text)};
    sha256_hex(text, strlen(text), hex);
    m->sha256 = hex;
    return 0;
}

static const char *leaf_path(struct ctx *c, const struct folder *f,
                             const struct artifact_entry *e) {
    const char *slash = strrchr(e->path, '/');
    const char *below = *f->base ? e->path + strlen(f->base) : slash ? slash + 1 : e->path;
    return arena_printf(c->arena, "model/%s", below);
}

/* All of the version's files, its cases and the runner, by path. */
static int collect(struct ctx *c, const struct folder *f, const struct golden_row *golden,
                   struct contents *out, struct bundle_manifest *m) {
    int64_t bytes = 0;
    out->items = ARENA_ARRAY(c->arena, struct member, f->files.n + 2);
    for (size_t i = 0; i < f->files.n; i++) {
        const struct artifact_entry *e = &f->files.items[i];
        out->items[out->n++] =
            (struct member){.path = leaf_path(c, f, e), .sha256 = e->sha256, .size = e->size};
        bytes += e->size;
        if (e == f->onnx)
            m->onnx = out->items[out->n - 1].path;
    }
    if (bytes > tryout_options()->max_model)
        return fail(c, ERR_UNPROCESSABLE,
                    "the version's files take more than serving.max-model allows");
    if (*golden->sha256)
        out->items[out->n++] =
            (struct member){.path = GOLDEN_FILE, .sha256 = golden->sha256, .size = golden->size};
    add_text(c, &out->items[out->n++], "run.py", bundle_run_py);
    qsort(out->items, out->n, sizeof *out->items, by_path);
    return 0;
}

static int read_features(struct ctx *c, const struct folder *f, struct bundle_manifest *m) {
    struct signature_column *columns;
    char *text;
    size_t n;
    if (!f->mlmodel || f->mlmodel->size > 1 << 20)
        return 0;
    int rc = blob_read(c, f->mlmodel->sha256, 1 << 20, &text, &n);
    if (rc < 0)
        return rc;
    signature_columns(c, c->arena, text, n, &columns, &m->features.n);
    m->features.items = ARENA_ARRAY(c->arena, const char *, m->features.n + 1);
    for (size_t i = 0; i < m->features.n; i++)
        m->features.items[i] = columns[i].name;
    return 0;
}

static const char *manifest_text(struct ctx *c, const struct contents *k,
                                 struct bundle_manifest *m) {
    struct bundle_file *files = ARENA_ARRAY(c->arena, struct bundle_file, k->n);
    struct buf out = {0};
    for (size_t i = 0; i < k->n; i++)
        files[i] = (struct bundle_file){.path = k->items[i].path,
                                        .sha256 = k->items[i].sha256,
                                        .size = SET_I64(k->items[i].size)};
    m->files = (struct list){files, k->n};
    json_encode(&out, &shape_bundle_manifest, m);
    buf_putc(&out, '\n');
    char *text = arena_strndup(c->arena, out.data, out.len);
    buf_free(&out);
    return text;
}

static int put_member(struct ctx *c, struct tar_writer *w, const struct member *m) {
    int fd = -1;
    int64_t size = 0;
    if (m->text)
        return tar_put(c, w, m->path, m->text, (size_t)m->size);
    int rc = blob_open(c, m->sha256, &fd, &size);
    if (rc == 0)
        rc = tar_put_fd(c, w, m->path, fd, m->size);
    fd_close(fd);
    return rc;
}

static int write_all(struct ctx *c, int fd, const struct contents *k, const char *manifest,
                     const unsigned char seed[32]) {
    struct tar_writer *w;
    unsigned char signature[64];
    char hex[130];
    sign(seed, manifest, strlen(manifest), signature);
    hex_encode(signature, sizeof signature, hex);
    memcpy(hex + 128, "\n", 2);
    int rc = tar_begin(c, fd, &w);
    if (rc < 0)
        return rc;
    rc = tar_put(c, w, BUNDLE_MANIFEST, manifest, strlen(manifest));
    if (rc == 0)
        rc = tar_put(c, w, BUNDLE_SIGNATURE, hex, 129);
    for (size_t i = 0; rc == 0 && i < k->n; i++)
        rc = put_member(c, w, &k->items[i]);
    if (rc == 0)
        return tar_end(c, w);
    tar_drop(w);
    return rc;
}

/* A file without a name. */
static int scratch(struct ctx *c) {
    char name[33];
    id_hex32(name);
    int fd = dir_openat(tryout_dir(), name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fail(c, ERR_INTERNAL, "making the archive: %s", strerror(-fd));
    dir_unlink(tryout_dir(), name);
    return fd;
}

static int find(struct ctx *c, const struct bundle_in *in, struct model_version_info *info,
                struct folder *files, struct golden_row *golden) {
    int rc = db_read_begin(lanes_db(tryout_lanes()), c);
    if (rc < 0)
        return rc;
    rc = golden_store_get(c, in->name, in->version.v, OBJECT_READ, golden);
    if (rc == 0)
        rc = model_version_get(c, in->name, in->version.v, info);
    if (rc == 0)
        rc = folder_find(c, info, files);
    if (rc == 0)
        rc = golden_find(c, info, files, golden);
    db_read_end(c);
    return rc;
}

static int get(struct ctx *c, const void *in_, void *out) {
    const struct bundle_in *in = in_;
    struct model_version_info info;
    struct folder files;
    struct golden_row golden;
    struct golden_file cases = {0};
    struct contents k = {0};
    struct bundle_manifest m = {.format = BUNDLE_FORMAT};
    unsigned char seed[32];
    char key[65];
    struct stat st;
    (void)out;
    int rc = find(c, in, &info, &files, &golden);
    if (rc == 0)
        rc = golden_load(c, &golden, &cases);
    if (rc == 0)
        rc = signing_seed(c, seed);
    if (rc == 0)
        rc = collect(c, &files, &golden, &k, &m);
    if (rc == 0)
        rc = read_features(c, &files, &m);
    if (rc < 0)
        return rc;
    public_hex(seed, key);
    m.model = info.name;
    m.version = SET_I64(info.version);
    m.golden = SET_I64((int64_t)cases.golden.cases.n);
    m.public_key = key;
    int fd = scratch(c);
    if (fd >= 0)
        rc = write_all(c, fd, &k, manifest_text(c, &k, &m), seed);
    crypto_wipe(seed, sizeof seed);
    if (fd < 0 || rc < 0) {
        fd_close(fd < 0 ? -1 : fd);
        return fd < 0 ? fd : rc;
    }
    if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        fd_close(fd);
        return fail(c, ERR_INTERNAL, "the archive cannot be sent");
    }
    reply_file(c, "application/gzip", fd, st.st_size);
    reply_attachment(c, arena_printf(c->arena, "%s-%" PRId64 ".tar.gz", info.name, info.version));
    return 0;
}

static int get_key(struct ctx *c, const void *in, void *out_) {
    struct key_out *out = out_;
    unsigned char seed[32];
    char *key = arena_alloc(c->arena, 65);
    (void)in;
    int rc = signing_seed(c, seed);
    if (rc < 0)
        return rc;
    public_hex(seed, key);
    crypto_wipe(seed, sizeof seed);
    out->public_key = key;
    return 0;
}

static const struct route rows[] = {
    {.id = "serving.bundle.get",
     .method = "GET",
     .path = "/api/v1/models/{name}/versions/{version}/bundle",
     .in = &shape_bundle_in,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .flags = ROUTE_OBJECT,
     .fn = get,
     .summary = "Sends a version with all that it takes to run it elsewhere, signed."},
    {.id = "serving.bundle.key",
     .method = "GET",
     .path = "/api/v1/bundle-key",
     .out = &shape_key_out,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .fn = get_key,
     .summary = "Shows the public key that bundles of this server are signed with."},
};
const struct route_list bundle_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
