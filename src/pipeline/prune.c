/* SPDX-License-Identifier: Apache-2.0 */
/* What attempts leave below work/. Sources and inputs can be made again and outputs are blobs, so a
 * good attempt keeps its log only. A failed one is kept for whoever looks into it, until the step
 * is tried again or KEPT_RUNS newer runs have failed. work/.kept holds an empty file per run with
 * such folders, named by time and run, so that no run but these is ever looked at. */
#include <fcntl.h>
#include <string.h>

#include "executor.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

#define KEPT_RUNS ((size_t)20)
#define KEPT "work/.kept"

void attempt_tidy(struct ctx *c, const char *folder) {
    static const char *const parts[] = {"src", "in", "out"};
    size_t n = strlen(folder) - strlen("/keeper");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        dir_remove_tree(executor.o.data,
                        arena_printf(c->arena, "%.*s/%s", (int)n, folder, parts[i]));
    }
}

static void tidy_all(struct ctx *c, const struct strs *folders) {
    for (size_t i = 0; i < folders->n; i++) {
        attempt_tidy(c, folders->items[i]);
    }
}

static void prune(struct ctx *c) {
    char **names;
    size_t n = 0;
    if (dir_list(executor.o.data, KEPT, c->arena, &names, &n)) {
        return;
    }
    for (size_t i = 0; n > KEPT_RUNS && i < n - KEPT_RUNS; i++) {
        const char *run = strchr(names[i], '-');
        struct strs folders;
        if (db_read_begin(executor.db, c)) {
            break;
        }
        int rc = run ? folders_of_run(c, run + 1, &folders) : 0;
        db_read_end(c);
        if (rc) {
            break;
        }
        if (run) {
            tidy_all(c, &folders);
        }
        dir_unlink(executor.o.data, arena_printf(c->arena, KEPT "/%s", names[i]));
    }
    err_clear(c);
}

void attempt_keep(struct ctx *c, const struct run_row *run) {
    if (dir_mkdirs(executor.o.data, KEPT)) {
        return;
    }
    fd_close(
        dir_openat(executor.o.data,
                   arena_printf(c->arena, KEPT "/%015lld-%s", (long long)run->created_ms, run->id),
                   O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    prune(c);
}

void job_tidy(struct ctx *c, void *unused) {
    struct strs folders = {0};
    (void)unused;
    if (db_read_begin(executor.db, c) == 0) {
        int rc = folders_succeeded(c, &folders);
        db_read_end(c);
        if (rc == 0) {
            tidy_all(c, &folders);
        }
    }
}
