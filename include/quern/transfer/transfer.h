/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_TRANSFER_H
#define QUERN_TRANSFER_TRANSFER_H
/* Transfer: moving in from MLflow and out to it.
 *
 * Import reads a source (MLflow's SQLite database, a folder mlruns, a live server) and brings
 * experiments, runs with every point of every metric, data sets, logged models, registered models
 * with versions, tags and aliases, traces, evaluation datasets, scorers, issues and artifact files
 * into one project, with the ids and times they have. Everything is compared by a digest of its
 * whole content: what is here already in the same form is left alone, so an import that was cut off
 * goes on where it stopped, and a second one changes nothing; what was put is read back and
 * compared again. The result counts, kind by kind, what the source has and what stands here in the
 * same form; anything else is a fault and told.
 *
 * A thing that cannot be had, or that belongs to an experiment that was refused, is told and passed
 * over; the others come. What was changed here in a thing since it came is overwritten by a further
 * import if the source's differs, but no version of a registered model that the source has not is
 * dropped for it: such a model is refused.
 *
 * Artifacts: files below `artifacts` (the folder that an artifact URI of the source leads to) are
 * stored under MLflow's default names and the URIs that lead to them are rewritten; other URIs stay
 * as they are and are counted. Nothing outside of that folder is opened and no link is followed. A
 * live server's files come over its own API; those that stand here are not fetched again when it
 * says that they are the same (If-None-Match with their digest, which Quern answers and MLflow does
 * not: its listing tells sizes alone, and equal sizes prove nothing).
 *
 * Export writes a new MLflow database, at the first revision of its schema that has all tables it
 * needs ("mlflow db upgrade" brings it to any later one), reads it back as a source and compares,
 * and writes the artifact files below a folder as a server's --artifacts-destination has them.
 * Issues have no table there and stay behind, which is told. */
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct ctx;
struct db;

struct transfer_options {
    struct db *db;
    int64_t project;
    const char *from; /* sqlite:///relative.db, sqlite:////absolute.db, a folder, http(s)://... */
    const char *artifacts; /* folder; NULL: none. For a folder mlruns: itself */
    const char *workspace; /* of the source; NULL: "default" */
    int64_t most;          /* of a live server: things of a kind, points of a metric, files */
    const char *to;        /* export: the file to make */
    bool dry_run;          /* look and count, put nothing */
    void (*say)(void *arg, const char *line); /* a fault or a note; NULL: nobody listens */
    void *arg;
};

struct transfer_count {
    const char *kind;
    int64_t seen;    /* in the source */
    int64_t fresh;   /* put, that were not here */
    int64_t changed; /* put, that were here in another form */
    int64_t same;    /* here already */
    int64_t equal;   /* compared at the end and the same */
    int64_t faults;
};
enum transfer_kind {
    TRANSFER_EXPERIMENTS,
    TRANSFER_RUNS,
    TRANSFER_POINTS,
    TRANSFER_LOGGED_MODELS,
    TRANSFER_MODELS,
    TRANSFER_VERSIONS,
    TRANSFER_TRACES,
    TRANSFER_SPANS,
    TRANSFER_ASSESSMENTS,
    TRANSFER_EVALUATIONS,
    TRANSFER_SCORERS,
    TRANSFER_ISSUES,
    TRANSFER_FILES,
    TRANSFER_KINDS,
};
struct transfer_report {
    struct transfer_count kinds[TRANSFER_KINDS];
    int64_t bytes;   /* of files */
    int64_t outside; /* artifact URIs that lead elsewhere and stayed */
};

/* 0 also when there are faults: look at the report. Negative when the source cannot be read. */
int transfer_import(struct ctx *c, const struct transfer_options *o, struct transfer_report *out);
/* The same, outwards. The file must not exist. */
int transfer_export(struct ctx *c, const struct transfer_options *o, struct transfer_report *out);
/* An empty report with the names of the kinds. */
void transfer_name_kinds(struct transfer_report *r);

#endif
