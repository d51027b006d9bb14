/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <sys/stat.h>

#include "quern/base/str.h"
#include "quern/core/ctx.h"

int source_open(struct ctx *c, const struct transfer_options *o, struct source **out) {
    const char *from = o->from, *workspace = o->workspace;
    struct stat st;
    if (str_starts(from, "sqlite:///"))
        return mlflow_db_open(c, from + 10, workspace, out);
    if (stat(from, &st) == 0 && S_ISREG(st.st_mode))
        return mlflow_db_open(c, from, workspace, out);
    if (str_starts(from, "http://") || str_starts(from, "https://"))
        return mlflow_server_open(c, from, workspace, o->most, out);
    if (str_starts(from, "file://"))
        from += 7;
    if (stat(from, &st) == 0 && S_ISDIR(st.st_mode))
        return mlruns_open(c, from, out);
    return fail(c, ERR_INVALID,
                "'%s' is no source: give sqlite:///FILE.db, the path of such a file, a folder "
                "mlruns, or the http URL of a server.",
                from);
}
