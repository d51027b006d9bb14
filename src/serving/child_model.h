/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHILD_MODEL_H
#define QUERN_SERVING_CHILD_MODEL_H
/* Child model: a model version that a child server runs, as a model like any other. */
#include "child.h"

struct dir;
struct model;

/* Starts a child for the version's files in `folder` below `work`, which becomes the model's and
 * goes with it, also on failure; waits till it serves and tries it: with the example that MLflow
 * stored with the version (which must be answered), and once with zeros (which it may refuse, but
 * must answer properly). The model's outputs are what it declares, else what the try gave. */
int child_model_load(struct ctx *c, const struct runtime_spec *spec, struct dir *work,
                     const char *folder, const char *name, const char *version, struct model **out);
/* NULL when it is none. */
struct child *child_of_model(const struct model *m);

#endif
