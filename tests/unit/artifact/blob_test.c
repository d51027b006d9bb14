/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <utime.h>

#include "artifact_store.h"
#include "blob.h"
#include "house.h"
#include "pin.h"
#include "quern/base/log.h"
#include "quern/crypto/crypto.h"

static size_t files_in(struct house *h, const char *name) {
    struct arena *a = arena_new();
    char **names = NULL, **inner = NULL;
    size_t n = 0, m = 0, count = 0;
    if (dir_list(h->dir, name, a, &names, &n) == 0)
        for (size_t i = 0; i < n; i++) {
            const char *sub = arena_printf(a, "%s/%s", name, names[i]);
            count += dir_list(h->dir, sub, a, &inner, &m) == 0 ? m : 1;
        }
    arena_free(a);
    return count;
}

static int put(const char *text, char sha[65]) {
    struct ctx c;
    ctx_begin(&c);
    int rc = blob_put(&c, text, strlen(text), sha);
    ctx_end(&c);
    return rc;
}

static void make_old(struct house *h, const char *sha) {
    char path[256], name[BLOB_NAME_SIZE];
    struct utimbuf then = {1000, 1000};
    blob_name(sha, name);
    snprintf(path, sizeof path, "%s/blobs/%s", h->path, name);
    CHECK_INT(utime(path, &then), 0);
}

struct link {
    const char *path, *sha;
    int64_t size;
};
static int do_link(struct ctx *c, void *arg) {
    const struct link *l = arg;
    return artifact_link(c, l->path, l->sha, l->size);
}
static int do_unlink(struct ctx *c, void *arg) {
    return artifact_unlink_tree(c, arg);
}
static int link_now(struct house *h, const char *path, const char *sha, int64_t size) {
    return house_write(h, do_link, &(struct link){path, sha, size});
}

static void round_trip(void) {
    struct house h = {0};
    char sha[65], again[65], want[65], *data;
    size_t n;
    struct ctx c;
    house_open(&h, 0);
    sha256_hex("hello", 5, want);
    CHECK_INT(put("hello", sha), 0);
    CHECK_STR(sha, want);
    CHECK_INT(put("hello", again), 0);
    CHECK_STR(again, want);
    CHECK_INT(files_in(&h, "blobs"), 1);
    CHECK_INT(files_in(&h, "tmp"), 0);
    ctx_begin(&c);
    CHECK_INT(blob_read(&c, sha, 100, &data, &n), 0);
    CHECK_INT(n, 5);
    CHECK_STR(data, "hello");
    CHECK_INT(blob_verify(&c, sha), 0);
    CHECK_INT(blob_read(&c, sha, 4, &data, &n), -ERR_TOO_LARGE);
    err_clear(&c);
    CHECK_INT(blob_verify(&c, "nonsense"), -ERR_INVALID);
    err_clear(&c);
    memset(again, 'a', 64);
    CHECK_INT(blob_verify(&c, again), -ERR_NOT_FOUND);
    ctx_end(&c);
    CHECK_INT(put("", sha), 0);
    CHECK_STR(sha, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct stat st;
    char path[256], name[BLOB_NAME_SIZE];
    blob_name(sha, name);
    snprintf(path, sizeof path, "%s/blobs/%s", h.path, name);
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    house_end(&h);
}

static void too_large(void) {
    struct house h = {0};
    struct blob_writer *w;
    struct ctx c;
    house_open(&h, 0);
    blob_store.upload_cap = 10;
    ctx_begin(&c);
    CHECK_INT(blob_begin(&c, &w), 0);
    CHECK_INT(blob_add(&c, w, "0123456789", 10), 0);
    CHECK_INT(blob_add(&c, w, "x", 1), -ERR_TOO_LARGE);
    blob_abort(w);
    ctx_end(&c);
    CHECK_INT(files_in(&h, "blobs"), 0);
    CHECK_INT(files_in(&h, "tmp"), 0);
    house_end(&h);
}

/* A process that dies in the middle of an upload leaves nothing under a blob's name, and what it
 * left in tmp goes when the store is opened again. */
static void crash_leftovers(void) {
    for (int named = 0; named < 2; named++) {
        struct house h = {0};
        house_open(&h, 0);
        house_shut(&h);
        fflush(stdout); /* or the child may print it again */
        pid_t child = fork();
        if (child == 0) {
            struct blob_writer *w;
            struct ctx c;
            house_open(&h, 0);
            blob_store.named_tmp = named;
            ctx_begin(&c);
            if (blob_begin(&c, &w) != 0 || blob_add(&c, w, "half of it", 10) != 0)
                _exit(1);
            _exit(files_in(&h, "tmp") == (size_t)named ? 0 : 2);
        }
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), 0);
        house_open(&h, 0);
        CHECK_INT(files_in(&h, "blobs"), 0);
        CHECK_INT(files_in(&h, "tmp"), 0);
        house_end(&h);
    }
}

static void named_temporary_files(void) {
    struct house h = {0};
    char sha[65];
    house_open(&h, 0);
    blob_store.named_tmp = true;
    CHECK_INT(put("by name", sha), 0);
    CHECK_INT(put("by name", sha), 0);
    CHECK_INT(files_in(&h, "blobs"), 1);
    CHECK_INT(files_in(&h, "tmp"), 0);
    house_end(&h);
}

static void damage(struct house *h, const char *sha, const char *content) {
    char path[256], name[BLOB_NAME_SIZE];
    blob_name(sha, name);
    snprintf(path, sizeof path, "%s/blobs/%s", h->path, name);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, content, strlen(content)), (long long)strlen(content));
    close(fd);
}

static int do_send(struct ctx *c, void *arg) {
    return artifact_send(c, arg);
}
static struct artifact_report report;
static struct buf report_text;
static int do_check(struct ctx *c, void *arg) {
    (void)arg;
    buf_clear(&report_text);
    return artifact_check_all(c, &report, &report_text);
}

static void damaged_content(void) {
    struct house h = {0};
    char sha[65], other[65], *data;
    size_t n;
    struct ctx c;
    house_open(&h, 0);
    CHECK_INT(put("precious", sha), 0);
    CHECK_INT(link_now(&h, "a/precious", sha, 8), 0);
    CHECK_INT(put("lost", other), 0);
    CHECK_INT(link_now(&h, "a/lost", other, 4), 0);
    CHECK_INT(house_read(&h, do_check, NULL), 0);
    CHECK_INT(report.blobs, 2);
    CHECK_INT(report.bytes, 12);
    CHECK_INT(report.damaged + report.missing + report.unreferenced, 0);
    CHECK_INT(house_read(&h, do_send, "a/precious"), 0);

    damage(&h, sha, "PRECIOUS");
    ctx_begin(&c);
    CHECK_INT(blob_read(&c, sha, 100, &data, &n), -ERR_INTERNAL);
    err_clear(&c);
    CHECK_INT(blob_verify(&c, sha), -ERR_INTERNAL);
    ctx_end(&c);
    CHECK_INT(house_read(&h, do_send, "a/precious"), -ERR_INTERNAL);
    CHECK_INT(house_read(&h, do_check, NULL), 0);
    CHECK_INT(report.damaged, 1);
    CHECK_HAS(report_text.data, sha);

    /* The next upload of the same content mends it. */
    CHECK_INT(put("precious", sha), 0);
    CHECK_INT(house_read(&h, do_check, NULL), 0);
    CHECK_INT(report.damaged, 0);
    CHECK_INT(house_read(&h, do_send, "a/precious"), 0);
    damage(&h, sha, "short");
    CHECK_INT(put("precious", sha), 0);
    CHECK_INT(house_read(&h, do_check, NULL), 0);
    CHECK_INT(report.damaged, 0);

    char trash[64];
    CHECK_INT(blob_discard(other, trash), 0);
    CHECK_INT(house_read(&h, do_check, NULL), 0);
    CHECK_INT(report.missing, 1);
    CHECK_HAS(report_text.data, other);
    CHECK_INT(house_read(&h, do_send, "a/lost"), -ERR_NOT_FOUND);
    buf_free(&report_text);
    house_end(&h);
}

#define UPLOADERS 8
static struct house *shared;
static atomic_int upload_failures;
static void *upload_same(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        struct ctx c;
        struct blob_writer *w;
        char sha[65], chunk[4096];
        ctx_begin(&c);
        memset(chunk, 'a' + i, sizeof chunk);
        bool ok = blob_begin(&c, &w) == 0;
        for (int k = 0; ok && k < 16; k++)
            ok = blob_add(&c, w, chunk, sizeof chunk) == 0;
        ok = ok && blob_end(&c, w, sha, NULL) == 0 && blob_verify(&c, sha) == 0;
        if (ok)
            blob_unpin(sha);
        if (!ok)
            upload_failures++;
        ctx_end(&c);
    }
    return NULL;
}

static void same_content_at_once(void) {
    struct house h = {0};
    pthread_t threads[UPLOADERS];
    house_open(&h, 0);
    shared = &h;
    upload_failures = 0;
    for (int i = 0; i < UPLOADERS; i++)
        pthread_create(&threads[i], NULL, upload_same, NULL);
    for (int i = 0; i < UPLOADERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(upload_failures, 0);
    CHECK_INT(files_in(&h, "blobs"), 20);
    CHECK_INT(files_in(&h, "tmp"), 0);
    house_end(&h);
}

static int collect(int64_t *blobs, int64_t *bytes) {
    struct ctx c;
    ctx_begin(&c);
    int rc = artifact_gc(&c, blobs, bytes);
    ctx_end(&c);
    return rc;
}

static int do_ref(struct ctx *c, void *arg) {
    return blob_ref_add(c, "endpoint:e", arg);
}
static int do_unref(struct ctx *c, void *arg) {
    (void)arg;
    return blob_ref_drop(c, "endpoint:e");
}

static void collection(void) {
    struct house h = {0};
    char pinned[65], named[65], kept[65], young[65], orphan[65];
    int64_t blobs, bytes;
    house_open(&h, 3600 * 1000);
    CHECK_INT(put("pinned", pinned), 0);
    CHECK_INT(put("named", named), 0);
    CHECK_INT(link_now(&h, "x/named", named, 5), 0);
    CHECK_INT(put("kept by a reference", kept), 0);
    CHECK_INT(house_write(&h, do_ref, kept), 0);
    blob_unpin(kept);
    CHECK_INT(put("young", young), 0);
    blob_unpin(young);
    CHECK_INT(put("orphan", orphan), 0);
    blob_unpin(orphan);
    make_old(&h, pinned);
    make_old(&h, named);
    make_old(&h, kept);
    make_old(&h, orphan);
    CHECK_INT(collect(&blobs, &bytes), 0);
    CHECK_INT(blobs, 1);
    CHECK_INT(bytes, 6);
    CHECK(!blob_exists(orphan));
    CHECK(blob_exists(pinned) && blob_exists(named) && blob_exists(kept) && blob_exists(young));
    CHECK_INT(files_in(&h, "tmp"), 0);

    /* A second upload of old content makes it young again. */
    CHECK_INT(put("pinned", pinned), 0);
    blob_unpin(pinned);
    blob_unpin(pinned);
    CHECK_INT(collect(&blobs, &bytes), 0);
    CHECK_INT(blobs, 0);
    make_old(&h, pinned);
    CHECK_INT(house_write(&h, do_unlink, "x"), 0);
    CHECK_INT(house_write(&h, do_unref, NULL), 0);
    CHECK_INT(collect(&blobs, &bytes), 0);
    CHECK_INT(blobs, 3);
    CHECK(!blob_exists(named) && !blob_exists(kept) && !blob_exists(pinned));
    CHECK_INT(link_now(&h, "x/named", named, 5), -ERR_NOT_FOUND);
    house_end(&h);
}

/* The narrow place: doomed in a committed write, but not removed yet. */
static void doomed_and_spared(void) {
    struct house h = {0};
    char sha[65], trash[64];
    house_open(&h, 0);
    CHECK_INT(put("wanted again", sha), 0);
    CHECK(!pin_doom(sha));
    blob_unpin(sha);
    CHECK(pin_doom(sha));
    CHECK_INT(put("wanted again", sha), 0); /* pins and spares */
    CHECK_INT(pin_execute(sha, trash), 0);
    CHECK(blob_exists(sha));
    blob_unpin(sha);
    CHECK(pin_doom(sha));
    CHECK_INT(link_now(&h, "w", sha, 12), 0); /* names and spares */
    CHECK_INT(pin_execute(sha, trash), 0);
    CHECK(blob_exists(sha));
    CHECK(pin_doom(sha));
    CHECK_INT(pin_execute(sha, trash), 1);
    CHECK(!blob_exists(sha));
    house_end(&h);
}

#define RACERS 4
static atomic_bool racing;
static atomic_int dangling, race_links;
static void *race_upload(void *arg) {
    const char *mine = arg;
    struct house *h = shared;
    for (int i = 0; i < 60; i++) {
        struct ctx c;
        char sha[65], path[64], text[32];
        /* All racers store the same few contents, so that the collection always has old ones. */
        snprintf(text, sizeof text, "content %d", i % 5);
        snprintf(path, sizeof path, "race/%s/%d", mine, i % 3);
        ctx_begin(&c);
        bool stored = blob_put(&c, text, strlen(text), sha) == 0;
        if (!stored ||
            db_write(h->db, &c, do_link, &(struct link){path, sha, (int64_t)strlen(text)}) != 0) {
            dangling++;
        } else {
            race_links++;
            err_clear(&c);
            if (blob_verify(&c, sha) != 0)
                dangling++;
        }
        if (i % 7 == 6)
            db_write(h->db, &c, do_unlink, arena_printf(c.arena, "race/%s", mine));
        ctx_end(&c);
    }
    return NULL;
}
static void *race_collect(void *arg) {
    (void)arg;
    int64_t *total = mem_alloc(sizeof(int64_t));
    while (racing) {
        int64_t blobs = 0, bytes = 0;
        if (collect(&blobs, &bytes) == 0)
            *total += blobs;
    }
    db_thread_end(shared->db);
    return total;
}

static int missing_links(struct ctx *c, void *arg) {
    struct artifact_entries all;
    int rc = artifact_list_tree(c, "", &all);
    for (size_t i = 0; rc == 0 && i < all.n; i++)
        if (!blob_exists(all.items[i].sha256))
            ++*(int *)arg;
    return rc;
}

/* With no grace at all: whatever is named at the end is there. */
static void collection_races_uploads(void) {
    struct house h = {0};
    pthread_t up[RACERS], gc;
    static char names[RACERS][2] = {"a", "b", "c", "d"};
    int missing = 0;
    void *total = NULL;
    house_open(&h, -1000); /* even files of this very second count as old */
    shared = &h;
    racing = true;
    dangling = race_links = 0;
    pthread_create(&gc, NULL, race_collect, NULL);
    for (int i = 0; i < RACERS; i++)
        pthread_create(&up[i], NULL, race_upload, names[i]);
    for (int i = 0; i < RACERS; i++)
        pthread_join(up[i], NULL);
    racing = false;
    pthread_join(gc, &total);
    CHECK_INT(house_read(&h, missing_links, &missing), 0);
    CHECK_INT(missing, 0);
    CHECK_INT(race_links, RACERS * 60);
    printf("     %d links, %lld blobs collected meanwhile\n", race_links, *(long long *)total);
    free(total);
    house_end(&h);
}

int main(void) {
    log_init(LOG_ERROR + 1, LOG_PLAIN);
    RUN(round_trip);
    RUN(too_large);
    RUN(crash_leftovers);
    RUN(named_temporary_files);
    RUN(damaged_content);
    RUN(same_content_at_once);
    RUN(collection);
    RUN(doomed_and_spared);
    RUN(collection_races_uploads);
    return CHECK_END();
}
