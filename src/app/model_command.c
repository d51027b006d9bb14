/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "table.h"

static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

/* MLflow writes 64-bit numbers as such or as text. */
static int64_t number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    int64_t n = 0;
    if (json_is_integer(v)) {
        return json_integer_value(v);
    }
    return json_is_string(v) && str_to_i64(json_string_value(v), &n) ? n : 0;
}

static const char *aliases(struct arena *a, const json_t *model) {
    struct buf b = {0};
    size_t i;
    json_t *alias;
    json_array_foreach(json_object_get(model, "aliases"), i, alias) {
        const char *name = text(alias, "alias");
        const json_t *version = json_object_get(alias, "version");
        buf_printf(&b, "%s%s=%s", i ? ", " : "", name ? name : "?",
                   json_is_string(version)
                       ? json_string_value(version)
                       : arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(version)));
    }
    const char *s = arena_strdup(a, b.data ? b.data : "");
    buf_free(&b);
    return s;
}

static const char *newest(struct arena *a, const json_t *model) {
    int64_t most = 0;
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(model, "latest_versions"), i, v) {
        const int64_t n = number(v, "version");
        most = n > most ? n : most;
    }
    return most ? arena_printf(a, "%" PRId64, most) : "-";
}

int models_command(struct invocation *inv) {
    const char *path = "/api/2.0/mlflow/registered-models/search?max_results=1000";
    const char *page = NULL;
    struct table t;
    json_t *all = json_array();
    int code = EXIT_OK;
    table_begin(&t, inv->arena, "NAME", "NEWEST", "ALIASES", "UPDATED", "DESCRIPTION", NULL);
    do {
        struct client_reply r = {0};
        const char *at = page ? arena_printf(inv->arena, "%s&page_token=%s", path,
                                             url_encode(inv->arena, page, false))
                              : path;
        code = client_call(inv, "GET", at, NULL, &r);
        size_t i;
        json_t *m;
        json_array_foreach(json_object_get(r.json, "registered_models"), i, m) {
            json_array_append(all, m);
            table_row(&t, text(m, "name"), newest(inv->arena, m), aliases(inv->arena, m),
                      table_age(inv->arena, number(m, "last_updated_timestamp")),
                      text(m, "description"));
        }
        page = text(r.json, "next_page_token");
    } while (code == EXIT_OK && page && page[0]);
    if (code == EXIT_OK && option_given(inv, "json")) {
        json_t *out = json_pack("{s:O}", "registered_models", all);
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(out);
    } else if (code == EXIT_OK && t.n == 1) {
        fputs("No models are registered yet.\n", stderr);
    } else if (code == EXIT_OK) {
        table_print(&t);
    }
    json_decref(all);
    return code;
}
