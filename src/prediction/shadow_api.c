/* SPDX-License-Identifier: Apache-2.0 */
/* Shadows' answers beside those that were given: records of both kinds with one id, which lie close
 * to each other since they were made within moments. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "doors.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/prediction/prediction.h"
#include "record.h"
#include "room.h"
#include "scan.h"

/* Answers, and as many ids of shadows, whose partner was not seen yet; and how long the lines of
 * either may be together, as their trees take ten times that. */
#define WAITING 4096
#define WAITING_BYTES ((size_t)16 << 20)
#define SCAN_BYTES (INT64_C(1) << 30)

struct query_in {
    const char *endpoint;
    struct opt_i64 from_ms, to_ms, limit;
    struct opt_f64 tolerance;
    const char *label, *output;
};
struct report_out {
    struct json_t *arms;
    struct opt_i64 seen, unpaired;
    struct opt_bool complete;
};

SHAPE(shape_shadow_query, "ShadowReportQuery", struct query_in,
      FIELD(struct query_in, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD_MAX(struct query_in, from_ms, T_I64, F_QUERY, 0, INT64_MAX, "Not before this time"),
      FIELD_MAX(struct query_in, to_ms, T_I64, F_QUERY, 0, INT64_MAX, "Not after this time"),
      FIELD_MAX(struct query_in, limit, T_I64, F_QUERY, 1, 1000000, "Most records; 100000"),
      FIELD(struct query_in, tolerance, T_F64, F_QUERY,
            "How far real numbers may lie apart and agree, relative above 1; 0.00001"),
      FIELD(struct query_in, label, T_STR, F_QUERY,
            "Name of the feedback whose label is the truth; the first one"),
      FIELD(struct query_in, output, T_STR, F_QUERY,
            "Output that is compared with the truth; the first one of plain values"));
SHAPE(shape_shadow_report, "ShadowReport", struct report_out,
      FIELD(struct report_out, arms, T_JSON, F_ALWAYS,
            "By the shadow's arm and model version: agreement, deltas, changes, latency, truth"),
      FIELD(struct report_out, seen, T_I64, F_ALWAYS, "Records looked at"),
      FIELD(struct report_out, unpaired, T_I64, F_ALWAYS,
            "Shadows whose answer was not found among them"),
      FIELD(struct report_out, complete, T_BOOL, F_ALWAYS, "Whether that were all"));

struct early {
    json_t *shadows;
    size_t bytes;
};
struct work {
    const struct query_in *in;
    struct map *answers; /* id to a tree */
    struct map *early;   /* id to shadows that came before their answer */
    struct {
        char *id;
        size_t bytes;
    } order[WAITING]; /* of answers, the oldest at `oldest` */
    size_t oldest, count, answer_bytes, early_bytes;
    struct map *arms; /* "arm model/version" to a struct compare */
    int64_t seen, limit, shadows_seen, paired;
};

static void compare_free(void *arg) {
    compare_end(arg);
    free(arg);
}

static struct compare *arm_of(struct work *w, const json_t *shadow) {
    struct buf name = {0};
    const char *arm = json_string_value(json_object_get(shadow, "arm")),
               *model = json_string_value(json_object_get(shadow, "model"));
    buf_printf(&name, "%s %s/%" JSON_INTEGER_FORMAT, arm ? arm : "", model ? model : "",
               json_integer_value(json_object_get(shadow, "version")));
    struct compare *k = map_get(w->arms, name.data);
    if (!k && map_count(w->arms) < 256) {
        k = mem_alloc(sizeof *k);
        compare_begin(k, w->in->tolerance.set ? w->in->tolerance.v : 1e-5);
        k->truth_output = w->in->output;
        map_set(w->arms, name.data, k);
    }
    buf_free(&name);
    return k;
}

static double latency(const json_t *record) {
    return (double)json_integer_value(json_object_get(record, "latency_us"));
}

static int meet(struct ctx *c, struct work *w, json_t *answer, json_t *shadow) {
    struct compare *k = arm_of(w, shadow);
    const char *id = json_string_value(json_object_get(answer, "id")), *name;
    const json_t *a = json_object_get(answer, "outputs"), *b = json_object_get(shadow, "outputs");
    int64_t rows = json_integer_value(json_object_get(answer, "rows"));
    json_t *f;
    w->paired++;
    if (!k)
        return 0;
    compare_add(k, id, a, b, rows);
    sample_add(&k->before_us, latency(answer));
    sample_add(&k->after_us, latency(shadow));
    struct ctx own;
    ctx_begin(&own);
    own.project = c->project;
    int rc = record_join(&own, w->in->endpoint, answer);
    if (rc < 0)
        rc = fail(c, own.err.code, "%s", own.err.message ? own.err.message : "cannot be read");
    ctx_end(&own);
    json_object_foreach(json_object_get(answer, "feedback"), name, f) {
        const json_t *label = json_object_get(f, "label");
        if (label && (!w->in->label || strcmp(w->in->label, name) == 0)) {
            compare_judge(k, id, a, b, label, rows);
            break;
        }
    }
    return rc;
}

static void early_free(void *arg) {
    struct early *e = arg;
    json_decref(e->shadows);
    free(e);
}

static void forget_oldest(struct work *w) {
    char *id = w->order[w->oldest].id;
    json_decref(map_remove(w->answers, id));
    free(id);
    w->answer_bytes -= w->order[w->oldest].bytes;
    w->oldest = (w->oldest + 1) % WAITING;
    w->count--;
}

/* The oldest answer makes room: its shadow will not come any more. */
static void keep_answer(struct work *w, const char *id, json_t *tree, size_t bytes) {
    while (w->count == WAITING || (w->count && w->answer_bytes + bytes > WAITING_BYTES))
        forget_oldest(w);
    size_t place = (w->oldest + w->count++) % WAITING;
    w->order[place].id = mem_strdup(id);
    w->order[place].bytes = bytes;
    w->answer_bytes += bytes;
    json_decref(map_set(w->answers, id, json_incref(tree)));
}

static void keep_early(struct work *w, const char *id, json_t *tree, size_t bytes) {
    struct early *e = map_get(w->early, id);
    if (map_count(w->early) >= WAITING || w->early_bytes + bytes > WAITING_BYTES)
        return;
    if (!e) {
        e = mem_alloc(sizeof *e);
        e->shadows = json_array();
        map_set(w->early, id, e);
    }
    json_array_append(e->shadows, tree);
    e->bytes += bytes;
    w->early_bytes += bytes;
}

static int meet_early(struct ctx *c, struct work *w, const char *id, json_t *answer) {
    struct early *e = map_remove(w->early, id);
    json_t *shadow;
    size_t i;
    int rc = 0;
    if (!e)
        return 0;
    json_array_foreach(e->shadows, i, shadow) if (rc == 0) rc = meet(c, w, answer, shadow);
    w->early_bytes -= e->bytes;
    early_free(e);
    return rc;
}

static int each(struct ctx *c, void *arg, json_t *tree, size_t bytes) {
    struct work *w = arg;
    const char *id = json_string_value(json_object_get(tree, "id")),
               *kind = json_string_value(json_object_get(tree, "kind"));
    int rc = 0;
    if (!id || !kind)
        return 0;
    w->seen++;
    if (strcmp(kind, "shadow") == 0) {
        json_t *answer = map_get(w->answers, id);
        w->shadows_seen++;
        if (answer)
            rc = meet(c, w, answer, tree);
        else
            keep_early(w, id, tree, bytes);
    } else {
        rc = meet_early(c, w, id, tree);
        keep_answer(w, id, tree, bytes);
    }
    return rc < 0 ? rc : w->seen >= w->limit;
}

static json_t *report(struct ctx *c, struct work *w) {
    struct buf text = {0};
    struct json_writer j;
    const char *name;
    void *k;
    jw_init(&j, &text);
    jw_obj(&j);
    for (size_t i = 0; map_next(w->arms, &i, &name, &k);) {
        jw_key(&j, name);
        jw_obj(&j);
        compare_write(k, &j);
        jw_obj_end(&j);
    }
    jw_obj_end(&j);
    json_t *t = json_loadb(text.data, text.len, 0, NULL);
    buf_free(&text);
    if (t) {
        record_hold(c, t);
        json_decref(t);
    }
    return t;
}

int shadow_report_api(struct ctx *c, const void *in_, void *out_) {
    const struct query_in *in = in_;
    struct report_out *out = out_;
    struct scan_filter f = {.endpoint = in->endpoint,
                            .from_ms = in->from_ms.v,
                            .to_ms = in->to_ms.set ? in->to_ms.v : INT64_MAX};
    if (in->to_ms.set && in->from_ms.v > in->to_ms.v)
        return fail_field(c, ERR_INVALID, "to_ms", "to_ms is before from_ms");
    if (in->tolerance.set && !(in->tolerance.v >= 0 && isfinite(in->tolerance.v)))
        return fail_field(c, ERR_INVALID, "tolerance", "tolerance is a number from 0 on");
    struct work *w = mem_alloc(sizeof *w);
    *w = (struct work){.in = in, .limit = in->limit.set ? in->limit.v : 100000};
    w->answers = map_new();
    w->early = map_new();
    w->arms = map_new();
    struct scan s = {.filter = &f, .budget = SCAN_BYTES, .record = each, .arg = w};
    int rc = room_endpoint(c, in->endpoint);
    if (rc == 0)
        rc = prediction_flush(c, 5000);
    if (rc == 0)
        rc = scan_begin(c, &s);
    if (rc == 0)
        rc = scan_run(c, &s);
    if (rc == 0)
        *out = (struct report_out){.arms = report(c, w),
                                   .seen = SET_I64(w->seen),
                                   .unpaired = SET_I64(w->shadows_seen - w->paired),
                                   .complete = SET_BOOL(s.done)};
    while (w->count > 0)
        forget_oldest(w);
    map_free(w->answers, NULL);
    map_free(w->early, early_free);
    map_free(w->arms, compare_free);
    free(w);
    return rc;
}
