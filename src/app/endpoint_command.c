/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "table.h"

static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

static const char *model_of(struct arena *a, const json_t *endpoint) {
    const char *model = text(endpoint, "model");
    const json_t *version = json_object_get(endpoint, "version");
    if (!model || !model[0]) {
        return NULL;
    }
    return json_is_string(version)
               ? arena_printf(a, "%s/%s", model, json_string_value(version))
               : arena_printf(a, "%s/%" JSON_INTEGER_FORMAT, model, json_integer_value(version));
}

static void row(struct table *t, const json_t *e) {
    table_row(t, text(e, "name"), text(e, "state"), text(e, "target"), model_of(t->arena, e),
              table_age(t->arena, json_integer_value(json_object_get(e, "updated_ms"))),
              text(e, "reason"));
}

int endpoints_command(struct invocation *inv) {
    struct client_reply r = {0};
    struct table t;
    const char *path = inv->nargs ? arena_printf(inv->arena, "/api/v1/endpoints/%s",
                                                 url_encode(inv->arena, inv->args[0], false))
                                  : "/api/v1/endpoints";
    const int code = client_call(inv, "GET", path, NULL, &r);
    if (code != EXIT_OK) {
        return code;
    }
    if (option_given(inv, "json")) {
        printf("%s\n", r.text);
        return EXIT_OK;
    }
    table_begin(&t, inv->arena, "NAME", "STATE", "TARGET", "SERVES", "CHANGED", "REASON", NULL);
    const json_t *list = json_object_get(r.json, "endpoints");
    size_t i;
    json_t *e;
    if (inv->nargs) {
        row(&t, r.json);
    }
    json_array_foreach(list, i, e) {
        row(&t, e);
    }
    if (t.n == 1) {
        fputs("There are no endpoints yet.\n", stderr);
    } else {
        table_print(&t);
    }
    return EXIT_OK;
}
