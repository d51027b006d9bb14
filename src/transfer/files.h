/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_FILES_H
#define QUERN_TRANSFER_FILES_H
/* Files: trees of a folder, or of a source that hands them out, into the artifact store. */
#include "quern/transfer/transfer.h"

struct place;
struct source;

/* Every file below rel of the place gets the name logical/...; what is there with the same bytes
 * stays. Names that are links, or that artifacts cannot have, are faults. */
int files_copy(struct ctx *c, const struct transfer_options *o, const struct place *p,
               const char *rel, const char *logical, struct transfer_report *report);
/* The same over the source's own API; its names and ours are the same. */
int files_fetch(const struct transfer_options *o, struct source *s, const char *logical,
                struct transfer_report *report);

#endif
