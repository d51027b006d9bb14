/* SPDX-License-Identifier: Apache-2.0 */
#include "run_create.h"

#include <fnmatch.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "executor.h"
#include "json_value.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/tracking/tracking.h"
#include "step_lineage.h"

#define FILES_CAP ((size_t)5000)

static int check_globs(struct ctx *c, const struct strs *globs, const struct source_files *files,
                       const char *where) {
    for (size_t g = 0; g < globs->n; g++) {
        bool found = false;
        for (size_t i = 0; i < files->n && !found; i++) {
            found = fnmatch(globs->items[g], files->items[i].path, FNM_PATHNAME | FNM_PERIOD) == 0;
        }
        /* "**" is matched by the client that looked for the files. */
        if (!found && !strstr(globs->items[g], "**")) {
            return fail_field(c, ERR_INVALID, "files",
                              "%s wants \"%s\", but no file sent matches it", where,
                              globs->items[g]);
        }
    }
    return 0;
}

static int count_instances(struct ctx *c, const struct definition *d, json_t *params,
                           size_t *total) {
    *total = 0;
    for (size_t i = 0; i < d->nsteps; i++) {
        json_t *items = NULL;
        int rc = d->steps[i].fan_out ? step_items(c, &d->steps[i], params, &items) : 0;
        size_t n = items ? json_array_size(items) : 1;
        if (rc || n == 0) {
            return rc ? rc
                      : fail_field(c, ERR_INVALID, "params", "foreach of step %s has an empty list",
                                   d->steps[i].name);
        }
        *total += n;
        if (*total > INSTANCE_CAP) {
            return fail_field(c, ERR_INVALID, "params", "the run would have more than %d steps",
                              INSTANCE_CAP);
        }
    }
    return 0;
}

int run_request_check(struct ctx *c, struct run_request *r, struct json_t *params) {
    size_t total;
    int rc = definition_parse(c, r->definition, strlen(r->definition), &r->d);
    rc = rc ? rc : definition_params(c, r->d, params, &r->params);
    rc = rc ? rc : count_instances(c, r->d, r->params, &total);
    rc = rc ? rc : check_globs(c, &r->d->files, &r->files, "files");
    for (size_t i = 0; rc == 0 && i < r->d->nsteps; i++) {
        rc = check_globs(c, &r->d->steps[i].files, &r->files,
                         arena_printf(c->arena, "files of step %s", r->d->steps[i].name));
    }
    return rc;
}

static int begin_tracking(struct ctx *c, const struct run_request *r, struct run_row *row,
                          char tracking[33]) {
    if (!r->d->track) {
        return 0;
    }
    struct pair tags[] = {{"quern.pipeline", r->d->name},
                          {"quern.pipeline_run", r->id},
                          {"mlflow.source.git.commit", r->git.commit}};
    int rc = experiment_ensure(c, r->d->experiment, &row->experiment_id);
    struct run_new in = {.experiment_id = row->experiment_id,
                         .name = arena_printf(c->arena, "%s-%.8s", r->d->name, r->id),
                         .user = c->who.name,
                         .start_ms = c->now_ms,
                         .tags = {.items = tags, .n = r->git.commit ? 3 : 2}};
    rc = rc ? rc : run_create(c, &in, tracking);
    row->tracking_run_id = tracking;
    return rc;
}

static int insert_steps(struct ctx *c, const struct run_request *r) {
    size_t position = 0;
    for (size_t i = 0; i < r->d->nsteps; i++) {
        const struct step *s = &r->d->steps[i];
        json_t *items = NULL;
        int rc = s->fan_out ? step_items(c, s, r->params, &items) : 0;
        size_t n = items ? json_array_size(items) : 1;
        for (size_t k = 0; rc == 0 && k < n; k++) {
            struct step_row row = {.step = s->name, .name = s->name, .item_index = -1};
            if (items) {
                row.name = arena_printf(c->arena, "%s[%zu]", s->name, k);
                row.item_index = (int64_t)k;
                row.item = json_canonical(c, json_array_get(items, k));
            }
            rc = step_insert(c, r->id, position++, &row);
        }
        if (rc) {
            return rc;
        }
    }
    return 0;
}

int run_create_op(struct ctx *c, void *arg) {
    struct run_request *r = arg;
    char tracking[33] = "";
    id_hex32(r->id);
    struct run_row row = {.id = r->id,
                          .pipeline = r->d->name,
                          .version = r->version,
                          .definition = r->definition,
                          .params = json_canonical(c, r->params),
                          .state = RUN_QUEUED,
                          .use_cache = r->use_cache,
                          .git = r->git,
                          .created_by = c->who.name,
                          .created_ms = c->now_ms};
    int rc = begin_tracking(c, r, &row, tracking);
    rc = rc ? rc : run_insert(c, &row);
    rc = rc ? rc : insert_steps(c, r);
    rc = rc ? rc : files_insert(c, run_owner(c, r->id), &r->files);
    const char *ref = arena_printf(c->arena, "pipeline_run:%s", r->id);
    for (size_t i = 0; rc == 0 && i < r->files.n; i++) {
        rc = blob_ref_add(c, ref, r->files.items[i].sha256);
    }
    rc = rc ? rc : lineage_run(c, &row);
    rc = rc ? rc
            : event_emit(c, "pipeline.run.created", ref,
                         arena_printf(c->arena, "{\"pipeline\":\"%s\"}", row.pipeline));
    rc = rc ? rc : audit_append(c, "pipeline.run", ref, "{}");
    if (rc == 0) {
        db_after_commit(c, executor_wake_after_commit, NULL);
    }
    return rc;
}

/* ---- files */

static bool path_ok(const char *path) {
    size_t n = strlen(path);
    if (n == 0 || n > 512 || path[0] == '/' || strchr(path, '\\')) {
        return false;
    }
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p < 0x20) {
            return false;
        }
    }
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (length == 0 || length > 255 ||
            (length <= 2 && part[0] == '.' && (length == 1 || part[1] == '.'))) {
            return false;
        }
    }
    return true;
}

static int receive_known(struct ctx *c, const char *path, const char *sha256,
                         struct source_file *f) {
    bool known = false;
    unsigned char digest[32];
    /* Only content that this project has sent before: a digest alone opens nobody else's. */
    int rc = strlen(sha256) == 64 && hex_decode(sha256, 64, digest)
                 ? db_read_begin(executor.db, c)
                 : fail_field(c, ERR_INVALID, "files", "sha256 of %s is not 64 hexadecimal digits",
                              path);
    if (rc) {
        return rc;
    }
    rc = file_known(c, sha256, &f->size, &known);
    db_read_end(c);
    if (rc == 0 && !known) {
        rc =
            fail_field(c, ERR_NOT_FOUND, "files",
                       "the content of %s (sha256 %.12s...) is not stored in this project; send it "
                       "as content_base64",
                       path, sha256);
    }
    f->sha256 = arena_strdup(c->arena, sha256);
    return rc;
}

static int receive(struct ctx *c, const char *path, const char *base64, const char *sha256,
                   struct source_files *out) {
    if (!path_ok(path)) {
        return fail_field(c, ERR_INVALID, "files",
                          "\"%.*s\" is no relative path beneath the definition's folder",
                          (int)utf8_prefix(path, 200), path);
    }
    for (size_t i = 0; i < out->n; i++) {
        if (str_eq(out->items[i].path, path)) {
            return fail_field(c, ERR_INVALID, "files", "%s is sent twice", path);
        }
    }
    if (out->n >= FILES_CAP) {
        return fail_field(c, ERR_TOO_LARGE, "files", "more than %zu files", FILES_CAP);
    }
    struct source_file f = {.path = path};
    if (!base64) {
        int rc = sha256 ? receive_known(c, path, sha256, &f)
                        : fail_field(c, ERR_INVALID, "files",
                                     "%s needs its content_base64, or the sha256 of content sent "
                                     "before",
                                     path);
        if (rc) {
            return rc;
        }
    } else {
        size_t n;
        unsigned char *data = base64_decode(c->arena, base64, &n);
        if (!data) {
            return fail_field(c, ERR_INVALID, "files", "the content of %s is not base64", path);
        }
        char hex[65];
        int rc = blob_put(c, data, n, hex);
        if (rc) {
            return rc;
        }
        f.sha256 = arena_strdup(c->arena, hex);
        f.size = (int64_t)n;
    }
    out->items = rows_grown(c, out->items, out->n, sizeof *out->items);
    out->items[out->n++] = f;
    return 0;
}

int files_receive(struct ctx *c, struct json_t *sent, struct source_files *out) {
    int rc = 0;
    *out = (struct source_files){0};
    if (json_is_object(sent)) {
        const char *path;
        json_t *content;
        json_object_foreach(sent, path, content) {
            rc = json_is_string(content)
                     ? receive(c, path, json_string_value(content), NULL, out)
                     : fail_field(c, ERR_INVALID, "files", "the content of %.*s is not text",
                                  (int)utf8_prefix(path, 200), path);
            if (rc) {
                return rc;
            }
        }
        return 0;
    }
    if (sent && !json_is_array(sent) && !json_is_null(sent)) {
        return fail_field(c, ERR_INVALID, "files",
                          "files is an object {path: base64} or a list of {path, content_base64}");
    }
    for (size_t i = 0; rc == 0 && i < json_array_size(sent); i++) {
        json_t *f = json_array_get(sent, i);
        const char *path = json_string_value(json_object_get(f, "path"));
        rc = path ? receive(c, path, json_string_value(json_object_get(f, "content_base64")),
                            json_string_value(json_object_get(f, "sha256")), out)
                  : fail_field(c, ERR_INVALID, "files", "files[%zu] needs a path", i);
    }
    return rc;
}

void files_unpin(const struct source_files *files) {
    for (size_t i = 0; i < files->n; i++) {
        blob_unpin(files->items[i].sha256);
    }
}
