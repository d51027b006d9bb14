/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_RECORD_H
#define QUERN_GENAI_RECORD_H
/* Record: one case of a dataset. Records come and go as the text of a JSON list:
 *   comes  {inputs: {}, outputs, expectations: {}, tags: {}, source: {source_type, source_data:
 * {}}} goes   the same with dataset_record_id, dataset_id, source_id, source_type, created_time,
 *          last_update_time, created_by, last_updated_by; what is not there is left out
 * All members may be absent; who sent it is the tag mlflow.user. Source types: UNSPECIFIED, TRACE,
 * HUMAN, DOCUMENT, CODE, in any case. Numbers are kept as they came, members in their order. */
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct evaluation_dataset;
struct json_t;
struct strs;

/* Bytes of JSON: what the expectations or the tags of a record may grow to by many merges, and what
 * fills a page, which ends behind the record that does. */
#define RECORD_MEMBER_MAX ((size_t)16 << 20)
#define RECORD_PAGE_MAX ((size_t)8 << 20)
/* Of one request: a tree of JSON takes far more than its text. */
#define RECORDS_MAX 100000
/* Fields that a dataset's schema lists of each part; longer names are left out. */
#define SCHEMA_FIELDS_MAX 1000
#define SCHEMA_NAME_MAX 255

struct record {
    const struct json_t *tree;
    const char *inputs;        /* JSON */
    const char *inputs_sha256; /* hash in hex of the same with sorted keys */
    const char *outputs;       /* JSON; NULL: none */
    const char *source;        /* JSON; NULL: none */
    const char *user;          /* NULL: nobody said */
};
struct records {
    struct record *items;
    size_t n;
};
/* How far a write has come, over the several transactions that it may take. */
struct progress {
    size_t at; /* the next one */
    int64_t inserted, updated, gone;
    const char *user; /* the last one told */
};

/* By which records of a dataset are told apart: hash in hex of the inputs with sorted keys; what is
 * no object counts as an empty one. */
const char *record_inputs_hash(struct ctx *c, const struct json_t *inputs);
/* Pure. ERR_INVALID names the record and its member; ERR_TOO_LARGE. */
int records_read(struct ctx *c, const char *text, struct records *out);
/* Inside a write: from in->items[before.at] on, as many as fit into the time that one operation may
 * hold the writer. May run twice. */
int records_put(struct ctx *c, const struct evaluation_dataset *d, const struct records *in,
                const struct progress *before, struct progress *after);
/* The same for a list of ids. */
int records_delete(struct ctx *c, const struct evaluation_dataset *d, const struct strs *ids,
                   const struct progress *before, struct progress *after);
/* In the order in which they came, from behind *after on (0 at first); *after is 0 behind the
 * last. */
int records_list(struct ctx *c, const struct evaluation_dataset *d, int64_t most, int64_t *after,
                 const char **text);

#endif
