/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static struct dir *folder;

int page_open(const char *path, struct buf *error) {
    if (!*path)
        return 0;
    if (dir_open(path, false, &folder) == 0 && dir_exists(folder, "index.html"))
        return 0;
    buf_printf(error,
               "mlflow.page: %s holds no index.html; name the folder mlflow/server/js/build of an "
               "MLflow installation",
               path);
    page_close();
    return -1;
}

void page_close(void) {
    if (folder)
        dir_close(folder);
    folder = NULL;
}

bool page_is_open(void) {
    return folder != NULL;
}

static const char *content_type(const char *path) {
    static const struct {
        const char *end, *type;
    } rows[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".gif", "image/gif"},
        {".jpg", "image/jpeg"},
        {".ico", "image/x-icon"},
        {".woff", "font/woff"},
        {".woff2", "font/woff2"},
        {".ttf", "font/ttf"},
        {".wasm", "application/wasm"},
        {".txt", "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_ends(path, rows[i].end))
            return rows[i].type;
    return "application/octet-stream";
}

static int send(struct ctx *c, const char *path) {
    struct stat st = {0};
    int fd = folder ? dir_openat(folder, path, O_RDONLY, 0) : -1;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return fail(c, ERR_NOT_FOUND, "The page has no such part.");
    }
    reply_file(c, content_type(path), fd, st.st_size);
    reply_etag(c, arena_printf(c->arena, "\"%" PRIx64 "-%" PRIx64 "\"", (uint64_t)st.st_mtime,
                               (uint64_t)st.st_size));
    /* Names hold a digest of the content except for the entry itself. */
    reply_header(c, "Cache-Control",
                 str_starts(path, "static/") ? "public, max-age=31536000, immutable" : "no-cache");
    return 0;
}

int page_index(struct ctx *c) {
    return send(c, "index.html");
}

struct file {
    const char *path;
};
SHAPE_LOCAL(in_file, "PageFile", struct file,
            FIELD(struct file, path, T_STR, F_REQUIRED | F_PATH, "File of the page."));

static int api_file(struct ctx *c, const void *in, void *out) {
    (void)out;
    return send(c, ((const struct file *)in)->path);
}

static const struct route rows[] = {
    {.id = "page.file",
     .method = "GET",
     .path = "/static-files/{path...}",
     .in = &in_file,
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_TEXT,
     .flags = ROUTE_NO_LOG,
     .fn = api_file,
     .summary = "A file of MLflow's web page, where the operator lends one."},
};

const struct route_list page_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
