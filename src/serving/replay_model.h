/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_REPLAY_MODEL_H
#define QUERN_SERVING_REPLAY_MODEL_H
/* Replay model: how logged requests are run through a model that need not serve. */

struct lanes;

void replay_models_use(struct lanes *l); /* NULL: none is opened any more and none is open */

#endif
