/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "run_watch.h"
#include "table.h"

static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

static int64_t number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? json_integer_value(v) : 0;
}

static const char *took(struct arena *a, const json_t *o) {
    const json_t *ms = json_object_get(o, "duration_ms");
    const int64_t started = number(o, "started_ms");
    const int64_t ended = number(o, "ended_ms");
    return json_is_integer(ms)    ? table_duration(a, json_integer_value(ms))
           : started && ended > 0 ? table_duration(a, ended - started)
                                  : NULL;
}

static int one_run(struct invocation *inv) {
    struct client_reply r = {0};
    struct table t;
    const int code = client_call(inv, "GET", run_path(inv, inv->args[0]), NULL, &r);
    if (code != EXIT_OK) {
        return code;
    }
    if (option_given(inv, "json")) {
        printf("%s\n", r.text);
        return EXIT_OK;
    }
    const char *reason = text(r.json, "reason");
    fprintf(stderr, "run %s of %s: %s%s%s\n", text(r.json, "id"), text(r.json, "pipeline"),
            text(r.json, "state"), reason && reason[0] ? ": " : "", reason ? reason : "");
    table_begin(&t, inv->arena, "STEP", "STATE", "ATTEMPTS", "TOOK", "REASON", NULL);
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(r.json, "steps"), i, s) {
        table_row(&t, text(s, "name"), text(s, "state"),
                  arena_printf(inv->arena, "%" PRId64, number(s, "attempts")), took(inv->arena, s),
                  text(s, "reason"));
    }
    table_print(&t);
    return EXIT_OK;
}

int runs_command(struct invocation *inv) {
    if (inv->nargs > 0) {
        return one_run(inv);
    }
    const char *limit = option_value(inv, "limit");
    const char *pipeline = option_value(inv, "pipeline");
    const char *state = option_value(inv, "state");
    int64_t n = 20;
    struct client_reply r = {0};
    struct table t;
    if (limit && (!str_to_i64(limit, &n) || n < 1 || n > 1000)) {
        return complain(EXIT_USAGE, "--limit is a number from 1 to 1000, not '%s'", limit);
    }
    const char *path = arena_printf(inv->arena, RUNS_PATH "?max_results=%" PRId64, n);
    if (pipeline) {
        path = arena_printf(inv->arena, "%s&pipeline=%s", path,
                            url_encode(inv->arena, pipeline, false));
    }
    if (state) {
        path = arena_printf(inv->arena, "%s&state=%s", path, url_encode(inv->arena, state, false));
    }
    const int code = client_call(inv, "GET", path, NULL, &r);
    if (code != EXIT_OK) {
        return code;
    }
    if (option_given(inv, "json")) {
        printf("%s\n", r.text);
        return EXIT_OK;
    }
    table_begin(&t, inv->arena, "RUN", "PIPELINE", "STATE", "STARTED", "TOOK", "BY", "REASON",
                NULL);
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(r.json, "runs"), i, run) {
        table_row(&t, text(run, "id"), text(run, "pipeline"), text(run, "state"),
                  table_age(inv->arena, number(run, "started_ms")), took(inv->arena, run),
                  text(run, "created_by"), text(run, "reason"));
    }
    if (t.n == 1) {
        fputs("There are no such runs.\n", stderr);
    } else {
        table_print(&t);
    }
    return EXIT_OK;
}

/* What a step printed; where its result came from the cache, what was printed then. */
static int step_output(struct invocation *inv, const char *run_id, const json_t *s,
                       const char *prefix) {
    const char *from = text(s, "cached_from");
    const char *slash = from ? strrchr(from, '/') : NULL;
    const int64_t attempt = number(s, "attempts");
    int64_t offset = 0;
    if (!str_eq(text(s, "kind"), "run")) {
        return EXIT_OK;
    }
    if (slash) {
        fprintf(stderr, "%s came from the cache; this was printed in run %.*s:\n", text(s, "name"),
                (int)(slash - from), from);
        return run_output(inv, arena_strndup(inv->arena, from, (size_t)(slash - from)), slash + 1,
                          prefix, 0, &offset);
    }
    return attempt > 0 ? run_output(inv, run_id, text(s, "name"), prefix, attempt, &offset)
                       : EXIT_OK;
}

/* Every step's last output, one after the other, or that of one step. */
int logs_command(struct invocation *inv) {
    const char *id = inv->args[0];
    const char *step = inv->nargs > 1 ? inv->args[1] : NULL;
    const struct watch_options o = {.output = true, .step = step};
    const json_t *last = NULL;
    if (option_given(inv, "follow")) {
        const int code = run_watch(inv, id, &o, &last);
        /* The logs were shown; how the run went is not this command's own success. */
        return code == EXIT_GATE || (code == EXIT_ERROR && last) ? EXIT_OK : code;
    }
    struct client_reply r = {0};
    int code = client_call(inv, "GET", run_path(inv, id), NULL, &r);
    bool found = false;
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(r.json, "steps"), i, s) {
        const char *name = text(s, "name");
        const bool exact = step && str_eq(step, name);
        if (code == EXIT_OK && name && (!step || exact || str_eq(step, text(s, "step")))) {
            found = true;
            code = step_output(inv, id, s, exact ? NULL : name);
        }
    }
    return code == EXIT_OK && step && !found
               ? complain(EXIT_NOT_FOUND, "the run has no step '%s'", step)
               : code;
}
