/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_ASSESSMENT_ROW_H
#define QUERN_TRACE_ASSESSMENT_ROW_H
/* Assessment row: how assessments lie in their table, and their JSON form. */
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct json_t;

struct assessment_row {
    const char *id, *trace_id, *name;
    const char *kind;  /* feedback, expectation, issue */
    const char *value; /* JSON */
    const char *error; /* JSON; NULL: none */
    const char *source_type, *source_id, *span_id, *rationale;
    const char *metadata; /* JSON; NULL: none */
    const char *overrides;
    bool valid;
    int64_t created_ms, updated_ms;
};

int assessment_find(struct ctx *c, int64_t trace, const char *id, struct assessment_row *out);
int assessment_insert(struct ctx *c, int64_t trace, const struct assessment_row *a);
int assessment_write(struct ctx *c, int64_t trace, const struct assessment_row *a);
int assessment_erase(struct ctx *c, int64_t trace, const char *id);
int assessment_set_valid(struct ctx *c, int64_t trace, const char *id, bool valid);
/* A tree on the arena. */
struct json_t *assessment_tree(struct ctx *c, const struct assessment_row *a);

#endif
