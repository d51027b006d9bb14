/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "house.h"
#include "quern/artifact/place.h"

static void local_paths(void) {
    static const struct {
        const char *uri, *path;
    } table[] = {
        {"file:///a/b", "/a/b"},
        {"file:/a/b", "/a/b"},
        {"FILE:///a/b", "/a/b"},
        {"file://localhost/a", "/a"},
        {"/a//b/./c/", "/a/b/c"},
        {"file:///a%20b/%41", "/a b/A"},
        {"/a%20b", "/a%20b"},
        {"file:////a", "/a"},
        {"/", "/"},
        {"file:///", "/"},
        {"/a?b#c", "/a?b#c"},
        {"file://host/a", NULL},
        {"file:a/b", NULL},
        {"file:///a/../b", NULL},
        {"file:///a/%2e%2e/b", NULL},
        {"/a/..", NULL},
        {"file:///a%00b", NULL},
        {"file:///a%zz", NULL},
        {"file:///a?b", NULL},
        {"file:///a#b", NULL},
        {"a/b", NULL},
        {"", NULL},
        {"s3://bucket/a", NULL},
        {"mlflow-artifacts:/1", NULL},
        {"files:///a", NULL},
    };
    struct ctx c;
    ctx_begin(&c);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        CHECK_STR(artifact_local_path(&c, table[i].uri), table[i].path);
    CHECK_STR(artifact_local_path(&c, NULL), NULL);
    ctx_end(&c);
}

static void roots(void) {
    static const struct {
        const char *uri, *location; /* NULL: refused */
    } table[] = {
        {"", "mlflow-artifacts:/7"},
        {"mlflow-artifacts:/", "mlflow-artifacts:/7"},
        {"mlflow-artifacts:/top", "mlflow-artifacts:/top/7"},
        {"file:///srv/x", "file:///srv/x/7"},
        {"file:///srv/x//", "file:///srv/x/7"},
        {"/srv/x", "/srv/x/7"},
        {"s3://bucket", "s3://bucket/7"},
        {"wasbs://a@b.c/d/", "wasbs://a@b.c/d/7"},
        {"/", NULL},
        {"file:///", NULL},
        {"file:///srv/..", NULL},
        {"srv", NULL},
        {"./srv", NULL},
        {"file://host/srv", NULL},
        {"/data/x", NULL},
        {"/data", NULL},
        {"s3://bucket?x=1", NULL},
        {"C:/x", NULL},
    };
    struct ctx c;
    ctx_begin(&c);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct buf error = {0};
        int rc = artifact_root_open(table[i].uri, "/data", &error);
        CHECK_INT(rc, table[i].location ? 0 : -1);
        CHECK_INT(error.len > 0, !table[i].location);
        if (rc == 0)
            CHECK_STR(artifact_root_location(&c, 7), table[i].location);
        buf_free(&error);
    }
    artifact_root_close();
    ctx_end(&c);
}

/* Only what the experiment's own folder holds. */
static void places(void) {
    static const struct {
        const char *uri, *path;
        bool in_folder;
    } table[] = {
        {"mlflow-artifacts:/9/r/artifacts", "9/r/artifacts", false},
        {"file:///srv/x/7/r/artifacts", "7/r/artifacts", true},
        {"/srv/x/7/r", "7/r", true},
        {"file:///srv/x/7", "7", true},
        {"file:///srv//x/./7/r", "7/r", true},
        {"file:///srv/x/70/r", NULL, false},
        {"file:///srv/x/8/r", NULL, false},
        {"file:///srv/x", NULL, false},
        {"file:///srv/x/7/../8/r", NULL, false},
        {"file:///srv/x/7/%2e%2e/8", NULL, false},
        {"file:///srv/x/7/%252e%252e/8", NULL, false},
        {"file:///etc", NULL, false},
        {"file:///", NULL, false},
        {"s3://bucket/7", NULL, false},
        {"7/r", NULL, false},
    };
    static const struct {
        const char *path, *want;
    } below[] = {
        {"", "7/r"},          {"a/b", "7/r/a/b"}, {"a/", "7/r/a"},  {NULL, "7/r"},
        {"..", NULL},         {"a/../b", NULL},   {"%2e%2e", NULL}, {"a%2f..%2f..", NULL},
        {"/a", NULL},         {"a#b", NULL},      {"a\\b", NULL},   {"C:/x", NULL},
        {"%252e%252e", NULL}, {"a//b", NULL},     {"./a", NULL},    {"100%", "7/r/100%"},
        {"a b", "7/r/a b"},
    };
    struct buf error = {0};
    struct ctx c;
    struct artifact_place p, q;
    ctx_begin(&c);
    CHECK_INT(artifact_root_open("file:///srv/x", "/data", &error), 0);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CHECK_INT(artifact_place(&c, 7, table[i].uri, &p), table[i].path ? 0 : -ERR_INVALID);
        CHECK_STR(p.path, table[i].path);
        if (table[i].path)
            CHECK_INT(p.in_folder, table[i].in_folder);
        err_clear(&c);
    }
    p = (struct artifact_place){.path = "7/r", .in_folder = true};
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        int rc = artifact_place_below(&c, &p, below[i].path, &q);
        CHECK_INT(rc, below[i].want ? 0 : -ERR_INVALID);
        if (rc == 0)
            CHECK_STR(q.path, below[i].want);
        err_clear(&c);
    }
    /* Without a folder as root no file: URI has a place. */
    CHECK_INT(artifact_root_open("", "/data", &error), 0);
    CHECK_INT(artifact_place(&c, 7, "file:///srv/x/7/r", &p), -ERR_INVALID);
    CHECK_HAS(c.err.message, "file:///srv/x/7/r");
    artifact_root_close();
    buf_free(&error);
    ctx_end(&c);
}

int main(void) {
    RUN(local_paths);
    RUN(roots);
    RUN(places);
    return CHECK_END();
}
