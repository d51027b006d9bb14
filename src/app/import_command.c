/* SPDX-License-Identifier: Apache-2.0 */
/* quern import mlflow, quern export mlflow: of a data directory whose daemon does not run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/config/config.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/transfer/transfer.h"
#include "settings.h"

#define FAULTS_TOLD 50

struct told {
    int64_t lines;
};

static void say(void *arg, const char *line) {
    struct told *t = arg;
    if (++t->lines <= FAULTS_TOLD)
        fprintf(stderr, "quern: %s\n", line);
    else if (t->lines == FAULTS_TOLD + 1)
        fprintf(stderr, "quern: further faults are only counted\n");
}

static void print_report(const struct transfer_report *r, bool dry) {
    printf("%-20s %12s %12s %12s %12s %12s %8s\n", "", "in source", dry ? "would add" : "added",
           dry ? "would change" : "changed", "here before", dry ? "" : "proved equal", "faults");
    for (size_t i = 0; i < TRANSFER_KINDS; i++) {
        const struct transfer_count *k = &r->kinds[i];
        printf("%-20s %12" PRId64, k->kind, k->seen);
        if (i == TRANSFER_VERSIONS || i == TRANSFER_SPANS || i == TRANSFER_ASSESSMENTS)
            printf(" %12s %12s %12s", "", "", "");
        else
            printf(" %12" PRId64 " %12" PRId64 " %12" PRId64, k->fresh, k->changed, k->same);
        if (dry)
            printf(" %12s", "");
        else
            printf(" %12" PRId64, k->equal);
        printf(" %8" PRId64 "\n", k->faults);
    }
    printf("%" PRId64 " bytes of files; %" PRId64
           " artifact URIs lead elsewhere and stay as they are\n",
           r->bytes, r->outside);
}

/* Whether everything that the source has stands here. */
static int verdict(const struct transfer_report *r, bool dry) {
    int64_t faults = 0, missing = 0;
    for (size_t i = 0; i < TRANSFER_KINDS; i++) {
        faults += r->kinds[i].faults;
        missing += r->kinds[i].seen - r->kinds[i].equal;
    }
    if (faults > 0)
        return complain(EXIT_ERROR, "%" PRId64 " things are not here as the source has them",
                        faults);
    if (!dry && missing > 0)
        return complain(EXIT_ERROR, "%" PRId64 " things could not be proved equal", missing);
    printf(dry ? "nothing was changed\n" : "everything stands here as in the source\n");
    return EXIT_OK;
}

static int find_project(struct invocation *inv, struct db *db, int64_t *project) {
    const char *name = option_value(inv, "project");
    bool found = false;
    struct ctx c;
    ctx_begin(&c);
    int rc = db_read_begin(db, &c);
    if (rc == 0) {
        rc = db_get_i64(&c, "SELECT id FROM project WHERE name = ?", project, &found, "s",
                        name ? name : "default");
        db_read_end(&c);
    }
    ctx_end(&c);
    return rc == 0 && found ? EXIT_OK
                            : complain(EXIT_NOT_FOUND, "there is no project named '%s'", name);
}

static int move(struct invocation *inv, struct db *db, struct dir *dir, int64_t most) {
    struct buf error = {0};
    struct told told = {0};
    struct transfer_report report;
    struct transfer_options o = {.db = db,
                                 .from = option_value(inv, "from"),
                                 .to = option_value(inv, "to"),
                                 .artifacts = option_value(inv, "artifacts"),
                                 .workspace = option_value(inv, "workspace"),
                                 .dry_run = option_given(inv, "dry-run"),
                                 .most = most,
                                 .say = say,
                                 .arg = &told};
    struct ctx c;
    int code = find_project(inv, db, &o.project);
    if (code != EXIT_OK)
        return code;
    if (artifacts_open(db, dir, UINT64_C(1) << 46, INT64_C(3600000), &error) != 0) {
        code = complain(EXIT_ERROR, "%s", error.data);
        buf_free(&error);
        return code;
    }
    ctx_begin(&c);
    int rc = o.to ? transfer_export(&c, &o, &report) : transfer_import(&c, &o, &report);
    if (rc < 0 && rc != -ERR_INVALID && rc != -ERR_NOT_FOUND)
        print_report(&report, o.dry_run);
    if (rc < 0) {
        code = complain(rc == -ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_ERROR, "%s", c.err.message);
    } else {
        print_report(&report, o.dry_run);
        code = verdict(&report, o.dry_run);
    }
    ctx_end(&c);
    artifacts_close();
    return code;
}

static int open_and_move(struct invocation *inv, bool make) {
    struct buf error = {0};
    struct dir *dir = NULL;
    struct db *db = NULL;
    struct config *config = settings_load(inv);
    if (!config)
        return EXIT_USAGE;
    const char *data = config_str(config, CONFIG_DATA);
    int64_t most = config_int(config, CONFIG_IMPORT_MOST);
    int rc = dir_open(data, make, &dir);
    if (rc != 0)
        complain(EXIT_ERROR, "cannot open %s: %s", data, strerror(-rc));
    config_free(config);
    if (rc != 0)
        return EXIT_ERROR;
    struct db_options o = {.dir = dir, .wal_soft = 4 << 20, .wal_hard = 64 << 20};
    int code = EXIT_ERROR;
    if (db_open(&o, &db, &error) != 0) {
        complain(code, "%s", error.data);
    } else {
        code = move(inv, db, dir, most);
        db_close(db);
    }
    dir_close(dir);
    buf_free(&error);
    return code;
}

int import_command(struct invocation *inv) {
    if (!str_eq(inv->args[0], "mlflow"))
        return complain(EXIT_USAGE, "what can be imported is 'mlflow', not '%s'", inv->args[0]);
    if (!option_given(inv, "from"))
        return complain(EXIT_USAGE, "--from is missing: sqlite:///mlflow.db, a folder mlruns, or "
                                    "the URL of a server");
    return open_and_move(inv, true);
}

int export_command(struct invocation *inv) {
    if (!str_eq(inv->args[0], "mlflow"))
        return complain(EXIT_USAGE, "what can be exported is 'mlflow', not '%s'", inv->args[0]);
    if (!option_given(inv, "to"))
        return complain(EXIT_USAGE, "--to is missing: the database file to make");
    return open_and_move(inv, false);
}
