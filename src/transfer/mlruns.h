/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_MLRUNS_H
#define QUERN_TRANSFER_MLRUNS_H
/* Mlruns: the folder of MLflow's file store. Its tree is walked once for ids; files are read when
 * their thing is asked for, beneath the folder and without following links. A folder that was moved
 * still finds its artifacts, since they lie beside their run. */
#include "quern/base/path.h"
#include "source.h"

struct arena;
struct pairs;

struct mlruns_item {
    const char *id;
    const char *path; /* below the folder */
};
struct mlruns_items {
    struct mlruns_item *items; /* by id */
    size_t n, cap;
};
struct mlruns {
    struct source source;
    struct dir *root;
    char *root_path;
    struct arena *arena; /* of the lists */
    struct mlruns_items experiments, runs, models, traces, registered;
};

/* The mapping in path/name; false when there is none. */
bool mlruns_yaml(struct ctx *c, const struct mlruns *m, const char *path, const char *name,
                 struct pairs *out);
/* Files of a folder as pairs of name (with the folders between) and content, by name. */
int mlruns_files(struct ctx *c, const struct mlruns *m, const char *path, struct pairs *out);
/* The first item behind `after`, or NULL. */
const struct mlruns_item *mlruns_after(const struct mlruns_items *l, const char *after);
const struct mlruns_item *mlruns_find(const struct mlruns_items *l, const char *id);
/* file: URI of path/artifacts when that is there, else what the file says. */
const char *mlruns_artifacts(struct ctx *c, const struct mlruns *m, const char *path,
                             const char *said);

int mlruns_model(struct source *s, struct ctx *c, const char *after, struct copy_model *out);
int mlruns_registered(struct source *s, struct ctx *c, const char *after,
                      struct copy_registered *out);
int mlruns_trace(struct source *s, struct ctx *c, const char *after, struct copy_trace *out);
int mlruns_run(struct source *s, struct ctx *c, const char *after, struct copy_run *out);
int mlruns_points(struct source *s, struct ctx *c, const char *run_id, copy_points_fn *each,
                  void *arg);

#endif
