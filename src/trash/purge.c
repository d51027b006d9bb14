/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/tracking/purge.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/trace/trace.h"
#include "quern/trash/trash.h"
#include "trash.h"

#define PUT_OFF_MS (24 * 3600 * 1000LL)
#define RUN_ROWS 8 /* a run's row with what leads to it counts as so many */
#define TRACE_ROWS 16

/* A registered version says where it comes from; while it is there, that stays. */
static int needed(struct ctx *c, const char *sql, const char *what, const char *id) {
    char *name = NULL;
    int rc = db_get_text(c, sql, &name, "s", id);
    return rc || !name ? rc
                       : fail(c, ERR_CONFLICT,
                              "A version of the registered model '%s' was made of %s %s; delete "
                              "the version first.",
                              name, what, id);
}

#define VERSIONS "SELECT m.name FROM model_version v JOIN registered_model m ON m.id = v.model "

static int run_needed(struct ctx *c, const char *uuid) {
    return needed(c, VERSIONS "WHERE v.run_id = ?1 AND v.run_id <> '' LIMIT 1", "run", uuid);
}

static int model_needed(struct ctx *c, const char *uuid) {
    return needed(c, VERSIONS "WHERE v.logged_model = ?1 AND v.logged_model <> '' LIMIT 1",
                  "logged model", uuid);
}

/* Asked once, before anything of the experiment is gone. */
static int experiment_needed(struct ctx *c, int64_t id) {
    char *run = NULL, *model = NULL;
    int rc =
        db_get_text(c,
                    "SELECT r.uuid FROM run r WHERE r.experiment_id = ? AND EXISTS (SELECT 1"
                    " FROM model_version v WHERE v.run_id = r.uuid AND v.run_id <> '') LIMIT 1",
                    &run, "i", id);
    if (rc == 0)
        rc = db_get_text(c,
                         "SELECT m.uuid FROM logged_model m WHERE m.experiment_id = ? AND EXISTS"
                         " (SELECT 1 FROM model_version v WHERE v.logged_model = m.uuid"
                         " AND v.logged_model <> '') LIMIT 1",
                         &model, "i", id);
    if (rc == 0 && run)
        rc = run_needed(c, run);
    return rc == 0 && model ? model_needed(c, model) : rc;
}

static int purge_run(struct ctx *c, int64_t row) {
    const char *uuid = NULL;
    int rc = run_purge(c, row, &uuid);
    return rc || !uuid ? rc : trace_unlink_run(c, uuid);
}

/* Some of what an experiment holds; 0 when none of that is left. */
static int purge_some(struct ctx *c, const char *sql, int (*purge)(struct ctx *c, int64_t row),
                      int64_t experiment, int64_t most) {
    for (int64_t done = 0; done < most; done += RUN_ROWS) {
        int64_t row = 0;
        bool found = false;
        int rc = db_get_i64(c, sql, &row, &found, "i", experiment);
        if (rc == 0 && found)
            rc = purge(c, row);
        if (rc || !found)
            return rc;
    }
    return 1;
}

static int purge_experiment(struct ctx *c, int64_t id, int64_t most) {
    int64_t gone = 0, few = most / TRACE_ROWS + 1;
    if (id == 0)
        return fail(c, ERR_CONFLICT,
                    "Experiment 0 is where runs without an experiment go; it is never erased.");
    bool begun = false;
    int rc = db_get_i64(c, "SELECT 1 FROM experiment WHERE id = ? AND purging = 1", &gone, &begun,
                        "i", id);
    if (rc == 0 && !begun)
        rc = experiment_needed(c, id);
    if (rc == 0)
        rc = experiment_purge_begin(c, id);
    gone = 0;
    if (rc >= 0)
        rc = purge_some(c, "SELECT id FROM run WHERE experiment_id = ? LIMIT 1", purge_run, id,
                        most);
    if (rc == 0)
        rc = purge_some(c, "SELECT id FROM logged_model WHERE experiment_id = ? LIMIT 1",
                        logged_model_purge, id, most);
    if (rc == 0)
        rc = tracking_erase(c, most);
    if (rc == 0)
        rc = traces_erase(c, id, few, &gone);
    if (rc)
        return rc;
    return gone >= few ? 1 : experiment_purge(c, id, most);
}

static int purge_files(struct ctx *c, int64_t row, int64_t most) {
    int rc = db_exec(c,
                     "DELETE FROM trash_file WHERE (trash, path) IN"
                     " (SELECT trash, path FROM trash_file WHERE trash = ? LIMIT ?)",
                     "ii", row, most);
    if (rc >= 0 && db_changes(c) >= most)
        return 1;
    if (rc >= 0)
        rc = blob_ref_drop(c, arena_printf(c->arena, "trash:%lld", (long long)row));
    return rc < 0 ? rc : db_exec(c, "DELETE FROM trash WHERE id = ?", "i", row);
}

int trash_purge(struct ctx *c, const struct trash_row *t, int64_t most) {
    int rc;
    switch (t->kind) {
    case TRASH_EXPERIMENT:
        return purge_experiment(c, t->object, most);
    case TRASH_RUN:
        rc = run_needed(c, t->id);
        return rc ? rc : purge_run(c, t->object);
    case TRASH_LOGGED_MODEL:
        rc = model_needed(c, t->id);
        return rc ? rc : logged_model_purge(c, t->object);
    default:
        return purge_files(c, t->row, most);
    }
}

/* Rows first, so that what is needed no more is not waited for; then what they left. */
int trash_expire(struct ctx *c, int64_t most) {
    int did = 0;
    most = most < TRASH_STEP ? most : TRASH_STEP;
    for (int64_t done = 0; done < most; done += RUN_ROWS, did++) {
        struct trash_row t;
        int rc = trash_next_due(c, c->now_ms - trash_keep_ms, &t);
        if (rc == 0)
            break;
        if (rc > 0)
            rc = trash_purge(c, &t, most);
        if (rc == -ERR_CONFLICT) {
            err_clear(c);
            rc = trash_put_off(c, &t, c->now_ms - trash_keep_ms + PUT_OFF_MS);
        } else if (rc > 0) {
            return did + 1;
        }
        if (rc < 0)
            return rc;
    }
    if (did)
        return did;
    return tracking_erase(c, most);
}
