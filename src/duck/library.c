/* SPDX-License-Identifier: Apache-2.0 */
#include "library.h"

#include <dlfcn.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/duck/duck.h"

struct duck_library duck_library;

static char *library_path;

/* The first name that is missing, or NULL. */
static const char *fill(void *handle, struct duck_library *l) {
    void *symbol;
/* memcpy: a pointer to data and one to a function are the same where there is dlsym, but the
 * language has no other word for it. */
#define DUCK_FILL(name, result, args)                                                              \
    symbol = dlsym(handle, "duckdb_" #name);                                                       \
    if (!symbol)                                                                                   \
        return "duckdb_" #name;                                                                    \
    memcpy(&l->name, &symbol, sizeof symbol);
    DUCK_FUNCTIONS(DUCK_FILL)
#undef DUCK_FILL
    return NULL;
}

static int open_one(const char *path, struct buf *error) {
    struct duck_library l;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        buf_printf(error, "%s%s", error->len ? "; " : "", dlerror());
        return -1;
    }
    const char *missing = fill(handle, &l);
    if (missing) {
        buf_printf(error, "%s%s is not a DuckDB that can be used (no %s)", error->len ? "; " : "",
                   path, missing);
        return -1; /* stays mapped: its statics do not like to go */
    }
    duck_library = l;
    library_path = mem_strdup(path);
    return 0;
}

int duck_open(const char *path, const char *const *more, struct buf *error) {
    struct buf why = {0};
    int rc = duck_ready() ? 0 : -1;
    if (rc < 0 && path && *path) {
        rc = open_one(path, &why);
        if (rc < 0)
            log_warn("duck.open", "%s", why.data);
    }
    for (size_t i = 0; rc < 0 && more && more[i]; i++)
        if (*more[i])
            rc = open_one(more[i], &why);
    if (rc < 0)
        buf_puts(error, why.len ? why.data : "no place to look for libduckdb.so was given");
    buf_free(&why);
    return rc;
}

bool duck_ready(void) {
    return library_path != NULL;
}

const char *duck_version(void) {
    return library_path ? duck_library.library_version() : "";
}

const char *duck_path(void) {
    return library_path ? library_path : "";
}
