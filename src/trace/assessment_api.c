/* SPDX-License-Identifier: Apache-2.0 */
#include "assessment.h"
#include "trace_api.h"

struct wish {
    const char *trace_id, *assessment_id, *update_mask;
    struct json_t *assessment;
};
SHAPE(in_assessment_create, "CreateAssessment", struct wish,
      FIELD(struct wish, trace_id, T_STR, F_PATH | F_REQUIRED, "Trace."),
      FIELD(struct wish, assessment, T_JSON, F_REQUIRED, "The assessment."));
SHAPE(in_assessment_id, "AssessmentById", struct wish,
      FIELD(struct wish, trace_id, T_STR, F_PATH | F_REQUIRED, "Trace."),
      FIELD(struct wish, assessment_id, T_STR, F_PATH | F_REQUIRED, "Assessment."));
SHAPE(in_assessment_update, "UpdateAssessment", struct wish,
      FIELD(struct wish, trace_id, T_STR, F_PATH | F_REQUIRED, "Trace."),
      FIELD(struct wish, assessment_id, T_STR, F_PATH | F_REQUIRED, "Assessment."),
      FIELD(struct wish, assessment, T_JSON, F_REQUIRED, "New values."),
      FIELD(struct wish, update_mask, T_STR, F_REQUIRED, "Members to take, comma-separated."));
struct answer {
    struct json_t *assessment;
};
SHAPE(out_assessment, "GetAssessment", struct answer,
      FIELD(struct answer, assessment, T_JSON, 0, "The assessment."));

int api_assessment_create(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return assessment_create(c, w->trace_id, w->assessment, &((struct answer *)out)->assessment);
}

int api_assessment_get(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return assessment_get(c, w->trace_id, w->assessment_id, &((struct answer *)out)->assessment);
}

int api_assessment_update(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return assessment_update(c, w->trace_id, w->assessment_id, w->assessment, w->update_mask,
                             &((struct answer *)out)->assessment);
}

int api_assessment_delete(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    (void)out;
    return assessment_delete(c, w->trace_id, w->assessment_id);
}
