/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "name.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/registry/registry.h"
#include "quern/tracking/tracking.h"
#include "version.h"

#define BREAKS "/\\?#;" /* what can end a path segment in some reader of URIs */

static bool climbs(const char *s) {
    for (;;) {
        size_t n = strcspn(s, BREAKS);
        if (n == 2 && s[0] == '.' && s[1] == '.')
            return true;
        if (!s[n])
            return false;
        s += n + 1;
    }
}

/* Length of the scheme before ':', 0 when there is none. One letter is a drive, not a scheme. */
static size_t scheme_length(const char *s) {
    size_t n = 0;
    if (!isalpha((unsigned char)s[0]))
        return 0;
    while (isalnum((unsigned char)s[n]) || (s[n] && strchr("+-.", s[n])))
        n++;
    return s[n] == ':' && n > 1 ? n : 0;
}

/* ERR_NOT_FOUND for an unknown run or model. */
static int within(struct ctx *c, const char *source, const char *run_id, const char *model_id,
                  bool *inside) {
    const char *own = NULL, *path = artifact_local_path(c, source);
    struct artifact_place place;
    struct logged_model_info m;
    int rc = 0;
    *inside = false;
    if (run_id && *run_id) {
        rc = run_artifact_place(c, run_id, &place, &own);
        if (rc == -ERR_INVALID && own) {
            err_clear(c);
            rc = 0;
        }
    } else if (model_id && *model_id) {
        rc = logged_model_get(c, model_id, &m);
        own = rc == 0 ? m.artifact_uri : NULL;
    }
    if (rc == 0 && path && own && (own = artifact_local_path(c, own))) {
        size_t n = strlen(own);
        *inside = n > 1 && strncmp(path, own, n) == 0 && (path[n] == '/' || path[n] == '\0');
    }
    return rc;
}

int source_check(struct ctx *c, const char *source, const char *run_id, const char *model_id) {
    int rc = length_check(c, "source", source, SOURCE_MAX);
    if (rc != 0)
        return rc;
    const char *decoded = artifact_decode_fully(c, source);
    /* "s3:..": what follows the scheme is a segment as well. */
    const char *colon = decoded ? strchr(decoded, ':') : NULL;
    if (!decoded || climbs(decoded) || (colon && climbs(colon + 1)))
        return fail_field(c, ERR_INVALID, "source",
                          "Invalid model version source: '%s'. If supplying a source as an http, "
                          "https, local file path, ftp, objectstore, or mlflow-artifacts uri, an "
                          "absolute path must be provided without relative path references "
                          "present. Please provide an absolute path.",
                          source);
    size_t n = scheme_length(decoded);
    while (isspace((unsigned char)*decoded))
        decoded++;
    if (n > 0 && scheme_length(source) > 0 && (n != 4 || strncasecmp(decoded, "file", 4) != 0))
        return 0;
    bool inside = false;
    rc = within(c, source, run_id, model_id, &inside);
    if (rc == 0 && !inside)
        return fail_field(c, ERR_INVALID, "source",
                          "Invalid model version source: '%s'. To use a local path as a model "
                          "version source, the run_id request parameter has to be specified and "
                          "the local path has to be contained within the artifact directory of "
                          "the run specified by the run_id.",
                          source);
    return rc;
}

int source_resolve(struct ctx *c, const char *source, const char **storage, const char **run_id,
                   const char **logged_model) {
    *storage = *run_id = *logged_model = NULL;
    if (!str_starts(source, "models:/"))
        return 0;
    const char *rest = source + strlen("models:/");
    while (*rest == '/')
        rest++;
    if (str_starts(rest, "m-")) {
        struct logged_model_info m;
        int rc = logged_model_get(c, rest, &m);
        if (rc == 0) {
            *storage = m.artifact_path
                           ? arena_printf(c->arena, "mlflow-artifacts:/%s", m.artifact_path)
                           : m.artifact_uri;
            *run_id = m.source_run_id;
            *logged_model = m.id;
        }
        /* A registered model may have such a name, too. */
        if (rc != -ERR_NOT_FOUND || !strpbrk(rest, "/@"))
            return rc;
        err_clear(c);
    }
    struct model_version_info other;
    struct version_row v;
    int rc = model_resolve(c, source, &other);
    if (rc == 0)
        rc = version_find(c, other.name, other.version, OBJECT_READ, &v);
    if (rc == 0)
        *storage = version_uri(&v);
    return rc;
}
