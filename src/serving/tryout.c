/* SPDX-License-Identifier: Apache-2.0 */
#include "tryout.h"

#include <stdatomic.h>
#include <string.h>

#include "folder.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/onnx/onnx.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"
#include "vetting.h"

#define TRYOUTS_MAX 2

static const struct serving_options *options;
static struct dir *work;
static atomic_int under_way;

void tryout_use(const struct serving_options *o, struct dir *dir) {
    options = o;
    work = dir;
}

struct lanes *tryout_lanes(void) {
    return options ? options->lanes : NULL;
}

const struct serving_options *tryout_options(void) {
    return options;
}

struct dir *tryout_dir(void) {
    return work;
}

struct trial {
    char folder[33];
    const char *model, *cases; /* files */
};

static int unpack(struct ctx *c, const struct model_version_info *info, const char *text, size_t n,
                  struct trial *t) {
    struct folder files;
    bool alone;
    if (!options || !onnx_ready())
        return fail(c, ERR_NOT_READY, "ONNX Runtime is not loaded, no version can be run");
    int rc = db_read_begin(lanes_db(options->lanes), c);
    if (rc < 0)
        return rc;
    rc = folder_find(c, info, &files);
    db_read_end(c);
    if (rc < 0)
        return rc;
    id_hex32(t->folder);
    rc = folder_copy(c, &files, work, t->folder, options->max_model, &t->model, &alone);
    if (rc < 0)
        return rc;
    const char *name = arena_printf(c->arena, "%s.cases", t->folder);
    int made = dir_write_file(work, name, text, n);
    if (made < 0)
        return fail(c, ERR_INTERNAL, "unpacking golden cases: %s", strerror(-made));
    t->cases = arena_printf(c->arena, "%s/%s", dir_path(work), name);
    return 0;
}

static void clear(struct ctx *c, const struct trial *t) {
    if (!*t->folder)
        return;
    dir_remove_tree(work, t->folder);
    dir_unlink(work, arena_printf(c->arena, "%s.cases", t->folder));
}

/* A child may take a minute and gigabytes: workers are left for everybody else. */
static int enter(struct ctx *c) {
    if (atomic_fetch_add(&under_way, 1) < TRYOUTS_MAX)
        return 0;
    atomic_fetch_sub(&under_way, 1);
    return fail(c, ERR_BUSY, "%d versions are tried already; try again", TRYOUTS_MAX);
}

static void leave(void) {
    atomic_fetch_sub(&under_way, 1);
}

int tryout_replay(struct ctx *c, const struct model_version_info *info, const char *text,
                  size_t n) {
    struct trial t = {0};
    int64_t bytes = 0;
    int rc = enter(c);
    if (rc < 0)
        return rc;
    rc = unpack(c, info, text, n, &t);
    if (rc == 0)
        rc = vet(c, options->self_exe, t.model, t.cases, &bytes);
    clear(c, &t);
    leave();
    return rc;
}

int tryout_record(struct ctx *c, const struct model_version_info *info, const char *text, size_t n,
                  const char **document) {
    struct trial t = {0};
    int rc = enter(c);
    if (rc < 0)
        return rc;
    rc = unpack(c, info, text, n, &t);
    if (rc == 0)
        rc = vet_record(c, options->self_exe, t.model, t.cases, document);
    clear(c, &t);
    leave();
    return rc;
}
