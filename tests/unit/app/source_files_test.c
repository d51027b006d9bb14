/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/path.h"
#include "source_files.h"

static struct arena *arena;
static char folder[] = "/tmp/quern-sources-XXXXXX";
static struct dir *dir;

/* The collected paths, joined by blanks, or the complaint. */
static const char *collect(const char *yaml) {
    struct local_file *files = NULL;
    size_t n = 0;
    const char *why = NULL;
    const char *path = arena_printf(arena, "%s/pipeline.yaml", folder);
    if (source_files_collect(arena, path, yaml, strlen(yaml), &files, &n, &why)) {
        return why;
    }
    const char *all = "";
    for (size_t i = 0; i < n; i++) {
        all = arena_printf(arena, "%s%s%s", all, i ? " " : "", files[i].path);
    }
    return all;
}

static void put(const char *rel, const char *text) {
    dir_write_file(dir, rel, text, strlen(text));
}

static void test_patterns(void) {
    CHECK_STR(collect("name: x\nsteps: {}\n"), "");
    CHECK_STR(collect("files: [a.py]"), "a.py");
    CHECK_STR(collect("files: ['*.py']"), "a.py");
    CHECK_STR(collect("files: ['lib/*.py', a.py]"), "a.py lib/b.py");
    CHECK_STR(collect("files: ['**/*.py']"), "a.py lib/b.py lib/deep/er/c.py");
    CHECK_STR(collect("files: ['lib/**/*.py']"), "lib/b.py lib/deep/er/c.py");
    CHECK_STR(collect("files: ['*/**/c.py']"), "lib/deep/er/c.py");
    CHECK_STR(collect("files: ['lib/*/c.py']"), "");
    CHECK_STR(collect("steps: {one: {files: [a.py]}, two: {files: [lib/b.py]}}"), "a.py lib/b.py");
    CHECK_STR(collect("steps: [{name: one, files: [a.py]}, {name: two, files: [lib/b.py]}]"),
              "a.py lib/b.py");
    CHECK_STR(collect("files: [none.py]"), "");
}

static void test_nothing_outside(void) {
    CHECK_STR(collect("files: ['../*', '/etc/passwd', '../../etc/passwd', .git/config]"), "");
    CHECK_INT(symlinkat("/etc/passwd", dir_fd(dir), "link.txt"), 0);
    CHECK_HAS(collect("files: [link.txt]"), "link.txt cannot be read");
    unlinkat(dir_fd(dir), "link.txt", 0);
}

static void test_not_yaml(void) {
    CHECK_STR(collect("files: [unclosed"), "");
    CHECK_STR(collect("\xff\xfe\x00"), "");
    CHECK_STR(collect("files: {a: b}"), "");
    CHECK_STR(collect("- a\n- b\n"), "");
    CHECK_STR(collect(""), "");
}

static void test_contents_and_caps(void) {
    struct local_file *files = NULL;
    size_t n = 0;
    const char *why = NULL;
    const char *path = arena_printf(arena, "%s/pipeline.yaml", folder);
    const char *yaml = "files: [a.py]";
    REQUIRE(source_files_collect(arena, path, yaml, strlen(yaml), &files, &n, &why) == 0);
    CHECK_INT(n, 1);
    CHECK_INT(files[0].size, 9);
    CHECK_STR(files[0].data, "print(1)\n");
    const int fd = dir_openat(dir, "big.bin", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(ftruncate(fd, SOURCE_BYTES_MAX + 1), 0);
    close(fd);
    CHECK_HAS(collect("files: ['*.bin']"), "larger than 64 MiB together at big.bin");
}

int main(void) {
    arena = arena_new();
    if (!mkdtemp(folder) || dir_open(folder, false, &dir)) {
        return 1;
    }
    dir_mkdirs(dir, "lib/deep/er");
    dir_mkdirs(dir, ".git");
    put("a.py", "print(1)\n");
    put("lib/b.py", "");
    put("lib/deep/er/c.py", "");
    put(".git/config", "secret");
    RUN(test_patterns);
    RUN(test_nothing_outside);
    RUN(test_not_yaml);
    RUN(test_contents_and_caps);
    struct dir *tmp = NULL;
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, folder + 5);
        dir_close(tmp);
    }
    dir_close(dir);
    arena_free(arena);
    return CHECK_END();
}
