/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_NAME_H
#define QUERN_TRACKING_RUN_NAME_H
/* Run name: a random "adjective-noun-number" of at most 20 characters, in the arena. */
struct ctx;

const char *run_name_random(struct ctx *c);

#endif
