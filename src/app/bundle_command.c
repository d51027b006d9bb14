/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/serving/serving.h"

static int server_key(struct invocation *inv, const char **key) {
    struct client_reply r = {0};
    int code = client_call(inv, "GET", "/api/v1/bundle-key", NULL, &r);
    *key = json_string_value(json_object_get(r.json, "public_key"));
    if (code == EXIT_OK && !*key) {
        code = complain(EXIT_ERROR, "the server told no key");
    }
    return code;
}

static int verify(struct invocation *inv) {
    struct ctx c;
    const char *key = option_value(inv, "key"), *what = "";
    int code = key ? EXIT_OK : server_key(inv, &key);
    if (code != EXIT_OK) {
        return code;
    }
    ctx_begin(&c);
    if (bundle_verify(&c, inv->args[1], key, &what) < 0) {
        code = complain(c.err.code == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_ERROR, "%s: %s",
                        inv->args[1], c.err.message);
    } else {
        printf("%s: %s\n", inv->args[1], what);
    }
    ctx_end(&c);
    return code;
}

/* "NAME/3", "NAME@alias": MLflow's own door tells an alias's version. */
static int find_version(struct invocation *inv, const char *model, const char **name,
                        int64_t *version) {
    struct client_reply r = {0};
    const char *at = strrchr(model, '@'), *slash = strrchr(model, '/');
    const char *mark = at ? at : slash;
    if (!mark || mark == model || !mark[1]) {
        return complain(EXIT_USAGE,
                        "'%s' names no version; it must be MODEL@ALIAS or MODEL/VERSION", model);
    }
    *name = arena_strndup(inv->arena, model, (size_t)(mark - model));
    if (!at) {
        return str_to_i64(mark + 1, version)
                   ? EXIT_OK
                   : complain(EXIT_USAGE, "'%s' is no version number", mark + 1);
    }
    const char *path =
        arena_printf(inv->arena, "/api/2.0/mlflow/registered-models/alias?name=%s&alias=%s",
                     url_encode(inv->arena, *name, false), url_encode(inv->arena, mark + 1, false));
    int code = client_call(inv, "GET", path, NULL, &r);
    const json_t *v = json_object_get(json_object_get(r.json, "model_version"), "version");
    if (code == EXIT_OK && !(json_is_string(v) && str_to_i64(json_string_value(v), version))) {
        code = complain(EXIT_ERROR, "the server told no version");
    }
    return code;
}

static bool sink(const char *data, size_t n, void *arg) {
    return fd_write_all(*(int *)arg, data, n) == 0;
}

static int fetch(struct invocation *inv) {
    const char *to = option_value(inv, "output"), *name = "";
    int64_t version = 0;
    int code = find_version(inv, inv->args[0], &name, &version);
    if (code != EXIT_OK) {
        return code;
    }
    if (!to) {
        to = arena_printf(inv->arena, "%s-%" PRId64 ".tar.gz", name, version);
    }
    const char *part = arena_printf(inv->arena, "%s.part", to);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return complain(EXIT_ERROR, "%s cannot be made: %s", part, strerror(errno));
    }
    code = client_stream(inv,
                         arena_printf(inv->arena, "/api/v1/models/%s/versions/%" PRId64 "/bundle",
                                      url_encode(inv->arena, name, false), version),
                         sink, &fd);
    bool kept = fsync(fd) == 0;
    fd_close(fd);
    if (code == EXIT_OK && (!kept || rename(part, to) != 0)) {
        code = complain(EXIT_ERROR, "%s cannot be written: %s", to, strerror(errno));
    }
    if (code != EXIT_OK) {
        unlink(part);
        return code;
    }
    printf("%s\n", to);
    return EXIT_OK;
}

int bundle_command(struct invocation *inv) {
    const char *key;
    if (option_given(inv, "public-key")) {
        int code = server_key(inv, &key);
        if (code == EXIT_OK) {
            printf("%s\n", key);
        }
        return code;
    }
    if (inv->nargs == 2 && strcmp(inv->args[0], "verify") == 0) {
        return verify(inv);
    }
    if (inv->nargs != 1) {
        return complain(EXIT_USAGE, "give MODEL@ALIAS, MODEL/VERSION, verify FILE or --public-key");
    }
    return fetch(inv);
}
