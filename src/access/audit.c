/* SPDX-License-Identifier: Apache-2.0 */
/* The audit chain: each row's hash covers the row before it, so that a row taken out or changed
 * afterwards breaks every later one. */
#include <inttypes.h>
#include <string.h>

#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/metric/metric.h"

struct audit_row {
    int64_t seq, time_ms, project_id;
    const char *text[7]; /* principal remote request_id action subject outcome detail */
};

static void chain_i64(struct sha256 *s, int64_t v) {
    unsigned char b[8];
    for (int i = 0; i < 8; i++) {
        b[i] = (unsigned char)((uint64_t)v >> (56 - 8 * i));
    }
    sha256_add(s, b, 8);
}

static void chain_hash(const unsigned char previous[32], const struct audit_row *r,
                       unsigned char out[32]) {
    struct sha256 *s = sha256_new();
    sha256_add(s, previous, 32);
    chain_i64(s, r->seq);
    chain_i64(s, r->time_ms);
    chain_i64(s, r->project_id);
    for (size_t i = 0; i < ARRAY_LEN(r->text); i++) {
        size_t n = strlen(r->text[i]);
        chain_i64(s, (int64_t)n);
        sha256_add(s, r->text[i], n);
    }
    sha256_end(s, out);
}

static int chain_head(struct ctx *c, int64_t *seq, unsigned char hash[32]) {
    memset(hash, 0, 32);
    *seq = 0;
    struct stmt *st = db_query(c, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "");
    int rc = stmt_next(st);
    if (rc > 0) {
        size_t n = 0;
        *seq = stmt_i64(st, 0);
        const void *h = stmt_blob(st, 1, &n);
        if (n == 32) {
            memcpy(hash, h, 32);
        }
        stmt_end(st);
        rc = 0;
    }
    return rc;
}

static int append(struct ctx *c, const char *action, const char *subject, const char *outcome,
                  const char *detail) {
    unsigned char previous[32];
    unsigned char hash[32];
    struct audit_row r = {.time_ms = c->now_ms,
                          .project_id = c->project,
                          .text = {c->who.name ? c->who.name : "", c->remote ? c->remote : "",
                                   c->request_id ? c->request_id : "", action, subject, outcome,
                                   detail ? detail : "{}"}};
    int rc = chain_head(c, &r.seq, previous);
    if (rc != 0) {
        return rc;
    }
    r.seq++;
    chain_hash(previous, &r, hash);
    rc =
        db_exec(c,
                "INSERT INTO audit (seq, time_ms, project_id, principal, remote, request_id, "
                "action, subject, outcome, detail, previous, hash) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                "iiisssssssbb", r.seq, r.time_ms, r.project_id, r.text[0], r.text[1], r.text[2],
                r.text[3], r.text[4], r.text[5], r.text[6], previous, (size_t)32, hash, (size_t)32);
    if (rc == 0) {
        metric_add(METRIC_AUDIT_ROWS, 1, NULL, NULL, NULL);
    }
    return rc;
}

int access_audit(struct ctx *c, const struct route *row, const char *outcome) {
    return append(c, row->id, c->path ? c->path : "", outcome, NULL);
}

int audit_append(struct ctx *c, const char *action, const char *subject, const char *detail_json) {
    return append(c, action, subject, "ok", detail_json);
}

int audit_verify(struct ctx *c, int64_t *rows) {
    unsigned char previous[32] = {0};
    int64_t expected = 1;
    *rows = 0;
    struct stmt *st = db_query(c,
                               "SELECT seq, time_ms, project_id, principal, remote, request_id, "
                               "action, subject, outcome, detail, previous, hash "
                               "FROM audit ORDER BY seq",
                               "");
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        struct arena *row_memory = arena_new();
        struct ctx scratch = {.arena = row_memory};
        struct audit_row r = {
            .seq = stmt_i64(st, 0), .time_ms = stmt_i64(st, 1), .project_id = stmt_i64(st, 2)};
        for (int i = 0; i < (int)ARRAY_LEN(r.text); i++) {
            r.text[i] = stmt_text(&scratch, st, 3 + i);
        }
        unsigned char want[32];
        size_t np = 0;
        size_t nh = 0;
        const void *stored_previous = stmt_blob(st, 10, &np);
        bool good = r.seq == expected && np == 32 && memcmp(stored_previous, previous, 32) == 0;
        const void *stored = stmt_blob(st, 11, &nh);
        chain_hash(previous, &r, want);
        good = good && nh == 32 && memcmp(stored, want, 32) == 0;
        arena_free(row_memory);
        if (!good) {
            stmt_end(st);
            return fail(c, ERR_INTERNAL, "the audit chain breaks at row %" PRId64, expected);
        }
        memcpy(previous, want, 32);
        expected++;
        ++*rows;
    }
    return rc;
}
