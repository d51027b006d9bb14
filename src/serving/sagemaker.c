/* SPDX-License-Identifier: Apache-2.0 */
#include "sagemaker.h"

#include <string.h>

#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "snapshot.h"

#define VALUE_MAX 1024

static const struct {
    const char *lower, *sent; /* as asked for, as answered */
} echoed[] = {
    {"x-amzn-sagemaker-inference-id", "X-Amzn-SageMaker-Inference-Id"},
    {"x-amzn-sagemaker-custom-attributes", "X-Amzn-SageMaker-Custom-Attributes"},
};

const char *sagemaker_model(struct ctx *c) {
    static const char archive[] = ".tar.gz";
    const char *name = ctx_header(c, "x-amzn-sagemaker-target-model");
    if (!name)
        return NULL;
    size_t n = strlen(name), tail = sizeof archive - 1;
    if (n > tail && strcmp(name + n - tail, archive) == 0)
        n -= tail; /* multi-model endpoints name the file that holds the model */
    return arena_strndup(c->arena, name, n);
}

static int echo(struct ctx *c, const char *lower, const char *sent) {
    const char *value = ctx_header(c, lower);
    if (!value)
        return 0;
    size_t n = strlen(value);
    bool visible = true;
    for (size_t i = 0; i < n; i++)
        visible = visible && value[i] >= 0x20 && value[i] < 0x7f;
    if (n > VALUE_MAX || !visible)
        return fail_field(c, ERR_BAD_REQUEST, sent,
                          "header %s must be visible ASCII of at most %d bytes", sent, VALUE_MAX);
    reply_header(c, sent, value);
    return 0;
}

int sagemaker_request(struct ctx *c, struct request *q) {
    const char *variant = ctx_header(c, "x-amzn-sagemaker-target-variant");
    int rc = 0;
    if (variant)
        q->arm = variant;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(echoed); i++)
        rc = echo(c, echoed[i].lower, echoed[i].sent);
    return rc;
}

void sagemaker_answered(struct ctx *c, const struct answer *a) {
    bool used = false;
    for (size_t i = 0; i < c->header_count; i++)
        used = used || str_starts(c->headers[i].name, "x-amzn-sagemaker-");
    if (used && a->arm)
        reply_header(c, "X-Amzn-Invoked-Production-Variant", arena_strdup(c->arena, a->arm->name));
}
