/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "blob.h"
#include "house.h"
#include "quern/base/str.h"
#include "quern/crypto/crypto.h"
#include "upload.h"

#define PATH "1/r/artifacts/x.bin"

static struct house h;

static void begin(int64_t parts, struct upload_row *u, struct ctx *c) {
    ctx_begin(c);
    CHECK_INT(upload_create(c, PATH, parts, u), 0);
}

/* length -1: as if it came chunked. */
static int part(const struct upload_row *u, int64_t number, const char *text, int64_t length) {
    struct ctx c;
    struct part_writer *w = NULL;
    char sha[65], want[65];
    ctx_begin(&c);
    int rc = part_begin(&c, u, number, length, &w);
    if (rc == 0 && (rc = part_add(&c, w, text, strlen(text))) != 0)
        part_abort(w);
    else if (rc == 0 && (rc = part_end(&c, w, sha)) == 0) {
        sha256_hex(text, strlen(text), want);
        CHECK_STR(sha, want);
    }
    ctx_end(&c);
    return rc;
}
static int put(const struct upload_row *u, int64_t number, const char *text) {
    return part(u, number, text, (int64_t)strlen(text));
}

static int finish(const struct upload_row *u, int64_t n) {
    struct ctx c;
    struct upload_part named[16] = {{0}};
    ctx_begin(&c);
    for (int64_t i = 0; i < n; i++)
        named[i] = (struct upload_part){.number = n - i, .sha256 = ""};
    int rc = upload_complete(&c, u->id, PATH, named, (size_t)n);
    ctx_end(&c);
    return rc;
}

static void holds(const char *want) {
    struct ctx c;
    struct artifact_entry e;
    char *data = NULL, sha[65];
    size_t n = 0;
    ctx_begin(&c);
    CHECK_INT(db_read_begin(h.db, &c), 0);
    CHECK_INT(artifact_stat(&c, PATH, &e), 0);
    db_read_end(&c);
    sha256_hex(want, strlen(want), sha);
    CHECK_STR(e.sha256, sha);
    CHECK_INT(e.size, (int64_t)strlen(want));
    CHECK_INT(blob_read(&c, sha, 1 << 20, &data, &n), 0);
    CHECK_STR(data, want);
    ctx_end(&c);
}

static size_t folders(void) {
    struct arena *a = arena_new();
    char **names = NULL;
    size_t n = 0;
    CHECK_INT(dir_list(h.dir, "uploads", a, &names, &n), 0);
    arena_free(a);
    return n;
}

static bool file_there(const struct upload_row *u, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "uploads/%s/%s", u->id, name);
    return dir_exists(h.dir, path);
}

static void in_place(void) {
    struct upload_row u;
    struct ctx c;
    begin(3, &u, &c);
    CHECK_INT(put(&u, 2, "bbbb"), 0);
    CHECK_INT(put(&u, 3, "cc"), 0);
    CHECK_INT(put(&u, 1, "aaaa"), 0);
    CHECK(file_there(&u, "data"));
    CHECK_INT(finish(&u, 2), -ERR_INVALID); /* the third is not named */
    CHECK_INT(finish(&u, 3), 0);
    holds("aaaabbbbcc");
    CHECK_INT(finish(&u, 3), 0);
    CHECK_INT(put(&u, 1, "zzzz"), -ERR_NOT_FOUND);
    holds("aaaabbbbcc");
    CHECK_INT(folders(), 0);
    ctx_end(&c);
}

/* The last one before any other, parts of unknown length, a shorter one in between, an empty end.
 */
static void strays(void) {
    static const struct {
        const char *texts[4];
        int order[4];
        bool chunked;
        const char *whole;
    } table[] = {
        {{"aaaa", "bbbb", "cccc", "d"}, {4, 3, 2, 1}, false, "aaaabbbbccccd"},
        {{"aaaa", "bbbb", "cccc", "d"}, {1, 2, 3, 4}, true, "aaaabbbbccccd"},
        {{"aaaa", "b", "cccc", "d"}, {1, 2, 3, 4}, false, "aaaabccccd"},
        {{"a", "bbbb", "cc", "dddddd"}, {3, 1, 4, 2}, false, "abbbbccdddddd"},
        {{"aaaa", "bbbb", "cccc", ""}, {1, 2, 3, 4}, false, "aaaabbbbcccc"},
        {{"", "", "", ""}, {1, 2, 3, 4}, false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct upload_row u;
        struct ctx c;
        begin(4, &u, &c);
        for (int k = 0; k < 4; k++) {
            const char *text = table[i].texts[table[i].order[k] - 1];
            CHECK_INT(
                part(&u, table[i].order[k], text, table[i].chunked ? -1 : (int64_t)strlen(text)),
                0);
        }
        CHECK_INT(finish(&u, 4), 0);
        holds(table[i].whole);
        CHECK_INT(folders(), 0);
        ctx_end(&c);
    }
}

static void again(void) {
    struct upload_row u;
    struct ctx c;
    struct part_writer *w = NULL;
    begin(2, &u, &c);
    /* A part that breaks off gives its place back. */
    CHECK_INT(part_begin(&c, &u, 1, 4, &w), 0);
    CHECK_INT(part_add(&c, w, "xx", 2), 0);
    part_abort(w);
    CHECK_INT(put(&u, 1, "aaaa"), 0);
    CHECK_INT(put(&u, 1, "AAAA"), 0); /* acknowledged bytes stay; the new ones lie beside them */
    CHECK_INT(put(&u, 1, "Aaaa"), 0);
    CHECK_INT(put(&u, 2, "b"), 0);
    /* More than was announced is refused. */
    CHECK_INT(part_begin(&c, &u, 2, 1, &w), 0);
    CHECK_INT(part_add(&c, w, "bb", 2), 0); /* beside: its length does not matter */
    part_abort(w);
    CHECK_INT(finish(&u, 2), 0);
    holds("Aaaab");
    CHECK_INT(folders(), 0);
    ctx_end(&c);
}

/* A completion that was cut off after the file had become a blob: what is sent again must not get
 * into the blob. */
static void cut_off(void) {
    struct upload_row u;
    struct ctx c;
    char from[160], to[160], sha[65], blob[300], name[BLOB_NAME_SIZE];
    begin(2, &u, &c);
    CHECK_INT(put(&u, 1, "1111"), 0);
    CHECK_INT(put(&u, 2, "2222"), 0);
    snprintf(from, sizeof from, "%s/uploads/%s/data", h.path, u.id);
    snprintf(to, sizeof to, "%s/uploads/%s/whole", h.path, u.id);
    CHECK_INT(rename(from, to), 0);
    sha256_hex("11112222", 8, sha);
    blob_name(sha, name);
    snprintf(blob, sizeof blob, "%s/blobs/%.2s", h.path, name);
    mkdir(blob, 0700);
    snprintf(blob, sizeof blob, "%s/blobs/%s", h.path, name);
    CHECK_INT(link(to, blob), 0);
    CHECK_INT(put(&u, 1, "9999"), 0);
    CHECK(!file_there(&u, "data"));
    CHECK_INT(blob_verify(&c, sha), 0);
    CHECK_INT(finish(&u, 2), 0);
    holds("99992222");
    CHECK_INT(blob_verify(&c, sha), 0);
    ctx_end(&c);
}

static void ends(void) {
    struct upload_row u;
    struct ctx c;
    int64_t gone = 0;
    begin(2, &u, &c);
    CHECK_INT(put(&u, 1, "1111"), 0);
    CHECK_INT(upload_abort(&c, u.id, "1/r/artifacts/other"), 0);
    CHECK_INT(folders(), 1);
    CHECK_INT(upload_abort(&c, u.id, PATH), 0);
    CHECK_INT(folders(), 0);
    CHECK_INT(put(&u, 2, "2222"), -ERR_NOT_FOUND);
    CHECK_INT(finish(&u, 2), -ERR_NOT_FOUND);
    artifact_upload_keep(-1000);
    ctx_end(&c);
    begin(2, &u, &c);
    CHECK_INT(put(&u, 1, "1111"), 0);
    CHECK_INT(folders(), 1);
    CHECK_INT(dir_mkdirs(h.dir, "uploads/orphan"), 0);
    CHECK_INT(artifact_uploads_sweep(&c, &gone), 0);
    CHECK_INT(folders(), 0);
    CHECK(gone > 0);
    artifact_upload_keep(1000000);
    ctx_end(&c);
}

static void limits(void) {
    struct upload_row u;
    struct ctx c;
    struct part_writer *w = NULL;
    ctx_begin(&c);
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(upload_create(&c, PATH, (int64_t[]){0, -1, 10001}[i], &u), -ERR_INVALID);
        CHECK_STR(c.err.field, "num_parts");
        err_clear(&c);
    }
    CHECK_INT(upload_create(&c, "1/../x", 1, &u), -ERR_INVALID);
    err_clear(&c);
    CHECK_INT(upload_create(&c, PATH, 10000, &u), 0);
    CHECK_INT(part_begin(&c, &u, 1, HOUSE_UPLOAD_CAP + 1, &w), -ERR_TOO_LARGE);
    err_clear(&c);
    CHECK_INT(put(&u, 10000, "x"), 0);
    CHECK_INT(upload_abort(&c, u.id, PATH), 0);
    ctx_end(&c);
}

/* What an upload may hold: a part that comes again takes the room that it had, and parts that are
 * just coming take theirs already. */
static void room(void) {
    const size_t n = (size_t)24 << 20;
    struct upload_row u;
    struct ctx c;
    struct part_writer *w = NULL, *v = NULL;
    char *text = mem_alloc(n + 1);
    memset(text, 'x', n);
    begin(3, &u, &c);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(part_begin(&c, &u, 3, 1, &w), 0); /* held, so that nobody counts anew */
        CHECK_INT(put(&u, 1, text), 0);
        CHECK_INT(put(&u, 2, text), 0);
        part_abort(w);
    }
    CHECK_INT(part_begin(&c, &u, 3, (int64_t)HOUSE_UPLOAD_CAP - 2 * (int64_t)n, &w), 0);
    CHECK_INT(part_begin(&c, &u, 3, 1, &v), -ERR_TOO_LARGE);
    err_clear(&c);
    part_abort(w);
    CHECK_INT(part_begin(&c, &u, 3, -1, &w), 0);
    CHECK_INT(part_begin(&c, &u, 3, -1, &v), 0);
    CHECK_INT(part_add(&c, w, text, n / 2), 0);
    CHECK_INT(part_add(&c, v, text, n / 2), -ERR_TOO_LARGE);
    err_clear(&c);
    part_abort(w);
    CHECK_INT(part_add(&c, v, text, n / 2), 0);
    part_abort(v);
    CHECK_INT(upload_abort(&c, u.id, PATH), 0);
    free(text);
    ctx_end(&c);
}

int main(void) {
    house_open(&h, 0);
    RUN(in_place);
    RUN(strays);
    RUN(again);
    RUN(cut_off);
    RUN(ends);
    RUN(limits);
    RUN(room);
    house_end(&h);
    return CHECK_END();
}
