/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/json/json_in.h"
#include "quern/serving/serving.h"
#include "tar.h"

#define MANIFEST_MAX ((int64_t)16 << 20)

SHAPE_LOCAL(shape_bundle_file, "BundleFile", struct bundle_file,
            FIELD(struct bundle_file, path, T_STR, F_REQUIRED, "Within the archive"),
            FIELD(struct bundle_file, sha256, T_STR, F_REQUIRED, "Digest"),
            FIELD(struct bundle_file, size, T_I64, F_REQUIRED, "Bytes"));
SHAPE(shape_bundle_manifest, "BundleManifest", struct bundle_manifest,
      FIELD(struct bundle_manifest, format, T_STR, F_REQUIRED, "quern-bundle-1"),
      FIELD(struct bundle_manifest, model, T_STR, F_REQUIRED, "Registered model"),
      FIELD(struct bundle_manifest, version, T_I64, F_REQUIRED, "Its version"),
      FIELD(struct bundle_manifest, onnx, T_STR, F_REQUIRED, "The model's file"),
      FIELD(struct bundle_manifest, features, T_STRS, F_ALWAYS, "Column names, in order"),
      FIELD(struct bundle_manifest, golden, T_I64, F_ALWAYS, "Golden cases"),
      FIELD(struct bundle_manifest, public_key, T_STR, F_REQUIRED, "Whose signature it is, hex"),
      FIELD_SUB(struct bundle_manifest, files, T_LIST, F_ALWAYS, &shape_bundle_file,
                "All other files"));

static int read_whole(struct ctx *c, struct tar_reader *r, const char *want, char **text,
                      size_t *n) {
    const char *name;
    int64_t size;
    int rc = tar_next(c, r, &name, &size);
    if (rc < 0)
        return rc;
    if (rc == 0 || strcmp(name, want) != 0)
        return fail(c, ERR_INVALID, "it is no bundle: %s is not where it must be", want);
    if (size > MANIFEST_MAX)
        return fail(c, ERR_INVALID, "it is no bundle: %s is too large", want);
    *text = arena_alloc(c->arena, (size_t)size + 1);
    *n = (size_t)size;
    return tar_read(c, r, *text, *n) == size ? 0 : -ERR_INVALID;
}

static int check_signature(struct ctx *c, const char *manifest, size_t n, const char *signature,
                           size_t nsignature, const char *public_key) {
    unsigned char key[32], bytes[64];
    if (strlen(public_key) != 64 || !hex_decode(public_key, 64, key))
        return fail(c, ERR_INVALID, "a public key has 64 hex digits");
    if (nsignature != 129 || signature[128] != '\n' || !hex_decode(signature, 128, bytes))
        return fail(c, ERR_INVALID, "its signature is broken");
    return sign_verify(key, manifest, n, bytes)
               ? 0
               : fail(c, ERR_INVALID, "its signature is not one of key %s", public_key);
}

static int check_file(struct ctx *c, struct tar_reader *r, const char *name, int64_t size,
                      struct map *files) {
    const struct bundle_file *f = map_get(files, name);
    struct sha256 *sum;
    unsigned char digest[32];
    char hex[65], part[8192];
    int64_t n;
    if (!f)
        return fail(c, ERR_INVALID, "the file %.200s is not in its manifest", name);
    map_remove(files, name);
    sum = sha256_new();
    while ((n = tar_read(c, r, part, sizeof part)) > 0)
        sha256_add(sum, part, (size_t)n);
    sha256_end(sum, digest);
    if (n < 0)
        return (int)n;
    hex_encode(digest, sizeof digest, hex);
    return size == f->size.v && strcmp(hex, f->sha256) == 0
               ? 0
               : fail(c, ERR_INVALID, "the file %.200s was changed", name);
}

static int check_files(struct ctx *c, struct tar_reader *r, const struct bundle_manifest *m) {
    struct map *files = map_new();
    struct bundle_file *list = m->files.items;
    const char *name;
    int64_t size;
    int rc = 0;
    for (size_t i = 0; i < m->files.n; i++)
        map_set(files, list[i].path, &list[i]);
    while (rc == 0 && (rc = tar_next(c, r, &name, &size)) > 0)
        rc = check_file(c, r, name, size, files);
    void *missing;
    size_t at = 0;
    if (rc == 0 && map_next(files, &at, &name, &missing))
        rc = fail(c, ERR_INVALID, "the file %.200s is missing", name);
    map_free(files, NULL);
    return rc;
}

int bundle_verify(struct ctx *c, const char *file, const char *public_key, const char **what) {
    struct tar_reader *r;
    struct bundle_manifest m = {0};
    struct json_t *tree;
    char *manifest, *signature;
    size_t n = 0, nsignature = 0;
    int rc = tar_open(c, file, &r);
    if (rc < 0)
        return rc;
    rc = read_whole(c, r, BUNDLE_MANIFEST, &manifest, &n);
    if (rc == 0)
        rc = read_whole(c, r, BUNDLE_SIGNATURE, &signature, &nsignature);
    if (rc == 0)
        rc = check_signature(c, manifest, n, signature, nsignature, public_key);
    if (rc == 0)
        rc = json_parse(c, DIALECT_PROBLEM, manifest, n, &tree);
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &shape_bundle_manifest, tree, NULL, NULL, &m);
    if (rc == 0 && strcmp(m.format, BUNDLE_FORMAT) != 0)
        rc = fail(c, ERR_INVALID, "its format is %.40s, not " BUNDLE_FORMAT, m.format);
    if (rc == 0)
        rc = check_files(c, r, &m);
    if (rc == 0)
        *what = arena_printf(c->arena,
                             "%s version %lld, %zu files, %lld golden cases, signed by %s", m.model,
                             (long long)m.version.v, m.files.n, (long long)m.golden.v, public_key);
    tar_close(r);
    return rc;
}
