/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"

#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "span.h"
#include "trace.h"
#include "trace_store.h"

static const char *value_text(struct ctx *c, const json_t *value) {
    json_t *v = span_unwrap(c, span_plain(value));
    const char *text = json_is_string(v) ? json_string_value(v) : NULL;
    const char *out = text ? arena_strndup(c->arena, text, utf8_prefix(text, TRACE_VALUE_MAX))
                           : trace_value(c, json_text(c->arena, v, JSON_SPACED));
    json_decref(v);
    return out;
}

void sender_tags(struct ctx *c, const struct json_t *attributes, struct pairs *out) {
    const json_t *item;
    size_t i;
    *out = (struct pairs){.items =
                              ARENA_ARRAY(c->arena, struct pair, json_array_size(attributes) + 1)};
    json_array_foreach(attributes, i, item) {
        const char *key = json_string_value(json_object_get(item, "key"));
        bool ours = !key || !*key || str_starts(key, "mlflow.") ||
                    str_starts(key, "telemetry.sdk.") || utf8_count(key) > TRACE_KEY_MAX;
        if (!ours)
            out->items[out->n++] =
                (struct pair){.key = key, .value = value_text(c, json_object_get(item, "value"))};
    }
}

static const struct pairs *of(const struct span *spans, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (spans[i].sender && spans[i].sender->n)
            return spans[i].sender;
    return NULL;
}

static size_t bytes_of(const struct pairs *tags) {
    size_t out = 0;
    for (size_t i = 0; i < tags->n; i++)
        out += strlen(tags->items[i].key) + strlen(tags->items[i].value);
    return out;
}

int sender_check(struct ctx *c, const struct span *spans, size_t n) {
    const struct pairs *last = NULL;
    size_t rows = 0, bytes = 0, each = 0;
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && str_eq(spans[to].trace_id, spans[from].trace_id);)
            to++;
        const struct pairs *tags = of(spans + from, to - from);
        each = !tags ? 0 : tags == last ? each : bytes_of(tags);
        last = tags;
        rows += tags ? tags->n : 0;
        bytes += each;
        if (rows > SENDER_TAGS_MAX || bytes > SENDER_BYTES_MAX)
            return fail(c, ERR_TOO_LARGE,
                        "The attributes of the resource, told for each trace of this request, are "
                        "more than %d or larger than %zu MiB. Send fewer traces at once.",
                        SENDER_TAGS_MAX, SENDER_BYTES_MAX >> 20);
    }
    return 0;
}

int sender_put(struct ctx *c, int64_t trace_row, const struct span *spans, size_t n) {
    const struct pairs *tags = of(spans, n);
    int rc = 0;
    for (size_t i = 0; tags && i < tags->n && rc == 0; i++)
        rc = trace_put_tag(c, trace_row, tags->items[i].key, tags->items[i].value);
    return rc;
}
