/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"
#include "quern/base/arena.h"

const struct option_row client_options[] = {
    {"url", 0, "URL", "Server to talk to; default QUERN_URL, else http://127.0.0.1:7780", false},
    {"json", 0, NULL, "Print JSON instead of a table", false},
};
const size_t client_option_count = ARRAY_LEN(client_options);

static const struct option_row serve_options[] = {
    {"config", 'c', "FILE", "Settings file; default DATA/quern.conf where it exists", false},
};
static const struct option_row data_options[] = {
    {"data", 'd', "DIR", "Data directory; default QUERN_DATA, else ./quern-data", false},
};
static const struct option_row token_options[] = {
    {"data", 'd', "DIR", "Data directory of a daemon that is not running", false},
    {"name", 'n', "TEXT", "What the token is for", false},
    {"role", 'r', "ROLE", "reader, writer or admin on the project", false},
    {"project", 'p', "NAME", "Project that the role is on; default 'default'", false},
    {"system", 0, NULL, "A new principal administers the installation", false},
    {"expires", 'e', "LIFE", "12h, 30d, never; default 90d", false},
};
static const struct option_row config_options[] = {
    {"config", 'c', "FILE", "Settings file", false},
    {"json", 0, NULL, "Print JSON", false},
};

const struct command commands[] = {
    {.name = "serve",
     .args = "[SETTINGS]",
     .doc = "Run the server",
     .details = "Listens on 127.0.0.1:7780 and keeps everything in ./quern-data unless told "
                "otherwise.\nOn loopback, while no principal exists, callers on this machine act "
                "as admin.\nSIGTERM drains and stops; running pipeline steps go on and are taken "
                "up again at the next start.",
     .options = serve_options,
     .noptions = ARRAY_LEN(serve_options),
     .settings = true,
     .run = serve_command},
    {.name = "token",
     .args = "create PRINCIPAL | list | revoke ID",
     .doc = "Make, list and revoke access tokens",
     .details = "Talks to the running server, or opens the data directory when none runs.\nThe "
                "first principal administers the installation and ends local mode for good.",
     .options = token_options,
     .noptions = ARRAY_LEN(token_options),
     .least = 1,
     .most = 2,
     .client = true,
     .run = token_command},
    {.name = "config",
     .args = "show",
     .doc = "Show every setting with where it comes from",
     .options = config_options,
     .noptions = ARRAY_LEN(config_options),
     .least = 1,
     .most = 1,
     .settings = true,
     .run = config_command},
    {.name = "backup",
     .args = "DIR",
     .doc = "Copy a consistent backup of the running server to DIR",
     .least = 1,
     .most = 1,
     .client = true,
     .run = backup_command},
    {.name = "restore",
     .args = "DIR",
     .doc = "Make a data directory from the backup in DIR",
     .details = "The data directory must not exist or be empty. Every file is verified against "
                "the backup's manifest first.",
     .options = data_options,
     .noptions = ARRAY_LEN(data_options),
     .least = 1,
     .most = 1,
     .run = restore_command},
    {.name = "doctor",
     .args = "",
     .doc = "Check database, artifacts, audit chain and machine",
     .options = data_options,
     .noptions = ARRAY_LEN(data_options),
     .client = true,
     .run = doctor_command},
    {.name = "openapi",
     .args = "[--markdown]",
     .doc = "Print the OpenAPI 3.1 document",
     .options = (const struct option_row[]){{"markdown", 0, NULL,
                                             "Print the reference page instead", false}},
     .noptions = 1,
     .run = openapi_command},
    {.name = "version",
     .args = "",
     .doc = "Print the version and those of the libraries",
     .run = version_command},
};
const size_t command_count = ARRAY_LEN(commands);
