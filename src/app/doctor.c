/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "house.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/git/git.h"
#include "quern/json/json_out.h"
#include "quern/onnx/onnx.h"

SHAPE_LOCAL(check_shape, "DoctorCheck", struct doctor_check,
            FIELD(struct doctor_check, name, T_STR, F_ALWAYS, "What was looked at"),
            FIELD(struct doctor_check, verdict, T_STR, F_ALWAYS, "ok, warn or bad"),
            FIELD(struct doctor_check, detail, T_STR, F_ALWAYS, "What was seen"));
SHAPE(doctor_shape, "DoctorReport", struct doctor_report,
      FIELD(struct doctor_report, healthy, T_BOOL, F_ALWAYS, "Nothing is bad"),
      FIELD_SUB(struct doctor_report, checks, T_LIST, F_ALWAYS, &check_shape, "In order"));

#define MOST_CHECKS 64

static void add(struct ctx *c, struct doctor_report *r, const char *name, const char *verdict,
                const char *detail) {
    struct doctor_check *items = r->checks.items;
    if (r->checks.n < MOST_CHECKS) {
        items[r->checks.n++] = (struct doctor_check){name, verdict, arena_strdup(c->arena, detail)};
    }
    if (str_eq(verdict, "bad")) {
        r->healthy.v = false;
    }
}

static void check_database(struct ctx *c, struct db *db, struct doctor_report *r) {
    struct buf text = {0};
    bool good = db_check(db, c, &text) == 0;
    add(c, r, "database", good ? "ok" : "bad",
        good ? arena_printf(c->arena, "integrity and references hold, SQLite %s", db_version())
             : (text.len ? text.data : c->err.message));
    err_clear(c);
    buf_free(&text);
}

static void check_audit(struct ctx *c, struct db *db, struct doctor_report *r) {
    int64_t rows = 0;
    int rc = db_read_begin(db, c);
    if (rc == 0) {
        rc = audit_verify(c, &rows);
        db_read_end(c);
    }
    add(c, r, "audit-chain", rc == 0 ? "ok" : "bad",
        rc == 0 ? arena_printf(c->arena, "%" PRId64 " rows, unbroken", rows) : c->err.message);
    err_clear(c);
}

/* Every blob is read and compared, and every digest that a row names is looked for. */
static void check_blobs(struct ctx *c, struct db *db, struct doctor_report *r) {
    struct artifact_report found = {0};
    struct buf text = {0};
    struct ctx own; /* as much memory as there are names, and only while it lasts */
    ctx_begin(&own);
    int rc = db_read_begin(db, &own);
    if (rc == 0) {
        rc = artifact_check_all(&own, &found, &text);
        db_read_end(&own);
    }
    bool bad = rc != 0 || found.damaged > 0 || found.missing > 0;
    buf_putc(&text, '\0');
    if (rc != 0) {
        add(c, r, "artifacts", "bad", own.err.message ? own.err.message : "cannot be read");
    } else {
        const char *fault = text.len > 1 ? text.data : "every digest holds\n";
        add(c, r, "artifacts",
            bad             ? "bad"
            : found.foreign ? "warn"
                            : "ok",
            arena_printf(c->arena,
                         "%" PRId64 " blobs with %" PRId64 " bytes: %" PRId64 " torn, %" PRId64
                         " missing, %" PRId64 " unreferenced, %" PRId64 " foreign files; %.*s",
                         found.blobs, found.bytes, found.damaged, found.missing, found.unreferenced,
                         found.foreign, (int)strcspn(fault, "\n"), fault));
    }
    buf_free(&text);
    ctx_end(&own);
}

int doctor_run(struct ctx *c, struct db *db, struct doctor_report *out) {
    out->checks.items = ARENA_ARRAY(c->arena, struct doctor_check, MOST_CHECKS);
    out->checks.n = 0;
    out->healthy = SET_BOOL(true);
    check_database(c, db, out);
    check_audit(c, db, out);
    check_blobs(c, db, out);
    add(c, out, "onnxruntime", onnx_ready() ? "ok" : "warn",
        onnx_ready() ? arena_printf(c->arena, "%s from %s", onnx_version(), onnx_path())
                     : "not found: endpoints cannot load models; deploy/onnxruntime.sh fetches it");
    add(c, out, "libraries", "ok",
        arena_printf(c->arena, "%s, libgit2 %s", crypto_version(), git_version()));
    return 0;
}

static const char *data_dir(const struct invocation *inv) {
    const char *dir = option_value(inv, "data");
    if (!dir) {
        dir = getenv("QUERN_DATA");
    }
    return dir && dir[0] ? dir : "./quern-data";
}

static int print_report(const struct doctor_report *r, bool json) {
    struct buf out = {0};
    if (json) {
        json_encode(&out, &doctor_shape, r);
        buf_putc(&out, '\n');
    }
    const struct doctor_check *items = r->checks.items;
    for (size_t i = 0; i < r->checks.n && !json; i++) {
        buf_printf(&out, "%-5s %-14s %s\n", items[i].verdict, items[i].name, items[i].detail);
    }
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return r->healthy.v ? EXIT_OK : EXIT_ERROR;
}

static int doctor_offline(struct invocation *inv) {
    struct buf error = {0};
    struct doctor_report report = {0};
    int code = EXIT_ERROR;
    int rc = dir_open(data_dir(inv), false, &house.data);
    if (rc != 0) {
        return complain(EXIT_NOT_FOUND, "cannot open %s: %s", data_dir(inv), strerror(-rc));
    }
    struct db_options o = {
        .dir = house.data, .wal_soft = 4 << 20, .wal_hard = 64 << 20, .as_is = true};
    const char *near = arena_printf(inv->arena, "%s/lib/libonnxruntime.so", dir_path(house.data));
    const char *const more[] = {near, "libonnxruntime.so.1", "libonnxruntime.so", NULL};
    (void)onnx_open(getenv("QUERN_ONNX_LIBRARY"), more, &error);
    buf_clear(&error);
    if (db_open(&o, &house.db, &error) != 0) {
        complain(code, "%s", error.data);
    } else if (artifacts_open(house.db, house.data, 1 << 20, 0, &error) != 0) {
        complain(code, "%s", error.data);
    } else {
        struct ctx c;
        ctx_begin(&c);
        (void)doctor_run(&c, house.db, &report);
        code = print_report(&report, option_given(inv, "json"));
        ctx_end(&c);
        artifacts_close();
    }
    if (house.db) {
        db_close(house.db);
    }
    dir_close(house.data);
    buf_free(&error);
    return code;
}

static int print_remote(struct invocation *inv, const json_t *json) {
    struct doctor_report r = {.healthy = SET_BOOL(json_is_true(json_object_get(json, "healthy")))};
    const json_t *checks = json_object_get(json, "checks");
    struct doctor_check *items =
        ARENA_ARRAY(inv->arena, struct doctor_check, json_array_size(checks) + 1);
    size_t i;
    json_t *row;
    json_array_foreach(checks, i, row) {
        items[i] = (struct doctor_check){json_string_value(json_object_get(row, "name")),
                                         json_string_value(json_object_get(row, "verdict")),
                                         json_string_value(json_object_get(row, "detail"))};
    }
    r.checks = (struct list){items, json_array_size(checks)};
    return print_report(&r, option_given(inv, "json"));
}

int doctor_command(struct invocation *inv) {
    bool named = option_given(inv, "data");
    if (named || !client_reachable(inv)) {
        return doctor_offline(inv);
    }
    struct client_reply r;
    int code = client_call(inv, "GET", "/api/v1/doctor", NULL, &r);
    return code == EXIT_OK ? print_remote(inv, r.json) : code;
}
