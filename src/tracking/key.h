/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_KEY_H
#define QUERN_TRACKING_KEY_H
/* Key: what names and texts are allowed, with MLflow's limits and wording. Lengths count code
 * points. All return 0 or fail with ERR_INVALID. */
#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct list;

#define KEY_MAX 250
#define PARAM_VALUE_MAX 6000
#define RUN_TAG_VALUE_MAX 8000
#define EXPERIMENT_TAG_VALUE_MAX 20000

/* Letters, digits and "_-. :/", and its own normal form when read as a path. `path` names the
 * member in messages: "key", "metrics[3].name". */
int key_check(struct ctx *c, const char *path, const char *key);
/* Surely allowed: ASCII letters, digits, "_", "-", " ". Spares hot paths the words of an error. */
bool key_plain(const char *key);
int text_limit(struct ctx *c, const char *label, const char *text, size_t points);
/* The text itself, or its first `points` code points in the arena. */
const char *text_cut(struct ctx *c, const char *text, size_t points);
int run_id_check(struct ctx *c, const char *run_id);
/* Decimal text to a number; MLflow's words when it is none. */
int experiment_number(struct ctx *c, const char *text, long long *id);
/* Fails with `what` when two of the list's pairs have the same key. */
int keys_distinct(struct ctx *c, const struct list *pairs, const char *what);
/* "a" or "metrics[3].a" in the arena. */
const char *member_path(struct ctx *c, const char *list, size_t index, const char *member);

#endif
