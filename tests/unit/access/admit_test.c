/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of caller against every permission, and the audit chain. */
#include <stdlib.h>
#include <unistd.h>

#include "access_api.h"
#include "access_state.h"
#include "access_store.h"
#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"

static struct db *db;
static struct access *access_;
static char root[] = "/tmp/quern-access-XXXXXX";
static struct dir *dir;

static const char *route_id = "tracking.x";

static int call(enum perm perm, const char *authorization, const char *remote, const char *project,
                struct principal *who) {
    struct header headers[3] = {{"host", "localhost:7780"}};
    size_t n = 1;
    if (authorization) {
        headers[n++] = (struct header){"authorization", authorization};
    }
    if (project) {
        headers[n++] = (struct header){"x-quern-project", project};
    }
    struct ctx c;
    ctx_begin(&c);
    c.who = (struct principal){0};
    c.method = "GET";
    c.path = "/x";
    c.remote = remote;
    c.headers = headers;
    c.header_count = n;
    struct route row = {.id = route_id, .perm = perm};
    int rc = access_admit(&c, &row, access_);
    if (who) {
        *who = c.who;
    }
    ctx_end(&c);
    return -rc;
}

struct maker {
    struct principal_in in;
    const char *hash;
    char token[256];
    const char *expires;
};

static int make_principal(struct ctx *c, void *arg) {
    struct maker *m = arg;
    struct principal_out out;
    int rc = principal_create(c, &m->in, m->hash, &out);
    struct principal_row row;
    unsigned char hash[32];
    char text[TOKEN_LEN + 1];
    if (rc == 0) {
        rc = principal_find(c, m->in.name, &row);
    }
    token_make(text);
    token_hash(text, hash);
    snprintf(m->token, sizeof m->token, "Bearer %s", text);
    return rc ? rc
              : token_insert(c, hash, m->in.name, row.id, NULL, "test", "zzzz",
                             m->expires ? c->now_ms - 1 : 0);
}

static int write_now(db_op *op, void *arg) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_write(db, &c, op, arg);
    if (rc != 0) {
        printf("write: %s\n", c.err.message);
    }
    ctx_end(&c);
    return rc;
}

static int exec(struct ctx *c, void *arg) {
    return db_exec(c, arg, "");
}

static int make_project(struct ctx *c, void *arg) {
    (void)arg;
    return db_exec(c, "INSERT INTO project (name, created_ms) VALUES ('secret', 0)", "");
}

static void local_mode(void) {
    struct principal who;
    CHECK(access_local_mode(access_));
    CHECK_INT(call(PERM_SYSTEM, NULL, "127.0.0.1", NULL, &who), 0);
    CHECK_STR(who.kind, "local");
    CHECK_INT(call(PERM_READ, NULL, "10.0.0.9", NULL, NULL), ERR_UNAUTHENTICATED);
    CHECK_INT(call(PERM_READ, "Bearer qn_nonsense", "127.0.0.1", NULL, NULL), ERR_UNAUTHENTICATED);
    CHECK_INT(call(PERM_PUBLIC, NULL, "10.0.0.9", NULL, NULL), 0);
    CHECK_INT(call(PERM_READ, NULL, "127.0.0.1", "nowhere", NULL), ERR_NOT_FOUND);
    /* Who is not known learns nothing about projects, either. */
    CHECK_INT(call(PERM_READ, NULL, "10.0.0.9", "nowhere", NULL), ERR_UNAUTHENTICATED);
}

static void everybody_against_every_permission(void) {
    char hash[160];
    REQUIRE(password_hash("correct horse battery", hash) == 0);
    struct maker root_ = {.in = {.name = "root"}, .hash = hash};
    struct maker reader = {.in = {.name = "reader", .role = "reader"}};
    struct maker writer = {.in = {.name = "writer", .role = "writer"}};
    struct maker admin = {.in = {.name = "admin", .role = "admin"}};
    struct maker nobody = {.in = {.name = "nobody"}};
    struct maker late = {.in = {.name = "late", .role = "admin"}, .expires = "past"};
    struct maker *all[] = {&root_, &reader, &writer, &admin, &nobody, &late};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        CHECK_INT(write_now(make_principal, all[i]), 0);
    }
    CHECK(!access_local_mode(access_));
    CHECK_INT(call(PERM_READ, NULL, "127.0.0.1", NULL, NULL), ERR_UNAUTHENTICATED);
    static const enum perm perms[] = {PERM_READ, PERM_WRITE, PERM_ADMIN, PERM_SYSTEM};
    /* How many of the four, in order, each may do: the first made is the system's administrator. */
    const int may[] = {4, 1, 2, 3, 0, -1};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        for (int p = 0; p < 4; p++) {
            int want = may[i] < 0 ? ERR_UNAUTHENTICATED : p < may[i] ? 0 : ERR_FORBIDDEN;
            CHECK_INT(call(perms[p], all[i]->token, "203.0.113.5", NULL, NULL), want);
        }
    }
    /* base64 of root:correct horse battery, twice: the second comes from the cache */
    CHECK_INT(
        call(PERM_SYSTEM, "Basic cm9vdDpjb3JyZWN0IGhvcnNlIGJhdHRlcnk=", "203.0.113.5", NULL, NULL),
        0);
    CHECK_INT(
        call(PERM_SYSTEM, "Basic cm9vdDpjb3JyZWN0IGhvcnNlIGJhdHRlcnk=", "203.0.113.5", NULL, NULL),
        0);
    CHECK_INT(call(PERM_READ, "Basic cm9vdDp3cm9uZw==", "203.0.113.5", NULL, NULL),
              ERR_UNAUTHENTICATED);
    CHECK_INT(call(PERM_READ, "Digest x", "203.0.113.5", NULL, NULL), ERR_UNAUTHENTICATED);
    /* A project that one may not use looks like one that is not there. */
    CHECK_INT(write_now(make_project, NULL), 0);
    CHECK_INT(call(PERM_READ, admin.token, "203.0.113.5", "secret", NULL), ERR_FORBIDDEN);
    CHECK_INT(call(PERM_READ, admin.token, "203.0.113.5", "nowhere", NULL), ERR_FORBIDDEN);
    CHECK_INT(call(PERM_READ, "Bearer x", "203.0.113.5", "secret", NULL), ERR_UNAUTHENTICATED);
    CHECK_INT(call(PERM_READ, root_.token, "203.0.113.5", "nowhere", NULL), ERR_NOT_FOUND);
    CHECK_INT(call(PERM_READ, root_.token, "203.0.113.5", "secret", NULL), 0);
}

/* The password is remembered for a minute; its owner must not be mixed up with whoever comes after
 * him under the same number and name. */
static void a_remembered_password_dies_with_its_owner(void) {
    /* base64 of temp:a very old password */
    static const char basic[] = "Basic dGVtcDphIHZlcnkgb2xkIHBhc3N3b3Jk";
    char hash[160];
    char other[160];
    REQUIRE(password_hash("a very old password", hash) == 0);
    REQUIRE(password_hash("something else now", other) == 0);
    struct maker temp = {.in = {.name = "temp", .role = "reader"}, .hash = hash};
    struct maker next = {.in = {.name = "temp", .role = "admin"}, .hash = other};
    CHECK_INT(write_now(make_principal, &temp), 0);
    CHECK_INT(call(PERM_READ, basic, "203.0.113.6", NULL, NULL), 0);
    CHECK_INT(write_now(exec, "DELETE FROM principal WHERE name = 'temp'"), 0);
    CHECK_INT(call(PERM_READ, basic, "203.0.113.6", NULL, NULL), ERR_UNAUTHENTICATED);
    CHECK_INT(write_now(make_principal, &next), 0);
    CHECK_INT(call(PERM_READ, basic, "203.0.113.6", NULL, NULL), ERR_UNAUTHENTICATED);
}

static void passwords_cannot_be_guessed_fast(void) {
    int tried = 0;
    int got = ERR_UNAUTHENTICATED;
    /* Tries come back with time, and a slow machine is slow at hashing as well: the refusal comes
     * after ten on a fast one, later on a slow one. */
    while (tried < 60 && got == ERR_UNAUTHENTICATED) {
        got = call(PERM_READ, "Basic cm9vdDp3cm9uZw==", "198.51.100.7", NULL, NULL);
        tried++;
    }
    CHECK_INT(got, ERR_RATE);
    CHECK(tried > 10);
    /* Elsewhere, and for what is remembered, nothing changes. */
    CHECK_INT(call(PERM_READ, "Basic cm9vdDp3cm9uZw==", "203.0.113.99", NULL, NULL),
              ERR_UNAUTHENTICATED);
    credential_forget(access_);
    CHECK_INT(
        call(PERM_SYSTEM, "Basic cm9vdDpjb3JyZWN0IGhvcnNlIGJhdHRlcnk=", "203.0.113.98", NULL, NULL),
        0);
    CHECK_INT(
        call(PERM_SYSTEM, "Basic cm9vdDpjb3JyZWN0IGhvcnNlIGJhdHRlcnk=", "198.51.100.7", NULL, NULL),
        0);
}

static int make_run_token(struct ctx *c, void *arg) {
    char *text = NULL;
    int rc = access_run_token(c, "0123456789abcdef0123456789abcdef", c->now_ms + 60000, &text);
    snprintf(arg, 256, "Bearer %s", text);
    return rc;
}

static int drop_run_token(struct ctx *c, void *arg) {
    (void)arg;
    return access_run_token_revoke(c, "0123456789abcdef0123456789abcdef");
}

static void run_tokens_write_one_run(void) {
    char token[256];
    CHECK_INT(write_now(make_run_token, token), 0);
    CHECK_INT(call(PERM_WRITE, token, "127.0.0.1", NULL, NULL), 0);
    CHECK_INT(call(PERM_ADMIN, token, "127.0.0.1", NULL, NULL), ERR_FORBIDDEN);
    route_id = "serving.endpoints.put"; /* no room to hold it against the run */
    CHECK_INT(call(PERM_READ, token, "127.0.0.1", NULL, NULL), 0);
    CHECK_INT(call(PERM_WRITE, token, "127.0.0.1", NULL, NULL), ERR_FORBIDDEN);
    route_id = "tracking.x";
    struct ctx c;
    ctx_begin(&c);
    c.who.run_id = "0123456789abcdef0123456789abcdef";
    CHECK_INT(access_check_run(&c, "0123456789abcdef0123456789abcdef"), 0);
    CHECK_INT(access_check_run(&c, "fedcba9876543210fedcba9876543210"), -ERR_FORBIDDEN);
    ctx_end(&c);
    CHECK_INT(write_now(drop_run_token, NULL), 0);
    CHECK_INT(call(PERM_WRITE, token, "127.0.0.1", NULL, NULL), ERR_UNAUTHENTICATED);
}

static int append_audit(struct ctx *c, void *arg) {
    return audit_append(c, "test.action", arg, "{\"n\":1}");
}

static int verify(int64_t *rows) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_read_begin(db, &c);
    rc = rc ? rc : audit_verify(&c, rows);
    db_read_end(&c);
    ctx_end(&c);
    return rc;
}

static void the_audit_chain_holds_and_breaks(void) {
    int64_t rows = 0;
    for (int i = 0; i < 20; i++) {
        CHECK_INT(write_now(append_audit, "run:1"), 0);
    }
    CHECK_INT(verify(&rows), 0);
    CHECK_INT(rows, 20);
    CHECK(write_now(exec, "UPDATE audit SET subject = 'run:2' WHERE seq = 7") != 0);
    CHECK(write_now(exec, "DELETE FROM audit WHERE seq = 7") != 0);
    CHECK_INT(verify(&rows), 0);
    CHECK_INT(write_now(exec, "DROP TRIGGER audit_no_update"), 0);
    CHECK_INT(write_now(exec, "UPDATE audit SET subject = 'run:2' WHERE seq = 7"), 0);
    CHECK_INT(verify(&rows), -ERR_INTERNAL);
    CHECK_INT(rows, 6);
}

int main(void) {
    struct buf error = {0};
    if (!mkdtemp(root) || dir_open(root, false, &dir) != 0) {
        return 1;
    }
    struct db_options o = {
        .dir = dir, .queue = 64, .batch = 16, .wal_soft = 4 << 20, .wal_hard = 64 << 20};
    struct access_options a = {.loopback = true, .port = 7780};
    if (db_open(&o, &db, &error) != 0) {
        printf("%s\n", error.data);
        return 1;
    }
    a.db = db;
    if (access_start(&a, &access_, &error) != 0) {
        printf("%s\n", error.data);
        return 1;
    }
    RUN(local_mode);
    RUN(everybody_against_every_permission);
    RUN(a_remembered_password_dies_with_its_owner);
    RUN(passwords_cannot_be_guessed_fast);
    RUN(run_tokens_write_one_run);
    RUN(the_audit_chain_holds_and_breaks);
    access_stop(access_);
    db_thread_end(db);
    db_close(db);
    dir_close(dir);
    char command[64];
    snprintf(command, sizeof command, "%s", root);
    struct dir *tmp;
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, command + 5);
        dir_close(tmp);
    }
    return CHECK_END();
}
