/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric_cell.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"

static void put_number(struct buf *out, double v) {
    if (!isfinite(v)) {
        buf_puts(out, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_puts(out, text);
}

/* OpenMetrics wants bounds in the form of a float: le="1.0". */
static void put_bound(struct buf *out, double v, bool openmetrics) {
    size_t from = out->len;
    put_number(out, v);
    if (openmetrics && !strpbrk(out->data + from, ".e"))
        buf_puts(out, ".0");
}

static void put_escaped(struct buf *out, const char *s, bool quotes) {
    for (; *s; s++) {
        if (*s == '\n')
            buf_puts(out, "\\n");
        else if (*s == '\\' || (*s == '"' && quotes))
            buf_printf(out, "\\%c", *s);
        else
            buf_putc(out, *s);
    }
}

/* {a="x",b="y"} with room for one more pair before the brace. */
static size_t put_labels(struct buf *out, const struct metric_cell *m) {
    const char *name = metric_rows[m->id].labels;
    size_t n = 0;
    while (*name && n < METRIC_LABELS) {
        size_t len = strcspn(name, ",");
        buf_printf(out, "%c%.*s=\"", n ? ',' : '{', (int)len, name);
        put_escaped(out, m->labels[n], true);
        buf_putc(out, '"');
        n++;
        name += len;
        name += *name == ',';
    }
    return n;
}

static void put_sample(struct buf *out, const char *name, const char *suffix,
                       const struct metric_cell *m, double value) {
    buf_printf(out, "%s%s", name, suffix);
    if (put_labels(out, m))
        buf_putc(out, '}');
    buf_putc(out, ' ');
    put_number(out, value);
    buf_putc(out, '\n');
}

static void put_exemplar(struct buf *out, const struct metric_cell *m, size_t bucket) {
    struct exemplar_text e;
    if (!exemplar_read(m, bucket, &e))
        return;
    buf_puts(out, " # {prediction_id=\"");
    put_escaped(out, e.id, true);
    buf_puts(out, "\"} ");
    put_number(out, e.value);
    buf_printf(out, " %lld.%03d", (long long)(e.at_ms / 1000), (int)(e.at_ms % 1000));
}

static void put_bucket(struct buf *out, const struct metric_cell *m, double le, size_t bucket,
                       uint64_t count, bool openmetrics) {
    buf_printf(out, "%s_bucket", metric_rows[m->id].name);
    buf_puts(out, put_labels(out, m) ? ",le=\"" : "{le=\"");
    put_bound(out, le, openmetrics && isfinite(le));
    buf_printf(out, "\"} %llu", (unsigned long long)count);
    if (openmetrics)
        put_exemplar(out, m, bucket);
    buf_putc(out, '\n');
}

static void put_histogram(struct buf *out, const struct metric_cell *m, bool openmetrics) {
    const char *name = metric_rows[m->id].name;
    struct metric_bounds b = metric_bounds(m->id);
    uint64_t count = 0;
    for (size_t i = 0; i < b.n; i++) {
        count += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        put_bucket(out, m, b.le[i], i, count, openmetrics);
    }
    /* The count is the last bucket by construction, also while others observe. */
    count += atomic_load_explicit(&m->buckets[METRIC_BUCKETS], memory_order_relaxed);
    put_bucket(out, m, INFINITY, METRIC_BUCKETS, count, openmetrics);
    put_sample(out, name, "_sum", m, metric_load(&m->value));
    put_sample(out, name, "_count", m, (double)count);
}

static void put_head(struct buf *out, enum metric_id id, bool openmetrics) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct metric_row *row = &metric_rows[id];
    int n = (int)strlen(row->name);
    /* OpenMetrics names a counter's family without the suffix of its sample. */
    if (openmetrics && row->type == METRIC_COUNTER && str_ends(row->name, "_total"))
        n -= 6;
    buf_printf(out, "# HELP %.*s ", n, row->name);
    put_escaped(out, row->help, openmetrics);
    buf_printf(out, "\n# TYPE %.*s %s\n", n, row->name, types[row->type]);
}

void metric_render(bool openmetrics, struct buf *out) {
    for (int i = 0; i < METRIC_COUNT; i++) {
        enum metric_id id = (enum metric_id)i;
        const struct metric_row *row = &metric_rows[id];
        /* One without labels is there from the start, at zero. */
        if (!*row->labels)
            metric_cell(id, NULL, NULL, NULL);
        size_t cursor = 0;
        bool headed = false;
        const struct metric_cell *m;
        while ((m = metric_next(id, &cursor))) {
            if (!headed)
                put_head(out, id, openmetrics);
            headed = true;
            if (row->type == METRIC_HISTOGRAM)
                put_histogram(out, m, openmetrics);
            else
                put_sample(out, row->name, "", m, metric_load(&m->value));
        }
    }
    if (openmetrics)
        buf_puts(out, "# EOF\n");
}
