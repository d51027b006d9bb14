/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_sheet.h"

#include <stdlib.h>
#include <string.h>

#include "batch_print.h"
#include "json_scan.h"
#include "model.h"
#include "payload.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

#define SHOWN 1024 /* bytes of a bad row in the errors */

void sheet_free(struct batch_sheet *s) {
    free(s->names);
    free(s->header);
}

/* ---- chunks ---- */

void chunk_add(struct batch_chunk *k, const struct record *r) {
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 256;
        k->rows = mem_realloc(k->rows, k->cap * sizeof *k->rows);
    }
    size_t shown = r->too_long && r->len > SHOWN ? SHOWN : r->len;
    k->rows[k->n++] = (struct batch_row){k->text.len, shown, r->line, r->too_long};
    buf_put(&k->text, r->data, shown);
    buf_putc(&k->text, '\n');
}

void chunk_clear(struct batch_chunk *k) {
    buf_clear(&k->text);
    buf_clear(&k->out);
    buf_clear(&k->errors);
    free(k->first_error);
    k->first_error = NULL;
    k->n = 0;
    k->failed = 0;
}

void chunk_free(struct batch_chunk *k) {
    buf_free(&k->text);
    buf_free(&k->out);
    buf_free(&k->errors);
    free(k->first_error);
    free(k->rows);
}

/* ---- rows that fail ---- */

/* A row is run alone in the end, where messages count from it: what they say of its place is told
 * by number and line. */
static const char *without_place(struct ctx *c, const char *message) {
    static const char *const places[] = {
        "CSV line 2: ",          "CSV line 2 ",        ", row 0", "dataframe_records[0] is ",
        "dataframe_records[0] ", "dataframe_records: "};
    char *text = arena_strdup(c->arena, message);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char *at = strstr(text, places[i]);
        const char *instead = i == 1 || i == 4 ? "the row " : i == 3 ? "the row is " : "";
        if (at)
            text = arena_printf(c->arena, "%.*s%s%s", (int)(at - text), text, instead,
                                at + strlen(places[i]));
    }
    return text;
}

static void put_error(struct batch_chunk *k, size_t i, const char *why) {
    struct ctx c;
    struct json_writer w;
    const struct batch_row *row = &k->rows[i];
    const char *text = k->text.data + row->at;
    size_t n = row->len < SHOWN ? row->len : SHOWN;
    ctx_begin(&c);
    const char *said = without_place(&c, why);
    jw_init(&w, &k->errors);
    jw_obj(&w);
    jw_key_i64(&w, "row", k->first + (int64_t)i);
    jw_key_i64(&w, "line", row->line);
    jw_key_str(&w, "error", said);
    while (n && !utf8_valid(text, n) && row->len >= SHOWN && n > SHOWN - 4)
        n--; /* not cut within a character */
    if (utf8_valid(text, n) && !memchr(text, 0, n)) {
        jw_key(&w, "input");
        jw_strn(&w, text, n);
    }
    jw_obj_end(&w);
    buf_putc(&k->errors, '\n');
    k->failed++;
    if (!k->first_error)
        k->first_error = mem_strdup(arena_printf(c.arena, "row %lld (line %lld): %s",
                                                 (long long)(k->first + (int64_t)i),
                                                 (long long)row->line, said));
    ctx_end(&c);
}

/* ---- rows to predictions ---- */

static int scan_rows(struct ctx *c, const struct batch_chunk *k, size_t lo, size_t hi,
                     struct payload *p) {
    const struct batch_sheet *s = k->sheet;
    const char *text = k->text.data + k->rows[lo].at;
    size_t n = k->rows[hi - 1].at + k->rows[hi - 1].len - k->rows[lo].at;
    const char *open = s->csv ? s->names : s->lists ? "{\"inputs\":[" : "{\"dataframe_records\":[";
    const char *close = s->csv ? "\n" : "]}";
    size_t nopen = strlen(open), nclose = strlen(close);
    char *body = arena_alloc(c->arena, nopen + 1 + n + nclose + 1);
    memcpy(body, open, nopen);
    if (s->csv)
        body[nopen++] = '\n';
    memcpy(body + nopen, text, n);
    if (!s->csv) /* lines to members; a line end within a line's text would be no JSON */
        for (size_t i = lo; i + 1 < hi; i++)
            body[nopen + k->rows[i].at + k->rows[i].len - k->rows[lo].at] = ',';
    memcpy(body + nopen + n, close, nclose);
    int rc = payload_scan(c, s->csv ? "text/csv" : "application/json", body, nopen + n + nclose, p);
    if (rc == 0 && p->rows != hi - lo)
        rc = fail(c, ERR_BAD_REQUEST, "it holds %zu rows, not one", p->rows);
    return rc;
}

static const struct column *column_of(const struct payload *p, const char *name) {
    for (size_t i = 0; i < p->n; i++)
        if (p->columns[i].name && strcmp(p->columns[i].name, name) == 0)
            return &p->columns[i];
    return NULL;
}

static int no_column(struct ctx *c, const char *name) {
    return fail(c, ERR_BAD_REQUEST, "there is no column '%.100s'", name);
}

static int keep_columns(struct ctx *c, const struct batch_job *job, const struct payload *p,
                        struct batch_page *page) {
    bool all = job->keep.n == 1 && strcmp(job->keep.items[0], "*") == 0;
    size_t n = all ? p->n : job->keep.n;
    const struct column **list = ARENA_ARRAY(c->arena, const struct column *, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        list[i] = all ? &p->columns[i] : column_of(p, job->keep.items[i]);
        if (!list[i] || !list[i]->name)
            return no_column(c, all ? "*" : job->keep.items[i]);
    }
    page->keep = list;
    page->nkeep = n;
    return 0;
}

/* The columns that the model gets, under its own names for them. */
static int choose_columns(struct ctx *c, const struct batch_job *job, struct payload *p) {
    if (!job->columns.n)
        return 0;
    struct column *list = ARENA_ARRAY(c->arena, struct column, job->columns.n);
    for (size_t i = 0; i < job->columns.n; i++) {
        const struct pair *pair = &job->columns.items[i];
        const struct column *found = column_of(p, pair->key);
        if (!found)
            return no_column(c, pair->key);
        list[i] = *found;
        if (*pair->value)
            list[i].name = pair->value;
    }
    p->columns = list;
    p->n = job->columns.n;
    p->matrix = false;
    return 0;
}

static int check_outputs(struct ctx *c, struct batch_sheet *s, const struct batch_page *page,
                         size_t rows) {
    for (size_t i = 0; i < page->n; i++) {
        const struct tensor *t = &page->outputs[i];
        if (!t->rank || t->shape[0] != (int64_t)rows)
            return fail(c, ERR_UNPROCESSABLE, "the model's output '%s' has no row per row of input",
                        t->name);
    }
    if (!s->csv_out)
        return 0;
    const char *header = page_header(c, page);
    if (!s->header && !s->settled)
        s->header = mem_strdup(header);
    if (s->header && strcmp(s->header, header) == 0)
        return 0;
    return fail(c, ERR_UNPROCESSABLE, "its outputs have other columns than the rows before");
}

static int predict_rows(struct ctx *c, struct batch_chunk *k, size_t lo, size_t hi) {
    struct batch_sheet *s = k->sheet;
    const struct model *m = s->m;
    struct model_inputs inputs = {
        .specs = m->inputs, .n = m->ninputs, .features = m->features, .nfeatures = m->nfeatures};
    struct batch_page page = {0};
    struct payload p = {0};
    struct tensor *in = NULL, *out = NULL;
    int rc = scan_rows(c, k, lo, hi, &p);
    if (rc == 0)
        rc = keep_columns(c, s->job, &p, &page);
    if (rc == 0)
        rc = choose_columns(c, s->job, &p);
    if (rc == 0)
        rc = payload_bind(c, &p, &inputs, &in);
    if (rc == 0)
        rc = model_run(c, m, in, m->ninputs, NULL, &out, &page.n);
    page.outputs = out;
    if (rc == 0)
        rc = check_outputs(c, s, &page, hi - lo);
    for (size_t i = lo; rc == 0 && i < hi; i++)
        page_row(c, &page, s->csv_out, i - lo, k->first + (int64_t)i, &k->out);
    return rc;
}

static void run_rows(struct batch_chunk *k, size_t lo, size_t hi) {
    struct ctx c;
    if (lo == hi)
        return;
    ctx_begin(&c);
    bool ran = predict_rows(&c, k, lo, hi) == 0;
    if (!ran && hi - lo == 1)
        put_error(k, lo, c.err.message ? c.err.message : "it cannot be predicted");
    ctx_end(&c);
    if (ran || hi - lo == 1)
        return;
    size_t middle = lo + (hi - lo) / 2;
    run_rows(k, lo, middle);
    run_rows(k, middle, hi);
}

/* Whether a line stands for one row and nothing else; lines are joined afterwards, and must not
 * mean something else together. */
static int check_line(struct ctx *c, const struct batch_chunk *k, size_t i) {
    const struct batch_row *row = &k->rows[i];
    struct scan s;
    if (row->too_long)
        return fail(c, ERR_TOO_LARGE,
                    k->sheet->csv ? "it has a quote without an end, or is longer than "
                                    "%zu bytes"
                                  : "it is longer than %zu bytes",
                    RECORD_MAX);
    if (k->sheet->csv)
        return 0;
    char *text = arena_alloc(c->arena, row->len + 1); /* a NUL may be within */
    memcpy(text, k->text.data + row->at, row->len);
    scan_init(&s, c, text, row->len);
    char wants = k->sheet->lists ? '[' : '{';
    if (scan_peek(&s) != wants)
        return fail(c, ERR_BAD_REQUEST, "it is %s; as the first line, every line must be %s",
                    scan_kind(&s), k->sheet->lists ? "a list" : "an object");
    int rc = scan_skip(&s);
    return rc == 0 ? scan_end(&s) : rc;
}

void chunk_run(struct batch_chunk *k) {
    size_t good = 0; /* rows before i that were checked and not run */
    for (size_t i = 0; i < k->n; i++) {
        struct ctx c;
        ctx_begin(&c);
        if (check_line(&c, k, i) == 0) {
            good++;
        } else {
            run_rows(k, i - good, i);
            put_error(k, i, c.err.message);
            good = 0;
        }
        ctx_end(&c);
    }
    run_rows(k, k->n - good, k->n);
}
