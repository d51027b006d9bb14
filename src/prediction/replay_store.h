/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_REPLAY_STORE_H
#define QUERN_PREDICTION_REPLAY_STORE_H
/* Replay store: replays that were asked for and what came of them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;

struct replay {
    const char *id;
    int64_t project;
    const char *endpoint, *spec, *state, *reason, *report;
    int64_t seen, total, created_ms, updated_ms;
};

int replay_store_add(struct ctx *c, const struct replay *r);
int replay_store_get(struct ctx *c, const char *endpoint, const char *id, struct replay *out,
                     bool *found);
int replay_store_list(struct ctx *c, const char *endpoint, struct replay **out, size_t *n);
/* The oldest that waits, of any project. */
int replay_store_next(struct ctx *c, struct replay *out, bool *found);
/* Only while its state is `from`; *changed tells. */
int replay_store_move(struct ctx *c, const char *id, const char *from, const char *to,
                      const char *reason, const char *report, bool *changed);
int replay_store_progress(struct ctx *c, const char *id, int64_t seen, int64_t total,
                          bool *running);
int replay_store_waiting(struct ctx *c, int64_t *n); /* pending ones of the project */
int replay_store_trim(struct ctx *c, const char *endpoint, int64_t keep);

#endif
