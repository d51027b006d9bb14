/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/spec.h"

static const char *const split_by[] = {"random", "key", NULL};
static const char *const algorithms[] = {"epsilon_greedy", "ucb1", "thompson", NULL};
static const char *const metrics[] = {"error_rate", "nan_rate", "latency_ms", "monitor", NULL};
static const char *const on_end[] = {"promote", "hold", NULL};

#define SOURCE_FIELDS(S)                                                                           \
    FIELD_MAX(S, header, T_STR, 0, 1, 128, "Name of a header"),                                    \
        FIELD_MAX(S, parameter, T_STR, 0, 1, 128, "Name of a request parameter"),                  \
        FIELD_MAX(S, field, T_STR, 0, 1, 128,                                                      \
                  "Name of a column or input; the first row's value counts")
#define LIST(S, m, s, lo, hi, fl, d)                                                               \
    {                                                                                              \
        .name = #m, .type = T_LIST, .flags = (fl), .offset = offsetof(S, m), .sub = (s),           \
        .min = (lo), .max = (hi), .doc = (d)                                                       \
    }

const struct shape shape_key_source = {.name = "KeySource",
                                       .size = sizeof(struct key_spec),
                                       .fields =
                                           (const struct field[]){SOURCE_FIELDS(struct key_spec)},
                                       .n = 3,
                                       .strict = true};

static const struct field split_fields[] = {
    FIELD_ENUM(struct split_spec, by, 0, split_by, "By chance, or by the hash of a key"),
    FIELD_SUB(struct split_spec, key, T_OBJ, 0, &shape_key_source, "Where the key is read"),
    FIELD_MAX(struct split_spec, salt, T_STR, 0, 1, 128,
              "Text hashed before the key; the endpoint's name when absent"),
    FIELD_MAX(struct split_spec, missing, T_STR, 0, 1, 128,
              "Arm for requests without a key; by chance when absent"),
};

static const struct field rule_fields[] = {
    SOURCE_FIELDS(struct rule_spec),
    FIELD_MAX(struct rule_spec, equals, T_STR, F_EMPTY_OK, 0, 1024, "The text is this"),
    FIELD_MAX(struct rule_spec, in, T_STRS, 0, 0, 1000, "The text is one of these"),
    FIELD_MAX(struct rule_spec, prefix, T_STR, 0, 1, 1024, "The text begins so"),
    FIELD(struct rule_spec, present, T_BOOL, 0, "There is such a text, or there is none"),
    FIELD(struct rule_spec, percent, T_F64, 0,
          "Share of the requests that fit, 0 to 100, by the split's key or else by chance"),
    FIELD_MAX(struct rule_spec, arm, T_STR, F_REQUIRED, 1, 128, "The arm that answers"),
};

static const struct field holdout_fields[] = {
    FIELD(struct holdout_spec, percent, T_F64, F_REQUIRED, "Share of keys, 0 to 100"),
    FIELD_SUB(struct holdout_spec, key, T_OBJ, 0, &shape_key_source,
              "Where the key is read; the split's when absent"),
    FIELD_MAX(struct holdout_spec, salt, T_STR, 0, 1, 128,
              "Text hashed before the key; the endpoint's name and /holdout when absent"),
    FIELD_MAX(struct holdout_spec, arm, T_STR, 0, 1, 128, "The arm that answers"),
    FIELD(struct holdout_spec, outputs, T_JSON, 0,
          "The answer itself: a list of output objects of the Open Inference Protocol"),
};

static const struct field shadow_fields[] = {
    FIELD_MAX(struct shadow_spec, arm, T_STR, F_REQUIRED, 1, 128, "The arm that gets copies"),
    FIELD(struct shadow_spec, percent, T_F64, 0, "Share of requests, 0 to 100; all when absent"),
};

static const struct field bandit_fields[] = {
    FIELD_ENUM(struct bandit_spec, algorithm, F_REQUIRED, algorithms, "How arms are chosen"),
    FIELD_MAX(struct bandit_spec, arms, T_STRS, 0, 0, 32,
              "The arms chosen among; all with a weight when absent"),
    FIELD(struct bandit_spec, epsilon, T_F64, 0,
          "epsilon_greedy: share of plays on other arms than the best, 0 to 1; 0.1 when absent"),
    FIELD(struct bandit_spec, exploration, T_F64, 0,
          "ucb1: factor of the bound, 0 to 100; 1 when absent"),
    FIELD(struct bandit_spec, prior_alpha, T_F64, 0,
          "thompson: rewards assumed at first; 1 when absent"),
    FIELD(struct bandit_spec, prior_beta, T_F64, 0,
          "thompson: failures assumed at first; 1 when absent"),
    FIELD(struct bandit_spec, floor, T_F64, 0, "Least probability of each arm; 0 when absent"),
    FIELD_MAX(struct bandit_spec, half_life_s, T_I64, 0, 1, 3153600000,
              "Seconds after which a reward counts half; never forgotten when absent"),
    FIELD_MAX(struct bandit_spec, window_s, T_I64, 0, 1, 3153600000,
              "Seconds after a prediction in which its reward counts; any time when absent"),
    FIELD_SUB(struct bandit_spec, context, T_OBJ, 0, &shape_key_source,
              "Where the segment is read; each is learnt by itself, 64 at most"),
    FIELD_SUB(struct bandit_spec, key, T_OBJ, 0, &shape_key_source,
              "Where a key is read whose hash takes the place of chance"),
};

static const struct field step_fields[] = {
    FIELD(struct canary_step_spec, percent, T_F64, F_REQUIRED, "The arm's share, 0 to 100"),
    FIELD_MAX(struct canary_step_spec, seconds, T_I64, 0, 0, 31536000, "At least that long"),
    FIELD_MAX(struct canary_step_spec, requests, T_I64, 0, 0, INT64_MAX,
              "And at least that many requests answered by the arm"),
};
static const struct field when_fields[] = {
    FIELD_ENUM(struct canary_when_spec, metric, F_REQUIRED, metrics, "What is looked at"),
    FIELD_MAX(struct canary_when_spec, monitor, T_STR, 0, 1, 128, "The monitor's name"),
    FIELD(struct canary_when_spec, quantile, T_F64, 0, "Of latency_ms, 0 to 1; 0.99 when absent"),
    FIELD(struct canary_when_spec, above, T_F64, 0, "True above this"),
    FIELD(struct canary_when_spec, below, T_F64, 0, "True below this"),
    FIELD(struct canary_when_spec, worse_than_baseline_by, T_F64, 0,
          "True when a rate is above the baseline's by more than this, or a latency by more than "
          "this share of the baseline's"),
};
#define SHAPE_OF(wire, S, rows)                                                                    \
    {                                                                                              \
        .name = (wire), .size = sizeof(S), .fields = (rows),                                       \
        .n = sizeof(rows) / sizeof((rows)[0]), .strict = true                                      \
    }
static const struct shape shape_step = SHAPE_OF("CanaryStep", struct canary_step_spec, step_fields);
static const struct shape shape_when = SHAPE_OF("CanaryWhen", struct canary_when_spec, when_fields);

static const struct field canary_fields[] = {
    FIELD_MAX(struct canary_spec, arm, T_STR, F_REQUIRED, 1, 128, "The arm whose share grows"),
    FIELD_MAX(struct canary_spec, baseline, T_STR, 0, 1, 128,
              "The arm it is compared with; the one other arm with a weight when absent"),
    LIST(struct canary_spec, steps, &shape_step, 1, 32, F_REQUIRED, "Shares, one after the other"),
    FIELD_MAX(struct canary_spec, min_requests, T_I64, 0, 1, 1000000000,
              "Requests of an arm before its figures are judged; 100 when absent"),
    LIST(struct canary_spec, abort_when, &shape_when, 0, 16, 0, "Any of these rolls back"),
    LIST(struct canary_spec, hold_when, &shape_when, 0, 16, 0, "Any of these holds the step"),
    FIELD_ENUM(struct canary_spec, on_end, 0, on_end,
               "After the last step: promote (when absent), or hold until :promote is called"),
};

static const struct field window_fields[] = {
    FIELD_MAX(struct window_spec, from, T_STR, 0, 1, 64,
              "Begin: a time in RFC 3339, or HH:MM of each day"),
    FIELD_MAX(struct window_spec, until, T_STR, 0, 1, 64, "End, likewise; not within the window"),
    FIELD_MAX(struct window_spec, days, T_STRS, 0, 0, 7,
              "Weekdays on which a daily window begins: mon, tue, wed, thu, fri, sat, sun"),
    FIELD_MAX(struct window_spec, offset, T_STR, 0, 1, 8,
              "Offset from UTC in which a daily window is meant, +HH:MM"),
    FIELD_MAX(struct window_spec, arm, T_STR, 0, 1, 128, "The arm that answers"),
    FIELD_MAX(struct window_spec, weights, T_FMAP, 0, 0, 32, "The weights that hold, by arm"),
};

const struct shape shape_split = SHAPE_OF("Split", struct split_spec, split_fields);
const struct shape shape_rule = SHAPE_OF("RoutingRule", struct rule_spec, rule_fields);
const struct shape shape_holdout = SHAPE_OF("Holdout", struct holdout_spec, holdout_fields);
const struct shape shape_shadow = SHAPE_OF("Shadow", struct shadow_spec, shadow_fields);
const struct shape shape_bandit = SHAPE_OF("Bandit", struct bandit_spec, bandit_fields);
const struct shape shape_canary = SHAPE_OF("Canary", struct canary_spec, canary_fields);
const struct shape shape_window = SHAPE_OF("ScheduleWindow", struct window_spec, window_fields);

struct rollout_body {
    struct rollout_spec spec;
};
static const struct field rollout_fields[] = {ROLLOUT_FIELDS(struct rollout_body, spec)};
const struct shape shape_rollout = SHAPE_OF("Rollout", struct rollout_body, rollout_fields);
