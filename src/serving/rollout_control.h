/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_ROLLOUT_CONTROL_H
#define QUERN_SERVING_ROLLOUT_CONTROL_H
/* Rollout control: a thread that once a second moves canaries on and writes what arms have counted
 * and bandits have learnt to the database. Promotion and rollback are revisions of the endpoint, in
 * the audit chain as the daemon's. */
#include <stdint.h>

struct ctx;
struct db;

int rollout_control_start(struct db *db);
void rollout_control_stop(void); /* writes what is left */

/* prediction_reward_fn: tells the endpoint's bandit after the commit. */
int rollout_reward(struct ctx *c, const char *endpoint, unsigned arm, unsigned context,
                   double reward, int64_t made_ms);

#endif
