/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/git/git.h"

#include <git2.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"

static char root[] = "/tmp/quern-git-XXXXXX";
static struct dir *d;
static struct ctx c;
static git_repository *repo;

static struct git_state state_of(const char *folder) {
    struct git_state s;
    err_clear(&c);
    CHECK_INT(git_state(&c, folder, &s), 0);
    return s;
}

static void commit_all(char hex[41]) {
    git_index *index;
    git_oid tree_id, id, head;
    git_tree *tree;
    git_signature *who;
    git_commit *parent = NULL;
    git_repository_index(&index, repo);
    git_index_add_bypath(index, "a.txt");
    git_index_write(index);
    git_index_write_tree(&tree_id, index);
    git_tree_lookup(&tree, repo, &tree_id);
    git_signature_new(&who, "n", "n@example.org", 1700000000, 0);
    if (git_reference_name_to_id(&head, repo, "HEAD") == 0)
        git_commit_lookup(&parent, repo, &head);
    const git_commit *parents[] = {parent};
    CHECK_INT(
        git_commit_create(&id, repo, "HEAD", who, who, NULL, "m", tree, parent ? 1 : 0, parents),
        0);
    git_oid_tostr(hex, 41, &id);
    git_commit_free(parent);
    git_signature_free(who);
    git_tree_free(tree);
    git_index_free(index);
}

static void no_repository(void) {
    CHECK(!state_of(root).found);
    CHECK(!state_of("/nonexistent/folder").found);
}

static void before_the_first_commit(void) {
    git_repository_init_options o = {.version = GIT_REPOSITORY_INIT_OPTIONS_VERSION,
                                     .initial_head = "trunk"};
    REQUIRE(git_repository_init_ext(&repo, root, &o) == 0);
    struct git_state s = state_of(root);
    CHECK(s.found && !s.dirty);
    CHECK_STR(s.commit, "");
    CHECK_STR(s.branch, "trunk");
    CHECK(s.remote == NULL);
}

static void commits_and_changes(void) {
    char hex[41];
    CHECK_INT(dir_write_file(d, "a.txt", "1\n", 2), 0);
    CHECK(!state_of(root).dirty); /* untracked files do not count */
    commit_all(hex);
    struct git_state s = state_of(root);
    CHECK_STR(s.commit, hex);
    CHECK_STR(s.branch, "trunk");
    CHECK(!s.dirty);
    CHECK_INT(dir_write_file(d, "b.txt", "untracked\n", 10), 0);
    CHECK(!state_of(root).dirty);
    CHECK_INT(dir_write_file(d, "a.txt", "changed\n", 8), 0);
    CHECK(state_of(root).dirty);
    commit_all(hex);
    s = state_of(root);
    CHECK(!s.dirty);
    CHECK_STR(s.commit, hex);
    CHECK_INT(dir_unlink(d, "a.txt"), 0);
    CHECK(state_of(root).dirty);
    CHECK_INT(dir_write_file(d, "a.txt", "changed\n", 8), 0);
    CHECK(!state_of(root).dirty);
}

static void a_folder_within(void) {
    char path[64];
    CHECK_INT(dir_mkdirs(d, "deep/er"), 0);
    snprintf(path, sizeof path, "%s/deep/er", root);
    struct git_state s = state_of(path);
    CHECK(s.found);
    CHECK_STR(s.branch, "trunk");
}

static void remotes_lose_their_user(void) {
    static const struct {
        const char *url, *shown;
    } rows[] = {
        {"https://user:secret@example.org/x.git", "https://example.org/x.git"},
        {"https://tok@en@example.org/x", "https://example.org/x"},
        {"https://example.org/a@b", "https://example.org/a@b"},
        {"git@example.org:team/x.git", "example.org:team/x.git"},
        {"ssh://git@example.org:22/x", "ssh://example.org:22/x"},
        {"../other", "../other"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        git_config *config;
        CHECK_INT(git_repository_config(&config, repo), 0);
        CHECK_INT(git_config_set_string(config, "remote.origin.url", rows[i].url), 0);
        git_config_free(config);
        CHECK_STR(state_of(root).remote, rows[i].shown);
    }
}

static void a_detached_head(void) {
    git_oid id;
    git_reference_name_to_id(&id, repo, "HEAD");
    CHECK_INT(git_repository_set_head_detached(repo, &id), 0);
    struct git_state s = state_of(root);
    CHECK(s.branch == NULL);
    CHECK_INT(strlen(s.commit), 40);
}

static void a_broken_repository(void) {
    CHECK_INT(dir_write_file(d, ".git/HEAD", "nonsense\n", 9), 0);
    struct git_state s;
    err_clear(&c);
    int r = git_state(&c, root, &s);
    CHECK(r == -ERR_UNPROCESSABLE || (r == 0 && !s.found));
    if (r < 0)
        CHECK(!strstr(c.err.message, root));
    CHECK(*git_version());
}

int main(void) {
    if (!mkdtemp(root) || dir_open(root, false, &d) < 0)
        return 2;
    git_libgit2_init();
    ctx_begin(&c);
    RUN(no_repository);
    RUN(before_the_first_commit);
    if (repo) {
        RUN(commits_and_changes);
        RUN(a_folder_within);
        RUN(remotes_lose_their_user);
        RUN(a_detached_head);
        RUN(a_broken_repository);
    }
    git_repository_free(repo);
    ctx_end(&c);
    dir_close(d);
    git_libgit2_shutdown();
    struct dir *tmp;
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, root + 5);
        dir_close(tmp);
    }
    return CHECK_END();
}
