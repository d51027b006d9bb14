/* SPDX-License-Identifier: Apache-2.0 */
/* Names: links, listings, folders, projects. */
#include "house.h"

static struct house h;
static char sha[65];

static int do_link(struct ctx *c, void *arg) {
    return artifact_link(c, arg, sha, 3);
}
static int put(const char *path) {
    char copy[1100];
    snprintf(copy, sizeof copy, "%s", path);
    return house_write(&h, do_link, copy);
}
static int link_elsewhere(struct ctx *c, void *arg) {
    if (db_exec(c, "INSERT OR IGNORE INTO project (id, name, created_ms) VALUES (2, 'two', 0)",
                "") != 0)
        return -1;
    c->project = 2;
    return artifact_link(c, arg, sha, 3);
}
static int unlink_op(struct ctx *c, void *arg) {
    return artifact_unlink_tree(c, arg);
}

static char listing[2000];
static void note(const struct artifact_entries *e) {
    listing[0] = '\0';
    for (size_t i = 0; i < e->n; i++) {
        size_t n = strlen(listing);
        snprintf(listing + n, sizeof listing - n, "%s%s%s", i ? "," : "", e->items[i].path,
                 e->items[i].is_dir ? "/" : "");
    }
}
static int list_op(struct ctx *c, void *arg) {
    struct artifact_entries e;
    int rc = artifact_list(c, arg, &e);
    if (rc == 0)
        note(&e);
    return rc;
}
static int tree_op(struct ctx *c, void *arg) {
    struct artifact_entries e;
    int rc = artifact_list_tree(c, arg, &e);
    if (rc == 0)
        note(&e);
    return rc;
}
static const char *list(const char *dir) {
    char copy[300];
    snprintf(copy, sizeof copy, "%s", dir);
    CHECK_INT(house_read(&h, list_op, copy), 0);
    return listing;
}

static void listings(void) {
    static const char *const paths[] = {"1/r/artifacts/model/MLmodel",
                                        "1/r/artifacts/model/data/model.pkl",
                                        "1/r/artifacts/model.txt",
                                        "1/r/artifacts/model-x",
                                        "1/r/artifacts/a",
                                        "1/r/artifacts/\xc3\xa9/x y%.txt",
                                        "1/r/artifacts/\xf0\x9f\x8c\xb2",
                                        "2/x",
                                        "\xc3\xa9",
                                        "zz"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        CHECK_INT(put(paths[i]), 0);
    CHECK_STR(list("1/r/artifacts"), "a,model/,model-x,model.txt,\xc3\xa9/,\xf0\x9f\x8c\xb2");
    CHECK_STR(list("1/r/artifacts/model"), "MLmodel,data/");
    CHECK_STR(list("1/r/artifacts/\xc3\xa9"), "x y%.txt");
    CHECK_STR(list(""), "1/,2/,zz,\xc3\xa9");
    CHECK_STR(list("1"), "r/");
    /* A file, a missing folder and half a name give nothing. */
    CHECK_STR(list("1/r/artifacts/a"), "");
    CHECK_STR(list("nowhere"), "");
    CHECK_STR(list("1/r/artifacts/mod"), "");
    CHECK_INT(house_read(&h, list_op, "../x"), -ERR_INVALID);
    CHECK_INT(house_read(&h, tree_op, "1/r/artifacts/model"), 0);
    CHECK_STR(listing, "1/r/artifacts/model/MLmodel,1/r/artifacts/model/data/model.pkl");
}

static struct artifact_entry entry;
static int stat_op(struct ctx *c, void *arg) {
    return artifact_stat(c, arg, &entry);
}

static void files_and_folders(void) {
    CHECK_INT(put("2/x/y"), -ERR_INVALID);
    CHECK_HAS(said, "'2/x' is a file");
    CHECK_INT(put("1/r/artifacts/model"), -ERR_INVALID);
    CHECK_HAS(said, "is a folder");
    CHECK_INT(put("2/x"), 0); /* again: replaced */
    CHECK_INT(house_read(&h, stat_op, "2/x"), 0);
    CHECK(!entry.is_dir);
    CHECK_INT(entry.size, 3);
    CHECK_STR(entry.sha256, sha);
    CHECK_INT(house_read(&h, stat_op, "1/r"), 0);
    CHECK(entry.is_dir);
    CHECK_INT(house_read(&h, stat_op, "1/q"), -ERR_NOT_FOUND);
    CHECK_STR(said, "No such artifact: '1/q'");
}

static void projects_are_apart(void) {
    CHECK_INT(house_write(&h, link_elsewhere, "only/two"), 0);
    CHECK_STR(list("only"), "");
    CHECK_INT(house_read(&h, stat_op, "only/two"), -ERR_NOT_FOUND);
}

static void deletion(void) {
    CHECK_INT(house_write(&h, unlink_op, "1/r/artifacts/model"), 0);
    CHECK_STR(list("1/r/artifacts"), "a,model-x,model.txt,\xc3\xa9/,\xf0\x9f\x8c\xb2");
    CHECK_INT(house_write(&h, unlink_op, "1/r/artifacts/model"), 0);
    CHECK_INT(house_write(&h, unlink_op, "1/r/artifacts/a"), 0);
    CHECK_INT(house_write(&h, unlink_op, ""), -ERR_INVALID);
    CHECK_INT(house_write(&h, unlink_op, ".."), -ERR_INVALID);
    CHECK_INT(house_write(&h, unlink_op, "1"), 0);
    CHECK_STR(list(""), "2/,zz,\xc3\xa9");
}

int main(void) {
    struct ctx c;
    house_open(&h, 0);
    ctx_begin(&c);
    CHECK_INT(blob_put(&c, "abc", 3, sha), 0);
    ctx_end(&c);
    RUN(listings);
    RUN(files_and_folders);
    RUN(projects_are_apart);
    RUN(deletion);
    house_end(&h);
    return CHECK_END();
}
