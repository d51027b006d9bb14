/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "pipeline_run.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define STEP_COLUMNS                                                                               \
    "id, step, name, item_index, item, state, reason, attempt, failures, losses, not_before_ms, "  \
    "cache_key, origin_attempt, cached_from, tracking_run_id, result, started_ms, ended_ms"
#define ATTEMPT_COLUMNS                                                                            \
    "id, step_id, number, token, state, folder, tracking_run_id, reason, exit_code, signal, "      \
    "cpu_ms, peak_rss_bytes, log_bytes, timed_out, started_ms, ended_ms"

static void step_read_row(struct ctx *c, struct stmt *st, struct step_row *s) {
    *s = (struct step_row){
        .id = stmt_i64(st, 0),
        .step = stmt_text(c, st, 1),
        .name = stmt_text(c, st, 2),
        .item_index = stmt_null(st, 3) ? -1 : stmt_i64(st, 3),
        .item = stmt_text(c, st, 4),
        .state = step_state_of(stmt_text(c, st, 5)),
        .reason = stmt_text(c, st, 6),
        .attempt = stmt_i64(st, 7),
        .failures = stmt_i64(st, 8),
        .losses = stmt_i64(st, 9),
        .not_before_ms = stmt_i64(st, 10),
        .cache_key = stmt_text(c, st, 11),
        .origin_attempt = stmt_i64(st, 12),
        .cached_from = stmt_text(c, st, 13),
        .tracking_run_id = stmt_text(c, st, 14),
        .result = stmt_text(c, st, 15),
        .started_ms = stmt_i64(st, 16),
        .ended_ms = stmt_i64(st, 17),
    };
}

int step_insert(struct ctx *c, const char *run_id, size_t position, const struct step_row *s) {
    return db_exec(
        c,
        "INSERT INTO pipeline_step (run_id, position, step, name, item_index, item, state) "
        "VALUES (?, ?, ?, ?, NULLIF(?, -1), ?, 'pending')",
        "sissis", run_id, (int64_t)position, s->step, s->name, s->item_index, s->item);
}

int steps_load(struct ctx *c, const char *run_id, struct step_row **out, size_t *n) {
    struct stmt *st =
        db_query(c, "SELECT " STEP_COLUMNS " FROM pipeline_step WHERE run_id = ? ORDER BY position",
                 "s", run_id);
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        step_read_row(c, st, &(*out)[(*n)++]);
    }
    stmt_end(st);
    return rc;
}

int steps_load_named(struct ctx *c, const char *run_id, const char *step, struct step_row **out,
                     size_t *n) {
    struct stmt *st =
        db_query(c,
                 "SELECT " STEP_COLUMNS " FROM pipeline_step WHERE run_id = ? AND step = "
                 "? ORDER BY position",
                 "ss", run_id, step);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        step_read_row(c, st, &(*out)[(*n)++]);
    }
    stmt_end(st);
    return rc;
}

int step_load_id(struct ctx *c, const char *run_id, int64_t id, struct step_row *out) {
    struct stmt *st =
        db_query(c, "SELECT " STEP_COLUMNS " FROM pipeline_step WHERE id = ? AND run_id = ?", "is",
                 id, run_id);
    int rc = stmt_next(st);
    if (rc > 0) {
        step_read_row(c, st, out);
    }
    stmt_end(st);
    return rc > 0 ? 0 : rc == 0 ? fail(c, ERR_NOT_FOUND, "run %s has no such step", run_id) : rc;
}

int step_load(struct ctx *c, const char *run_id, const char *name, struct step_row *out) {
    const char *dot = strrchr(name, '.');
    int64_t index;
    if (dot && str_to_i64(dot + 1, &index)) {
        name = arena_printf(c->arena, "%.*s[%lld]", (int)(dot - name), name, (long long)index);
    }
    struct stmt *st =
        db_query(c, "SELECT " STEP_COLUMNS " FROM pipeline_step WHERE run_id = ? AND name = ?",
                 "ss", run_id, name);
    int rc = stmt_next(st);
    if (rc > 0) {
        step_read_row(c, st, out);
    }
    stmt_end(st);
    return rc > 0    ? 0
           : rc == 0 ? fail_field(c, ERR_NOT_FOUND, "step", "run %s has no step %s", run_id, name)
                     : rc;
}

int step_move(struct ctx *c, const char *run_id, const struct step_row *s, enum step_state from,
              enum step_state to, const char *reason, bool *moved) {
    const char *f = step_state_name(from), *t = step_state_name(to);
    int rc = lifecycle_check(c, &step_lifecycle, f, t);
    rc = rc ? rc
            : db_exec(
                  c,
                  "UPDATE pipeline_step SET state = ?, reason = ?, ended_ms = CASE WHEN ? THEN ? "
                  "END WHERE id = ? AND state = ?",
                  "ssiiis", t, reason, (int64_t)step_state_terminal(to), c->now_ms, s->id, f);
    *moved = rc == 0 && db_changes(c) > 0;
    if (!*moved) {
        return rc;
    }
    return db_exec(
        c,
        "INSERT INTO pipeline_event (run_id, time_ms, step, attempt, from_state, to_state, "
        "reason) SELECT ?, ?, name, NULLIF(attempt, 0), ?, ?, ? FROM pipeline_step WHERE "
        "id = ?",
        "sisssi", run_id, c->now_ms, f, t, reason, s->id);
}

static struct opt_i64 maybe(struct stmt *st, int col) {
    return stmt_null(st, col) ? (struct opt_i64){0} : SET_I64(stmt_i64(st, col));
}

static void attempt_read_row(struct ctx *c, struct stmt *st, struct attempt_row *a) {
    *a = (struct attempt_row){
        .id = stmt_i64(st, 0),
        .step_id = stmt_i64(st, 1),
        .number = stmt_i64(st, 2),
        .token = stmt_text(c, st, 3),
        .state = stmt_text(c, st, 4),
        .folder = stmt_text(c, st, 5),
        .tracking_run_id = stmt_text(c, st, 6),
        .reason = stmt_text(c, st, 7),
        .exit_code = maybe(st, 8),
        .signal = maybe(st, 9),
        .cpu_ms = maybe(st, 10),
        .peak_rss_bytes = maybe(st, 11),
        .log_bytes = maybe(st, 12),
        .timed_out = stmt_i64(st, 13) != 0,
        .started_ms = stmt_i64(st, 14),
        .ended_ms = stmt_i64(st, 15),
    };
}

int attempt_load(struct ctx *c, int64_t step_id, int64_t number, struct attempt_row *out) {
    struct stmt *st = db_query(
        c, "SELECT " ATTEMPT_COLUMNS " FROM pipeline_attempt WHERE step_id = ? AND number = ?",
        "ii", step_id, number);
    int rc = stmt_next(st);
    if (rc > 0) {
        attempt_read_row(c, st, out);
    }
    stmt_end(st);
    return rc > 0    ? 0
           : rc == 0 ? fail_field(c, ERR_NOT_FOUND, "attempt",
                                  "there is no attempt %lld of this step", (long long)number)
                     : rc;
}

int attempts_load(struct ctx *c, int64_t step_id, struct attempt_row **out, size_t *n) {
    struct stmt *st = db_query(
        c, "SELECT " ATTEMPT_COLUMNS " FROM pipeline_attempt WHERE step_id = ? ORDER BY number",
        "i", step_id);
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        attempt_read_row(c, st, &(*out)[(*n)++]);
    }
    stmt_end(st);
    return rc;
}

#define PLACE_SELECT                                                                               \
    "SELECT r.id, r.project_id, a.step_id, a.number, a.folder, a.state FROM pipeline_attempt a "   \
    "JOIN pipeline_step s ON s.id = a.step_id JOIN pipeline_run r ON r.id = s.run_id "

static void place_read(struct ctx *c, struct stmt *st, struct attempt_place *p) {
    *p = (struct attempt_place){.run_id = stmt_text(c, st, 0),
                                .project = stmt_i64(st, 1),
                                .step_id = stmt_i64(st, 2),
                                .number = stmt_i64(st, 3),
                                .folder = stmt_text(c, st, 4),
                                .state = stmt_text(c, st, 5)};
}

int attempt_find(struct ctx *c, const char *folder, struct attempt_place *out) {
    *out = (struct attempt_place){0};
    struct stmt *st = db_query(c, PLACE_SELECT "WHERE a.folder = ?", "s", folder);
    int rc = stmt_next(st);
    if (rc > 0) {
        place_read(c, st, out);
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int attempts_active(struct ctx *c, struct attempt_place **out, size_t *n) {
    struct stmt *st =
        db_query(c, PLACE_SELECT "WHERE a.state IN ('launching', 'running') ORDER BY a.id", "");
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        place_read(c, st, &(*out)[(*n)++]);
    }
    stmt_end(st);
    return rc;
}

static int folders_read(struct ctx *c, struct stmt *st, struct strs *out) {
    int rc;
    *out = (struct strs){0};
    while ((rc = stmt_next(st)) > 0) {
        out->items = rows_grown(c, out->items, out->n, sizeof *out->items);
        out->items[out->n++] = stmt_text(c, st, 0);
    }
    stmt_end(st);
    return rc;
}

int folders_of_run(struct ctx *c, const char *run_id, struct strs *out) {
    return folders_read(
        c,
        db_query(c,
                 "SELECT a.folder FROM pipeline_step s JOIN pipeline_attempt a ON a.step_id = s.id "
                 "WHERE s.run_id = ? AND a.folder IS NOT NULL AND a.state NOT IN ('launching', "
                 "'running', 'unstarted')",
                 "s", run_id),
        out);
}

int folders_succeeded(struct ctx *c, struct strs *out) {
    return folders_read(
        c,
        db_query(
            c,
            "SELECT a.folder FROM pipeline_run r JOIN pipeline_step s ON s.run_id = r.id JOIN "
            "pipeline_attempt a ON a.step_id = s.id WHERE r.state IN ('queued', 'running') AND "
            "a.folder IS NOT NULL AND a.state = 'succeeded'",
            ""),
        out);
}
