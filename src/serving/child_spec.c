/* SPDX-License-Identifier: Apache-2.0 */
/* Child spec: what an arm's `runtime` may say. */
#include <string.h>

#include "child.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define COMMAND_MAX 64
#define WORD_MAX 4096

static const char *const kinds[] = {"onnx", "child", "mlflow", NULL};
static const char *const protocols[] = {"oip", "mlflow", "sagemaker", "vertex", NULL};

#define NUMBER(m, lo, hi, d) FIELD_MAX(struct runtime_spec, m, T_I64, 0, lo, hi, d)
SHAPE_STRICT(
    shape_runtime, "Runtime", struct runtime_spec,
    FIELD_ENUM(struct runtime_spec, kind, F_REQUIRED, kinds,
               "onnx: in the daemon; child: a supervised command; mlflow: the operator's command "
               "for MLflow models (serving.pyfunc-command)"),
    FIELD_MAX(struct runtime_spec, command, T_STRS, 0, 0, COMMAND_MAX,
              "Program and arguments of a child, no shell; {model} stands for the folder with "
              "the version's files, {port} for a free port of 127.0.0.1, {socket} for the path "
              "of a unix socket, {name} and {version} for the model's"),
    FIELD(struct runtime_spec, env, T_MAP, 0,
          "Further environment of a child; shown to whoever may read the endpoint"),
    FIELD_ENUM(struct runtime_spec, protocol, 0, protocols,
               "What the child speaks: oip (default), mlflow, sagemaker or vertex"),
    FIELD_MAX(struct runtime_spec, model, T_STR, 0, 1, 200,
              "Name under which an OIP child serves the model; default the model's own"),
    FIELD_MAX(struct runtime_spec, health, T_STR, 0, 1, 200,
              "Path that answers 200 once the child is ready; default /v2/health/ready, /ping, "
              "/readyz and /healthz in turn"),
    FIELD_MAX(struct runtime_spec, path, T_STR, 0, 1, 200,
              "Path of predictions; default the protocol's"),
    NUMBER(start_ms, 100, 3600000, "Longest time till it is ready, milliseconds; default 60000"),
    NUMBER(timeout_ms, 1, 3600000, "Longest prediction, milliseconds; default 60000"),
    NUMBER(idle_ms, 100, 2592000000,
           "Ended after this long without a prediction, milliseconds; default never"),
    NUMBER(concurrency, 1, 256, "Predictions under way at once; default 4"),
    NUMBER(restarts, 1, 1000000, "Starts in a row that may come to nothing; default 10"),
    NUMBER(memory_bytes, 16777216, 0, "Address space that each process may use; default any"),
    NUMBER(answer_bytes, 1024, 1073741824, "Longest answer; default 64 MiB"));

static int refuse(struct ctx *c, const char *at, const char *member, const char *why) {
    return fail_field(c, ERR_INVALID, arena_printf(c->arena, "%s/%s", at, member), "%s %s", member,
                      why);
}

/* A path as it may stand in a request line. */
static bool is_path(const char *s) {
    if (*s != '/')
        return false;
    for (; *s; s++)
        if (*s <= ' ' || *s > '~' || *s == '#')
            return false;
    return true;
}

static bool is_name(const char *s) {
    for (size_t i = 0; s[i]; i++)
        if (!(s[i] == '_' || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z') ||
              (i && s[i] >= '0' && s[i] <= '9')))
            return false;
    return *s != 0;
}

static bool has(const struct runtime_spec *s, const char *placeholder) {
    for (size_t i = 0; i < s->command.n; i++)
        if (strstr(s->command.items[i], placeholder))
            return true;
    return false;
}

static int check_command(struct ctx *c, const char *at, const struct runtime_spec *s) {
    if (s->command.n == 0 || !*s->command.items[0])
        return refuse(c, at, "command", "must name a program: kind is \"child\"");
    for (size_t i = 0; i < s->command.n; i++)
        if (strlen(s->command.items[i]) > WORD_MAX)
            return refuse(c, at, "command", "holds a word of more than 4096 bytes");
    if (has(s, "{port}") && has(s, "{socket}"))
        return refuse(c, at, "command", "names both {port} and {socket}; a child listens on one");
    for (size_t i = 0; i < s->env.n; i++)
        if (!is_name(s->env.items[i].key))
            return refuse(c, at, "env",
                          arena_printf(c->arena, "holds '%.60s', which is no name of a variable",
                                       s->env.items[i].key));
    return 0;
}

static void set_default(struct opt_i64 *o, int64_t v) {
    if (!o->set)
        *o = SET_I64(v);
}

int runtime_check(struct ctx *c, const char *at, struct runtime_spec *s) {
    bool child = str_eq(s->kind, "child");
    /* What was filled in here before is read again from where it is stored. */
    bool odd = s->protocol && !(str_eq(s->kind, "mlflow") && str_eq(s->protocol, "mlflow"));
    if (!child && (s->command.n || s->env.n || odd))
        return refuse(c, at,
                      s->command.n ? "command"
                      : s->env.n   ? "env"
                                   : "protocol",
                      "is for kind \"child\" alone");
    int rc = child ? check_command(c, at, s) : 0;
    if (rc < 0)
        return rc;
    if (s->health && !is_path(s->health))
        return refuse(c, at, "health", "must be a path that begins with '/', percent-encoded");
    if (s->path && !is_path(s->path))
        return refuse(c, at, "path", "must be a path that begins with '/', percent-encoded");
    if (str_eq(s->kind, "onnx"))
        return 0;
    if (!s->protocol)
        s->protocol = child ? "oip" : "mlflow";
    set_default(&s->start_ms, 60000);
    set_default(&s->timeout_ms, 60000);
    set_default(&s->concurrency, 4);
    set_default(&s->restarts, 10);
    set_default(&s->answer_bytes, 64 << 20);
    return 0;
}
