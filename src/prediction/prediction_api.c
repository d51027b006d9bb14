/* SPDX-License-Identifier: Apache-2.0 */
/* Records with what became known of them, newest first. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "doors.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/prediction/prediction.h"
#include "record.h"
#include "room.h"
#include "scan.h"

#define PAGE_BYTES (INT64_C(8) << 20)   /* of records that are answered */
#define SCAN_BYTES (INT64_C(128) << 20) /* looked at for one page */

struct query_in {
    const char *endpoint, *model, *arm, *key, *kind, *id, *page_token;
    struct opt_i64 from_ms, to_ms, version, limit;
};
struct predictions_out {
    struct json_t *predictions;
    const char *next_page_token;
    struct opt_i64 damaged;
};
struct path_in {
    const char *endpoint, *id;
};
struct record_out {
    struct json_t *prediction, *shadows;
};

static const char *const kinds[] = {"answer", "shadow", NULL};

#define FILTER_FIELDS(S)                                                                           \
    FIELD(S, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),                         \
        FIELD_MAX(S, from_ms, T_I64, F_QUERY, 0, INT64_MAX, "Not before this time"),               \
        FIELD_MAX(S, to_ms, T_I64, F_QUERY, 0, INT64_MAX, "Not after this time"),                  \
        FIELD(S, model, T_STR, F_QUERY, "Of this registered model"),                               \
        FIELD_MAX(S, version, T_I64, F_QUERY, 1, INT64_MAX, "Of this version"),                    \
        FIELD(S, arm, T_STR, F_QUERY, "Of this arm"),                                              \
        FIELD(S, key, T_STR, F_QUERY, "Of this entity")

SHAPE(shape_predictions_query, "PredictionsQuery", struct query_in, FILTER_FIELDS(struct query_in),
      FIELD_ENUM(struct query_in, kind, F_QUERY, kinds, "answer or shadow; both when absent"),
      FIELD(struct query_in, id, T_STR, F_QUERY, "With this id"),
      FIELD_MAX(struct query_in, limit, T_I64, F_QUERY, 1, 1000, "Most records; 100"),
      FIELD(struct query_in, page_token, T_STR, F_QUERY, "next_page_token of the page before"));
SHAPE(shape_predictions, "Predictions", struct predictions_out,
      FIELD(struct predictions_out, predictions, T_JSON, F_ALWAYS,
            "Records, newest first, each with its feedback"),
      FIELD(struct predictions_out, next_page_token, T_STR, 0,
            "For the page behind; a page with fewer records than the limit may have one too"),
      FIELD(struct predictions_out, damaged, T_I64, 0,
            "Frames of records that could not be read, where there are any"));
SHAPE(shape_prediction_path, "PredictionPath", struct path_in,
      FIELD(struct path_in, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD(struct path_in, id, T_STR, F_PATH | F_REQUIRED, "The prediction's id"));
SHAPE(shape_prediction_record, "PredictionRecord", struct record_out,
      FIELD(struct record_out, prediction, T_JSON, F_ALWAYS, "The record with its feedback"),
      FIELD(struct record_out, shadows, T_JSON, F_ALWAYS,
            "Records of answers that nobody was given"));

static int read_token(struct ctx *c, const char *token, struct scan_at *at) {
    size_t n;
    char end;
    if (!token || !*token)
        return 0;
    unsigned char *text = base64_decode(c->arena, token, &n);
    if (!text || n > 80 ||
        sscanf(arena_strndup(c->arena, (const char *)text, n),
               "%" SCNd64 ".%" SCNd64 ".%" SCNd64 "%c", &at->segment, &at->frame, &at->line,
               &end) != 3 ||
        at->segment <= 0 || at->frame < 0 || at->line < 0)
        return fail_field(c, ERR_INVALID, "page_token",
                          "page_token is not one that a page came with");
    return 0;
}

static const char *make_token(struct ctx *c, const struct scan_at *at) {
    const char *text = arena_printf(c->arena, "%" PRId64 ".%" PRId64 ".%" PRId64, at->segment,
                                    at->frame, at->line);
    return base64_encode(c->arena, text, strlen(text));
}

struct page {
    const char *endpoint;
    json_t *list;
    size_t limit;
    int64_t bytes;
};

static int add(struct ctx *c, void *arg, json_t *tree, size_t bytes) {
    struct page *p = arg;
    int rc = record_join(c, p->endpoint, tree);
    if (rc < 0)
        return rc;
    json_array_append(p->list, tree);
    p->bytes += (int64_t)bytes;
    return json_array_size(p->list) >= p->limit || p->bytes >= PAGE_BYTES;
}

int predictions_api_list(struct ctx *c, const void *in_, void *out_) {
    const struct query_in *in = in_;
    struct predictions_out *out = out_;
    struct scan_filter f = {.endpoint = in->endpoint,
                            .from_ms = in->from_ms.v,
                            .to_ms = in->to_ms.set ? in->to_ms.v : INT64_MAX,
                            .version = in->version.v,
                            .model = in->model,
                            .arm = in->arm,
                            .key = in->key,
                            .id = in->id,
                            .kind = in->kind};
    struct page p = {.endpoint = in->endpoint, .limit = in->limit.set ? (size_t)in->limit.v : 100};
    struct scan s = {
        .filter = &f, .newest_first = true, .budget = SCAN_BYTES, .record = add, .arg = &p};
    struct prediction_parts parts;
    if (in->from_ms.set && in->to_ms.set && in->from_ms.v > in->to_ms.v)
        return fail_field(c, ERR_INVALID, "to_ms", "to_ms is before from_ms");
    if (in->id && !prediction_id_read(in->id, &parts))
        return fail_field(c, ERR_INVALID, "id", "id is no prediction's");
    if (in->id) {
        f.id = record_id(c, in->id);
        f.from_ms = f.to_ms = parts.ms;
    }
    p.list = record_array(c);
    int rc = read_token(c, in->page_token, &s.at);
    if (rc == 0)
        rc = room_endpoint(c, in->endpoint);
    if (rc == 0)
        rc = prediction_flush(c, 5000);
    if (rc == 0)
        rc = scan_begin(c, &s);
    if (rc == 0)
        rc = scan_run(c, &s);
    out->predictions = p.list;
    if (s.damaged)
        out->damaged = SET_I64(s.damaged);
    if (rc == 0 && !s.done)
        out->next_page_token = make_token(c, &s.at);
    return rc;
}

struct found {
    const char *endpoint;
    json_t *answer, *shadows;
};

static int find(struct ctx *c, void *arg, json_t *tree, size_t bytes) {
    struct found *f = arg;
    const char *kind = json_string_value(json_object_get(tree, "kind"));
    (void)bytes;
    if (kind && strcmp(kind, "answer") == 0) {
        int rc = record_join(c, f->endpoint, tree);
        f->answer = record_hold(c, tree);
        return rc;
    }
    json_array_append(f->shadows, tree);
    return 0;
}

int predictions_api_get(struct ctx *c, const void *in_, void *out_) {
    const struct path_in *in = in_;
    struct record_out *out = out_;
    struct prediction_parts p;
    if (!prediction_id_read(in->id, &p))
        return fail_field(c, ERR_INVALID, "id", "'%.64s' is no prediction's id", in->id);
    struct scan_filter f = {
        .endpoint = in->endpoint, .from_ms = p.ms, .to_ms = p.ms, .id = record_id(c, in->id)};
    struct found found = {.endpoint = in->endpoint, .shadows = record_array(c)};
    struct scan s = {.filter = &f, .budget = INT64_MAX, .record = find, .arg = &found};
    int rc = room_endpoint(c, in->endpoint);
    if (rc == 0)
        rc = prediction_flush(c, 5000);
    if (rc == 0)
        rc = scan_begin(c, &s);
    if (rc == 0)
        rc = scan_run(c, &s);
    if (rc == 0 && !found.answer && json_array_size(found.shadows) == 0)
        rc = fail(c, ERR_NOT_FOUND,
                  "no record of prediction '%s' on endpoint '%s': it was not sampled, or its time "
                  "is over",
                  in->id, in->endpoint);
    out->prediction = found.answer;
    out->shadows = found.shadows;
    return rc;
}
