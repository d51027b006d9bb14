/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_DATASET_H
#define QUERN_GENAI_DATASET_H
/* Dataset: a named set of records an application is evaluated with, of any number of experiments
 * (none as well). A record is inputs (an object) with what is expected of them, what came out,
 * tags and where it came from; two records of a dataset never have the same inputs: one that comes
 * again replaces the outputs and is merged in expectations and tags.
 *
 * Who may do as much with every one of its experiments may read (READ), change (EDIT) or delete
 * (DELETE) a dataset; where it has no experiment, the role on the project decides, and where its
 * last one was purged, managers alone: what only few could read must not open itself to all. A
 * token of a pipeline step changes only datasets of its run's experiment. Names need not be unique.
 */
#include <stdbool.h>
#include <stdint.h>

#include "quern/access/access.h"
#include "quern/core/shape.h"

struct ctx;
struct db;
struct json_t;

#define DATASET_NAME_MAX 255
#define DATASET_TAG_KEY_MAX 255
#define DATASET_TAG_VALUE_MAX 5000

struct evaluation_dataset {
    int64_t row;
    const char *id, *name, *digest;
    const char *schema; /* NULL: no records yet */
    int64_t records, created_ms, updated_ms;
    const char *created_by, *updated_by; /* NULL: nobody said */
    bool orphan;                         /* its last experiment was purged */
};
struct evaluation_datasets {
    struct evaluation_dataset *items;
    size_t n, cap;
    bool more; /* there are further ones */
};
struct stmt;
#define DATASET_COLUMNS                                                                            \
    "d.id, d.dataset_id, d.name, d.digest, d.schema, d.records, d.created_ms, d.updated_ms,"       \
    " d.created_by, d.updated_by, d.orphan"
void evaluation_read(struct ctx *c, struct stmt *st, struct evaluation_dataset *out);

/* ERR_NOT_FOUND in MLflow's words, ERR_FORBIDDEN. */
int evaluation_find(struct ctx *c, const char *id, enum object_need need,
                    struct evaluation_dataset *out);
int evaluation_experiments(struct ctx *c, int64_t row, struct strs *out); /* ids as text */
int evaluation_tags(struct ctx *c, int64_t row, const char **json);       /* an object */

/* Inside a write. `tags` is the text of a JSON object, or NULL; what is no text becomes one. */
int evaluation_create(struct ctx *c, const char *name, const struct strs *experiments,
                      const char *tags, struct evaluation_dataset *out);
int evaluation_delete(struct ctx *c, const char *id); /* 0 also when there is none */
int evaluation_set_tags(struct ctx *c, const char *id, const char *tags);
int evaluation_delete_tag(struct ctx *c, const char *id, const char *key);
/* Those it has already, or has not, are passed over. */
int evaluation_join(struct ctx *c, const char *id, const struct strs *experiments,
                    struct evaluation_dataset *out);
int evaluation_leave(struct ctx *c, const char *id, const struct strs *experiments,
                     struct evaluation_dataset *out);
/* Inside a write, after its records changed by `more` in number: count, time, digest; NULLs keep
 * what is there; the user "" is nobody. */
int evaluation_touch(struct ctx *c, const struct evaluation_dataset *d, const char *schema,
                     const char *user, int64_t more);

struct evaluation_search {
    struct strs experiments; /* none: all */
    const char *filter;      /* NULL: all */
    struct strs order_by;
    int64_t limit, offset;
};
/* Fewer than the limit when their schemas are long. */
#define DATASET_PAGE_MAX ((size_t)8 << 20)
int evaluation_search(struct ctx *c, const struct evaluation_search *s,
                      struct evaluation_datasets *out);

#endif
