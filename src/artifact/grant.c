/* SPDX-License-Identifier: Apache-2.0 */
#include "grant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "caller.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/grant.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"

#define KEY_FILE "artifact-url.key"
#define PURPOSE "artifact url 1"

static struct seal_key *key;
static struct grant_options options;
static char *public_url;

int grants_open(const struct grant_options *o, struct buf *error) {
    grants_close();
    enum seal_fault fault = seal_key_open(o->data, KEY_FILE, true, &key);
    if (fault != SEAL_OK) {
        buf_printf(error, "cannot use %s in the data directory: %s", KEY_FILE,
                   seal_fault_text(fault));
        return -1;
    }
    options = *o;
    public_url = mem_strdup(o->public_url ? o->public_url : "");
    for (size_t n = strlen(public_url); n > 0 && public_url[n - 1] == '/';)
        public_url[--n] = '\0';
    return 0;
}

void grants_close(void) {
    seal_key_free(key);
    free(public_url);
    key = NULL;
    public_url = NULL;
}

bool grants_possible(void) {
    return key && (public_url[0] || !options.behind_proxy);
}

const char *grant_base(struct ctx *c) {
    const char *host = ctx_header(c, "host");
    if (!grants_possible())
        return NULL;
    if (public_url[0])
        return public_url;
    /* Whoever let this request in has judged the name; here it must only be nothing but a name. */
    if (!host || !*host ||
        host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789.-_:[]")])
        return NULL;
    return arena_printf(c->arena, "%s://%s", options.tls ? "https" : "http", host);
}

char *grant_sign(struct ctx *c, const struct grant *g) {
    unsigned char mac[32];
    char *hex = arena_alloc(c->arena, 65);
    /* No member holds a line break: paths are without control characters. */
    const char *text = arena_printf(c->arena, "%s\n%" PRId64 "\n%s\n%s\n%" PRId64, g->verb,
                                    g->project, g->path, g->what, g->expires);
    seal_mac(key, PURPOSE, text, strlen(text), mac);
    hex_encode(mac, sizeof mac, hex);
    return hex;
}

int grant_check(struct ctx *c, const struct grant *g, const char *signature) {
    if (!key || strlen(signature) != 64 || !crypto_equal(grant_sign(c, g), signature, 64))
        return fail(c, ERR_FORBIDDEN, "The signature of this URL does not fit.");
    if (g->expires < c->now_ms / 1000)
        return fail(c, ERR_FORBIDDEN, "This URL has expired; ask for a new one.");
    return 0;
}

int presign_download(struct ctx *c, const char *path, int64_t seconds, struct presigned *out) {
    struct artifact_entry e;
    const char *base = grant_base(c);
    if (!base)
        return fail(c, ERR_NOT_IMPLEMENTED,
                    "Multipart download is not supported for the current artifact repository");
    int rc = artifact_stat(c, path, &e);
    if (rc == 0)
        rc = artifact_permit(c, path, OBJECT_READ);
    if (rc == 0 && e.is_dir)
        rc = fail_field(c, ERR_INVALID, "path",
                        "'%s' is a folder; list it and fetch its files one by one.", path);
    if (rc != 0)
        return rc;
    struct grant g = {.verb = "get",
                      .project = c->project,
                      .path = path,
                      .what = e.sha256,
                      .expires = c->now_ms / 1000 + seconds};
    out->file_size = e.size;
    out->url = arena_printf(
        c->arena,
        "%s" GRANT_PROXY "signed/%s?project=%" PRId64 "&sha256=%s&expires=%" PRId64 "&signature=%s",
        base, url_encode(c->arena, path, true), g.project, g.what, g.expires, grant_sign(c, &g));
    return 0;
}

int presign_upload(struct ctx *c, const char *path, int64_t seconds, struct presigned *out) {
    const char *base = grant_base(c);
    if (!base)
        return fail(c, ERR_NOT_IMPLEMENTED,
                    "Presigned upload is not supported for the current artifact repository");
    int rc = artifact_check_path(c, path);
    if (rc == 0)
        rc = caller_check(c, path);
    if (rc == 0)
        rc = caller_check_model(c, path);
    if (rc == 0)
        rc = artifact_permit(c, path, OBJECT_EDIT);
    if (rc != 0)
        return rc;
    struct grant g = {.verb = "put",
                      .project = c->project,
                      .path = path,
                      .what = c->who.name,
                      .expires = c->now_ms / 1000 + seconds};
    *out = (struct presigned){.url = arena_printf(c->arena,
                                                  "%s" GRANT_PROXY "signed/%s?project=%" PRId64
                                                  "&by=%s&expires=%" PRId64 "&signature=%s",
                                                  base, url_encode(c->arena, path, true), g.project,
                                                  url_encode(c->arena, g.what, false), g.expires,
                                                  grant_sign(c, &g))};
    return 0;
}
