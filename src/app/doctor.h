/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_DOCTOR_H
#define QUERN_APP_DOCTOR_H
/* Doctor: a list of checks, each "ok", "warn" or "bad" with a sentence. */
#include "quern/core/shape.h"

struct ctx;
struct db;

struct doctor_check {
    const char *name, *verdict, *detail;
};
struct doctor_report {
    struct opt_bool healthy; /* nothing is bad */
    struct list checks;
};
extern const struct shape doctor_shape;

/* Worker threads or the command line; the artifact store is open. */
int doctor_run(struct ctx *c, struct db *db, struct doctor_report *out);

#endif
