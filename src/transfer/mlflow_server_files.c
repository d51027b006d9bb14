/* SPDX-License-Identifier: Apache-2.0 */
#include "mlflow_server.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define ARTIFACTS "/api/2.0/mlflow-artifacts/artifacts"

int server_list(struct source *src, struct ctx *c, const char *path, struct source_entry **out,
                size_t *n) {
    struct server *s = (struct server *)src;
    json_t *answer = NULL, *one;
    size_t i;
    int rc = server_get(s, c, arena_printf(c->arena, ARTIFACTS "?path=%s", server_escape(c, path)),
                        &answer);
    const json_t *files = rc == 0 ? json_object_get(answer, "files") : NULL;
    *n = 0;
    s->listed += (int64_t)json_array_size(files);
    if (s->listed > s->most)
        return fail(c, ERR_TOO_LARGE,
                    "the source lists more than %lld files and folders; if it has so many, raise "
                    "the setting import.most",
                    (long long)s->most);
    *out = ARENA_ARRAY(c->arena, struct source_entry, json_array_size(files) + 1);
    json_array_foreach((json_t *)files, i, one) {
        (*out)[(*n)++] =
            (struct source_entry){.name = server_text(one, "path"),
                                  .is_dir = json_is_true(json_object_get(one, "is_dir")),
                                  .size = server_number(one, "file_size")};
    }
    return rc;
}

int server_file(struct source *src, struct ctx *c, const char *path, const char *known,
                source_take *take, void *arg) {
    return server_bytes((struct server *)src, c,
                        arena_printf(c->arena, ARTIFACTS "/%s", url_encode(c->arena, path, true)),
                        known, take, arg);
}
