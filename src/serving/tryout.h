/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_TRYOUT_H
#define QUERN_SERVING_TRYOUT_H
/* Tryout: a version run on golden cases in a child, without taking traffic. On a worker, outside of
 * a read. */
#include <stddef.h>

struct ctx;
struct dir;
struct lanes;
struct model_version_info;
struct serving_options;

/* `work` is where files are unpacked; both live until the options are taken back with NULL, when
 * nobody calls any more. */
void tryout_use(const struct serving_options *o, struct dir *work);
struct lanes *tryout_lanes(void);
const struct serving_options *tryout_options(void); /* NULL when they were taken back */
struct dir *tryout_dir(void);

/* Replays a document. ERR_UNPROCESSABLE says what does not fit, or that the version cannot be run.
 */
int tryout_replay(struct ctx *c, const struct model_version_info *info, const char *text, size_t n);
/* Makes the outputs of a document's cases. */
int tryout_record(struct ctx *c, const struct model_version_info *info, const char *text, size_t n,
                  const char **document);

#endif
