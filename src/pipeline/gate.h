/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_GATE_H
#define QUERN_PIPELINE_GATE_H
/* Gate: rules over numbers. Pure: what a champion measured is handed in. */
#include "definition.h"

/* What is known of the version that better_than compares with. */
struct champion {
    bool exists;
    const char *name;     /* "breast-cancer/3" */
    bool same_evaluation; /* its own measurement: the candidate is the champion */
    bool measured;
    double value;
};

struct gate_value {
    const char *metric;
    double value;
    bool holds;
};

struct verdict {
    bool passed;
    struct gate_value *values;
    size_t n;
    const char *reason; /* one sentence, also when it passed */
};

/* limit: the number compared with (better_than: unused). */
int gate_judge(struct ctx *c, const struct gate_rule *rule, const struct fpairs *metrics,
               double limit, const struct champion *champion, struct verdict *out);
bool metric_matches(const char *pattern, const char *name);

#endif
