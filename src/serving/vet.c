/* SPDX-License-Identifier: Apache-2.0 */
/* Vet: what the daemon does in a child before it trusts itself with a model file. The child loads
 * the file, runs it on zeros and on the golden cases that came with it; whatever a hostile file
 * does to it ends with the child. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/onnx/onnx.h"
#include "quern/serving/serving.h"
#include "session.h"

static void put_specs(struct json_writer *w, const char *key, const struct tensor_spec *specs,
                      size_t n) {
    jw_key(w, key);
    jw_arr(w);
    for (size_t i = 0; i < n; i++) {
        jw_obj(w);
        jw_key_str(w, "name", specs[i].name);
        jw_key_str(w, "datatype", dtype_name(specs[i].dtype));
        jw_key(w, "shape");
        jw_arr(w);
        for (size_t d = 0; d < specs[i].rank; d++)
            jw_i64(w, specs[i].shape[d]);
        jw_arr_end(w);
        jw_obj_end(w);
    }
    jw_arr_end(w);
}

/* Of this process, whose only work is the model. */
static int64_t resident_bytes(void) {
    long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    int got = f ? fscanf(f, "%lld %lld", &size, &resident) : 0;
    if (f)
        fclose(f);
    return got == 2 ? (int64_t)resident * sysconf(_SC_PAGESIZE) : 0;
}

/* "" without a file; its form was checked before. */
static int read_cases(struct ctx *c, const char *file, bool record, struct golden *g) {
    struct buf text = {0};
    char part[4096];
    size_t n;
    FILE *f = fopen(file, "re");
    while (f && text.len <= GOLDEN_BYTES && (n = fread(part, 1, sizeof part, f)) > 0)
        buf_put(&text, part, n);
    if (f)
        fclose(f);
    char *copy = arena_strndup(c->arena, text.data ? text.data : "", text.len);
    size_t len = text.len;
    buf_free(&text);
    if (len > GOLDEN_BYTES)
        return fail(c, ERR_TOO_LARGE, "the golden cases take more than %zu bytes", GOLDEN_BYTES);
    return golden_read(c, copy, len, !record, g);
}

static int try_cases(struct ctx *c, const struct model *m, const char *file, bool record,
                     struct golden *g) {
    int rc = read_cases(c, file, record, g);
    if (rc < 0)
        return rc;
    return record ? golden_record(c, m, g) : golden_replay(c, m, g);
}

int vet_main(const char *model_file, const char *golden_file, bool record) {
    struct ctx c;
    struct golden golden = {0};
    const char *recorded = NULL;
    struct buf out = {0}, error = {0};
    struct json_writer w;
    struct model *m = NULL;
    ctx_begin(&c);
    log_init(LOG_ERROR, LOG_JSON);
    int rc = 0;
    int64_t before = 0;
    if (!onnx_ready() && onnx_open(getenv("QUERN_ONNX_LIBRARY"), NULL, &error) < 0)
        rc = fail(&c, ERR_NOT_READY, "ONNX Runtime is not loaded: %s", error.data);
    before = resident_bytes();
    if (rc == 0)
        rc = model_load(&c, model_file, NULL, &m);
    if (rc == 0 && golden_file)
        rc = try_cases(&c, m, golden_file, record, &golden);
    if (rc == 0 && record)
        rc = golden_text(&c, &golden, &recorded);
    jw_init(&w, &out);
    jw_obj(&w);
    jw_key_bool(&w, "ok", rc == 0);
    if (rc < 0) {
        jw_key_str(&w, "reason", c.err.message);
    } else {
        jw_key_i64(&w, "bytes", resident_bytes() - before);
        put_specs(&w, "inputs", m->inputs, m->ninputs);
        put_specs(&w, "outputs", m->outputs, m->noutputs);
        jw_key(&w, "metadata");
        const char *metadata = onnx_metadata(((struct shared_session *)m->state)->session);
        jw_raw(&w, metadata, __builtin_strlen(metadata));
        if (golden_file)
            jw_key_i64(&w, "golden", (int64_t)golden.cases.n);
        if (recorded) {
            jw_key(&w, "recorded");
            jw_raw(&w, recorded, strlen(recorded));
        }
    }
    jw_obj_end(&w);
    puts(out.data);
    fflush(stdout);
    model_free(m);
    buf_free(&out);
    buf_free(&error);
    ctx_end(&c);
    return rc < 0 ? 1 : 0;
}
