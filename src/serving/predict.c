/* SPDX-License-Identifier: Apache-2.0 */
#include "predict.h"

#include <string.h>

#include "model.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"
#include "snapshot.h"

static int choose(struct ctx *c, const struct entry *e, const struct request *q,
                  const struct model **m) {
    *m = e->model;
    if (q->version && strcmp(q->version, e->model->version_text) != 0)
        return fail(c, ERR_NOT_FOUND, "endpoint '%s' serves version %s, not '%.40s'", e->name,
                    e->model->version_text, q->version);
    return 0;
}

int predict(struct ctx *c, const struct entry *e, struct request *q, struct answer *a) {
    const struct model *m;
    struct tensor *in = NULL;
    size_t nin = 0;
    int rc = choose(c, e, q, &m);
    if (rc == 0)
        rc = q->bind(c, q, m, &in, &nin);
    if (rc == 0)
        rc = onnx_run(c, m->session, in, nin, q->wanted, &a->outputs, &a->n);
    a->model = m;
    return rc;
}
