/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_DIVERT_H
#define QUERN_SERVING_DIVERT_H
/* Divert: which predictions leave their network thread. Those that may block (idle models, slow
 * ones, child servers, batching) wait at their endpoint's gate and run on a serving thread; all
 * others run where they were read. */

#include <stdint.h>

struct call;

/* Of the route rows, by how their endpoint is named. */
int divert_oip(struct call *k);     /* in is a struct oip_model_in */
int divert_scoring(struct call *k); /* in is a struct scoring_in */
/* For other doors: `endpoint` NULL runs here. */
int divert_to(struct call *k, const char *endpoint);
/* How long the call that runs on this thread waited for it, loading included; 0 where it was read.
 */
int64_t divert_waited_ns(void);

#endif
