/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_SOURCE_FILES_H
#define QUERN_APP_SOURCE_FILES_H
/* Source files: what a definition's `files` patterns name in the definition's own folder. The
 * client reads the patterns only; whether the definition is right is for the server to say. */
#include <stddef.h>

struct arena;

struct local_file {
    const char *path; /* relative, '/' between the parts */
    const char *data;
    size_t size;
};

enum { SOURCE_FILES_MAX = 1000, SOURCE_BYTES_MAX = 64 << 20 };

/* 0, or -1 with a sentence in *why. A pattern that names nothing is no error here. */
int source_files_collect(struct arena *a, const char *definition_path, const char *text, size_t n,
                         struct local_file **out, size_t *count, const char **why);

#endif
