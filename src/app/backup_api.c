/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backup.h"
#include "doctor.h"
#include "house.h"
#include "quern/base/arena.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

struct backup_out {
    const char *id;
};
SHAPE_LOCAL(backup_shape, "Backup", struct backup_out,
            FIELD(struct backup_out, id, T_STR, F_ALWAYS, "16 hex digits"));

struct file_in {
    const char *id, *path;
};
SHAPE_LOCAL(file_shape, "BackupFile", struct file_in,
            FIELD(struct file_in, id, T_STR, F_PATH | F_REQUIRED, "Backup's id"),
            FIELD(struct file_in, path, T_STR, F_PATH | F_REQUIRED,
                  "A path of the manifest, or manifest.json"));
SHAPE_LOCAL(id_shape, "BackupId", struct file_in,
            FIELD(struct file_in, id, T_STR, F_PATH | F_REQUIRED, "Backup's id"));

static int backups_create(struct ctx *c, const void *in, void *out_) {
    (void)in;
    struct backup_out *out = out_;
    char id[17];
    int rc = backup_make(c, id);
    out->id = arena_strdup(c->arena, id);
    return rc;
}

static int backup_folder(struct ctx *c, const char *id, char **rel) {
    unsigned char raw[8];
    *rel = arena_printf(c->arena, "backups/%s", id);
    if (strlen(id) != 16 || !hex_decode(id, 16, raw) || !dir_exists(house.data, *rel)) {
        return fail_field(c, ERR_NOT_FOUND, "id", "There is no backup '%s' on the server.", id);
    }
    return 0;
}

static int backups_file(struct ctx *c, const void *in_, void *out) {
    const struct file_in *in = in_;
    (void)out;
    char *folder = NULL;
    int rc = backup_folder(c, in->id, &folder);
    if (rc != 0) {
        return rc;
    }
    struct stat st;
    int fd = dir_openat(house.data, arena_printf(c->arena, "%s/%s", folder, in->path), O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return fail_field(c, ERR_NOT_FOUND, "path", "The backup has no file '%s'.", in->path);
    }
    reply_file(c, "application/octet-stream", fd, st.st_size);
    return 0;
}

static int backups_delete(struct ctx *c, const void *in_, void *out) {
    const struct file_in *in = in_;
    (void)out;
    char *folder = NULL;
    int rc = backup_folder(c, in->id, &folder);
    if (rc == 0 && (rc = dir_remove_tree(house.data, folder)) != 0) {
        rc = fail(c, ERR_INTERNAL, "cannot remove the backup: %s", strerror(-rc));
    }
    return rc;
}

static int doctor(struct ctx *c, const void *in, void *out) {
    (void)in;
    return doctor_run(c, house.db, out);
}

static const struct route rows[] = {
    {.id = "ops.backups.create",
     .method = "POST",
     .path = "/api/v1/backups",
     .out = &backup_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     .fn = backups_create,
     .summary = "Makes a consistent backup on the server, to be fetched and then deleted."},
    {.id = "ops.backups.file",
     .method = "GET",
     .path = "/api/v1/backups/{id}/files/{path...}",
     .in = &file_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     .fn = backups_file,
     .summary = "One file of a backup; manifest.json names them all with size and SHA-256."},
    {.id = "ops.backups.delete",
     .method = "DELETE",
     .path = "/api/v1/backups/{id}",
     .in = &id_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     .fn = backups_delete,
     .summary = "Drops the server's copy of a backup."},
    {.id = "ops.doctor",
     .method = "GET",
     .path = "/api/v1/doctor",
     .out = &doctor_shape,
     .perm = PERM_SYSTEM,
     .lane = LANE_WORK,
     .fn = doctor,
     .summary = "Checks database, every blob's digest, the audit chain and the machine."},
};
const struct route_list backup_routes = {rows, ARRAY_LEN(rows)};
