/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_LANE_REPLAY_H
#define QUERN_LANE_REPLAY_H
/* Replay: the Idempotency-Key of a POST. The first answer that succeeded is kept for 24 h with a
 * hash of its request, in the transaction of the change itself where the row is on the WRITE lane;
 * a failed request changed nothing and is simply run again. */
#include <stdbool.h>
#include <stddef.h>

struct call;
struct ctx;
struct lanes;

struct replay {
    const char *key; /* NULL: the request has none, all functions do nothing */
    unsigned char hash[32];
};

/* Reads the header of a POST. Fails when the key is longer than 255 characters or empty. */
int replay_read(struct call *k, struct replay *r);
/* With c->db: 1 when the reply was set from the store, 0 when the request is to be run, or the
 * failure (the same key with another request: 422). */
int replay_find(struct call *k, const struct replay *r);
/* Inside a write, after the handler succeeded: fixes the reply as bytes and keeps it. Replies that
 * are files or streams are not kept. */
int replay_keep(struct call *k, const struct replay *r);

/* Keys under way on the WORK lane. */
struct replay_running;
struct replay_running *replay_running_new(void);
void replay_running_free(struct replay_running *x);
/* False when the same key of the same caller is under way. */
bool replay_enter(struct replay_running *x, struct call *k, const struct replay *r);
void replay_leave(struct replay_running *x, struct call *k, const struct replay *r);

#endif
