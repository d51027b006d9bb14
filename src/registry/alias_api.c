/* SPDX-License-Identifier: Apache-2.0 */
/* Alias doors. */
#include "model.h"
#include "name.h"
#include "quern/core/ctx.h"
#include "quern/registry/registry.h"
#include "registry_api.h"
#include "version.h"
#include "wire.h"

struct alias_in {
    const char *name, *alias, *version;
};
SHAPE(shape_alias_set, "SetModelAlias", struct alias_in,
      FIELD(struct alias_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct alias_in, alias, T_STR, F_REQUIRED, "Name of the alias"),
      FIELD(struct alias_in, version, T_STR, F_REQUIRED, "Version that it shall name"));
SHAPE(shape_alias_name, "DeleteModelAlias", struct alias_in,
      FIELD(struct alias_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct alias_in, alias, T_STR, F_REQUIRED, "Name of the alias"));
SHAPE(shape_alias_query, "GetModelByAlias", struct alias_in,
      FIELD(struct alias_in, name, T_STR, F_QUERY | F_REQUIRED, "Name of the model"),
      FIELD(struct alias_in, alias, T_STR, F_QUERY | F_REQUIRED, "Name of the alias"));

int alias_set_door(struct ctx *c, const void *input, void *out) {
    const struct alias_in *in = input;
    int64_t version;
    int rc = registry_check_caller(c, NULL);
    (void)out;
    if (rc == 0)
        rc = version_number(c, in->version, &version);
    return rc ? rc : model_alias_set(c, in->name, in->alias, version);
}

int alias_delete_door(struct ctx *c, const void *input, void *out) {
    const struct alias_in *in = input;
    int rc = registry_check_caller(c, NULL);
    (void)out;
    return rc ? rc : model_alias_drop(c, in->name, in->alias);
}

int alias_get_door(struct ctx *c, const void *input, void *out) {
    const struct alias_in *in = input;
    struct version_row v;
    int64_t version;
    int rc = model_alias_version(c, in->name, in->alias, &version);
    if (rc == 0)
        rc = version_find(c, in->name, version, OBJECT_READ, &v);
    return rc ? rc : answer_version(c, &v, out);
}
