/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_DIGEST_H
#define QUERN_TRANSFER_DIGEST_H
/* Digest: a thing's whole content as SHA-256. Every text goes in with its length, so that no two
 * things run together; an absent text differs from an empty one. */
#include <stdbool.h>

#include "quern/genai/copy.h"
#include "quern/registry/copy.h"
#include "quern/trace/copy.h"
#include "quern/tracking/copy.h"

struct digest {
    unsigned char bytes[32];
};
bool digest_equal(const struct digest *a, const struct digest *b);

struct digest digest_experiment(const struct copy_experiment *e);
struct digest digest_run(const struct copy_run *r);
struct digest digest_model(const struct copy_model *m);
/* Without last_version, which only grows. */
struct digest digest_registered(const struct copy_registered *m);
struct digest digest_evaluation(const struct copy_evaluation *e);
struct digest digest_scorer(const struct copy_scorer *s);
struct digest digest_issue(const struct copy_issue *i);
struct digest digest_trace(const struct copy_trace *t);

/* Points, as they come. */
struct digest_points {
    struct sha256 *sha;
    int64_t n;
};
void digest_points_begin(struct digest_points *d);
int digest_points_add(void *d, const struct copy_point *p, size_t n); /* a copy_points_fn */
struct digest digest_points_end(struct digest_points *d);

#endif
