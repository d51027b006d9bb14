/* SPDX-License-Identifier: Apache-2.0 */
#include "trash.h"

#include "artifact/house.h"
#include "quern/base/str.h"
#include "quern/registry/copy.h"
#include "quern/registry/registry.h"
#include "quern/tracking/copy.h"
#include "quern/tracking/purge.h"
#include "quern/tracking/tracking.h"
#include "quern/trash/trash.h"
#include "quota.h"

static struct house h;
static char run_id[33];
static int64_t run_row, experiment, seen;

static int64_t number(struct ctx *c, const char *sql) {
    int64_t n = -1;
    db_get_i64(c, sql, &n, NULL, "");
    return n;
}

static int count_op(struct ctx *c, void *sql) {
    seen = number(c, sql);
    return 0;
}

static int64_t count(const char *sql) {
    house_read(&h, count_op, (void *)sql);
    return seen;
}

static int make_op(struct ctx *c, void *arg) {
    struct run_new in = {.name = "r", .start_ms = 1};
    int rc = experiment_ensure(c, arg, &experiment);
    in.experiment_id = experiment;
    if (rc == 0)
        rc = run_create(c, &in, run_id);
    if (rc == 0)
        rc = run_set_tag(c, run_id, "k", "v");
    return rc ? rc
              : db_get_i64(c, "SELECT id FROM run WHERE uuid = ?", &run_row, NULL, "s", run_id);
}

static int points_op(struct ctx *c, void *arg) {
    struct copy_point p[700];
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        p[i] = (struct copy_point){.key = i % 2 ? "a" : "b",
                                   .time_ms = (int64_t)i,
                                   .step = (int64_t)i,
                                   .value = (double)i * 1.37};
    return run_points_in(c, run_id, p, ARRAY_LEN(p));
}

static int old_point_op(struct ctx *c, void *arg) {
    (void)arg;
    return db_exec(c,
                   "INSERT INTO metric_point (run_id, key_id, time_ms, step, value, is_nan)"
                   " VALUES (?, 1, 1, 1, 1.0, 0)",
                   "i", run_row);
}

static int delete_op(struct ctx *c, void *arg) {
    (void)arg;
    int rc = db_exec(c, "UPDATE run SET deleted = 1, deleted_ms = 5 WHERE id = ?", "i", run_row);
    return rc < 0 ? rc : trash_keep_mark(c, "run", run_row);
}

static int step_rc;
static int erase_op(struct ctx *c, void *most) {
    step_rc = run_metrics_erase(c, run_row, *(int64_t *)most);
    return step_rc < 0 ? step_rc : 0;
}

#define POINTS                                                                                     \
    "SELECT (SELECT count(*) FROM metric_block) + (SELECT count(*) FROM metric_tail)"              \
    " + (SELECT count(*) FROM metric_latest) + (SELECT count(*) FROM metric_point)"

static void erases_points(void) {
    int64_t most = 1, steps = 0;
    CHECK_INT(house_write(&h, make_op, "points"), 0);
    CHECK_INT(house_write(&h, points_op, NULL), 0);
    int64_t of_other = count(POINTS);
    CHECK_INT(house_write(&h, make_op, "points"), 0);
    CHECK_INT(house_write(&h, points_op, NULL), 0);
    CHECK_INT(house_write(&h, old_point_op, NULL), 0);
    CHECK_INT(count(POINTS), of_other * 2 + 1);
    do {
        int64_t had = count(POINTS);
        CHECK_INT(house_write(&h, erase_op, &most), 0);
        CHECK(had - count(POINTS) <= 4); /* one of each table */
    } while (step_rc > 0 && ++steps < 100);
    CHECK(steps > 1);
    CHECK_INT(step_rc, 0);
    CHECK_INT(count(POINTS), of_other);
}

static int expire_op(struct ctx *c, void *most) {
    c->now_ms += trash_keep_ms + 1000;
    step_rc = trash_expire(c, *(int64_t *)most);
    return step_rc < 0 ? step_rc : 0;
}

static int early_op(struct ctx *c, void *most) {
    step_rc = trash_expire(c, *(int64_t *)most);
    return step_rc < 0 ? step_rc : 0;
}

static struct trash_row found;
static char found_by[32];
static int find_op(struct ctx *c, void *kind) {
    int rc = trash_find(c, kind, str_eq(kind, "run") ? run_id : "m", &found);
    snprintf(found_by, sizeof found_by, "%s", rc == 0 && found.by ? found.by : "");
    return rc;
}

static int restore_op(struct ctx *c, void *kind) {
    struct trash_row t;
    int rc = trash_find(c, kind, str_eq(kind, "run") ? run_id : "m", &t);
    return rc ? rc : trash_restore(c, &t);
}

#define RUN_ROWS                                                                                   \
    "SELECT (SELECT count(*) FROM run) + (SELECT count(*) FROM run_tag) + (SELECT count(*)"        \
    " FROM run_rest) + (SELECT count(*) FROM trash)"

static void purges_runs(void) {
    int64_t most = 40, before = count(RUN_ROWS), points = count(POINTS);
    char first[33];
    CHECK_INT(house_write(&h, make_op, "purge"), 0);
    CHECK_INT(house_write(&h, points_op, NULL), 0);
    memcpy(first, run_id, sizeof first);
    int64_t first_row = run_row;
    CHECK_INT(house_write(&h, delete_op, NULL), 0);
    CHECK_INT(house_read(&h, find_op, "run"), 0);
    CHECK_STR(found_by, "daemon");
    CHECK_INT(house_write(&h, early_op, &most), 0); /* not due yet */
    CHECK_INT(step_rc, 0);
    CHECK_INT(house_write(&h, restore_op, "run"), 0);
    CHECK_INT(house_read(&h, find_op, "run"), -ERR_NOT_FOUND);
    CHECK_INT(house_write(&h, delete_op, NULL), 0);
    CHECK_INT(house_write(&h, expire_op, &most), 0);
    CHECK(step_rc > 0);
    CHECK_INT(house_write(&h, restore_op, "run"), -ERR_NOT_FOUND);
    CHECK_INT(count("SELECT count(*) FROM run_rest"), 1);
    /* A new run meanwhile must not inherit what is not erased yet. */
    CHECK_INT(house_write(&h, make_op, "purge"), 0);
    CHECK(run_row > first_row);
    for (int i = 0; step_rc > 0 && i < 100; i++)
        CHECK_INT(house_write(&h, expire_op, &most), 0);
    CHECK_INT(step_rc, 0);
    CHECK_INT(count(RUN_ROWS), before + 3); /* the new run, its name and its tag */
    CHECK_INT(count(POINTS), points);
}

static int models_op(struct ctx *c, void *arg) {
    struct pair tags[] = {{"k", "line\n\"\xc3\xa9"}};
    struct copy_version v[] = {{.version = 1,
                                .source = "s",
                                .run_id = "",
                                .run_link = "",
                                .logged_model = "",
                                .description = "d",
                                .stage = "Production",
                                .status = "READY",
                                .created_ms = 3,
                                .updated_ms = 4},
                               {.version = 3,
                                .source = "models:/x",
                                .storage = "t",
                                .run_id = run_id,
                                .run_link = "l",
                                .logged_model = "m-1",
                                .description = "",
                                .stage = "None",
                                .status = "READY",
                                .created_ms = 5,
                                .updated_ms = 6,
                                .tags = {tags, 1}}};
    struct copy_alias a[] = {{"champion", 3}};
    struct copy_registered m = {.name = "m",
                                .description = "about",
                                .created_ms = 1,
                                .updated_ms = 2,
                                .last_version = 7,
                                .tags = {tags, 1},
                                .aliases = a,
                                .naliases = 1,
                                .versions = v,
                                .nversions = 2};
    (void)arg;
    return registered_copy_in(c, &m);
}

static char texts[2][2000];
static int text_op(struct ctx *c, void *to) {
    struct copy_registered m;
    int rc = registered_copy_get(c, "m", &m);
    if (rc > 0)
        snprintf(to, sizeof texts[0], "%s", snapshot_text(c, &m));
    return rc < 0 ? rc : rc > 0 ? 0 : -ERR_NOT_FOUND;
}

static int drop_model_op(struct ctx *c, void *arg) {
    (void)arg;
    int rc = trash_keep_registered(c, "m", 0);
    return rc ? rc : db_exec(c, "DELETE FROM registered_model WHERE name = 'm'", "");
}

static void restores_models(void) {
    CHECK_INT(house_write(&h, models_op, NULL), 0);
    CHECK_INT(house_read(&h, text_op, texts[0]), 0);
    CHECK_HAS(texts[0], "\"last_version\":7");
    CHECK_HAS(texts[0], "\"storage\":\"t\"");
    CHECK_INT(house_write(&h, drop_model_op, NULL), 0);
    CHECK_INT(house_write(&h, models_op, NULL), 0);
    CHECK_INT(house_write(&h, restore_op, "registered_model"), -ERR_CONFLICT);
    CHECK_INT(house_write(&h, drop_model_op, NULL), 0);
    CHECK_INT(house_write(&h, restore_op, "registered_model"), 0);
    CHECK_INT(house_read(&h, text_op, texts[1]), 0);
    CHECK_STR(texts[1], texts[0]);
    CHECK_INT(count("SELECT count(*) FROM trash WHERE kind = 'registered_model'"), 1);
}

struct file {
    const char *path;
    char sha[65];
};

static int link_op(struct ctx *c, void *arg) {
    struct file *f = arg;
    return artifact_link(c, f->path, f->sha, 3);
}

static int discard_op(struct ctx *c, void *arg) {
    return artifact_discard(c, arg);
}

static int restore_name_op(struct ctx *c, void *name) {
    struct trash_row t;
    int rc = trash_find(c, "artifact", name, &t);
    return rc ? rc : trash_restore(c, &t);
}

static void put(const char *path, const char *bytes) {
    struct file f = {.path = path};
    struct ctx c;
    ctx_begin(&c);
    CHECK_INT(blob_put(&c, bytes, 3, f.sha), 0);
    ctx_end(&c);
    CHECK_INT(house_write(&h, link_op, &f), 0);
}

static int64_t collect(void) {
    struct ctx c;
    int64_t blobs = -1, bytes;
    ctx_begin(&c);
    artifact_gc(&c, &blobs, &bytes);
    ctx_end(&c);
    return blobs;
}

static void restores_files(void) {
    int64_t most = 500;
    put("d/x", "one");
    put("d/y", "two");
    put("dd", "thr");
    CHECK_INT(house_write(&h, discard_op, "d"), 0);
    CHECK_INT(count("SELECT count(*) FROM artifact"), 1);
    CHECK_INT(collect(), 0); /* the trash keeps the blobs */
    put("d/x", "new");
    CHECK_INT(house_write(&h, restore_name_op, "d"), -ERR_CONFLICT);
    CHECK_HAS(said, "d/x");
    CHECK_INT(count("SELECT count(*) FROM artifact"), 2);
    CHECK_INT(house_write(&h, discard_op, "d/x"), 0);
    CHECK_INT(house_write(&h, restore_name_op, "d"), 0);
    CHECK_INT(count("SELECT count(*) FROM artifact"), 3);
    put("d/z/file", "fil");
    CHECK_INT(house_write(&h, discard_op, "d/z"), 0);
    put("d/z", "fld");
    CHECK_INT(house_write(&h, restore_name_op, "d/z"), -ERR_CONFLICT);
    CHECK_INT(house_write(&h, discard_op, "absent"), 0);
    CHECK_INT(count("SELECT count(*) FROM trash WHERE kind = 'artifact'"), 2);
    do
        CHECK_INT(house_write(&h, expire_op, &most), 0);
    while (step_rc > 0);
    CHECK_INT(count("SELECT count(*) FROM trash"), 0);
    CHECK_INT(count("SELECT count(*) FROM blob_ref"), 0);
    CHECK_INT(collect(), 2);
}

static int quota_op(struct ctx *c, void *most) {
    return quota_set(c, 1, most);
}

static void holds_quotas(void) {
    int64_t runs = count("SELECT count(*) FROM run");
    struct quota_amounts most = {.runs = SET_I64(runs + 1), .artifact_bytes = SET_I64(1)};
    CHECK_INT(house_write(&h, quota_op, &most), 0);
    CHECK_INT(house_write(&h, make_op, "quota"), 0);
    CHECK_INT(house_write(&h, make_op, "quota"), -ERR_QUOTA);
    CHECK_HAS(said, "runs");
    CHECK_INT(count("SELECT runs FROM quota"), runs + 1);
    CHECK_INT(count("SELECT artifact_bytes FROM quota"), count("SELECT sum(size) FROM artifact"));
    CHECK_INT(house_write(&h, discard_op, "d"), 0); /* over it already: less is allowed */
    CHECK_INT(count("SELECT artifact_bytes FROM quota"), count("SELECT sum(size) FROM artifact"));
    CHECK_INT(house_write(&h, quota_op, &(struct quota_amounts){0}), 0);
    CHECK_INT(count("SELECT count(*) FROM quota"), 0);
    CHECK_INT(house_write(&h, make_op, "quota"), 0);
}

int main(void) {
    house_open(&h, 0);
    trash_open(h.db, 30 * 24 * 3600 * 1000LL);
    RUN(erases_points);
    RUN(purges_runs);
    RUN(restores_models);
    RUN(restores_files);
    RUN(holds_quotas);
    house_end(&h);
    return CHECK_END();
}
