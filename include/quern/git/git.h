/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GIT_GIT_H
#define QUERN_GIT_GIT_H
/* Git: libgit2 for reading local repositories; the only folder that includes git2.h. */
#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct arena;

struct git_state {
    bool found;      /* the folder lies in a repository */
    char commit[41]; /* "" before the first commit */
    char *branch;    /* NULL when detached */
    char *remote;    /* origin's URL without user info, or NULL */
    bool dirty;      /* tracked files differ from the commit */
};

/* Reads the state of the repository that holds `folder`. Not found is 0 with found = false. Worker
 * threads or the command line only. */
int git_state(struct ctx *c, const char *folder, struct git_state *out);
const char *git_version(void);

#endif
