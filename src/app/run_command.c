/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/git/git.h"
#include "run_watch.h"
#include "source_files.h"

enum { DEFINITION_MAX = 4 << 20 };

static char *read_definition(struct invocation *inv, const char *path, size_t *n) {
    char *text = arena_alloc(inv->arena, DEFINITION_MAX + 1);
    const int fd = str_eq(path, "-") ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -errno : fd_read_all(fd, text, DEFINITION_MAX + 1);
    if (fd > 0) {
        fd_close(fd);
    }
    if (got < 0) {
        complain(EXIT_ERROR, "%s cannot be read: %s", path, strerror((int)-got));
        return NULL;
    }
    if (got > DEFINITION_MAX || !utf8_valid(text, (size_t)got)) {
        complain(EXIT_ERROR, "%s is no pipeline definition: %s", path,
                 got > DEFINITION_MAX ? "it is larger than 4 MiB" : "it is not UTF-8 text");
        return NULL;
    }
    *n = (size_t)got;
    return text;
}

static int take_params(struct invocation *inv, json_t *params) {
    for (size_t i = 0; i < inv->noptions; i++) {
        if (!str_eq(inv->names[i], "param")) {
            continue;
        }
        const char *eq = strchr(inv->values[i], '=');
        if (!eq || eq == inv->values[i]) {
            return complain(EXIT_USAGE, "--param wants NAME=VALUE, not '%s'", inv->values[i]);
        }
        const char *name = arena_strndup(inv->arena, inv->values[i], (size_t)(eq - inv->values[i]));
        /* Text: the definition says which type the parameter has. */
        if (json_object_set_new(params, name, json_string(eq + 1)) != 0) {
            return complain(EXIT_USAGE, "--param %s is not UTF-8 text", name);
        }
    }
    return EXIT_OK;
}

static int take_files(struct invocation *inv, const char *path, const char *text, size_t n,
                      json_t *files) {
    struct local_file *found = NULL;
    size_t count = 0;
    const char *why = NULL;
    if (source_files_collect(inv->arena, path, text, n, &found, &count, &why)) {
        return complain(EXIT_ERROR, "%s", why);
    }
    for (size_t i = 0; i < count; i++) {
        json_object_set_new(files, found[i].path,
                            json_string(base64_encode(inv->arena, found[i].data, found[i].size)));
    }
    return EXIT_OK;
}

/* Which commit the definition is from, for the lineage. */
static json_t *git_of(struct invocation *inv, const char *path) {
    struct ctx c;
    struct git_state g = {0};
    json_t *out = NULL;
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? arena_strndup(inv->arena, path, (size_t)(slash - path) + 1) : ".";
    ctx_begin(&c);
    if (!str_eq(path, "-") && git_state(&c, folder, &g) == 0 && g.found && g.commit[0]) {
        out = json_pack("{s:s,s:s*,s:s*,s:b}", "commit", g.commit, "branch", g.branch, "remote",
                        g.remote, "dirty", (int)g.dirty);
    }
    ctx_end(&c);
    return out;
}

static int submit(struct invocation *inv, struct client_reply *r) {
    const char *path = inv->args[0];
    size_t n = 0;
    const char *text = read_definition(inv, path, &n);
    if (!text) {
        return EXIT_ERROR;
    }
    json_t *body = json_object();
    json_t *params = json_object();
    json_t *files = json_object();
    json_object_set_new(body, "definition", json_stringn(text, n));
    json_object_set_new(body, "params", params);
    json_object_set_new(body, "files", files);
    json_t *git = git_of(inv, path);
    if (git) {
        json_object_set_new(body, "git", git);
    }
    if (option_given(inv, "no-cache")) {
        json_object_set_new(body, "use_cache", json_false());
    }
    int code = take_params(inv, params);
    code = code ? code : take_files(inv, path, text, n, files);
    code = code ? code : client_call(inv, "POST", RUNS_PATH, body, r);
    json_decref(body);
    return code;
}

int run_command(struct invocation *inv) {
    const bool follow = option_given(inv, "follow");
    const bool wait = follow || option_given(inv, "wait");
    const bool json = option_given(inv, "json");
    const char *limit = option_value(inv, "timeout");
    struct watch_options o = {.states = true, .output = follow && !json};
    struct client_reply r = {0};
    if (limit && (!str_to_ms(limit, &o.timeout_ms) || o.timeout_ms <= 0)) {
        return complain(EXIT_USAGE, "--timeout wants a time such as 90s or 10m, not '%s'", limit);
    }
    int code = submit(inv, &r);
    if (code != EXIT_OK) {
        return code;
    }
    const char *id = json_string_value(json_object_get(r.json, "id"));
    if (!id) {
        return complain(EXIT_ERROR, "the server's answer names no run");
    }
    if (!json) {
        printf("%s\n", id);
        fflush(stdout);
    }
    const json_t *last = r.json;
    if (wait) {
        code = run_watch(inv, id, &o, &last);
    }
    if (json) {
        json_dumpf(last, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (wait && (code == EXIT_OK || code == EXIT_GATE || code == EXIT_ERROR)) {
        const char *reason = json_string_value(json_object_get(last, "reason"));
        const char *state = json_string_value(json_object_get(last, "state"));
        fprintf(stderr, "run %s %s%s%s\n", id, state ? state : "ended", reason ? ": " : "",
                reason ? reason : "");
    }
    return code;
}
