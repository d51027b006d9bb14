/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup.h"
#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/db/db.h"

static bool sink(const char *data, size_t n, void *arg) {
    return fd_write_all(*(int *)arg, data, n) == 0;
}

static int make_parent(struct invocation *inv, struct dir *d, const char *rel) {
    char *copy = arena_strdup(inv->arena, rel);
    char *slash = strrchr(copy, '/');
    if (!slash) {
        return 0;
    }
    *slash = '\0';
    return dir_mkdirs(d, copy);
}

static int fetch(struct invocation *inv, struct dir *to, const char *id, const char *rel) {
    int rc = make_parent(inv, to, rel);
    int fd = rc == 0 ? dir_openat(to, rel, O_WRONLY | O_CREAT | O_EXCL, 0600) : rc;
    if (fd < 0) {
        return complain(EXIT_ERROR, "cannot write %s: %s", rel, strerror(-fd));
    }
    const char *path = arena_printf(inv->arena, "/api/v1/backups/%s/files/%s", id,
                                    url_encode(inv->arena, rel, true));
    int code = client_stream(inv, path, sink, &fd);
    if (code == EXIT_OK && fsync(fd) != 0) {
        code = complain(EXIT_ERROR, "cannot write %s: %s", rel, strerror(errno));
    }
    fd_close(fd);
    return code;
}

/* Size and digest as the manifest has them. */
static int verify(struct dir *d, const json_t *row) {
    const char *rel = json_string_value(json_object_get(row, "path"));
    const char *want = json_string_value(json_object_get(row, "sha256"));
    char sha[65];
    long long size = 0;
    int rc = rel && want ? backup_digest(d, rel, sha, &size) : -EINVAL;
    if (rc != 0) {
        return complain(EXIT_ERROR, "cannot read %s: %s", rel ? rel : "the manifest",
                        strerror(-rc));
    }
    if (!str_eq(sha, want) || size != json_integer_value(json_object_get(row, "size"))) {
        return complain(EXIT_ERROR, "%s does not match the manifest's digest", rel);
    }
    return EXIT_OK;
}

static json_t *read_manifest(struct invocation *inv, struct dir *d) {
    char *text = NULL;
    size_t n = 0;
    int rc = dir_read_file(d, BACKUP_MANIFEST, inv->arena, (size_t)1 << 30, &text, &n);
    json_t *m = rc == 0 ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_array(json_object_get(m, "files")) ||
        json_integer_value(json_object_get(m, "format")) != BACKUP_FORMAT) {
        complain(EXIT_ERROR, "%s holds no backup of this format (%s)", dir_path(d),
                 BACKUP_MANIFEST);
        json_decref(m);
        return NULL;
    }
    return m;
}

static int open_empty(const char *path, struct dir **out) {
    struct arena *a = arena_new();
    char **names = NULL;
    size_t n = 0;
    int rc = dir_open(path, true, out);
    if (rc == 0) {
        rc = dir_list(*out, NULL, a, &names, &n);
    }
    arena_free(a);
    if (rc != 0) {
        return complain(EXIT_ERROR, "cannot open %s: %s", path, strerror(-rc));
    }
    return n == 0 ? EXIT_OK : complain(EXIT_CONFLICT, "%s is not empty", path);
}

static void close_if_open(struct dir *d) {
    if (d) {
        dir_close(d);
    }
}

int backup_command(struct invocation *inv) {
    struct client_reply r;
    struct dir *to = NULL;
    int code = open_empty(inv->args[0], &to);
    if (code == EXIT_OK) {
        code = client_call(inv, "POST", "/api/v1/backups", NULL, &r);
    }
    if (code != EXIT_OK) {
        close_if_open(to);
        return code;
    }
    const char *id = json_string_value(json_object_get(r.json, "id"));
    json_t *m = NULL;
    long long bytes = 0;
    if (!id) {
        close_if_open(to);
        return complain(EXIT_ERROR, "the server gave no backup id");
    }
    code = fetch(inv, to, id, BACKUP_MANIFEST);
    if (code == EXIT_OK) {
        m = read_manifest(inv, to);
        code = m ? EXIT_OK : EXIT_ERROR;
    }
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(m, "files"), i, row) {
        const char *rel = json_string_value(json_object_get(row, "path"));
        if (code == EXIT_OK) {
            code = rel ? fetch(inv, to, id, rel) : complain(EXIT_ERROR, "bad manifest");
        }
        if (code == EXIT_OK) {
            code = verify(to, row);
        }
        bytes += json_integer_value(json_object_get(row, "size"));
    }
    (void)client_send(inv, "DELETE", arena_printf(inv->arena, "/api/v1/backups/%s", id), NULL, &r);
    if (code == EXIT_OK) {
        dir_sync(to, NULL);
        printf("%zu files, %lld bytes, every digest verified, in %s\n",
               json_array_size(json_object_get(m, "files")), bytes, dir_path(to));
    }
    json_decref(m);
    dir_close(to);
    return code;
}

static int copy(struct invocation *inv, struct dir *from, struct dir *to, const char *rel) {
    int in = dir_openat(from, rel, O_RDONLY, 0);
    int rc = in < 0 ? in : make_parent(inv, to, rel);
    int out = rc == 0 ? dir_openat(to, rel, O_WRONLY | O_CREAT | O_EXCL, 0600) : rc;
    static const size_t part = 1 << 18;
    char *data = mem_alloc(part);
    ssize_t n = 0;
    rc = out < 0 ? out : 0;
    while (rc == 0 && (n = fd_read_all(in, data, part)) > 0) {
        rc = fd_write_all(out, data, (size_t)n);
    }
    free(data);
    rc = rc == 0 && n < 0 ? (int)n : rc;
    if (rc == 0 && fsync(out) != 0) {
        rc = -errno;
    }
    fd_close(in);
    fd_close(out);
    return rc == 0 ? EXIT_OK : complain(EXIT_ERROR, "cannot copy %s: %s", rel, strerror(-rc));
}

/* A database that this program would refuse is not worth the copying. */
static int schema_known(struct dir *from) {
    unsigned char head[64] = {0};
    int fd = dir_openat(from, "quern.db", O_RDONLY, 0);
    ssize_t n = fd < 0 ? fd : fd_read_all(fd, head, sizeof head);
    fd_close(fd);
    if (n < (ssize_t)sizeof head) {
        return complain(EXIT_ERROR, "%s holds no database (quern.db)", dir_path(from));
    }
    uint32_t have = (uint32_t)head[60] << 24 | (uint32_t)head[61] << 16 | (uint32_t)head[62] << 8 |
                    head[63]; /* SQLite's user_version */
    uint32_t newest = 0;
    for (const struct migration *m = db_migrations; m->version > 0; m++) {
        newest = (uint32_t)m->version;
    }
    return have <= newest
               ? EXIT_OK
               : complain(EXIT_ERROR,
                          "the backup has schema %" PRIu32 " and this program knows schemas up to "
                          "%" PRIu32 "; restore it with the program that made it, or a newer one",
                          have, newest);
}

int restore_command(struct invocation *inv) {
    const char *data = option_value(inv, "data");
    struct dir *from = NULL;
    struct dir *to = NULL;
    size_t i;
    json_t *row;
    int rc = dir_open(inv->args[0], false, &from);
    if (rc != 0) {
        return complain(EXIT_NOT_FOUND, "cannot open %s: %s", inv->args[0], strerror(-rc));
    }
    json_t *m = read_manifest(inv, from);
    int code = m ? EXIT_OK : EXIT_ERROR;
    json_array_foreach(json_object_get(m, "files"), i, row) {
        code = code == EXIT_OK ? verify(from, row) : code;
    }
    code = code == EXIT_OK ? schema_known(from) : code;
    if (!data) {
        data = getenv("QUERN_DATA");
    }
    if (code == EXIT_OK) {
        code = open_empty(data && data[0] ? data : "./quern-data", &to);
    }
    /* Until every file is there no server may take the directory for a whole one. */
    if (code == EXIT_OK && (rc = dir_write_file(to, RESTORE_MARK, "", 0)) != 0) {
        code = complain(EXIT_ERROR, "cannot write to %s: %s", dir_path(to), strerror(-rc));
    }
    json_array_foreach(json_object_get(m, "files"), i, row) {
        code = code == EXIT_OK
                   ? copy(inv, from, to, json_string_value(json_object_get(row, "path")))
                   : code;
    }
    if (code == EXIT_OK &&
        ((rc = dir_sync(to, NULL)) != 0 || (rc = dir_unlink(to, RESTORE_MARK)) != 0 ||
         (rc = dir_sync(to, NULL)) != 0)) {
        code = complain(EXIT_ERROR, "cannot finish %s: %s", dir_path(to), strerror(-rc));
    }
    if (code == EXIT_OK) {
        printf("restored %zu files to %s; 'quern doctor --data %s' checks it\n",
               json_array_size(json_object_get(m, "files")), dir_path(to), dir_path(to));
    }
    json_decref(m);
    close_if_open(to);
    dir_close(from);
    return code;
}
