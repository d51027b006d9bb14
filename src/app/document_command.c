/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <stdio.h>

#include "command.h"
#include "house.h"
#include "quern/base/buf.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/git/git.h"
#include "quern/http/server.h"

int openapi_command(struct invocation *inv) {
    struct buf out = {0};
    if (option_given(inv, "markdown")) {
        routes_markdown(house_routes(), &out);
    } else {
        openapi_render(house_routes(), QUERN_VERSION, &out);
        buf_putc(&out, '\n');
    }
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return EXIT_OK;
}

int version_command(struct invocation *inv) {
    (void)inv;
    printf("quern %s (SQLite %s, %s, libgit2 %s, libcurl %s)\n", QUERN_VERSION, db_version(),
           crypto_version(), git_version(), curl_version_info(CURLVERSION_NOW)->version);
    return EXIT_OK;
}
