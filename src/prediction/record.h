/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_RECORD_H
#define QUERN_PREDICTION_RECORD_H
/* Record: one prediction as a tree, and what became known of it. */
struct ctx;
struct json_t;

struct json_t *record_array(struct ctx *c);                     /* hangs on the arena */
struct json_t *record_hold(struct ctx *c, struct json_t *tree); /* a reference that does */
/* Adds the member `feedback`, name to {reward, label, at_ms}, where there is any. Reads on its own
 * connection. */
int record_join(struct ctx *c, const char *endpoint, struct json_t *tree);
/* An id in the form that it was given out in. */
const char *record_id(struct ctx *c, const char *id);

#endif
