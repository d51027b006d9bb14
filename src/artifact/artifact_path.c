/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define SEGMENT_MAX 255
#define PATH_MAX_BYTES 1024
#define DECODE_ROUNDS 10

/* One tolerant round; the result is never longer than `s`. -1 for a NUL, else whether it changed.
 */
static int decode_once(char *s) {
    char *to = s;
    int changed = 0;
    for (const char *from = s; *from; to++) {
        unsigned char byte;
        if (*from == '%' && from[1] && from[2] && hex_decode(from + 1, 2, &byte)) {
            if (byte == 0)
                return -1;
            *to = (char)byte;
            from += 3;
            changed = 1;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
    return changed;
}

char *artifact_decode_fully(struct ctx *c, const char *text) {
    char *s = arena_strdup(c->arena, text);
    for (int round = 0; round < DECODE_ROUNDS; round++) {
        int changed = decode_once(s);
        if (changed <= 0)
            return changed < 0 ? NULL : s;
    }
    return NULL;
}

static bool segments_ok(const char *path, bool allow_empty) {
    for (const char *s = path;;) {
        size_t n = strcspn(s, "/");
        if ((n == 0 && !allow_empty) || n > SEGMENT_MAX || (n == 1 && s[0] == '.') ||
            (n == 2 && s[0] == '.' && s[1] == '.'))
            return false;
        if (s[n] == '\0')
            return true;
        s += n + 1;
    }
}

static bool bytes_ok(const char *path) {
    size_t n = strlen(path);
    if (!utf8_valid(path, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)path[i];
        /* C1 controls are 0xC2 0x80..0x9F in UTF-8. '#' starts a fragment in the clients' URIs. */
        if (b < 0x20 || b == 0x7f || b == '\\' || b == '#' ||
            (b == 0xc2 && (unsigned char)path[i + 1] < 0xa0))
            return false;
    }
    return true;
}

static bool drive_letter(const char *path) {
    return isalpha((unsigned char)path[0]) && path[1] == ':' && (path[2] == '/' || path[2] == '\0');
}

int artifact_check_path(struct ctx *c, const char *path) {
    bool ok = path && *path && strlen(path) <= PATH_MAX_BYTES && bytes_ok(path) &&
              segments_ok(path, false) && !drive_letter(path);
    if (ok && strchr(path, '%')) {
        /* The name is only a database string here, but clients put it into their file systems. */
        const char *decoded = artifact_decode_fully(c, path);
        ok = decoded && bytes_ok(decoded) && segments_ok(decoded, true) && decoded[0] != '/' &&
             !drive_letter(decoded);
    }
    return ok ? 0 : fail_field(c, ERR_INVALID, "path", "Invalid path");
}

char *artifact_uri_path(struct ctx *c, const char *uri) {
    static const char scheme[] = "mlflow-artifacts:";
    if (!uri || strncasecmp(uri, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    const char *p = uri + sizeof(scheme) - 1;
    if (p[0] != '/')
        return NULL;
    if (p[1] == '/') {
        p = strchr(p + 2, '/');
        if (!p)
            return arena_strdup(c->arena, "");
    }
    while (*p == '/')
        p++;
    size_t n = strlen(p);
    while (n > 0 && p[n - 1] == '/')
        n--;
    return arena_strndup(c->arena, p, n);
}

struct media {
    const char *extension, *type;
};

static const struct media types[] = {
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"css", "text/css"},
    {"doc", "application/msword"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h5", "application/x-hdf5"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/vnd.microsoft.icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"mjs", "text/javascript"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"wasm", "application/wasm"},
    {"wav", "audio/x-wav"},
    {"webm", "video/webm"},
    {"webp", "image/webp"},
    {"xls", "application/vnd.ms-excel"},
    {"zip", "application/zip"},
};
static const char *const text_like[] = {
    "txt",        "log",  "err",   "cfg",  "conf", "cnf", "cf",  "ini",
    "properties", "prop", "hocon", "toml", "yaml", "yml", "xml", "json",
    "js",         "py",   "py3",   "csv",  "tsv",  "md",  "rst",
};

const char *artifact_content_type(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    if (str_eq(name, "MLmodel") || str_eq(name, "MLproject"))
        return "text/plain";
    for (size_t i = 0; dot && i < ARRAY_LEN(text_like); i++)
        if (str_ieq(dot + 1, text_like[i]))
            return "text/plain";
    for (size_t i = 0; dot && dot != name && i < ARRAY_LEN(types); i++)
        if (str_ieq(dot + 1, types[i].extension))
            return types[i].type;
    return "application/octet-stream";
}
