/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "mlflow_server.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

/* ------------------------------------------------------------------ logged models */

static int by_measure(const void *a, const void *b) {
    const struct copy_measure *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (order)
        return order;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return strcmp(x->run_id, y->run_id);
}

static void measures(struct ctx *c, const json_t *list, struct copy_model *out) {
    json_t *one;
    size_t i;
    out->measures = ARENA_ARRAY(c->arena, struct copy_measure, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, one) {
        struct copy_measure *m = &out->measures[out->nmeasures++];
        *m = (struct copy_measure){.key = server_text(one, "key"),
                                   .run_id = server_text(one, "run_id"),
                                   .dataset_name = server_text(one, "dataset_name"),
                                   .dataset_digest = server_text(one, "dataset_digest"),
                                   .time_ms = server_number(one, "timestamp"),
                                   .step = server_number(one, "step")};
        m->value = server_value(one, "value", &m->is_nan);
    }
    qsort(out->measures, out->nmeasures, sizeof *out->measures, by_measure);
}

int server_model(struct source *src, struct ctx *c, const char *after, struct copy_model *out) {
    struct server *s = (struct server *)src;
    const char *id = server_after(&s->models, after);
    json_t *answer = NULL;
    *out = (struct copy_model){0};
    if (!id)
        return 0;
    out->id = id;
    int rc = server_get(
        s, c, arena_printf(c->arena, "/api/2.0/mlflow/logged-models/%s", server_escape(c, id)),
        &answer);
    if (rc < 0)
        return rc;
    const json_t *model = json_object_get(answer, "model");
    const json_t *info = json_object_get(model, "info"), *data = json_object_get(model, "data");
    out->experiment = server_number(info, "experiment_id");
    out->name = server_text(info, "name");
    out->artifact_uri = server_text(info, "artifact_uri");
    out->status = server_text(info, "status");
    out->type = server_text(info, "model_type");
    out->source_run = server_text(info, "source_run_id");
    out->created_ms = server_number(info, "creation_timestamp_ms");
    out->updated_ms = server_number(info, "last_updated_timestamp_ms");
    out->params = server_pairs(c, json_object_get(data, "params"));
    out->tags = server_pairs(c, json_object_get(info, "tags"));
    measures(c, json_object_get(data, "metrics"), out);
    return 1;
}

/* ------------------------------------------------------------------ registered models */

static int by_alias(const void *a, const void *b) {
    return strcmp(((const struct copy_alias *)a)->alias, ((const struct copy_alias *)b)->alias);
}

static int by_version(const void *a, const void *b) {
    const struct copy_version *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

static void aliases(struct ctx *c, const json_t *list, struct copy_registered *out) {
    json_t *one;
    size_t i;
    out->aliases = ARENA_ARRAY(c->arena, struct copy_alias, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, one) {
        int64_t version = server_number(one, "version");
        bool there = false;
        for (size_t k = 0; k < out->nversions; k++)
            there = there || out->versions[k].version == version;
        if (there)
            out->aliases[out->naliases++] =
                (struct copy_alias){.alias = server_text(one, "alias"), .version = version};
    }
    qsort(out->aliases, out->naliases, sizeof *out->aliases, by_alias);
}

static int storage(struct server *s, struct ctx *c, const char *name, struct copy_version *v) {
    json_t *answer = NULL;
    int rc = server_get(
        s, c,
        arena_printf(c->arena,
                     "/api/2.0/mlflow/model-versions/get-download-uri?name=%s&version=%lld",
                     server_escape(c, name), (long long)v->version),
        &answer);
    const char *uri = rc == 0 ? server_text(answer, "artifact_uri") : "";
    v->storage = *uri && !str_eq(uri, v->source) ? uri : NULL;
    return rc;
}

static struct copy_version version_of(struct ctx *c, const json_t *one) {
    const char *stage = server_text(one, "current_stage"), *status = server_text(one, "status");
    struct copy_version v = {.version = server_number(one, "version"),
                             .source = server_text(one, "source"),
                             .run_id = server_text(one, "run_id"),
                             .run_link = server_text(one, "run_link"),
                             .description = server_text(one, "description"),
                             .stage = *stage ? stage : "None",
                             .status = *status ? status : "READY",
                             .created_ms = server_number(one, "creation_timestamp"),
                             .updated_ms = server_number(one, "last_updated_timestamp"),
                             .tags = server_pairs(c, json_object_get(one, "tags"))};
    v.logged_model = str_starts(v.source, "models:/m-") ? v.source + 8 : "";
    return v;
}

static int versions(struct server *s, struct ctx *c, struct copy_registered *out) {
    struct buf all = {0};
    struct server_pages p = {0};
    const char quote = strchr(out->name, '\'') ? '"' : '\'';
    const char *filter = arena_printf(c->arena, "name=%c%s%c", quote, out->name, quote);
    for (size_t k = 0; k < s->prompts.n; k++)
        if (str_eq(s->prompts.items[k], out->name))
            filter =
                arena_printf(c->arena, "%s AND tags.`mlflow.prompt.is_prompt` = 'true'", filter);
    const char *path =
        arena_printf(c->arena, "/api/2.0/mlflow/model-versions/search?max_results=1000&filter=%s",
                     server_escape(c, filter));
    json_t *answer = NULL, *one;
    size_t i;
    int rc;
    do {
        rc = server_get_page(s, c, path, &p, &answer);
        json_array_foreach(json_object_get(rc == 0 ? answer : NULL, "model_versions"), i, one) {
            struct copy_version v = version_of(c, one);
            buf_put(&all, &v, sizeof v);
        }
        rc = rc < 0 ? rc : server_turn(s, c, answer, all.len / sizeof *out->versions, &p);
    } while (rc == 0 && p.token.len);
    buf_free(&p.token);
    out->nversions = all.len / sizeof *out->versions;
    out->versions = ARENA_ARRAY(c->arena, struct copy_version, out->nversions + 1);
    if (all.len)
        memcpy(out->versions, all.data, all.len);
    buf_free(&all);
    qsort(out->versions, out->nversions, sizeof *out->versions, by_version);
    for (i = 0; i < out->nversions && rc == 0; i++) {
        rc = storage(s, c, out->name, &out->versions[i]);
        out->last_version = out->versions[i].version;
    }
    return rc;
}

int server_registered(struct source *src, struct ctx *c, const char *after,
                      struct copy_registered *out) {
    struct server *s = (struct server *)src;
    const char *name = server_after(&s->registered, after);
    json_t *answer = NULL;
    *out = (struct copy_registered){0};
    if (!name)
        return 0;
    out->name = name;
    int rc = server_get(s, c,
                        arena_printf(c->arena, "/api/2.0/mlflow/registered-models/get?name=%s",
                                     server_escape(c, name)),
                        &answer);
    if (rc < 0)
        return rc;
    const json_t *m = json_object_get(answer, "registered_model");
    out->description = server_text(m, "description");
    out->created_ms = server_number(m, "creation_timestamp");
    out->updated_ms = server_number(m, "last_updated_timestamp");
    out->tags = server_pairs(c, json_object_get(m, "tags"));
    rc = versions(s, c, out);
    aliases(c, json_object_get(m, "aliases"), out);
    return rc < 0 ? rc : 1;
}
