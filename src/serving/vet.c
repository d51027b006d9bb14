/* SPDX-License-Identifier: Apache-2.0 */
/* Vet: what the daemon does in a child before it trusts itself with a model file. The child loads
 * the file and runs it once on zeros; whatever a hostile file does to it ends with the child. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

int vet_main(const char *model_file) {
    struct ctx c;
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
