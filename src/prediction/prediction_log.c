/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/prediction/prediction.h"
#include "segment_store.h"

#define DAY_MS 86400000.0
#define MOST_DAYS 36500.0

SHAPE_STRICT(
    shape_prediction_log, "PredictionLog", struct prediction_log,
    FIELD(struct prediction_log, sample, T_F64, 0, "Share of answers that is kept, 0 to 1; 1"),
    FIELD(struct prediction_log, inputs, T_BOOL, 0, "Whether their inputs are kept; true"),
    FIELD(struct prediction_log, outputs, T_BOOL, 0, "Whether their outputs are kept; true"),
    FIELD_MAX(struct prediction_log, redact, T_STRS, 0, 0, 256,
              "Columns, inputs or outputs whose values are never kept"),
    FIELD_MAX(struct prediction_log, key, T_STR, 0, 1, 256,
              "Column, or header:NAME, whose value names the entity; never a redacted one"),
    FIELD(struct prediction_log, keep_days, T_F64, 0,
          "Days that records and feedback stay, above 0; 30"),
    FIELD_MAX(struct prediction_log, max_bytes, T_I64, 0, 1, INT64_MAX,
              "Compressed bytes that stay, the oldest go first; 1073741824"));

static const char *lower(struct ctx *c, const char *name) {
    char *s = arena_strdup(c->arena, name);
    for (char *p = s; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    return s;
}

int prediction_log_check(struct ctx *c, struct prediction_log *log) {
    double days = log->keep_days.v;
    if (log->sample.set && !(log->sample.v >= 0 && log->sample.v <= 1))
        return fail_field(c, ERR_INVALID, "log.sample", "log.sample is a share from 0 to 1");
    if (log->keep_days.set && !(days > 0 && days <= MOST_DAYS))
        return fail_field(c, ERR_INVALID, "log.keep_days",
                          "log.keep_days is a number of days above 0, up to 36500");
    for (size_t i = 0; i < log->redact.n; i++) {
        if (!*log->redact.items[i])
            return fail_field(c, ERR_INVALID, "log.redact", "log.redact names columns, none is ''");
        if (log->key && strcmp(log->key, log->redact.items[i]) == 0)
            return fail_field(c, ERR_INVALID, "log.key",
                              "log.key '%s' is in log.redact; a key is kept in clear to be found",
                              log->key);
    }
    if (log->key && (strcmp(log->key, "header:") == 0))
        return fail_field(c, ERR_INVALID, "log.key", "log.key 'header:' lacks the header's name");
    if (log->key && str_starts(log->key, "header:"))
        log->key = lower(c, log->key);
    if (log->key && str_starts(log->key, "header:") &&
        (str_ieq(log->key + 7, "authorization") || str_ieq(log->key + 7, "cookie")))
        return fail_field(c, ERR_INVALID, "log.key", "log.key may not be a header with secrets");
    return 0;
}

int prediction_keep(struct ctx *c, const char *endpoint, const struct prediction_log *log) {
    struct keep k = keep_default;
    if (log && log->keep_days.set)
        k.ms = log->keep_days.v * DAY_MS < 1 ? 1 : (int64_t)(log->keep_days.v * DAY_MS);
    if (log && log->max_bytes.set)
        k.bytes = log->max_bytes.v;
    return keep_store_put(c, endpoint, &k);
}

bool prediction_sampled(const struct prediction_log *log, const char *id) {
    char tail[13] = {0};
    if (!log || strlen(id) != 36)
        return false;
    if (!log->sample.set || log->sample.v >= 1)
        return true;
    memcpy(tail, id + 24, 12); /* the last 48 bits are all random */
    return (double)strtoull(tail, NULL, 16) < log->sample.v * 281474976710656.0;
}
