/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_GRANT_PUBLIC_H
#define QUERN_ARTIFACT_GRANT_PUBLIC_H
/* Grant: URLs that allow one thing with one artifact for some time, without a credential.
 *
 * They begin with the operator's public-url, or with the Host that the caller himself has used
 * (which was checked before). Behind a proxy without public-url nobody knows how callers reach it,
 * so there are none. The key lies in DATA/artifact-url.key. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/http/route.h"

struct buf;
struct dir;

struct grant_options {
    struct dir *data;
    const char *public_url; /* "" for none */
    bool tls, behind_proxy;
};
int grants_open(const struct grant_options *o, struct buf *error);
void grants_close(void);
bool grants_possible(void);

struct presigned {
    const char *url;
    int64_t file_size; /* downloads */
};
#define GRANT_SECONDS_MAX 604800
/* For a caller who may do it himself. A download is bound to the content that the name has now: all
 * ranges of it are of one file. ERR_NOT_IMPLEMENTED where no URL can be made. Inside a read. */
int presign_download(struct ctx *c, const char *path, int64_t seconds, struct presigned *out);
int presign_upload(struct ctx *c, const char *path, int64_t seconds, struct presigned *out);

extern const struct route_list grant_routes;  /* the signed URLs themselves */
extern const struct route_list upload_routes; /* uploads in parts */

#endif
