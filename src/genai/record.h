/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_RECORD_H
#define QUERN_GENAI_RECORD_H
/* Record: one case of a dataset. Records come and go as the text of a JSON list:
 *   comes  {inputs: {}, outputs, expectations: {}, tags: {}, source: {source_type, source_data:
 * {}}} goes   the same with dataset_record_id, dataset_id, source_id, source_type, created_time,
 *          last_update_time, created_by, last_updated_by; what is not there is left out
 * All members may be absent; who sent it is the tag mlflow.user. Source types: UNSPECIFIED, TRACE,
 * HUMAN, DOCUMENT, CODE, in any case. */
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct evaluation_dataset;
struct json_t;
struct strs;

struct record {
    const struct json_t *tree;
    const char *inputs, *inputs_sha256; /* JSON with sorted keys, and its hash in hex */
    const char *outputs;                /* JSON; NULL: none */
    const char *source;                 /* JSON; NULL: none */
    const char *user;                   /* NULL: nobody said */
};
struct records {
    struct record *items;
    size_t n;
};

/* Pure. ERR_INVALID names the record and its member. */
int records_read(struct ctx *c, const char *text, struct records *out);
/* Inside a write; may run twice. */
int records_put(struct ctx *c, const struct evaluation_dataset *d, const struct records *in,
                int64_t *inserted, int64_t *updated);
/* In the order in which they came, from behind *after on (0 at first); *after is 0 behind the
 * last. */
int records_list(struct ctx *c, const struct evaluation_dataset *d, int64_t most, int64_t *after,
                 const char **text);
/* Inside a write. */
int records_delete(struct ctx *c, const struct evaluation_dataset *d, const struct strs *ids,
                   int64_t *gone);

#endif
