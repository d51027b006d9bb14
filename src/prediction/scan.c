/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/metric/metric.h"
#include "room.h"
#include "segment.h"
#include "segment_store.h"

int scan_begin(struct ctx *c, struct scan *s) {
    struct segment *all = NULL;
    int rc = db_read_begin(room_db(), c);
    if (rc < 0)
        return rc;
    rc = segment_store_list(c, s->filter->endpoint, s->filter->from_ms, s->filter->to_ms, &all,
                            &s->nsegments);
    s->segments = all;
    db_read_end(c);
    return rc;
}

static bool is(const json_t *tree, const char *member, const char *want) {
    const char *v = json_string_value(json_object_get(tree, member));
    return !want || (v && strcmp(v, want) == 0);
}

static bool fits(const struct scan_filter *f, const json_t *t) {
    int64_t ms = json_integer_value(json_object_get(t, "time_ms"));
    return ms >= f->from_ms && ms <= f->to_ms &&
           (!f->version || json_integer_value(json_object_get(t, "version")) == f->version) &&
           is(t, "id", f->id) && is(t, "model", f->model) && is(t, "arm", f->arm) &&
           is(t, "key", f->key) && is(t, "kind", f->kind);
}

static int one_line(struct ctx *c, struct scan *s, const char *line, size_t n) {
    s->budget -= (int64_t)n;
    if (s->filter->id && (n < 50 || !memmem(line, 50, s->filter->id, strlen(s->filter->id))))
        return 0;
    json_t *t = json_loadb(line, n, 0, NULL);
    int rc = t && fits(s->filter, t) ? s->record(c, s->arg, t, n) : 0;
    json_decref(t);
    return rc;
}

/* From the line behind the current one, or before it. */
static int lines_of(struct ctx *c, struct scan *s, const struct buf *text) {
    size_t n = 0;
    for (const char *p = text->data;
         p && (p = memchr(p, '\n', text->len - (size_t)(p - text->data))); p++)
        n++;
    size_t *ends = mem_alloc((n ? n : 1) * sizeof *ends);
    const char *p = text->data;
    for (size_t i = 0; i < n; i++) {
        p = memchr(p, '\n', text->len - (size_t)(p - text->data));
        ends[i] = (size_t)(p++ - text->data);
    }
    int64_t step = s->newest_first ? -1 : 1;
    int64_t i = s->at.line < 0 ? (s->newest_first ? (int64_t)n - 1 : 0) : s->at.line + step;
    int rc = 0;
    for (; rc == 0 && i >= 0 && i < (int64_t)n; i += step) {
        size_t from = i ? ends[i - 1] + 1 : 0;
        rc = one_line(c, s, text->data + from, ends[i] - from);
        s->at.line = i;
        if (rc == 0 && s->budget < 0)
            rc = 1;
    }
    free(ends);
    return rc;
}

static void damaged(struct ctx *c, struct scan *s) {
    s->damaged++;
    metric_add(METRIC_PREDICTION_DAMAGED, 1, NULL, NULL, NULL);
    log_warn("prediction.segment", "%s", c->err.message ? c->err.message : "unreadable");
    err_clear(c);
}

static int frames_of(struct ctx *c, struct scan *s, const struct segment *g, struct buf *text) {
    struct frame *frames;
    size_t n;
    int fd, rc = segment_open(c, g, &fd, &frames, &n);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        return 0;
    }
    if (rc == -ERR_UNPROCESSABLE && fd >= 0) {
        damaged(c, s);
        rc = 0;
    }
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct frame *f = &frames[s->newest_first ? n - 1 - i : i];
        bool resumed = s->at.segment == g->id;
        if (resumed && s->at.frame >= 0 &&
            (s->newest_first ? f->at > s->at.frame : f->at < s->at.frame))
            continue;
        if (f->to_ms < s->filter->from_ms || f->from_ms > s->filter->to_ms)
            continue;
        if (!resumed || s->at.frame != f->at)
            s->at = (struct scan_at){g->id, f->at, -1};
        rc = frame_read(c, fd, f, text);
        if (rc == 0) {
            rc = lines_of(c, s, text);
        } else if (rc == -ERR_UNPROCESSABLE) {
            damaged(c, s);
            rc = 0;
        }
    }
    fd_close(fd);
    return rc;
}

int scan_run(struct ctx *c, struct scan *s) {
    struct buf text = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->nsegments; i++) {
        const struct segment *g = &s->segments[s->newest_first ? s->nsegments - 1 - i : i];
        if (s->at.segment && (s->newest_first ? g->id > s->at.segment : g->id < s->at.segment))
            continue;
        rc = frames_of(c, s, g, &text);
    }
    s->done = rc == 0;
    buf_free(&text);
    return rc < 0 ? rc : 0;
}
