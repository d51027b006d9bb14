/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "table.h"

#define BATCHES "/api/v1/batches"
#define WATCH_MS 500

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static json_int_t number(const json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}

static const char *path_of(struct invocation *inv, const char *id, const char *verb) {
    return arena_printf(inv->arena, BATCHES "/%s%s", url_encode(inv->arena, id, false), verb);
}

static void row(struct table *t, const json_t *j) {
    struct arena *a = t->arena;
    const json_t *progress = json_object_get(j, "progress");
    table_row(t, text(j, "id"), text(j, "state"),
              arena_printf(a, "%s/%" JSON_INTEGER_FORMAT, text(j, "model"), number(j, "version")),
              arena_printf(a, "%.0f %%", 100 * json_number_value(progress)),
              arena_printf(a, "%" JSON_INTEGER_FORMAT, number(j, "rows")),
              arena_printf(a, "%" JSON_INTEGER_FORMAT, number(j, "errors")),
              arena_printf(a, "%.0f", json_number_value(json_object_get(j, "rows_per_s"))),
              text(j, "reason"));
}

static int list(struct invocation *inv) {
    struct client_reply r = {0};
    struct table t;
    size_t i;
    json_t *j;
    int code = client_call(inv, "GET", BATCHES, NULL, &r);
    if (code != EXIT_OK) {
        return code;
    }
    if (option_given(inv, "json")) {
        printf("%s\n", r.text);
        return EXIT_OK;
    }
    table_begin(&t, inv->arena, "JOB", "STATE", "MODEL", "DONE", "ROWS", "ERRORS", "ROWS/S",
                "REASON", NULL);
    json_array_foreach(json_object_get(r.json, "batches"), i, j) {
        row(&t, j);
    }
    if (t.n == 1) {
        fputs("There are no batch jobs yet.\n", stderr);
    } else {
        table_print(&t);
    }
    return EXIT_OK;
}

/* Until it has ended; the exit code tells how. */
static int watch(struct invocation *inv, const char *id) {
    bool terminal = isatty(STDERR_FILENO) == 1;
    for (;;) {
        struct client_reply r = {0};
        int code = client_call(inv, "GET", path_of(inv, id, ""), NULL, &r);
        if (code != EXIT_OK) {
            return code;
        }
        const char *state = text(r.json, "state");
        bool open = strcmp(state, "queued") == 0 || strcmp(state, "running") == 0;
        if (terminal || !open) {
            fprintf(stderr,
                    "%s%s: %3.0f %%, %" JSON_INTEGER_FORMAT " rows, %" JSON_INTEGER_FORMAT
                    " failed, %.0f rows/s%s%s%s",
                    terminal ? "\r\033[K" : "", state,
                    100 * json_number_value(json_object_get(r.json, "progress")),
                    number(r.json, "rows"), number(r.json, "errors"),
                    json_number_value(json_object_get(r.json, "rows_per_s")),
                    *text(r.json, "reason") ? ": " : "", text(r.json, "reason"), open ? "" : "\n");
        }
        if (!open) {
            return strcmp(state, "succeeded") == 0 ? EXIT_OK : EXIT_ERROR;
        }
        clock_sleep_ms(WATCH_MS);
    }
}

static bool sink(const char *data, size_t n, void *arg) {
    return fd_write_all(*(int *)arg, data, n) == 0;
}

static int fetch(struct invocation *inv, const char *id) {
    const char *to = option_value(inv, "output");
    int fd = to ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : STDOUT_FILENO;
    if (fd < 0) {
        return complain(EXIT_ERROR, "%s cannot be made: %s", to, strerror(errno));
    }
    const char *verb = option_given(inv, "errors") ? "/errors" : "/output";
    int code = client_stream(inv, path_of(inv, id, verb), sink, &fd);
    if (to) {
        fd_close(fd);
    }
    return code;
}

static json_t *pairs(struct invocation *inv, const char *option, int *code) {
    json_t *map = json_object();
    for (size_t i = 0; i < inv->noptions; i++) {
        if (strcmp(inv->names[i], option) != 0) {
            continue;
        }
        const char *equal = strchr(inv->values[i], '=');
        const char *key =
            equal ? arena_strndup(inv->arena, inv->values[i], (size_t)(equal - inv->values[i]))
                  : inv->values[i];
        if (!*key) {
            *code = complain(EXIT_USAGE, "--%s must be COLUMN or COLUMN=NAME", option);
        }
        json_object_set_new(map, key, json_string(equal ? equal + 1 : ""));
    }
    return map;
}

static json_t *values(struct invocation *inv, const char *option) {
    json_t *all = json_array();
    for (size_t i = 0; i < inv->noptions; i++) {
        if (strcmp(inv->names[i], option) == 0) {
            json_array_append_new(all, json_string(inv->values[i]));
        }
    }
    return all;
}

static int put_number(struct invocation *inv, json_t *spec, const char *option,
                      const char *member) {
    const char *v = option_value(inv, option);
    int64_t n;
    if (!v) {
        return EXIT_OK;
    }
    if (!str_to_i64(v, &n)) {
        return complain(EXIT_USAGE, "--%s must be a number, not '%s'", option, v);
    }
    json_object_set_new(spec, member, json_integer(n));
    return EXIT_OK;
}

/* The file as an artifact of its own, under its own ending, which tells its format. */
static int upload(struct invocation *inv, const char *file, const char **path) {
    struct client_reply r = {0};
    char id[33];
    const char *dot = strrchr(file, '.');
    id_hex32(id);
    *path = arena_printf(inv->arena, "batches-in/%s%s", id,
                         dot && !strchr(dot, '/') && strlen(dot) < 10 ? dot : "");
    return client_upload(inv,
                         arena_printf(inv->arena, "/api/2.0/mlflow-artifacts/artifacts/%s",
                                      url_encode(inv->arena, *path, true)),
                         file, &r);
}

static int submit(struct invocation *inv, const char *target, const char *file) {
    struct client_reply r = {0};
    const char *path = file;
    int code = EXIT_OK;
    json_t *spec = json_object(), *columns = pairs(inv, "column", &code), *keep;
    keep = values(inv, "keep");
    json_object_set_new(spec, strncmp(target, "models:/", 8) == 0 ? "target" : "endpoint",
                        json_string(target));
    json_object_set_new(spec, "columns", columns);
    json_object_set_new(spec, "keep", keep);
    static const char *const texts[][2] = {{"format", "format"}, {"to", "output_format"}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (option_value(inv, texts[i][0])) {
            json_object_set_new(spec, texts[i][1], json_string(option_value(inv, texts[i][0])));
        }
    }
    static const char *const numbers[][2] = {
        {"rows", "chunk_rows"}, {"threads", "concurrency"}, {"max-errors", "max_errors"}};
    for (size_t i = 0; code == EXIT_OK && i < ARRAY_LEN(numbers); i++) {
        code = put_number(inv, spec, numbers[i][0], numbers[i][1]);
    }
    if (code == EXIT_OK && !option_given(inv, "artifact")) {
        code = upload(inv, file, &path);
    }
    if (code == EXIT_OK) {
        json_object_set_new(spec, "input", json_pack("{s:s}", "artifact", path));
        code = client_call(inv, "POST", BATCHES, spec, &r);
    }
    json_decref(spec);
    if (code != EXIT_OK) {
        return code;
    }
    const char *id = text(r.json, "id");
    if (!option_given(inv, "wait")) {
        printf("%s\n", option_given(inv, "json") ? r.text : id);
        return EXIT_OK;
    }
    code = watch(inv, id);
    return code == EXIT_OK ? fetch(inv, id) : code;
}

int batch_command(struct invocation *inv) {
    const char *verb = inv->nargs ? inv->args[0] : "list";
    struct client_reply r = {0};
    if (strcmp(verb, "list") == 0 && inv->nargs <= 1) {
        return list(inv);
    }
    if (strcmp(verb, "submit") == 0 && inv->nargs == 3) {
        return submit(inv, inv->args[1], inv->args[2]);
    }
    if (strcmp(verb, "watch") == 0 && inv->nargs == 2) {
        return watch(inv, inv->args[1]);
    }
    if (strcmp(verb, "fetch") == 0 && inv->nargs == 2) {
        return fetch(inv, inv->args[1]);
    }
    if (strcmp(verb, "cancel") == 0 && inv->nargs == 2) {
        json_t *empty = json_object();
        int code = client_call(inv, "POST", path_of(inv, inv->args[1], "/cancel"), empty, &r);
        json_decref(empty);
        return code;
    }
    return complain(EXIT_USAGE,
                    "give list, submit TARGET FILE, watch JOB, fetch JOB or cancel JOB");
}
