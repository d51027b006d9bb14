/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/git/git.h"

#include <git2.h>
#include <pthread.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static void start(void) {
    git_libgit2_init();
}

static void start_once(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
}

/* libgit2's own words hold paths; they go to the log, the caller is told the step that failed. */
static int broken(struct ctx *c, const char *what) {
    const git_error *e = git_error_last();
    log_warn("git.read", "%s: %s", what, e && e->message ? e->message : "unknown reason");
    return fail(c, ERR_UNPROCESSABLE, "The folder's git repository cannot be read (%s)", what);
}

/* https://user:secret@host/x and user@host:x lose what stands before the '@'. */
static char *without_user(struct arena *a, const char *url) {
    const char *scheme = strstr(url, "://");
    const char *authority = scheme ? scheme + 3 : url;
    size_t n = strcspn(authority, scheme ? "/?#" : ":/");
    const char *at = NULL;
    for (size_t i = 0; i < n; i++)
        if (authority[i] == '@')
            at = authority + i;
    if (!at)
        return arena_strdup(a, url);
    return arena_printf(a, "%.*s%s", (int)(authority - url), url, at + 1);
}

static int read_head(struct ctx *c, git_repository *repo, struct git_state *out) {
    git_reference *head = NULL;
    int r = git_repository_head(&head, repo);
    if (r == 0) {
        const git_oid *id = git_reference_target(head);
        if (id)
            git_oid_tostr(out->commit, sizeof out->commit, id);
        if (git_reference_is_branch(head))
            out->branch = arena_strdup(c->arena, git_reference_shorthand(head));
        git_reference_free(head);
        return 0;
    }
    if (r == GIT_ENOTFOUND)
        return 0;
    if (r != GIT_EUNBORNBRANCH)
        return broken(c, "its HEAD");
    /* Before the first commit HEAD still names the branch to come. */
    if (git_reference_lookup(&head, repo, "HEAD") == 0) {
        const char *target = git_reference_symbolic_target(head);
        if (target && str_starts(target, "refs/heads/"))
            out->branch = arena_strdup(c->arena, target + strlen("refs/heads/"));
        git_reference_free(head);
    }
    return 0;
}

/* From the configuration rather than by git_remote_lookup: that one looks for url.*.insteadOf by a
 * pattern, and libgit2 1.5 with PCRE2 loses some 20 KiB for every entry that does not match. */
static void read_remote(struct ctx *c, git_repository *repo, struct git_state *out) {
    git_config *config = NULL;
    const char *url = NULL;
    if (git_repository_config_snapshot(&config, repo) < 0)
        return;
    if (git_config_get_string(&url, config, "remote.origin.url") == 0)
        out->remote = without_user(c->arena, url);
    git_config_free(config);
}

static int read_dirty(struct ctx *c, git_repository *repo, struct git_state *out) {
    if (git_repository_is_bare(repo))
        return 0;
    /* Untracked files are left out by default. */
    git_status_options opts = {.version = GIT_STATUS_OPTIONS_VERSION,
                               .show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR,
                               .flags = GIT_STATUS_OPT_EXCLUDE_SUBMODULES};
    git_status_list *list = NULL;
    if (git_status_list_new(&list, repo, &opts) < 0)
        return broken(c, "its status");
    out->dirty = git_status_list_entrycount(list) > 0;
    git_status_list_free(list);
    return 0;
}

int git_state(struct ctx *c, const char *folder, struct git_state *out) {
    *out = (struct git_state){0};
    start_once();
    git_repository *repo = NULL;
    int r = git_repository_open_ext(&repo, folder, 0, NULL);
    if (r == GIT_ENOTFOUND)
        return 0;
    if (r == GIT_EOWNER)
        return fail(c, ERR_UNPROCESSABLE,
                    "The folder's git repository belongs to another user, and git's safe.directory "
                    "does not name it");
    if (r < 0)
        return broken(c, "opening it");
    out->found = true;
    r = read_head(c, repo, out);
    if (r == 0) {
        read_remote(c, repo, out);
        r = read_dirty(c, repo, out);
    }
    git_repository_free(repo);
    return r;
}

const char *git_version(void) {
    return LIBGIT2_VERSION;
}
