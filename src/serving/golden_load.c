/* SPDX-License-Identifier: Apache-2.0 */
#include "golden_load.h"

#include <string.h>

#include "folder.h"
#include "golden_store.h"
#include "model.h"
#include "payload.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define EXAMPLE_BYTES ((int64_t)1 << 20)

int golden_load(struct ctx *c, const struct golden_row *row, struct golden_file *out) {
    if (!*row->sha256)
        return 0;
    str_copy(out->sha256, sizeof out->sha256, row->sha256);
    int rc = blob_read(c, row->sha256, GOLDEN_BYTES, &out->text, &out->n);
    if (rc == 0)
        rc = golden_read(c, out->text, out->n, true, &out->golden);
    if (rc == 0 || c->err.code == ERR_INTERNAL || c->err.code == ERR_BUSY)
        return rc;
    const char *why = c->err.message ? c->err.message : "it cannot be read";
    err_clear(c);
    return fail(c, ERR_UNPROCESSABLE, "the version's golden cases are not usable: %s", why);
}

/* What MLflow kept as an example of inputs, in the form of its scoring protocol. */
static int example_warm(struct ctx *c, const struct model *m, const char *text, size_t n) {
    struct payload p;
    struct model_inputs inputs = {m->inputs, m->ninputs, m->features, m->nfeatures};
    struct tensor *in = NULL, *out = NULL;
    size_t nout = 0;
    int rc = payload_scan(c, "application/json", text, n, &p);
    if (rc == 0)
        rc = payload_bind(c, &p, &inputs, &in);
    return rc == 0 ? model_run(c, m, in, m->ninputs, NULL, &out, &nout) : rc;
}

void golden_warm_up(struct ctx *c, const struct model *m, const struct folder *files,
                    const struct golden_file *cases) {
    static const char *const names[] = {"serving_input_example.json", "input_example.json"};
    if (cases->text) {
        golden_warm(c, m, &cases->golden);
        return;
    }
    for (size_t i = 0; *files->base && i < ARRAY_LEN(names); i++) {
        const char *want = arena_printf(c->arena, "%s%s", files->base, names[i]);
        for (size_t k = 0; k < files->files.n; k++) {
            const struct artifact_entry *e = &files->files.items[k];
            char *text = NULL;
            size_t n = 0;
            if (strcmp(e->path, want) != 0 || e->size > EXAMPLE_BYTES)
                continue;
            if (blob_read(c, e->sha256, EXAMPLE_BYTES, &text, &n) == 0 &&
                example_warm(c, m, text, n) == 0)
                return;
            err_clear(c);
        }
    }
}
