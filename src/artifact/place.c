/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/artifact/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define STORE_ROOT "mlflow-artifacts:"

/* The root without trailing slashes, and the folder that it names, if any. */
static char *root;
static char *folder;

/* Decoded text to an absolute path without empty and "." segments; NULL with "..". */
static char *plain(struct arena *a, const char *text) {
    struct buf out = {0};
    bool good = text[0] == '/';
    for (const char *s = text; good && *s;) {
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.')
            good = false;
        else if (n > 0 && !(n == 1 && s[0] == '.'))
            buf_printf(&out, "/%.*s", (int)n, s);
        s += n + (s[n] == '/');
    }
    char *path = good ? arena_strdup(a, out.len ? out.data : "/") : NULL;
    buf_free(&out);
    return path;
}

static char *local_path(struct arena *a, const char *uri) {
    if (uri[0] == '/')
        return plain(a, uri);
    if (strncasecmp(uri, "file:", 5) != 0)
        return NULL;
    const char *rest = uri + 5;
    if (strncasecmp(rest, "//localhost/", 12) == 0)
        rest += 11;
    else if (rest[0] == '/' && rest[1] == '/')
        rest += 2; /* what stands here unless it is '/' is a host */
    if (strpbrk(rest, "?#"))
        return NULL;
    const char *decoded = url_decode(a, rest, strlen(rest), false);
    return decoded ? plain(a, decoded) : NULL;
}

char *artifact_local_path(struct ctx *c, const char *uri) {
    return uri ? local_path(c->arena, uri) : NULL;
}

/* Also for two paths of which one does not exist yet. */
static bool beneath(const char *path, const char *above) {
    size_t n = strlen(above);
    return strncmp(path, above, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool has_scheme(const char *uri) {
    size_t n = strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return n > 1 && uri[n] == ':' && uri[n + 1] == '/';
}

int artifact_root_open(const char *uri, const char *data, struct buf *error) {
    artifact_root_close();
    struct arena *a = arena_new();
    char *text = arena_strdup(a, uri && *uri ? uri : STORE_ROOT "/");
    bool local = text[0] == '/' || strncasecmp(text, "file:", 5) == 0;
    const char *path = local ? local_path(a, text) : NULL;
    int rc = -1;
    if (local && (!path || strcmp(path, "/") == 0)) {
        buf_printf(error,
                   "mlflow.artifact-root must name a folder of this machine by its whole path, as "
                   "file:///srv/artifacts, not '%s'",
                   text);
    } else if (local && beneath(path, data)) {
        buf_printf(error,
                   "mlflow.artifact-root must not lie in the data directory: clients write there");
    } else if (!local && (!has_scheme(text) || strpbrk(text, "?#"))) {
        buf_printf(error,
                   "mlflow.artifact-root must be mlflow-artifacts:/, a folder as "
                   "file:///srv/artifacts, or the URI of a store that clients reach, as "
                   "s3://bucket/folder, not '%s'",
                   text);
    } else {
        rc = 0;
        size_t n = strlen(text);
        while (n > 1 && text[n - 1] == '/')
            text[--n] = '\0';
        root = mem_strdup(text);
        folder = path ? mem_strdup(path) : NULL;
    }
    arena_free(a);
    return rc;
}

void artifact_root_close(void) {
    free(root);
    free(folder);
    root = folder = NULL;
}

char *artifact_root_location(struct ctx *c, int64_t experiment) {
    return arena_printf(c->arena, "%s/%" PRId64, root ? root : STORE_ROOT, experiment);
}

const char *artifact_location_resolve(struct ctx *c, const char *location) {
    char cwd[PATH_MAX];
    if (!folder || location[0] == '/' || strchr(location, ':') || !getcwd(cwd, sizeof cwd))
        return location;
    const char *whole = plain(c->arena, arena_printf(c->arena, "%s/%s", cwd, location));
    return whole ? whole : location;
}

/* "7/run/artifacts" of a URI in the folder of experiment 7; NULL otherwise. */
static const char *folder_path(struct ctx *c, int64_t experiment, const char *uri) {
    const char *path = folder ? artifact_local_path(c, uri) : NULL;
    if (!path || !beneath(path, arena_printf(c->arena, "%s/%" PRId64, folder, experiment)))
        return NULL;
    const char *rel = path + strlen(folder) + 1;
    int rc = artifact_check_path(c, rel);
    if (rc != 0)
        err_clear(c);
    return rc == 0 ? rel : NULL;
}

int artifact_place(struct ctx *c, int64_t experiment, const char *uri, struct artifact_place *out) {
    *out = (struct artifact_place){.path = artifact_uri_path(c, uri)};
    if (!out->path) {
        out->path = folder_path(c, experiment, uri);
        out->in_folder = true;
    }
    if (out->path)
        return 0;
    return fail(c, ERR_INVALID,
                "These artifacts are kept at %s, which this server does not read; use a client "
                "that reaches that place",
                uri);
}

/* As MLflow judges: what is odd in a name only by its encoding is a name, but climbing is not. */
static bool relative(struct ctx *c, const char *path) {
    const char *p = artifact_decode_fully(c, path);
    if (!p || strpbrk(p, "#\\") || strpbrk(path, "#\\") || p[0] == '/' || (p[0] && p[1] == ':'))
        return false;
    for (const char *s = p; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL) {
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.')
            return false;
    }
    return true;
}

int artifact_place_below(struct ctx *c, const struct artifact_place *place, const char *path,
                         struct artifact_place *out) {
    size_t n = path ? strlen(path) : 0;
    if (n && !relative(c, path))
        return fail_field(c, ERR_INVALID, "path", "Invalid path");
    while (n && path[n - 1] == '/')
        n--;
    *out = *place;
    if (n == 0)
        return 0;
    out->path = *place->path ? arena_printf(c->arena, "%s/%.*s", place->path, (int)n, path)
                             : arena_strndup(c->arena, path, n);
    return artifact_check_path(c, out->path);
}

static int missing(struct ctx *c, const char *name) {
    return fail(c, ERR_NOT_FOUND, "No such artifact: '%s'", name);
}

/* A link, a device or a folder without permission is as good as nothing there. */
static bool absent(int rc) {
    return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP || rc == -EACCES || rc == -EXDEV ||
           rc == -EINVAL || rc == -ENXIO || rc == -ENAMETOOLONG;
}

static int list_folder(struct ctx *c, const char *path, struct artifact_entries *out) {
    struct dir *d = NULL;
    char **names = NULL;
    size_t n = 0;
    *out = (struct artifact_entries){0};
    int rc = dir_open(folder, false, &d);
    int at = rc == 0 ? dir_openat(d, path, O_RDONLY | O_DIRECTORY, 0) : -1;
    if (rc == 0)
        rc = at < 0 ? at : dir_list(d, path, c->arena, &names, &n);
    out->items = ARENA_ARRAY(c->arena, struct artifact_entry, n + 1);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct stat st;
        if (!utf8_valid(names[i], strlen(names[i])) ||
            fstatat(at, names[i], &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
            continue;
        out->items[out->n++] = (struct artifact_entry){.path = names[i],
                                                       .is_dir = S_ISDIR(st.st_mode),
                                                       .size = S_ISREG(st.st_mode) ? st.st_size : 0,
                                                       .updated_ms = st.st_mtim.tv_sec * 1000LL};
    }
    fd_close(at < 0 ? -1 : at);
    dir_close(d);
    return rc == 0 || absent(rc) ? 0 : blob_fail(c, "Listing the artifact root", rc);
}

int artifact_place_list(struct ctx *c, const struct artifact_place *place,
                        struct artifact_entries *out) {
    return place->in_folder ? list_folder(c, place->path, out) : artifact_list(c, place->path, out);
}

static int send_file(struct ctx *c, const char *path, const char *name) {
    struct dir *d = NULL;
    struct stat st = {0};
    int rc = dir_open(folder, false, &d);
    int fd = rc == 0 ? dir_openat(d, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0) : rc;
    dir_close(d);
    if (fd < 0)
        return absent(fd) ? missing(c, name) : blob_fail(c, "Opening an artifact", fd);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        fd_close(fd);
        if (S_ISDIR(st.st_mode))
            return fail_field(c, ERR_INVALID, "path",
                              "'%s' is a folder; list it and fetch its files one by one.", name);
        return missing(c, name);
    }
    const char *slash = strrchr(path, '/');
    reply_file(c, artifact_content_type(path), fd, st.st_size);
    reply_attachment(c, slash ? slash + 1 : path);
    c->reply.ranges = true;
    return 0;
}

int artifact_place_send(struct ctx *c, const struct artifact_place *place, const char *name) {
    if (place->in_folder)
        return send_file(c, place->path, name);
    struct artifact_entry e;
    int rc = artifact_stat(c, place->path, &e);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        return missing(c, name);
    }
    return rc == 0 ? artifact_send(c, place->path) : rc;
}
