/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of caller against every need on experiments and models, with and without grants. */
#include "object.h"

#include <stdlib.h>
#include <unistd.h>

#include "access_state.h"
#include "access_store.h"
#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

static struct db *db;
static struct access *access_;
static char root[] = "/tmp/quern-access-XXXXXX";
static struct dir *dir;
static int64_t project = 1;
static char said[256];

static int write_now(db_op *op, void *arg) {
    struct ctx c;
    ctx_begin(&c);
    c.project = project;
    int rc = db_write(db, &c, op, arg);
    snprintf(said, sizeof said, "%s", c.err.message ? c.err.message : "");
    ctx_end(&c);
    return -rc;
}

static int read_now(db_op *op, void *arg) {
    struct ctx c;
    ctx_begin(&c);
    c.project = project;
    int rc = db_read_begin(db, &c);
    if (rc == 0) {
        rc = op(&c, arg);
        db_read_end(&c);
    }
    snprintf(said, sizeof said, "%s", c.err.message ? c.err.message : "");
    ctx_end(&c);
    return -rc;
}

static int exec_op(struct ctx *c, void *sql) {
    int rc = db_exec(c, sql, "");
    return rc < 0 ? rc : 0;
}

static void exec(const char *sql) {
    CHECK_INT(write_now(exec_op, (void *)sql), 0);
    if (said[0])
        printf("%s: %s\n", sql, said);
}

static int64_t number;
static int number_op(struct ctx *c, void *sql) {
    return db_get_i64(c, sql, &number, NULL, "");
}

static int64_t count(const char *sql) {
    number = -1;
    CHECK_INT(read_now(number_op, (void *)sql), 0);
    return number;
}

/* ------------------------------------------------------------------ callers */

static const char *const callers[] = {"root",   "admin",  "writer", "reader",
                                      "member", "nobody", "both"};

/* As the door does it for a credential of theirs. */
static int become(struct ctx *c, const char *name) {
    struct principal_row row;
    int rc = principal_find(c, name, &row);
    if (rc != 0)
        return rc;
    c->who = (struct principal){.id = row.id, .name = name, .kind = "user", .level = PERM_SYSTEM};
    return row.system ? 0 : role_level(c, row.id, &c->who.level);
}

struct question {
    const char *name;
    enum object_kind kind;
    int64_t id;
    enum object_need need;
    bool asked;
};

static int ask_op(struct ctx *c, void *arg) {
    struct question *q = arg;
    int rc = become(c, q->name);
    c->must_ask = true;
    if (rc == 0)
        rc = access_object(c, q->kind, q->id, q->need);
    q->asked = ctx_asked(c) == 0;
    return rc;
}

static int may(const char *name, enum object_kind kind, int64_t id, enum object_need need) {
    struct question q = {.name = name, .kind = kind, .id = id, .need = need};
    int rc = read_now(ask_op, &q);
    CHECK(q.asked);
    return rc;
}

/* The most that is allowed; every need must be answered in accordance with it. */
static enum object_need most(const char *name, enum object_kind kind, int64_t id) {
    enum object_need best = OBJECT_NONE;
    for (enum object_need n = OBJECT_READ; n <= OBJECT_MANAGE; n++) {
        int rc = may(name, kind, id, n);
        CHECK(rc == 0 || rc == ERR_FORBIDDEN);
        if (rc == 0) {
            CHECK_INT(best, n - 1); /* each includes those before */
            best = n;
        }
    }
    return best;
}

struct grant {
    const char *name;
    enum object_kind kind;
    int64_t id;
    enum object_need level;
};

static int grant_op(struct ctx *c, void *arg) {
    const struct grant *g = arg;
    struct principal_row row;
    int rc = principal_find(c, g->name, &row);
    if (rc == 0)
        rc = permission_put(c, row.id, g->kind, g->id, g->level);
    return rc < 0 ? rc : 0;
}

static int drop_op(struct ctx *c, void *arg) {
    const struct grant *g = arg;
    struct principal_row row;
    int rc = principal_find(c, g->name, &row);
    if (rc == 0)
        rc = permission_drop(c, row.id, g->kind, g->id);
    return rc < 0 ? rc : 0;
}

static void give(const char *name, enum object_kind kind, int64_t id, enum object_need level) {
    struct grant g = {name, kind, id, level};
    CHECK_INT(write_now(grant_op, &g), 0);
}

static void take(const char *name, enum object_kind kind, int64_t id) {
    struct grant g = {name, kind, id, OBJECT_NONE};
    CHECK_INT(write_now(drop_op, &g), 0);
}

static int people_op(struct ctx *c, void *arg) {
    int64_t id = 0;
    (void)arg;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(callers); i++) {
        const char *name = callers[i];
        bool role = strcmp(name, "admin") == 0 || strcmp(name, "writer") == 0 ||
                    strcmp(name, "reader") == 0;
        rc = principal_insert(c, name, "user", NULL, i == 0, &id);
        if (rc == 0 && role)
            rc = role_set(c, id, c->project, name);
        if (rc == 0 && strcmp(name, "both") == 0)
            rc = role_set(c, id, c->project, "reader");
        if (rc == 0 && (strcmp(name, "member") == 0 || strcmp(name, "both") == 0))
            rc = member_add(c, id);
    }
    return rc < 0 ? rc : 0;
}

#define EXPERIMENT(id, project)                                                                    \
    "INSERT INTO experiment (id, project_id, name, artifact_location, created_ms, updated_ms)"     \
    " VALUES (" id ", " project ", 'e" id "', 'mlflow-artifacts:/" id "', 1, 1)"
#define MODEL(id, project)                                                                         \
    "INSERT INTO registered_model (id, project_id, name, created_ms, updated_ms)"                  \
    " VALUES (" id ", " project ", 'm" id "', 1, 1)"

static void reopen(const char *default_permission) {
    struct buf error = {0};
    struct access_options o = {.db = db,
                               .auth_on = true,
                               .loopback = true,
                               .port = 7780,
                               .default_permission = default_permission};
    access_stop(access_);
    CHECK_INT(access_start(&o, &access_, &error), 0);
    buf_free(&error);
}

/* ------------------------------------------------------------------ tests */

static void words(void) {
    static const struct {
        const char *word;
        enum object_need level;
    } rows[] = {{"READ", OBJECT_READ},
                {"USE", OBJECT_USE},
                {"EDIT", OBJECT_EDIT},
                {"MANAGE", OBJECT_MANAGE},
                {"NO_PERMISSIONS", OBJECT_NONE}};
    static const char *const no[] = {"", "read", "DELETE", "READ ", "NONE", "ADMIN"};
    enum object_need level;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        level = OBJECT_DELETE;
        CHECK(permission_read(rows[i].word, &level));
        CHECK_INT(level, rows[i].level);
        CHECK_STR(permission_name(rows[i].level), rows[i].word);
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        level = OBJECT_NONE;
        CHECK(!permission_read(no[i], &level));
        CHECK_INT(level, OBJECT_NONE);
    }
}

static void roles_alone(void) {
    static const enum object_need want[] = {OBJECT_MANAGE, OBJECT_MANAGE, OBJECT_DELETE,
                                            OBJECT_READ,   OBJECT_READ,   OBJECT_NONE,
                                            OBJECT_READ};
    reopen(NULL);
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        CHECK_INT(most(callers[i], OBJECT_EXPERIMENT, 1), want[i]);
        CHECK_INT(most(callers[i], OBJECT_MODEL, 1), want[i]);
        /* A role counts on its own project alone. */
        project = 2;
        CHECK_INT(most(callers[i], OBJECT_EXPERIMENT, 9), i == 0 ? OBJECT_MANAGE : OBJECT_NONE);
        project = 1;
    }
    CHECK_INT(may("reader", OBJECT_EXPERIMENT, 1, OBJECT_EDIT), ERR_FORBIDDEN);
    CHECK_STR(said, "Permission denied: 'reader' needs EDIT on this experiment.");
    /* The word that MLflow has for it. */
    CHECK_INT(may("reader", OBJECT_MODEL, 1, OBJECT_DELETE), ERR_FORBIDDEN);
    CHECK_STR(said, "Permission denied: 'reader' needs MANAGE on this registered model.");
}

static void the_default_of_members(void) {
    static const struct {
        const char *setting;
        enum object_need want;
    } rows[] = {{"NO_PERMISSIONS", OBJECT_NONE},
                {"READ", OBJECT_READ},
                {"USE", OBJECT_USE},
                {"EDIT", OBJECT_EDIT},
                {"MANAGE", OBJECT_MANAGE},
                {"nonsense", OBJECT_NONE},
                {"", OBJECT_NONE}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        reopen(rows[i].setting);
        CHECK_INT(most("member", OBJECT_EXPERIMENT, 1), rows[i].want);
        CHECK_INT(most("nobody", OBJECT_EXPERIMENT, 1), OBJECT_NONE);
        CHECK_INT(most("both", OBJECT_EXPERIMENT, 1), OBJECT_READ); /* the role comes first */
    }
    access_stop(access_); /* nothing is known of a default: none */
    access_ = NULL;
    CHECK_INT(most("member", OBJECT_EXPERIMENT, 1), OBJECT_NONE);
    reopen(NULL);
}

static void grants_hold_before_roles(void) {
    static const enum object_need levels[] = {OBJECT_NONE, OBJECT_READ, OBJECT_USE, OBJECT_EDIT,
                                              OBJECT_MANAGE};
    for (size_t i = 0; i < ARRAY_LEN(callers); i++)
        for (size_t k = 0; k < ARRAY_LEN(levels); k++) {
            enum object_need before = most(callers[i], OBJECT_EXPERIMENT, 2);
            give(callers[i], OBJECT_EXPERIMENT, 1, levels[k]);
            CHECK_INT(most(callers[i], OBJECT_EXPERIMENT, 1), i < 2 ? OBJECT_MANAGE : levels[k]);
            /* Of that experiment, and not of the model with the same number. */
            CHECK_INT(most(callers[i], OBJECT_EXPERIMENT, 2), before);
            CHECK_INT(most(callers[i], OBJECT_MODEL, 1), before);
            take(callers[i], OBJECT_EXPERIMENT, 1);
            CHECK_INT(most(callers[i], OBJECT_EXPERIMENT, 1), before);
        }
    give("nobody", OBJECT_MODEL, 2, OBJECT_EDIT);
    CHECK_INT(most("nobody", OBJECT_MODEL, 2), OBJECT_EDIT);
    CHECK_INT(most("nobody", OBJECT_EXPERIMENT, 2), OBJECT_NONE);
    CHECK_INT(most("member", OBJECT_MODEL, 2), OBJECT_READ);
    /* A grant counts in its project alone, whatever the number. */
    project = 2;
    CHECK_INT(most("nobody", OBJECT_MODEL, 2), OBJECT_NONE);
    project = 1;
    take("nobody", OBJECT_MODEL, 2);
    CHECK(write_now(grant_op, &(struct grant){"nobody", OBJECT_MODEL, 2, OBJECT_DELETE}) != 0);
    CHECK(write_now(grant_op, &(struct grant){"nobody", (enum object_kind)3, 2, OBJECT_READ}) != 0);
    CHECK_INT(count("SELECT count(*) FROM permission"), 0);
}

static void what_is_unknown_is_closed(void) {
    static const int kinds[] = {0, 3, -1, 99};
    for (size_t i = 0; i < ARRAY_LEN(callers); i++)
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
            CHECK_INT(most(callers[i], (enum object_kind)kinds[k], 1), OBJECT_NONE);
    for (size_t i = 0; i < ARRAY_LEN(callers); i++)
        CHECK_INT(may(callers[i], OBJECT_EXPERIMENT, 1, OBJECT_MANAGE + 1), ERR_FORBIDDEN);
    /* Ids that lead nowhere give no more than the role does. */
    CHECK_INT(most("nobody", OBJECT_EXPERIMENT, -1), OBJECT_NONE);
    CHECK_INT(most("nobody", OBJECT_EXPERIMENT, INT64_MAX), OBJECT_NONE);
    CHECK_INT(most("reader", OBJECT_MODEL, 12345), OBJECT_READ);
}

struct making {
    const char *name;
    enum object_kind kind;
    int64_t id;
};

static int make_op(struct ctx *c, void *arg) {
    const struct making *m = arg;
    int rc = m->name ? become(c, m->name) : 0;
    if (rc == 0)
        rc = access_object_make(c, m->kind);
    if (rc == 0)
        rc = access_object_created(c, m->kind, m->id);
    return rc < 0 ? rc : 0;
}

static void makers_manage(void) {
    static const bool can[] = {true, true, true, false, true, false, false};
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        struct making m = {callers[i], OBJECT_EXPERIMENT, 1};
        CHECK_INT(write_now(make_op, &m), can[i] ? 0 : ERR_FORBIDDEN);
        CHECK_INT(most(callers[i], OBJECT_EXPERIMENT, 1),
                  can[i] ? OBJECT_MANAGE : most(callers[i], OBJECT_EXPERIMENT, 2));
        CHECK_INT(most(callers[i], OBJECT_MODEL, 1), most(callers[i], OBJECT_MODEL, 2));
    }
    /* Grants on single things are no leave to make others. */
    give("nobody", OBJECT_EXPERIMENT, 2, OBJECT_MANAGE);
    struct making more = {"nobody", OBJECT_MODEL, 1};
    CHECK_INT(write_now(make_op, &more), ERR_FORBIDDEN);
    CHECK_HAS(said, "may not make registered models");
    /* The daemon and the local caller have no row, and leave none. */
    int64_t before = count("SELECT count(*) FROM permission");
    struct making daemon = {NULL, OBJECT_MODEL, 1};
    CHECK_INT(write_now(make_op, &daemon), 0);
    CHECK_INT(count("SELECT count(*) FROM permission"), before);
    exec("DELETE FROM permission");
}

static int gone_op(struct ctx *c, void *name) {
    struct principal_row row;
    int rc = principal_find(c, name, &row);
    if (rc == 0)
        rc = principal_delete(c, row.id);
    return rc < 0 ? rc : 0;
}

static int again_op(struct ctx *c, void *name) {
    int64_t id;
    return principal_insert(c, name, "user", NULL, false, &id);
}

static void grants_go_with_their_ends(void) {
    exec(EXPERIMENT("3", "1"));
    exec(MODEL("3", "1"));
    give("nobody", OBJECT_EXPERIMENT, 3, OBJECT_MANAGE);
    give("nobody", OBJECT_MODEL, 3, OBJECT_MANAGE);
    give("nobody", OBJECT_MODEL, 2, OBJECT_READ);
    exec("DELETE FROM experiment WHERE id = 3");
    CHECK_INT(count("SELECT count(*) FROM permission WHERE kind = 1"), 0);
    CHECK_INT(count("SELECT count(*) FROM permission WHERE kind = 2"), 2);
    exec(EXPERIMENT("3", "1")); /* the next of that number is another's */
    CHECK_INT(most("nobody", OBJECT_EXPERIMENT, 3), OBJECT_NONE);
    exec("DELETE FROM registered_model WHERE id = 3");
    exec(MODEL("3", "1"));
    CHECK_INT(most("nobody", OBJECT_MODEL, 3), OBJECT_NONE);
    CHECK_INT(most("nobody", OBJECT_MODEL, 2), OBJECT_READ);
    /* A user's number may be given out again as well. */
    int64_t id = count("SELECT id FROM principal WHERE name = 'both'");
    give("both", OBJECT_MODEL, 1, OBJECT_MANAGE);
    CHECK_INT(write_now(gone_op, (void *)"both"), 0);
    CHECK_INT(write_now(again_op, (void *)"both"), 0);
    CHECK_INT(count("SELECT id FROM principal WHERE name = 'both'"), id);
    CHECK_INT(most("both", OBJECT_MODEL, 1), OBJECT_NONE);
    CHECK_INT(most("both", OBJECT_MODEL, 2), OBJECT_NONE);
    CHECK_INT(count("SELECT count(*) FROM member"), 1);
    CHECK_INT(count("SELECT count(*) FROM permission"), 1);
    exec("DELETE FROM permission");
}

/* What a search shows and what a look at one thing allows are the same. */
static int filter_op(struct ctx *c, void *name) {
    static const char *const from[] = {
        "SELECT e.id FROM experiment e WHERE e.project_id = ?",
        "SELECT e.id FROM registered_model e WHERE e.project_id = ?"};
    int rc = become(c, name);
    for (int kind = 0; rc == 0 && kind < 2; kind++) {
        struct sql q;
        unsigned shown = 0, allowed = 0; /* a bit per id */
        sql_begin(c, &q);
        sql_add(c, &q, from[kind], "i", c->project);
        c->asked = false;
        rc = access_object_filter(c, kind ? OBJECT_MODEL : OBJECT_EXPERIMENT, "e.id", &q);
        CHECK(c->asked);
        sql_add(c, &q, " ORDER BY e.id", "");
        struct stmt *st = rc == 0 ? sql_query(c, &q) : NULL;
        while (rc == 0 && (rc = stmt_next(st)) > 0) {
            shown |= 1u << stmt_i64(st, 0);
            rc = 0;
        }
        for (int64_t id = 0; rc == 0 && id < 4; id++) {
            bool yes = false;
            rc = access_object_allows(c, kind ? OBJECT_MODEL : OBJECT_EXPERIMENT, id, OBJECT_READ,
                                      &yes);
            if (yes && (kind == 0 || id > 0))
                allowed |= 1u << id;
        }
        CHECK_INT(shown, allowed);
    }
    return rc < 0 ? rc : 0;
}

static void searches_show_what_may_be_read(void) {
    static const char *const settings[] = {"READ", "NO_PERMISSIONS"};
    static const enum object_need levels[] = {OBJECT_NONE, OBJECT_READ, OBJECT_USE, OBJECT_MANAGE};
    for (size_t s = 0; s < ARRAY_LEN(settings); s++) {
        reopen(settings[s]);
        for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
            CHECK_INT(read_now(filter_op, (void *)callers[i]), 0);
            for (size_t k = 0; k < ARRAY_LEN(levels); k++) {
                give(callers[i], OBJECT_EXPERIMENT, (int64_t)(k + i) % 4, levels[k]);
                give(callers[i], OBJECT_MODEL, (int64_t)(k + i) % 3 + 1, levels[k]);
                CHECK_INT(read_now(filter_op, (void *)callers[i]), 0);
            }
        }
        exec("DELETE FROM permission");
    }
    reopen(NULL);
}

struct told {
    const char *name;
    enum object_need have;
    bool unchanged;
};

static int told_op(struct ctx *c, void *arg) {
    struct told *t = arg;
    struct principal_row row;
    int rc = become(c, "reader");
    if (rc == 0)
        rc = principal_find(c, t->name, &row);
    if (rc == 0)
        rc = permission_of(c, &row, OBJECT_EXPERIMENT, 1, &t->have);
    t->unchanged = strcmp(c->who.name, "reader") == 0 && c->who.level == PERM_READ &&
                   !c->who.member && !c->who.grants;
    return rc;
}

static void others_are_told_what_holds_for_them(void) {
    give("nobody", OBJECT_EXPERIMENT, 1, OBJECT_EDIT);
    give("writer", OBJECT_EXPERIMENT, 1, OBJECT_NONE);
    give("admin", OBJECT_EXPERIMENT, 1, OBJECT_NONE);
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        struct told t = {.name = callers[i]};
        CHECK_INT(read_now(told_op, &t), 0);
        CHECK_INT(t.have, most(callers[i], OBJECT_EXPERIMENT, 1));
        CHECK(t.unchanged);
    }
    exec("DELETE FROM permission");
}

int main(void) {
    struct buf error = {0};
    struct dir *tmp;
    if (!mkdtemp(root) || dir_open(root, false, &dir) != 0)
        return 1;
    struct db_options o = {
        .dir = dir, .queue = 64, .batch = 16, .wal_soft = 4 << 20, .wal_hard = 64 << 20};
    if (db_open(&o, &db, &error) != 0) {
        printf("%s\n", error.data);
        return 1;
    }
    CHECK_INT(write_now(people_op, NULL), 0);
    exec("INSERT INTO project (id, name, created_ms) VALUES (2, 'other', 1)");
    exec(EXPERIMENT("1", "1"));
    exec(EXPERIMENT("2", "1"));
    exec(EXPERIMENT("9", "2"));
    exec(MODEL("1", "1"));
    exec(MODEL("2", "1"));
    exec(MODEL("9", "2"));
    RUN(words);
    RUN(roles_alone);
    RUN(the_default_of_members);
    RUN(grants_hold_before_roles);
    RUN(what_is_unknown_is_closed);
    RUN(makers_manage);
    RUN(grants_go_with_their_ends);
    RUN(searches_show_what_may_be_read);
    RUN(others_are_told_what_holds_for_them);
    access_stop(access_);
    db_thread_end(db);
    db_close(db);
    dir_close(dir);
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, root + 5);
        dir_close(tmp);
    }
    return CHECK_END();
}
