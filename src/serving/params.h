/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_PARAMS_H
#define QUERN_SERVING_PARAMS_H
/* Params: what MLflow's scoring protocol hands to a model besides its data, held to the schema that
 * the model's signature declares for it. */
#include "quern/onnx/tensor.h"

struct ctx;

/* `schema` is the text of a JSON list of {name, type, default, shape}; `given` that of the
 * request's object, data NULL when there is none. *out becomes the text of an object with every
 * declared name: given values of its type, else its default. Names that are not declared are
 * dropped. ERR_INVALID names a value of another type. */
int params_resolve(struct ctx *c, const char *schema, struct bytes given, const char **out);
/* A member of the object as text, strings without quotes; NULL when it is none or no scalar. */
const char *params_text(struct ctx *c, struct bytes given, const char *name);

#endif
