/* SPDX-License-Identifier: Apache-2.0 */
#include "vetting.h"

#include <jansson.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "golden.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/onnx/onnx.h"
#include "quern/process/process.h"

#define VET_MS 60000
#define VET_CPU_SECONDS 20 /* and one more for each 32 MiB of the file */
#define VET_OUTPUT (((size_t)1 << 20) + 2 * GOLDEN_BYTES)

static int64_t size_of(const char *file) {
    struct stat st;
    return stat(file, &st) == 0 ? st.st_size : 0;
}

/* Address space, in which the runtime itself takes a good part of a gigabyte. */
static int64_t memory_limit(int64_t size) {
#ifdef QUERN_SANITIZED
    (void)size; /* the sanitizers' shadow alone is larger than any sensible bound */
    return 0;
#else
    return ((int64_t)3 << 30) + 8 * size;
#endif
}

/* *said is the child's answer, to be freed; NULL when it did not succeed. */
static int judge(struct ctx *c, const struct process_result *r, json_t **said) {
    *said = NULL;
    if (r->timed_out)
        return fail(c, ERR_UNPROCESSABLE, "the model did not load and run within %d s",
                    VET_MS / 1000);
    if (r->signal == SIGXCPU || (r->signal == SIGKILL && !r->out_len))
        return fail(c, ERR_UNPROCESSABLE,
                    "the model used up its processor time or memory while it "
                    "was tried in a child (signal %d)",
                    r->signal);
    if (r->signal)
        return fail(c, ERR_UNPROCESSABLE,
                    "the model crashed the child it was tried in (signal %d, "
                    "%s)",
                    r->signal, sigabbrev_np(r->signal) ? sigabbrev_np(r->signal) : "?");
    /* The sentence is on the last line; a runtime may have talked before it. */
    size_t n = r->out_len;
    while (n > 0 && r->out[n - 1] == '\n')
        n--;
    size_t from = n;
    while (from > 0 && r->out[from - 1] != '\n')
        from--;
    json_t *tree = json_loadb(r->out + from, n - from, 0, NULL);
    const char *reason = json_string_value(json_object_get(tree, "reason"));
    int rc = 0;
    if (r->exit_code != 0 || !json_is_true(json_object_get(tree, "ok")))
        rc = fail(c, ERR_UNPROCESSABLE, "%.1500s",
                  reason ? reason
                         : arena_printf(c->arena,
                                        "the child it was tried in ended with code %d and "
                                        "said nothing",
                                        r->exit_code));
    if (rc == 0)
        *said = tree;
    else
        json_decref(tree);
    return rc;
}

static int run_child(struct ctx *c, const char *const *argv, const char *model_file,
                     json_t **said) {
    const char *const env[] = {arena_printf(c->arena, "QUERN_ONNX_LIBRARY=%s", onnx_path()),
                               "PATH=/usr/bin:/bin",
#ifdef QUERN_SANITIZED
                               "ASAN_OPTIONS=detect_leaks=0",
#endif
                               NULL};
    int64_t size = size_of(model_file);
    struct process_spec spec = {
        .argv = argv,
        .env = env,
        .workdir = dirname(arena_strdup(c->arena, model_file)),
        .limits = {.timeout_ms = VET_MS,
                   .grace_ms = 1000,
                   .memory_bytes = memory_limit(size),
                   .cpu_seconds = VET_CPU_SECONDS + (size >> 25),
                   .file_bytes = 1 << 20,
                   .open_files = 64},
    };
    struct process_result r = {0};
    int rc = process_run(c, &spec, NULL, 0, VET_OUTPUT, &r);
    return rc < 0 ? rc : judge(c, &r, said);
}

int vet(struct ctx *c, const char *self_exe, const char *model_file, const char *golden_file,
        int64_t *bytes) {
    const char *const argv[] = {self_exe, "vet", model_file, golden_file, NULL};
    json_t *said = NULL;
    int rc = run_child(c, argv, model_file, &said);
    *bytes = json_integer_value(json_object_get(said, "bytes"));
    json_decref(said);
    return rc;
}

int vet_record(struct ctx *c, const char *self_exe, const char *model_file, const char *cases_file,
               const char **document) {
    const char *const argv[] = {self_exe, "vet-record", model_file, cases_file, NULL};
    json_t *said = NULL;
    int rc = run_child(c, argv, model_file, &said);
    const json_t *recorded = json_object_get(said, "recorded");
    if (rc == 0 && !recorded)
        rc = fail(c, ERR_UNPROCESSABLE, "the child that ran the cases told no outputs");
    if (rc == 0)
        *document = json_text(c->arena, recorded, JSON_TIGHT);
    json_decref(said);
    return rc;
}
