/* SPDX-License-Identifier: Apache-2.0 */
/* Batch worker: the process that predicts a job's rows. It loads the model for itself, at the
 * lowest priority, so that neither a hostile file nor the work takes anything from the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch_job.h"
#include "batch_parquet.h"
#include "batch_reader.h"
#include "batch_sheet.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/onnx/onnx.h"
#include "signature.h"

#define SAVE_MS 500 /* between writings of the progress: so much is done again after a crash */
#define CHUNK_BYTES ((size_t)8 << 20)
#define THREADS_MAX 16

struct worker {
    struct dir *dir;
    struct batch_job job;
    struct batch_progress progress;
    struct batch_sheet sheet;
    struct batch_reader reader;
    struct batch_chunk chunks[THREADS_MAX];
    struct model *model;
    int input, output, errors;
    int64_t saved_ms;
};

static int disk(struct ctx *c, const char *what, int rc) {
    return rc == -ENOSPC || rc == -EDQUOT
               ? fail(c, ERR_DISK_FULL, "no room on disk for the predictions")
               : fail(c, ERR_INTERNAL, "%s: %s", what, strerror(-rc));
}

static int read_file(struct ctx *c, struct worker *w, const char *name, const struct shape *shape,
                     void *out) {
    char *text;
    size_t n;
    struct json_t *tree;
    int rc = dir_read_file(w->dir, name, c->arena, (size_t)64 << 20, &text, &n);
    if (rc < 0)
        return disk(c, name, rc);
    rc = json_parse(c, DIALECT_PROBLEM, text, n, &tree);
    return rc == 0 ? json_decode(c, DIALECT_PROBLEM, shape, tree, NULL, NULL, out) : rc;
}

static int write_file(struct worker *w, const char *name, const struct shape *shape,
                      const void *value) {
    struct buf text = {0};
    json_encode(&text, shape, value);
    int rc = dir_write_file(w->dir, name, text.data, text.len);
    buf_free(&text);
    return rc;
}

/* What was written is on the disk before the progress tells of it. */
static int save(struct ctx *c, struct worker *w) {
    int rc = fdatasync(w->output) == 0 && fdatasync(w->errors) == 0 ? 0 : -errno;
    w->progress.header = w->sheet.header;
    if (rc == 0)
        rc = write_file(w, BATCH_PROGRESS, &shape_batch_progress, &w->progress);
    w->saved_ms = clock_mono_ms();
    return rc < 0 ? disk(c, "the progress cannot be written", rc) : 0;
}

static int open_at(struct ctx *c, struct worker *w, const char *name, int64_t bytes, int *fd) {
    *fd = dir_openat(w->dir, name, O_WRONLY | O_CREAT, 0600);
    if (*fd < 0)
        return disk(c, name, *fd);
    if (ftruncate(*fd, bytes) != 0 || lseek(*fd, bytes, SEEK_SET) < 0)
        return disk(c, name, -errno);
    return 0;
}

static int load_model(struct ctx *c, struct worker *w) {
    struct buf error = {0};
    char *mlmodel;
    size_t n;
    int rc = 0;
    if (!onnx_ready() && onnx_open(getenv("QUERN_ONNX_LIBRARY"), NULL, &error) < 0)
        rc = fail(c, ERR_NOT_READY, "ONNX Runtime is not loaded: %s", error.data);
    buf_free(&error);
    if (rc == 0)
        rc = model_load(c, arena_printf(c->arena, "%s/%s", dir_path(w->dir), w->job.model), NULL,
                        &w->model);
    if (rc < 0)
        return rc;
    struct model *m = w->model;
    if (dir_read_file(w->dir, BATCH_MLMODEL, c->arena, (size_t)1 << 20, &mlmodel, &n) == 0) {
        struct signature_column *columns;
        signature_columns(c, m->arena, mlmodel, n, &columns, &m->nfeatures);
        m->columns = columns;
        m->features = ARENA_ARRAY(m->arena, const char *, m->nfeatures + 1);
        for (size_t i = 0; i < m->nfeatures; i++)
            m->features[i] = columns[i].name;
    }
    return 0;
}

/* Names and form of the input, from its first record. */
static int learn(struct ctx *c, struct worker *w) {
    struct batch_reader r;
    struct record first = {0};
    bool csv = w->sheet.csv;
    int rc = reader_open(&r, w->input, csv, 0, 1);
    if (rc == 0)
        rc = reader_next(&r, &first);
    if (rc < 0) {
        rc = disk(c, "the input cannot be read", rc);
    } else if (rc == 0 || first.too_long) {
        rc = csv || first.too_long ? fail(c, ERR_INVALID,
                                          csv ? "the input must begin with a line of column names"
                                              : "the input's first line is too long")
                                   : 0;
    } else {
        w->sheet.lists = !csv && first.len && first.data[strspn(first.data, " \t")] == '[';
        w->sheet.names = mem_strdup(arena_strndup(c->arena, first.data, first.len));
        rc = 0;
    }
    if (rc == 0 && csv && !w->progress.in_bytes.v) {
        w->progress.in_bytes.v = r.offset;
        w->progress.line.v = r.line;
    }
    reader_close(&r);
    return rc;
}

/* Parquet is read as the lines that DuckDB makes of it. */
static int open_input(struct ctx *c, struct worker *w) {
    struct stat st;
    bool parquet = strcmp(w->job.format, "parquet") == 0;
    int rc = parquet ? parquet_to_lines(c, w->dir, &w->job, BATCH_INPUT, BATCH_ROWS) : 0;
    if (rc < 0)
        return rc;
    w->input = dir_openat(w->dir, parquet ? BATCH_ROWS : BATCH_INPUT, O_RDONLY, 0);
    if (w->input < 0)
        return disk(c, "the input cannot be opened", w->input);
    if (fstat(w->input, &st) == 0)
        w->progress.in_total = SET_I64(st.st_size);
    return 0;
}

static int begin(struct ctx *c, struct worker *w) {
    struct batch_progress *p = &w->progress;
    int rc = read_file(c, w, BATCH_JOB, &shape_batch_job, &w->job);
    if (rc == 0 && dir_exists(w->dir, BATCH_PROGRESS))
        rc = read_file(c, w, BATCH_PROGRESS, &shape_batch_progress, p);
    if (rc < 0)
        return rc;
    if (!p->line.v)
        p->line.v = 1;
    p->in_bytes.set = p->line.set = p->rows.set = p->errors.set = p->out_bytes.set =
        p->error_bytes.set = p->finished.set = true;
    w->sheet = (struct batch_sheet){.job = &w->job,
                                    .csv = strcmp(w->job.format, "csv") == 0,
                                    .csv_out = strcmp(w->job.output_format, "csv") == 0};
    if (p->header)
        w->sheet.header = mem_strdup(p->header);
    w->sheet.settled = p->header || (!w->sheet.csv_out && p->rows.v > 0);
    rc = open_input(c, w);
    if (rc < 0)
        return rc;
    rc = open_at(c, w, BATCH_OUTPUT, p->out_bytes.v, &w->output);
    if (rc == 0)
        rc = open_at(c, w, BATCH_ERRORS, p->error_bytes.v, &w->errors);
    if (rc == 0)
        rc = load_model(c, w);
    w->sheet.m = w->model;
    if (rc == 0)
        rc = learn(c, w);
    if (rc == 0 && reader_open(&w->reader, w->input, w->sheet.csv, p->in_bytes.v, p->line.v) < 0)
        rc = disk(c, "the input cannot be read", -errno);
    return rc;
}

/* Fills one chunk; 1 when there are rows in it. */
static int fill(struct ctx *c, struct worker *w, struct batch_chunk *k, int64_t first) {
    struct record r;
    int rc = 1;
    chunk_clear(k);
    k->sheet = &w->sheet;
    k->first = first;
    while ((int64_t)k->n < w->job.chunk_rows.v && k->text.len < CHUNK_BYTES &&
           (rc = reader_next(&w->reader, &r)) > 0)
        chunk_add(k, &r);
    if (rc < 0)
        return disk(c, "the input cannot be read", rc);
    k->end_offset = w->reader.offset;
    k->end_line = w->reader.line;
    return k->n > 0;
}

static void run_one(void *arg) {
    chunk_run(arg);
}

static void run_all(struct batch_chunk *chunks, size_t n) {
    struct thread *threads[THREADS_MAX];
    for (size_t i = 1; i < n; i++)
        threads[i] = thread_start("batch", run_one, &chunks[i]);
    chunk_run(&chunks[0]);
    for (size_t i = 1; i < n; i++)
        thread_join(threads[i]);
}

static int put(struct ctx *c, struct worker *w, const struct batch_chunk *k) {
    struct batch_progress *p = &w->progress;
    int rc = 0;
    if (p->out_bytes.v == 0 && w->sheet.header && k->out.len) {
        rc = fd_write_all(w->output, w->sheet.header, strlen(w->sheet.header));
        p->out_bytes.v += (int64_t)strlen(w->sheet.header);
    }
    if (rc == 0 && k->out.len)
        rc = fd_write_all(w->output, k->out.data, k->out.len);
    if (rc == 0 && k->errors.len)
        rc = fd_write_all(w->errors, k->errors.data, k->errors.len);
    if (rc < 0)
        return disk(c, "the predictions cannot be written", rc);
    p->out_bytes.v += (int64_t)k->out.len;
    p->error_bytes.v += (int64_t)k->errors.len;
    p->rows.v += (int64_t)k->n;
    p->errors.v += k->failed;
    p->in_bytes.v = k->end_offset;
    p->line.v = k->end_line;
    if (!p->first_error && k->first_error)
        p->first_error = arena_strdup(c->arena, k->first_error);
    if (w->job.max_errors.set && p->errors.v > w->job.max_errors.v)
        return fail(c, ERR_UNPROCESSABLE,
                    "%" PRId64 " rows failed, more than max_errors allows; the first: %s",
                    p->errors.v, p->first_error);
    if (p->out_bytes.v + p->error_bytes.v > w->job.max_output.v)
        return fail(c, ERR_QUOTA,
                    "the predictions take more than %" PRId64 " bytes (batch.max-output)",
                    w->job.max_output.v);
    return 0;
}

/* The first rows are run alone: from them it is learnt what the output's columns are. */
static int work(struct ctx *c, struct worker *w) {
    int more = 1, rc = 0;
    while (rc == 0 && more > 0) {
        size_t n = 0, most = w->sheet.settled ? (size_t)w->job.concurrency.v : 1;
        int64_t first = w->progress.rows.v;
        while (n < most && (more = fill(c, w, &w->chunks[n], first)) > 0)
            first += (int64_t)w->chunks[n++].n;
        if (more < 0)
            return more;
        if (n)
            run_all(w->chunks, n);
        for (size_t i = 0; rc == 0 && i < n; i++)
            rc = put(c, w, &w->chunks[i]);
        w->sheet.settled = w->sheet.settled || w->sheet.header || (!w->sheet.csv_out && n);
        if (rc == 0 && more > 0 && clock_mono_ms() - w->saved_ms >= SAVE_MS)
            rc = save(c, w);
    }
    if (rc == 0) {
        w->progress.finished.v = true;
        rc = save(c, w);
    }
    if (rc == 0 && strcmp(w->job.output_format, "parquet") == 0)
        rc = lines_to_parquet(c, w->dir, BATCH_OUTPUT, BATCH_OUTPUT_PARQUET,
                              w->progress.out_bytes.v == 0);
    return rc;
}

/* Whatever is left over by everybody else. */
static void step_back(void) {
    const struct sched_param zero = {0};
    setpriority(PRIO_PROCESS, 0, 19);
    (void)sched_setscheduler(0, SCHED_IDLE, &zero);
}

int batch_worker_main(const char *folder) {
    struct worker *w = mem_alloc(sizeof *w);
    struct ctx c;
    ctx_begin(&c);
    log_init(LOG_ERROR, LOG_JSON);
    step_back();
    w->input = w->output = w->errors = -1;
    int rc = dir_open(folder, false, &w->dir);
    if (rc < 0) {
        fprintf(stderr, "the job's folder cannot be opened: %s\n", strerror(-rc));
        return 1;
    }
    rc = begin(&c, w);
    if (rc == 0)
        rc = work(&c, w);
    if (rc < 0) {
        struct batch_failure f = {c.err.message ? c.err.message : "unknown reason"};
        fprintf(stderr, "%s\n", f.reason);
        rc = write_file(w, BATCH_FAILURE, &shape_batch_failure, &f) < 0 ? 2 : 1;
    }
    for (size_t i = 0; i < THREADS_MAX; i++)
        chunk_free(&w->chunks[i]);
    reader_close(&w->reader);
    sheet_free(&w->sheet);
    model_free(w->model);
    fd_close(w->input);
    fd_close(w->output);
    fd_close(w->errors);
    dir_close(w->dir);
    ctx_end(&c);
    free(w);
    return rc;
}
