/* SPDX-License-Identifier: Apache-2.0 */
/* Each endpoint has a stream: lines not yet on the disk, and the segment that they go to. */
#include "stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "quern/metric/metric.h"
#include "segment.h"
#include "segment_store.h"

#define FLUSH_BYTES ((size_t)1 << 20)     /* of lines; one more capture may come on top */
#define SEGMENT_BYTES (INT64_C(16) << 20) /* packed */
#define SEGMENT_MS INT64_C(3600000)
#define VERSIONS 16 /* that a segment's row names */
#define KEYS_PER_WRITE 1000
#define COMPLAIN_MS 10000

struct entity {
    char *name;
    char id[PREDICTION_ID_SIZE];
    int64_t ms;
};

struct stream {
    char *endpoint;
    struct segment segment; /* id 0: none open */
    char digest[65];
    char *versions[VERSIONS];
    size_t nversions;
    char *versions_text;
    struct buf lines;
    struct frame frame;
    struct entity *entities;
    size_t nentities, entity_cap;
    size_t taken; /* bytes of captures in `lines`, still counted as inside the ring */
};

static struct {
    struct db *db;
    struct map *all;
    int64_t next_id;
} streams;

static void forget_versions(struct stream *s) {
    for (size_t i = 0; i < s->nversions; i++)
        free(s->versions[i]);
    s->nversions = 0;
    free(s->versions_text);
    s->versions_text = NULL;
}

static void forget_lines(struct stream *s) {
    buf_clear(&s->lines);
    for (size_t i = 0; i < s->nentities; i++)
        free(s->entities[i].name);
    s->nentities = 0;
    ring_gone(s->taken);
    s->taken = 0;
    s->frame = (struct frame){0};
}

static void stream_free(void *arg) {
    struct stream *s = arg;
    forget_lines(s);
    forget_versions(s);
    buf_free(&s->lines);
    free(s->entities);
    free(s->endpoint);
    free(s);
}

static struct stream *stream_of(const struct capture *k) {
    char name[320];
    snprintf(name, sizeof name, "%" PRId64 "/%.200s", k->f.project, k->f.endpoint);
    struct stream *s = map_get(streams.all, name);
    if (!s) {
        s = mem_alloc(sizeof *s);
        s->endpoint = mem_strdup(k->f.endpoint);
        s->segment.project = k->f.project;
        s->segment.endpoint = s->endpoint;
        map_set(streams.all, name, s);
    }
    return s;
}

static void note_version(struct stream *s, const struct capture *k) {
    struct buf t = {0};
    buf_printf(&t, "%s/%" PRId64, k->f.model, k->f.version);
    bool seen = s->nversions == VERSIONS;
    for (size_t i = 0; i < s->nversions && !seen; i++)
        seen = strcmp(s->versions[i], t.data) == 0;
    if (seen) {
        buf_free(&t);
        return;
    }
    s->versions[s->nversions++] = t.data;
    struct arena *a = arena_new();
    free(s->versions_text);
    s->versions_text = mem_strdup(json_strs(a, (const char *const *)s->versions, s->nversions));
    arena_free(a);
}

static void note_entity(struct stream *s, const struct capture *k, int64_t ms) {
    if (!k->f.key || strcmp(k->f.kind, "answer") != 0)
        return;
    if (s->nentities == s->entity_cap) {
        s->entity_cap = s->entity_cap ? s->entity_cap * 2 : 64;
        s->entities = mem_realloc(s->entities, s->entity_cap * sizeof *s->entities);
    }
    struct entity *e = &s->entities[s->nentities++];
    e->name = mem_strdup(k->f.key);
    memcpy(e->id, k->id, sizeof e->id);
    e->ms = ms;
}

/* ---- from memory to the disk ---- */

/* A full disk would fill the log four times a second. */
static void complain(const char *endpoint, const char *why) {
    static int64_t then_ms;
    int64_t now_ms = clock_mono_ms();
    if (then_ms && now_ms - then_ms < COMPLAIN_MS)
        return;
    then_ms = now_ms;
    log_warn("prediction.segment", "predictions of endpoint '%s' are lost: %s", endpoint, why);
}

struct index_write {
    struct stream *s;
    size_t from, to; /* of its entities */
};

static int index_op(struct ctx *c, void *arg) {
    struct index_write *w = arg;
    int rc = segment_store_put(c, &w->s->segment);
    for (size_t i = w->from; rc == 0 && i < w->to; i++) {
        const struct entity *e = &w->s->entities[i];
        rc = segment_store_key(
            c, w->s->segment.project, w->s->endpoint,
            &(struct entity_key){
                .entity = e->name, .id = e->id, .ms = e->ms, .segment = w->s->segment.id});
    }
    return rc;
}

/* The writer's queue may be full for a moment. */
static int write_index(struct stream *s, size_t from, size_t to) {
    struct index_write w = {s, from, to};
    int rc = 0;
    for (int tries = 0; tries < 20; tries++) {
        struct ctx c;
        ctx_begin(&c);
        rc = db_write(streams.db, &c, index_op, &w);
        if (rc != 0 && rc != -ERR_BUSY)
            complain(s->endpoint, c.err.message ? c.err.message : "the index cannot be written");
        ctx_end(&c);
        if (rc != -ERR_BUSY)
            break;
        clock_sleep_ms(50);
    }
    return rc;
}

static void open_segment(struct stream *s) {
    if (s->segment.id)
        return;
    s->segment = (struct segment){.id = streams.next_id++,
                                  .project = s->segment.project,
                                  .endpoint = s->endpoint,
                                  .from_ms = INT64_MAX,
                                  .to_ms = INT64_MIN,
                                  .created_ms = clock_wall_ms()};
    s->digest[0] = '\0';
}

static void close_segment(struct stream *s) {
    s->segment.id = 0;
    forget_versions(s);
}

static void flush(struct stream *s) {
    if (!s->lines.len)
        return;
    uint32_t records = s->frame.records;
    open_segment(s);
    struct segment before = s->segment;
    s->frame.raw = (uint32_t)s->lines.len;
    int rc = segment_append(&s->segment, s->digest, &s->frame, s->lines.data);
    if (rc == 0) {
        struct segment *g = &s->segment;
        g->from_ms = s->frame.from_ms < g->from_ms ? s->frame.from_ms : g->from_ms;
        g->to_ms = s->frame.to_ms > g->to_ms ? s->frame.to_ms : g->to_ms;
        g->records += records;
        g->versions = s->versions_text;
        g->sealed = g->bytes >= SEGMENT_BYTES || clock_wall_ms() - g->created_ms >= SEGMENT_MS;
        size_t done = 0;
        do {
            size_t to = s->nentities - done > KEYS_PER_WRITE ? done + KEYS_PER_WRITE : s->nentities;
            rc = write_index(s, done, to);
            done = to;
        } while (rc == 0 && done < s->nentities);
        metric_add(METRIC_PREDICTION_BYTES, rc == 0 ? (double)(g->bytes - before.bytes) : 0, NULL,
                   NULL, NULL);
    } else {
        complain(s->endpoint, strerror(-rc));
    }
    metric_add(rc == 0 ? METRIC_PREDICTIONS_LOGGED : METRIC_PREDICTIONS_DROPPED, records,
               rc == 0 ? s->endpoint : "disk", NULL, NULL);
    forget_lines(s);
    if (rc != 0 || s->segment.sealed)
        close_segment(s); /* after a fault, whatever lies there is not built upon */
}

void streams_flush(void) {
    const char *key;
    void *value;
    for (size_t i = 0; map_next(streams.all, &i, &key, &value);)
        flush(value);
    metric_set(METRIC_PREDICTION_RING, (double)ring_bytes(), NULL, NULL, NULL);
}

void streams_take(struct capture *k) {
    struct stream *s = stream_of(k);
    struct prediction_parts p = {0};
    size_t before = s->lines.len;
    prediction_id_read(k->id, &p);
    capture_print(k, &s->lines);
    s->taken += k->bytes;
    if (utf8_valid(s->lines.data + before, s->lines.len - before)) {
        if (!s->frame.records || p.ms < s->frame.from_ms)
            s->frame.from_ms = p.ms;
        if (!s->frame.records || p.ms > s->frame.to_ms)
            s->frame.to_ms = p.ms;
        s->frame.records++;
        note_version(s, k);
        note_entity(s, k, p.ms);
    } else {
        s->lines.len = before;
        metric_add(METRIC_PREDICTIONS_DROPPED, 1, "text", NULL, NULL);
    }
    capture_free(k);
    if (s->lines.len >= FLUSH_BYTES)
        flush(s);
}

/* Streams that nothing came to for long would pile up with the endpoints that ever were. */
void streams_forget_idle(void) {
    const char *key;
    void *value;
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; !again && map_next(streams.all, &i, &key, &value);) {
            struct stream *s = value;
            bool idle = !s->lines.len &&
                        (!s->segment.id || clock_wall_ms() - s->segment.created_ms > SEGMENT_MS);
            if (!idle)
                continue;
            if (s->segment.id) {
                s->segment.sealed = true;
                write_index(s, 0, 0);
            }
            map_remove(streams.all, key);
            stream_free(s);
            again = true;
        }
    }
}

bool streams_write_to(int64_t id) {
    const char *key;
    void *value;
    for (size_t i = 0; map_next(streams.all, &i, &key, &value);)
        if (((struct stream *)value)->segment.id == id)
            return true;
    return false;
}

void streams_begin(struct db *db, int64_t next_id) {
    streams.db = db;
    streams.next_id = next_id;
    streams.all = map_new();
}

void streams_end(void) {
    map_free(streams.all, stream_free);
    streams.all = NULL;
}
