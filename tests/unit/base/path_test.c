/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "path_open.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"

static char root[] = "/tmp/quern-path-XXXXXX";
static struct dir *d;
static struct arena *a;

static void names_that_are_refused(void) {
    static const char *const bad[] = {"",       "/",     "/etc/passwd", ".",  "..", "../x", "a/..",
                                      "a/../b", "a/./b", "a//b",        "a/", "/a", "..//", "./a"};
    struct dir *sub;
    char *data;
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_INT(dir_openat(d, bad[i], O_RDONLY, 0), -EINVAL);
        CHECK_INT(dir_mkdirs(d, bad[i]), -EINVAL);
        CHECK_INT(dir_unlink(d, bad[i]), -EINVAL);
        CHECK_INT(dir_remove_tree(d, bad[i]), -EINVAL);
        CHECK_INT(dir_rename(d, bad[i], "x"), -EINVAL);
        CHECK_INT(dir_read_file(d, bad[i], a, 10, &data, &n), -EINVAL);
        CHECK_INT(dir_open_sub(d, bad[i], true, &sub), -EINVAL);
        CHECK(!dir_exists(d, bad[i]));
    }
    /* Names that merely look odd are names. */
    CHECK_INT(dir_mkdirs(d, "..."), 0);
    CHECK_INT(dir_mkdirs(d, ".hidden"), 0);
    CHECK_INT(dir_remove_tree(d, "..."), 0);
    CHECK_INT(dir_remove_tree(d, ".hidden"), 0);
}

static void links_are_not_followed(void) {
    char *data;
    size_t n;
    char where[64];
    snprintf(where, sizeof where, "%s/out", root);
    CHECK_INT(symlink("/etc", where), 0);
    snprintf(where, sizeof where, "%s/passwd", root);
    CHECK_INT(symlink("/etc/passwd", where), 0);
    CHECK_INT(dir_read_file(d, "passwd", a, 1 << 20, &data, &n), -ELOOP);
    CHECK(dir_read_file(d, "out/passwd", a, 1 << 20, &data, &n) < 0);
    CHECK(dir_openat(d, "out/new", O_CREAT | O_WRONLY, 0600) < 0);
    CHECK_INT(dir_openat(d, "passwd", O_WRONLY | O_CREAT | O_TRUNC, 0600), -ELOOP);
    CHECK(dir_mkdirs(d, "out/x") < 0);
    CHECK(!dir_exists(d, "passwd"));
    /* A link itself can be renamed and unlinked; its target stays. */
    CHECK_INT(dir_remove_tree(d, "out"), 0);
    CHECK_INT(dir_unlink(d, "passwd"), 0);
    CHECK_INT(access("/etc/passwd", F_OK), 0);
}

static void files_come_back_whole(void) {
    char *data = NULL;
    size_t n = 0;
    CHECK_INT(dir_mkdirs(d, "a/b/c"), 0);
    CHECK_INT(dir_mkdirs(d, "a/b/c"), 0);
    CHECK_INT(dir_write_file(d, "a/b/c/f", "one\0two", 7), 0);
    CHECK_INT(dir_read_file(d, "a/b/c/f", a, 7, &data, &n), 0);
    CHECK_INT(n, 7);
    CHECK(memcmp(data, "one\0two", 8) == 0);
    CHECK_INT(dir_read_file(d, "a/b/c/f", a, 6, &data, &n), -EFBIG);
    CHECK(!dir_exists(d, "a/b/c/f.tmp"));
    CHECK_INT(dir_write_file(d, "a/b/c/f", "", 0), 0);
    CHECK_INT(dir_read_file(d, "a/b/c/f", a, 0, &data, &n), 0);
    CHECK_INT(n, 0);
    CHECK_STR(data, "");
    struct stat st;
    CHECK_INT(fstatat(dir_fd(d), "a/b/c/f", &st, 0), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    CHECK_INT(fstatat(dir_fd(d), "a/b", &st, 0), 0);
    CHECK_INT(st.st_mode & 07777, 0700);
    CHECK_INT(dir_read_file(d, "none", a, 9, &data, &n), -ENOENT);
    CHECK_INT(dir_read_file(d, "a/b", a, 9, &data, &n), -EISDIR);
    CHECK_INT(dir_write_file(d, "none/f", "x", 1), -ENOENT);
    CHECK_INT(mkfifoat(dir_fd(d), "fifo", 0600), 0);
    CHECK_INT(dir_read_file(d, "fifo", a, 9, &data, &n), -EINVAL); /* and does not hang */
    CHECK_INT(dir_unlink(d, "fifo"), 0);
    int fd = dir_openat(d, "a/b/c/f", O_RDONLY, 0);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    fd_close(fd);
}

static void renames_lists_and_removal(void) {
    CHECK_INT(dir_mkdirs(d, "list"), 0);
    CHECK_INT(dir_write_file(d, "list/b", "b", 1), 0);
    CHECK_INT(dir_write_file(d, "list/a", "a", 1), 0);
    CHECK_INT(dir_write_file(d, "list/B", "B", 1), 0);
    char **names;
    size_t n;
    CHECK_INT(dir_list(d, "list", a, &names, &n), 0);
    CHECK_INT(n, 3);
    CHECK_STR(names[0], "B");
    CHECK_STR(names[1], "a");
    CHECK_STR(names[2], "b");
    CHECK_INT(dir_list(d, "list/b", a, &names, &n), -ENOTDIR);
    CHECK_INT(dir_list(d, "absent", a, &names, &n), -ENOENT);
    CHECK_INT(dir_rename(d, "list/b", "moved"), 0);
    CHECK(dir_exists(d, "moved") && !dir_exists(d, "list/b"));
    CHECK_INT(dir_rename(d, "list/b", "moved"), -ENOENT);
    CHECK_INT(dir_unlink(d, "moved"), 0);
    CHECK_INT(dir_unlink(d, "moved"), 0);
    CHECK_INT(dir_unlink(d, "no/such/folder"), 0);
    CHECK(dir_unlink(d, "list") < 0); /* a folder is no file */
    CHECK_INT(dir_list(d, NULL, a, &names, &n), 0);
    size_t before = n;
    CHECK_INT(dir_list(d, NULL, a, &names, &n), 0); /* the position does not stick */
    CHECK_INT(n, before);
    CHECK_INT(dir_sync(d, NULL), 0);
    CHECK_INT(dir_sync(d, "list"), 0);
    CHECK_INT(dir_remove_tree(d, "list"), 0);
    CHECK_INT(dir_remove_tree(d, "list"), 0);
    CHECK_INT(dir_remove_tree(d, "no/such"), 0);
    CHECK(!dir_exists(d, "list"));
}

static void deep_and_locked_trees_go(void) {
    CHECK_INT(dir_mkdirs(d, "deep"), 0);
    int at = openat(dir_fd(d), "deep", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 3000; i++) {
        if (mkdirat(at, "d", 0700) < 0)
            break;
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        if (i % 100 == 0)
            fd_close(openat(at, "file", O_CREAT | O_WRONLY, 0600));
        fd_close(at);
        at = next;
    }
    fd_close(at);
    CHECK_INT(dir_remove_tree(d, "deep"), 0);
    CHECK(!dir_exists(d, "deep"));
    CHECK_INT(dir_mkdirs(d, "locked/in"), 0);
    CHECK_INT(dir_write_file(d, "locked/in/f", "x", 1), 0);
    CHECK_INT(fchmodat(dir_fd(d), "locked/in", 0000, 0), 0);
    CHECK_INT(dir_remove_tree(d, "locked"), 0);
    CHECK(!dir_exists(d, "locked"));
}

static void opening(void) {
    struct dir *sub = NULL, *other = NULL;
    CHECK_INT(dir_open_sub(d, "sub/two", false, &sub), -ENOENT);
    CHECK_INT(dir_open_sub(d, "sub/two", true, &sub), 0);
    CHECK(sub && str_ends(dir_path(sub), "/sub/two"));
    CHECK(dir_path(sub)[0] == '/');
    CHECK_INT(dir_write_file(sub, "x", "1", 1), 0);
    CHECK(dir_exists(d, "sub/two/x"));
    dir_close(sub);
    dir_close(NULL);
    CHECK_INT(dir_open("", true, &other), -EINVAL);
    char path[64];
    snprintf(path, sizeof path, "%s/new/er", root);
    CHECK_INT(dir_open(path, false, &other), -ENOENT);
    CHECK_INT(dir_open(path, true, &other), 0);
    CHECK_STR(dir_path(other), path);
    dir_close(other);
    CHECK_INT(dir_open("/etc/passwd", false, &other), -ENOTDIR);
}

/* Kernels without openat2 take this way; it must refuse the same links. */
static void walking_refuses_links_too(void) {
    char where[64];
    CHECK_INT(dir_mkdirs(d, "walk/in"), 0);
    CHECK_INT(dir_write_file(d, "walk/in/f", "x", 1), 0);
    snprintf(where, sizeof where, "%s/walk/link", root);
    CHECK_INT(symlink("in", where), 0);
    snprintf(where, sizeof where, "%s/walk/in/leaf", root);
    CHECK_INT(symlink("f", where), 0);
    int fd = path_walk(dir_fd(d), "walk/in/f", O_RDONLY, 0);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    fd_close(fd);
    CHECK_INT(path_walk(dir_fd(d), "walk/in/leaf", O_RDONLY, 0), -ELOOP);
    CHECK_INT(path_walk(dir_fd(d), "walk/in/leaf", O_PATH, 0), -ELOOP);
    CHECK_INT(path_walk(dir_fd(d), "walk/link/f", O_RDONLY, 0), -ENOTDIR);
    CHECK_INT(path_walk(dir_fd(d), "walk/none/f", O_RDONLY, 0), -ENOENT);
    CHECK_INT(path_walk(dir_fd(d), "walk/in/f/x", O_RDONLY, 0), -ENOTDIR);
    fd = path_walk(dir_fd(d), "walk/in/new", O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    fd_close(fd);
    CHECK_INT(dir_remove_tree(d, "walk"), 0);
}

static void locks_and_pipes(void) {
    int one = dir_openat(d, "lock", O_CREAT | O_RDWR, 0600);
    int two = dir_openat(d, "lock", O_RDWR, 0);
    CHECK_INT(fd_lock_exclusive(one), 0);
    CHECK_INT(fd_lock_exclusive(two), -EWOULDBLOCK);
    fd_close(one);
    CHECK_INT(fd_lock_exclusive(two), 0);
    fd_close(two);
    fd_close(-1);
    int pair[2];
    CHECK_INT(pipe2(pair, O_CLOEXEC), 0);
    CHECK_INT(fd_write_all(pair[1], "abc", 3), 0);
    fd_close(pair[1]);
    char got[8] = {0};
    CHECK_INT(fd_read_all(pair[0], got, sizeof got), 3);
    CHECK_STR(got, "abc");
    fd_close(pair[0]);
    CHECK_INT(fd_write_all(-1, "x", 1), -EBADF);
    CHECK_INT(fd_read_all(-1, got, 1), -EBADF);
}

int main(void) {
    if (!mkdtemp(root) || dir_open(root, false, &d) < 0)
        return 2;
    a = arena_new();
    RUN(names_that_are_refused);
    RUN(links_are_not_followed);
    RUN(files_come_back_whole);
    RUN(renames_lists_and_removal);
    RUN(deep_and_locked_trees_go);
    RUN(opening);
    RUN(walking_refuses_links_too);
    RUN(locks_and_pipes);
    arena_free(a);
    dir_close(d);
    struct dir *tmp;
    if (dir_open("/tmp", false, &tmp) == 0) {
        CHECK_INT(dir_remove_tree(tmp, root + 5), 0);
        dir_close(tmp);
    }
    return CHECK_END();
}
