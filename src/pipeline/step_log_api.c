/* SPDX-License-Identifier: Apache-2.0 */
/* Doors to what steps print and to the feed of state changes. Streams are pulled on a network
 * thread: each pull reads a piece of a file, or a few rows in a short snapshot. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "executor.h"
#include "json_value.h"
#include "pipeline_run_api.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/process/process.h"

#define PIECE_MOST ((int64_t)4 << 20)
#define STREAM_PIECE ((size_t)1 << 16)
#define KEEP_ALIVE_MS ((int64_t)15000)
#define STAMP_LENGTH ((size_t)27) /* "2026-01-02T03:04:05.678Z o " */

struct log_in {
    const char *id, *step;
    struct opt_i64 attempt, offset, max_bytes;
    struct opt_bool follow, stamps;
};
#define LOG_FIELDS                                                                                 \
    FIELD(struct log_in, id, T_STR, F_PATH | F_REQUIRED, "The run's id."),                         \
        FIELD(struct log_in, step, T_STR, F_PATH | F_REQUIRED,                                     \
              "Instance: train, train[0], train.0."),                                              \
        FIELD_MAX(struct log_in, attempt, T_I64, F_QUERY, 1, 1000000, "Default: the last."),       \
        FIELD_MAX(struct log_in, offset, T_I64, F_QUERY, 0, INT64_MAX, "Byte to begin at.")
SHAPE_STRICT(shape_step_log, "StepLogQuery", struct log_in, LOG_FIELDS,
             FIELD_MAX(struct log_in, max_bytes, T_I64, F_QUERY, 1, PIECE_MOST, "Default 1 MiB."));
SHAPE_STRICT(shape_step_logs, "StepLogStreamQuery", struct log_in, LOG_FIELDS,
             FIELD(struct log_in, follow, T_BOOL, F_QUERY, "Go on until the step has ended."),
             FIELD(struct log_in, stamps, T_BOOL, F_QUERY,
                   "Time and stream before each line; default true."));

/* The keeper's folder of the attempt; NULL while there is none. */
static int find_folder(struct ctx *c, const char *run_id, const char *step, int64_t attempt,
                       struct step_row *row, struct attempt_row *a) {
    struct run_row run;
    *a = (struct attempt_row){0};
    int rc = run_load(c, run_id, &run);
    rc = rc ? rc : step_load(c, run_id, step, row);
    if (rc || (attempt == 0 && row->attempt == 0)) {
        return rc;
    }
    return attempt_load(c, row->id, attempt ? attempt : row->attempt, a);
}

static int read_piece(struct ctx *c, const char *folder, int64_t offset, size_t max, char **data,
                      size_t *n, int64_t *next) {
    *data = NULL;
    *n = 0;
    *next = offset;
    int rc = folder ? process_log_read(c, executor.o.data, folder, offset, max, data, n, next) : 0;
    if (rc == -ERR_NOT_FOUND) { /* the keeper has not begun */
        err_clear(c);
        rc = 0;
    }
    return rc;
}

int steps_log(struct ctx *c, const void *in_, void *out) {
    const struct log_in *in = in_;
    struct step_row row;
    struct attempt_row a;
    char *data;
    size_t n;
    int64_t next;
    (void)out;
    int rc = find_folder(c, in->id, in->step, in->attempt.v, &row, &a);
    rc = rc ? rc
            : read_piece(c, a.folder, in->offset.v,
                         in->max_bytes.set ? (size_t)in->max_bytes.v : (size_t)1 << 20, &data, &n,
                         &next);
    if (rc) {
        return rc;
    }
    reply_header(c, "X-Quern-Next-Offset", arena_printf(c->arena, "%lld", (long long)next));
    reply_header(c, "X-Quern-Step-State", step_state_name(row.state));
    reply_bytes(c, "text/plain; charset=utf-8", data ? data : "", n);
    return 0;
}

/* ---- streams */

struct feed {
    int64_t project;
    char *run_id, *step, *folder;
    int64_t attempt, offset;
    bool one_attempt; /* the caller named it */
    bool follow, sse, stamps, ended;
    int64_t said_ms; /* monotonic, for keep-alives */
    struct buf pending;
    size_t sent;
};

static void feed_close(void *state) {
    struct feed *f = state;
    buf_free(&f->pending);
    free(f->run_id);
    free(f->step);
    free(f->folder);
    free(f);
}

static void say_line(struct feed *f, const char *line, size_t n) {
    bool bare = !f->stamps && n >= STAMP_LENGTH && line[23] == 'Z';
    if (f->sse) {
        buf_puts(&f->pending, "data: ");
    }
    if (bare && line[25] == 'k') { /* not the step's words */
        buf_puts(&f->pending, "[keeper] ");
    }
    buf_put(&f->pending, line + (bare ? STAMP_LENGTH : 0), n - (bare ? STAMP_LENGTH : 0));
    buf_putc(&f->pending, '\n');
}

static void say_lines(struct feed *f, const char *data, size_t n, int64_t next) {
    while (n) {
        const char *end = memchr(data, '\n', n);
        size_t length = end ? (size_t)(end - data) : n;
        say_line(f, data, length);
        if (f->sse) {
            buf_putc(&f->pending, '\n');
        }
        data += length + (end != NULL);
        n -= length + (end != NULL);
    }
    if (f->sse) { /* where Last-Event-ID goes on */
        buf_printf(&f->pending, "id: %lld/%lld\nevent: offset\ndata: %lld\n\n",
                   (long long)f->attempt, (long long)next, (long long)next);
    }
}

static void say_end(struct feed *f, const struct step_row *row) {
    f->ended = true;
    if (f->sse) {
        buf_printf(&f->pending, "event: end\ndata: {\"state\":\"%s\"}\n\n",
                   step_state_name(row->state));
    }
}

/* Some of the file. True when there was any. */
static bool more_of_file(struct ctx *c, struct feed *f) {
    char *data;
    size_t n;
    int64_t next;
    if (!f->folder || read_piece(c, f->folder, f->offset, STREAM_PIECE, &data, &n, &next)) {
        err_clear(c);
        return false;
    }
    bool moved = next > f->offset;
    if (n) {
        say_lines(f, data, n, next);
    }
    f->offset = next;
    return moved;
}

/* The file has nothing more: is that the end, is there a further attempt, or is it to be waited? */
static void look_at_step(struct ctx *c, struct feed *f) {
    struct step_row row;
    struct attempt_row a = {0};
    int rc = db_read_begin(executor.db, c);
    if (rc) {
        return;
    }
    rc = step_load(c, f->run_id, f->step, &row);
    if (rc == 0 && f->attempt) {
        rc = attempt_load(c, row.id, f->attempt, &a);
    }
    bool over = rc != 0;
    if (rc == 0) {
        bool attempt_over = a.id && !str_eq(a.state, "launching") && !str_eq(a.state, "running");
        if (attempt_over || (!a.id && step_state_terminal(row.state))) {
            /* What was written between the last look at the file and the end. */
            if (!more_of_file(c, f)) {
                bool further = !f->one_attempt && row.attempt > f->attempt;
                if (further) {
                    f->attempt++;
                    f->offset = 0;
                } else {
                    over = f->one_attempt || step_state_terminal(row.state);
                }
            }
        } else if (!a.id && row.attempt > 0) {
            f->attempt = 1;
        }
        if (!over && f->attempt && attempt_load(c, row.id, f->attempt, &a) == 0 && a.folder) {
            free(f->folder);
            f->folder = mem_strdup(a.folder);
        }
    }
    db_read_end(c);
    err_clear(c);
    if (over) {
        say_end(f, &row);
    }
}

static ssize_t feed_send(struct feed *f, char *out, size_t max) {
    size_t n = f->pending.len - f->sent;
    n = n > max ? max : n;
    memcpy(out, f->pending.data + f->sent, n);
    f->sent += n;
    if (f->sent == f->pending.len) {
        buf_clear(&f->pending);
        f->sent = 0;
    }
    f->said_ms = clock_mono_ms();
    return (ssize_t)n;
}

static ssize_t log_next(void *state, char *out, size_t max) {
    struct feed *f = state;
    if (f->pending.len) {
        return feed_send(f, out, max);
    }
    if (f->ended) {
        return -1;
    }
    struct ctx c;
    ctx_begin(&c);
    c.project = f->project;
    if (!more_of_file(&c, f)) {
        if (f->follow) {
            look_at_step(&c, f);
        } else {
            f->ended = true;
        }
    }
    ctx_end(&c);
    if (!f->pending.len && !f->ended && f->sse && clock_mono_ms() - f->said_ms > KEEP_ALIVE_MS) {
        buf_puts(&f->pending, ": still here\n\n");
    }
    return f->pending.len ? feed_send(f, out, max) : f->ended ? -1 : 0;
}

static const struct stream_ops log_stream = {log_next, feed_close};

static bool wants_events(struct ctx *c) {
    const char *accept = ctx_header(c, "accept");
    return accept && strstr(accept, "text/event-stream");
}

int steps_logs(struct ctx *c, const void *in_, void *out) {
    const struct log_in *in = in_;
    struct step_row row;
    struct attempt_row a;
    (void)out;
    int rc = find_folder(c, in->id, in->step, in->attempt.v, &row, &a);
    if (rc) {
        return rc;
    }
    struct feed *f = mem_alloc(sizeof *f);
    *f = (struct feed){.project = c->project,
                       .run_id = mem_strdup(in->id),
                       .step = mem_strdup(row.name),
                       .folder = a.folder ? mem_strdup(a.folder) : NULL,
                       .attempt = a.number,
                       .offset = in->offset.v,
                       .one_attempt = in->attempt.set,
                       .follow = in->follow.set && in->follow.v,
                       .sse = wants_events(c),
                       .stamps = !in->stamps.set || in->stamps.v,
                       .said_ms = clock_mono_ms()};
    const char *last = f->sse ? ctx_header(c, "last-event-id") : NULL;
    const char *slash = last ? strchr(last, '/') : NULL;
    int64_t attempt, offset;
    if (slash && str_to_i64(arena_strndup(c->arena, last, (size_t)(slash - last)), &attempt) &&
        attempt == f->attempt && str_to_i64(slash + 1, &offset) && offset >= 0) {
        f->offset = offset;
    }
    reply_header(c, "Cache-Control", "no-store");
    reply_stream(c, f->sse ? "text/event-stream" : "text/plain; charset=utf-8", &log_stream, f);
    return 0;
}

/* ---- state changes of a run */

struct events_in {
    const char *id;
    struct opt_i64 after;
};
SHAPE_STRICT(shape_run_events, "PipelineRunEventsQuery", struct events_in,
             FIELD(struct events_in, id, T_STR, F_PATH | F_REQUIRED, "The run's id."),
             FIELD_MAX(struct events_in, after, T_I64, F_QUERY, 0, INT64_MAX,
                       "Sequence number to go on behind; Last-Event-ID counts as well."));

static void say_event(struct ctx *c, struct feed *f, const struct run_event *e) {
    json_t *data =
        json_on_arena(c, json_pack("{s:I,s:I,s:s*,s:s,s:s,s:s*}", "seq", (json_int_t)e->seq,
                                   "time_ms", (json_int_t)e->time_ms, "step", e->step, "from",
                                   e->from, "to", e->to, "reason", e->reason));
    if (e->attempt) {
        json_object_set_new(data, "attempt", json_integer(e->attempt));
    }
    buf_printf(&f->pending, "id: %lld\nevent: %s\ndata: %s\n\n", (long long)e->seq,
               e->step ? "step" : "run", json_canonical(c, data));
}

static ssize_t events_next(void *state, char *out, size_t max) {
    struct feed *f = state;
    if (f->pending.len) {
        return feed_send(f, out, max);
    }
    if (f->ended) {
        return -1;
    }
    struct ctx c;
    struct run_event *events;
    struct run_row run;
    size_t n = 0;
    ctx_begin(&c);
    c.project = f->project;
    if (db_read_begin(executor.db, &c) == 0) {
        int rc = run_load(&c, f->run_id, &run);
        rc = rc ? rc : run_events(&c, f->run_id, f->offset, 200, &events, &n);
        for (size_t i = 0; i < n; i++) {
            say_event(&c, f, &events[i]);
            f->offset = events[i].seq;
        }
        if (rc || (n == 0 && run.state != RUN_QUEUED && run.state != RUN_RUNNING)) {
            f->ended = true;
            buf_printf(&f->pending, "event: end\ndata: {\"state\":\"%s\"}\n\n",
                       rc ? "unknown" : run_state_name(run.state));
        }
        db_read_end(&c);
    }
    ctx_end(&c);
    if (!f->pending.len && clock_mono_ms() - f->said_ms > KEEP_ALIVE_MS) {
        buf_puts(&f->pending, ": still here\n\n");
    }
    return f->pending.len ? feed_send(f, out, max) : 0;
}

static const struct stream_ops events_stream = {events_next, feed_close};

int runs_events(struct ctx *c, const void *in_, void *out) {
    const struct events_in *in = in_;
    struct run_row run;
    (void)out;
    int rc = run_load(c, in->id, &run);
    if (rc) {
        return rc;
    }
    struct feed *f = mem_alloc(sizeof *f);
    *f = (struct feed){.project = c->project,
                       .run_id = mem_strdup(in->id),
                       .offset = in->after.v,
                       .said_ms = clock_mono_ms()};
    const char *last = ctx_header(c, "last-event-id");
    int64_t seq;
    if (last && str_to_i64(last, &seq) && seq > f->offset) {
        f->offset = seq;
    }
    reply_header(c, "Cache-Control", "no-store");
    reply_stream(c, "text/event-stream", &events_stream, f);
    return 0;
}
