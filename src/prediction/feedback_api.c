/* SPDX-License-Identifier: Apache-2.0 */
/* Feedback: rewards and labels of predictions, as they become known. The first reward of a
 * prediction's name stays, since whoever learns from rewards has learnt it; a label gives way to
 * one that is from a later time. So any call may be repeated. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "doors.h"
#include "feedback_store.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "quern/metric/metric.h"
#include "quern/prediction/prediction.h"
#include "record.h"
#include "room.h"
#include "segment_store.h"

#define ITEMS 10000
#define PER_WRITE 500
#define LABEL_BYTES 16384
#define AHEAD_MS 60000 /* a client's clock may be that far ahead */

struct item {
    const char *prediction_id, *key, *name;
    struct opt_f64 reward;
    struct json_t *label;
    struct opt_i64 at_ms;
};
struct feedback_in {
    const char *endpoint;
    struct item one;
    struct list feedback;
};
struct result {
    const char *prediction_id, *outcome;
};
struct feedback_out {
    struct opt_i64 recorded, updated, duplicate, unmatched;
    struct list results;
};

#define ITEM_FIELDS(S, at)                                                                         \
    {.name = "prediction_id",                                                                      \
     .type = T_STR,                                                                                \
     .offset = offsetof(S, at prediction_id),                                                      \
     .min = 36,                                                                                    \
     .max = 36,                                                                                    \
     .doc = "Id that came with the answer; this or key"},                                          \
        {.name = "key",                                                                            \
         .type = T_STR,                                                                            \
         .offset = offsetof(S, at key),                                                            \
         .min = 1,                                                                                 \
         .max = 512,                                                                               \
         .doc = "Entity; its newest logged prediction at or before at_ms is meant"},               \
        {.name = "name",                                                                           \
         .type = T_STR,                                                                            \
         .offset = offsetof(S, at name),                                                           \
         .min = 1,                                                                                 \
         .max = 64,                                                                                \
         .doc = "What it is: letters, digits, '_' and '-'; reward or label when absent"},          \
        {.name = "reward",                                                                         \
         .type = T_F64,                                                                            \
         .offset = offsetof(S, at reward),                                                         \
         .doc = "A number, for bandits 0 to 1; the first one of a name stays"},                    \
        {.name = "label",                                                                          \
         .type = T_JSON,                                                                           \
         .offset = offsetof(S, at label),                                                          \
         .doc = "What was true; the one with the latest at_ms stays"},                             \
    {                                                                                              \
        .name = "at_ms", .type = T_I64, .offset = offsetof(S, at at_ms),                           \
        .doc = "When it became known; now when absent", .min = 0, .max = INT64_MAX                 \
    }

SHAPE_LOCAL(shape_item, "FeedbackItem", struct item, ITEM_FIELDS(struct item, ));
SHAPE_STRICT(shape_feedback, "Feedback", struct feedback_in,
             FIELD(struct feedback_in, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
             ITEM_FIELDS(struct feedback_in, one.),
             {.name = "feedback",
              .type = T_LIST,
              .offset = offsetof(struct feedback_in, feedback),
              .sub = &shape_item,
              .max = ITEMS,
              .doc = "Up to 10000 of them in place of a single one"});
SHAPE_LOCAL(shape_result, "FeedbackResult", struct result,
            FIELD(struct result, prediction_id, T_STR, 0, "Prediction that it was joined to"),
            FIELD(struct result, outcome, T_STR, F_ALWAYS,
                  "recorded, updated, duplicate, or unmatched: no prediction of that key"));
SHAPE(shape_feedback_out, "FeedbackOutcome", struct feedback_out,
      FIELD(struct feedback_out, recorded, T_I64, F_ALWAYS, "Of a new prediction or name"),
      FIELD(struct feedback_out, updated, T_I64, F_ALWAYS, "Added to or put in place of older"),
      FIELD(struct feedback_out, duplicate, T_I64, F_ALWAYS, "Changed nothing"),
      FIELD(struct feedback_out, unmatched, T_I64, F_ALWAYS, "Of entities without a prediction"),
      FIELD_SUB(struct feedback_out, results, T_LIST, F_ALWAYS, &shape_result, "In their order"));

static prediction_reward_fn *on_reward;

void prediction_on_reward(prediction_reward_fn *fn) {
    on_reward = fn;
}

enum outcome { RECORDED, UPDATED, DUPLICATE, UNMATCHED };
static const char *const outcomes[] = {"recorded", "updated", "duplicate", "unmatched"};

struct work {
    const struct feedback_in *in;
    const struct item *items;
    const char **labels;
    struct result *results;
    enum outcome *outcomes;
    size_t from, to;
};

static int wrong(struct ctx *c, const struct feedback_in *in, size_t i, const char *member,
                 const char *text) {
    const char *field =
        in->feedback.n ? arena_printf(c->arena, "feedback[%zu].%s", i, member) : member;
    return fail_field(c, ERR_INVALID, field, "%s %s", field, text);
}

static int check_item(struct ctx *c, const struct feedback_in *in, size_t i, struct item *t,
                      const char **label) {
    struct prediction_parts p;
    *label = NULL;
    if (!t->prediction_id == !t->key)
        return wrong(c, in, i, "prediction_id", "or key must be given, and not both");
    if (t->prediction_id &&
        (!prediction_id_read(t->prediction_id, &p) || p.ms > c->now_ms + AHEAD_MS))
        return wrong(c, in, i, "prediction_id", "is no id that came with an answer");
    if (json_is_null(t->label))
        t->label = NULL;
    if (!t->reward.set && !t->label)
        return wrong(c, in, i, "reward", "or label must be given");
    if (t->reward.set && !isfinite(t->reward.v))
        return wrong(c, in, i, "reward", "must be a finite number");
    if (!t->name)
        t->name = t->label ? "label" : "reward";
    if (strspn(t->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
        strlen(t->name))
        return wrong(c, in, i, "name", "may have letters, digits, '_' and '-'");
    if (t->at_ms.set && t->at_ms.v > c->now_ms + AHEAD_MS)
        return wrong(c, in, i, "at_ms", "lies in the future");
    if (!t->at_ms.set)
        t->at_ms = SET_I64(c->now_ms);
    if (t->label)
        *label = json_text(c->arena, t->label, JSON_TIGHT);
    if (*label && strlen(*label) > LABEL_BYTES)
        return wrong(c, in, i, "label", "is longer than 16384 bytes");
    return 0;
}

static int put_one(struct ctx *c, const char *endpoint, const struct item *t, const char *label,
                   const char *id, enum outcome *outcome) {
    struct feedback old, f;
    bool found;
    int rc = feedback_store_find(c, endpoint, id, t->name, &old, &found);
    if (rc < 0)
        return rc;
    bool reward = t->reward.set && !(found && old.reward.set);
    bool newer = label && (!found || !old.label || t->at_ms.v > old.at_ms);
    if (found && newer && old.label && strcmp(old.label, label) == 0 && t->at_ms.v == old.at_ms)
        newer = false;
    if (found && !reward && !newer) {
        *outcome = DUPLICATE;
        return 0;
    }
    f = (struct feedback){.name = t->name,
                          .label = newer   ? label
                                   : found ? old.label
                                           : NULL,
                          .at_ms = newer || !found ? t->at_ms.v : old.at_ms,
                          .received_ms = c->now_ms};
    if (reward)
        f.reward = t->reward;
    *outcome = found ? UPDATED : RECORDED;
    rc = feedback_store_put(c, endpoint, id, &f);
    struct prediction_parts p = {0};
    if (rc == 0 && reward && on_reward && prediction_id_read(id, &p))
        rc = on_reward(c, endpoint, p.arm, p.context, t->reward.v, p.ms);
    return rc;
}

static int write_op(struct ctx *c, void *arg) {
    struct work *w = arg;
    int rc = 0;
    for (size_t i = w->from; rc == 0 && i < w->to; i++) {
        const struct item *t = &w->items[i];
        char *id = NULL;
        if (t->key)
            rc = segment_store_newest(c, w->in->endpoint, t->key, t->at_ms.v, &id);
        w->results[i].prediction_id = t->key ? id : record_id(c, t->prediction_id);
        w->outcomes[i] = UNMATCHED;
        if (rc == 0 && w->results[i].prediction_id)
            rc = put_one(c, w->in->endpoint, t, w->labels[i], w->results[i].prediction_id,
                         &w->outcomes[i]);
    }
    return rc;
}

static int check_all(struct ctx *c, struct work *w, struct item *items, size_t n) {
    bool keys = false;
    for (size_t i = 0; i < n; i++) {
        int rc = check_item(c, w->in, i, &items[i], &w->labels[i]);
        if (rc < 0)
            return rc;
        keys = keys || items[i].key;
    }
    /* An entity's prediction may still be on its way to the disk. */
    return keys ? prediction_flush(c, 5000) : 0;
}

int feedback_api(struct ctx *c, const void *in_, void *out_) {
    const struct feedback_in *in = in_;
    struct feedback_out *out = out_;
    struct item one = in->one;
    bool many = in->feedback.n > 0;
    bool single =
        one.prediction_id || one.key || one.name || one.reward.set || one.label || one.at_ms.set;
    struct item *items = many ? in->feedback.items : &one;
    size_t n = many ? in->feedback.n : 1;
    int64_t counts[4] = {0};
    int rc = room_endpoint(c, in->endpoint);
    if (rc == 0 && many && single)
        rc = fail_field(c, ERR_INVALID, "feedback",
                        "feedback is a list in place of a single one; give one of the two");
    if (rc < 0)
        return rc;
    struct work w = {.in = in,
                     .items = items,
                     .labels = ARENA_ARRAY(c->arena, const char *, n),
                     .results = ARENA_ARRAY(c->arena, struct result, n),
                     .outcomes = ARENA_ARRAY(c->arena, enum outcome, n)};
    rc = check_all(c, &w, items, n);
    for (; rc == 0 && w.to < n;) {
        w.from = w.to;
        w.to = n - w.from > PER_WRITE ? w.from + PER_WRITE : n;
        rc = db_write(room_db(), c, write_op, &w);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        counts[w.outcomes[i]]++;
        w.results[i].outcome = outcomes[w.outcomes[i]];
    }
    for (size_t i = 0; rc == 0 && i < 4; i++)
        if (counts[i])
            metric_add(METRIC_FEEDBACK, (double)counts[i], outcomes[i], NULL, NULL);
    *out = (struct feedback_out){SET_I64(counts[0]),
                                 SET_I64(counts[1]),
                                 SET_I64(counts[2]),
                                 SET_I64(counts[3]),
                                 {w.results, n}};
    return rc;
}
