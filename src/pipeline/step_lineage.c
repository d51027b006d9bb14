/* SPDX-License-Identifier: Apache-2.0 */
#include "step_lineage.h"

#include <jansson.h>

#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/lineage/lineage.h"

const char *step_ref(struct ctx *c, const char *run_id, const char *instance) {
    return arena_printf(c->arena, "step:%s/%s", run_id, instance);
}

static const char *run_ref(struct ctx *c, const char *run_id) {
    return arena_printf(c->arena, "pipeline_run:%s", run_id);
}

int lineage_run(struct ctx *c, const struct run_row *run) {
    const char *ref = run_ref(c, run->id);
    json_t *attrs = json_on_arena(c, json_pack("{s:s}", "pipeline", run->pipeline));
    int rc = lineage_node(c, ref, arena_printf(c->arena, "%s %.8s", run->pipeline, run->id),
                          json_canonical(c, attrs));
    const char *pipeline = arena_printf(c->arena, "pipeline:%s", run->pipeline);
    rc = rc ? rc : lineage_edge(c, pipeline, ref, "ran_as");
    if (rc == 0 && run->git.commit) {
        const char *git = arena_printf(c->arena, "git:%s", run->git.commit);
        json_t *where = json_on_arena(c, json_pack("{s:s*,s:s*,s:b}", "branch", run->git.branch,
                                                   "remote", run->git.remote, "dirty",
                                                   (int)(run->git.dirty.set && run->git.dirty.v)));
        rc = lineage_node(c, git, arena_printf(c->arena, "commit %.10s", run->git.commit),
                          json_canonical(c, where));
        rc = rc ? rc : lineage_edge(c, git, ref, "source_of");
    }
    return rc;
}

static int add_inputs(struct ctx *c, const struct step *s, const struct bound_input *inputs,
                      const char *step, const char *run) {
    int rc = 0;
    for (size_t i = 0; inputs && i < s->ninputs; i++) {
        for (size_t k = 0; rc == 0 && k < inputs[i].sources.n; k++) {
            rc = lineage_edge(c, inputs[i].sources.items[k], step, "used");
            rc = rc || !run ? rc : lineage_edge(c, inputs[i].sources.items[k], run, "used");
        }
    }
    return rc;
}

static int add_outputs(struct ctx *c, const struct step *s, const struct output_rows *outputs,
                       const char *step, const char *run) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < outputs->n; i++) {
        const struct output_row *o = &outputs->items[i];
        const char *ref = arena_printf(c->arena, "artifact:%s", o->sha256);
        json_t *attrs =
            json_on_arena(c, json_pack("{s:s,s:s,s:I,s:s}", "path", o->path, "kind", o->kind,
                                       "size", (json_int_t)o->size, "sha256", o->sha256));
        rc = lineage_node(c, ref, arena_printf(c->arena, "%s.%s (%s)", s->name, o->name, o->path),
                          json_canonical(c, attrs));
        rc = rc ? rc : lineage_edge(c, step, ref, "produced");
        rc = rc || !run ? rc : lineage_edge(c, run, ref, "produced");
    }
    return rc;
}

static int add_needs(struct ctx *c, const struct run_view *v, const struct step *s,
                     const char *step) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        for (size_t k = 0; rc == 0 && k < s->nneeds; k++) {
            if (v->steps[i].index_in_definition == s->needs[k]) {
                rc = lineage_edge(c, step_ref(c, v->run.id, v->steps[i].name), step, "led_to");
            }
        }
    }
    return rc;
}

int lineage_step(struct ctx *c, const struct run_view *v, const struct step *s,
                 const struct step_row *row, const struct bound_input *inputs,
                 const struct output_rows *outputs, const char *tracking_run_id, bool cached) {
    const char *step = step_ref(c, v->run.id, row->name);
    const char *run = tracking_run_id ? arena_printf(c->arena, "run:%s", tracking_run_id) : NULL;
    int rc =
        lineage_node(c, step, arena_printf(c->arena, "%s %s", v->run.pipeline, row->name), NULL);
    rc = rc ? rc : lineage_edge(c, run_ref(c, v->run.id), step, "ran");
    if (rc == 0 && run) {
        rc = cached ? lineage_edge(c, run, step, "reused_by")
                    : lineage_edge(c, step, run, "tracked_as");
    }
    /* A cached step's run has its edges already, from when it ran; and what it stands in for was
     * made then, not now. */
    rc = rc ? rc : add_inputs(c, s, inputs, step, cached ? NULL : run);
    rc = rc || cached ? rc : add_outputs(c, s, outputs, step, run);
    return rc || s->kind == STEP_RUN ? rc : add_needs(c, v, s, step);
}
