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
static const struct option_row import_options[] = {
    {"from", 'f', "SOURCE", "sqlite:///mlflow.db, a folder mlruns, or the URL of a running server",
     false},
    {"artifacts", 'a', "DIR", "Folder below which the source's artifact URIs lead", false},
    {"data", 'd', "DIR", "Data directory of a daemon that is not running", false},
    {"project", 'p', "NAME", "Project to import into; default 'default'", false},
    {"workspace", 0, "NAME", "Workspace of the source; default 'default'", false},
    {"dry-run", 'n', NULL, "Look and count, change nothing", false},
};
static const struct option_row export_options[] = {
    {"to", 't', "FILE", "MLflow database to make; it must not exist", false},
    {"artifacts", 'a', "DIR", "Folder for the artifact files, as --artifacts-destination has them",
     false},
    {"data", 'd', "DIR", "Data directory of a daemon that is not running", false},
    {"project", 'p', "NAME", "Project to export; default 'default'", false},
};
static const struct option_row config_options[] = {
    {"config", 'c', "FILE", "Settings file", false},
    {"json", 0, NULL, "Print JSON", false},
};

static const struct option_row lineage_options[] = {
    {"up", 'u', NULL, "Only what it came from", false},
    {"down", 'd', NULL, "Only what came of it", false},
    {"depth", 0, "N", "Follow at most N edges", false},
    {"dot", 0, NULL, "Print the graph for Graphviz", false},
};
static const struct option_row run_options[] = {
    {"param", 'p', "NAME=VALUE", "Set a parameter of the pipeline", true},
    {"no-cache", 0, NULL, "Run every step, also those whose result is known", false},
    {"wait", 'w', NULL, "Wait for the end; the exit code tells how it went", false},
    {"follow", 'f', NULL, "Show states and output while it runs; implies --wait", false},
    {"timeout", 0, "LIFE", "With --wait or --follow: stop waiting after 30s, 10m, 2h", false},
};
static const struct option_row logs_options[] = {
    {"follow", 'f', NULL, "Go on until the run ends", false},
};
static const struct option_row runs_options[] = {
    {"pipeline", 0, "NAME", "Only runs of this pipeline", false},
    {"state", 0, "STATE", "Only runs in this state: queued, running, succeeded, failed, cancelled",
     false},
    {"limit", 'n', "N", "At most N runs, newest first; default 20", false},
};

static const struct option_row trash_options[] = {
    {"kind", 'k', "KIND",
     "Only experiment, run, logged_model, registered_model, model_version or artifact", false},
    {"older", 0, "LIFE", "With empty: only what was deleted this long ago (12h, 7d)", false},
    {"yes", 'y', NULL, "With empty: yes, for good", false},
};

static const struct option_row batch_options[] = {
    {"format", 0, "FORMAT", "Of the rows, csv or jsonl; default by the file's name", false},
    {"to", 't', "FORMAT", "Of the predictions; default as the rows", false},
    {"column", 'c', "COLUMN=NAME", "A column that the model gets, and its name for it", true},
    {"keep", 'k', "COLUMN", "A column that the predictions repeat; '*': all", true},
    {"rows", 0, "N", "Rows at once; default 1000", false},
    {"threads", 0, "N", "Threads of the worker; default 1", false},
    {"max-errors", 0, "N", "Failed rows past which the job fails", false},
    {"artifact", 'a', NULL, "FILE is the path of an artifact of the server", false},
    {"wait", 'w', NULL, "Wait for the end, then fetch the predictions", false},
    {"errors", 'e', NULL, "Fetch the rows that failed instead", false},
    {"output", 'o', "FILE", "Where to put what is fetched; default standard output", false},
};
static const struct option_row bundle_options[] = {
    {"output", 'o', "FILE", "Archive to make; default MODEL-VERSION.tar.gz", false},
    {"key", 'k', "HEX", "Public key that must have signed; default the server's", false},
    {"public-key", 0, NULL, "Print the server's public key", false},
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
    {.name = "import",
     .args = "mlflow",
     .doc = "Bring everything in from MLflow",
     .details =
         "Takes experiments, runs with every metric point, data sets, logged and registered models,"
         "\naliases, tags and artifact files with their ids and times, compares each with a digest"
         "\nof its whole content, and reads it back. Safe to repeat: what is here already stays,"
         "\nan import that was cut off goes on. The daemon must not run meanwhile.",
     .options = import_options,
     .noptions = ARRAY_LEN(import_options),
     .least = 1,
     .most = 1,
     .run = import_command},
    {.name = "export",
     .args = "mlflow",
     .doc = "Write everything out for MLflow",
     .details =
         "Makes a database that 'mlflow db upgrade sqlite:///FILE' brings to the schema of any"
         "\nMLflow from 3.3 on, reads it back and compares, and writes the artifact files.",
     .options = export_options,
     .noptions = ARRAY_LEN(export_options),
     .least = 1,
     .most = 1,
     .run = export_command},
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
     .args = "",
     .doc = "Print the OpenAPI 3.1 document",
     .run = openapi_command},
    {.name = "reference",
     .args = "api | settings | metrics | errors | events",
     .doc = "Print a page of the reference in Markdown",
     .least = 1,
     .most = 1,
     .run = reference_command},
    {.name = "run",
     .args = "PIPELINE.yaml",
     .doc = "Run a pipeline",
     .details = "Sends the definition and the files that its 'files' patterns name, from the "
                "definition's own folder.\nPrints the run's id. With --wait or --follow the exit "
                "code is 0 when the run succeeded, 3 when a gate said no, 1 when it failed "
                "otherwise, 124 when --timeout came first; the run itself goes on then, and also "
                "after an interrupt.",
     .options = run_options,
     .noptions = ARRAY_LEN(run_options),
     .least = 1,
     .most = 1,
     .client = true,
     .run = run_command},
    {.name = "runs",
     .args = "[RUN]",
     .doc = "List pipeline runs, or the steps of one",
     .options = runs_options,
     .noptions = ARRAY_LEN(runs_options),
     .most = 1,
     .client = true,
     .run = runs_command},
    {.name = "logs",
     .args = "RUN [STEP]",
     .doc = "Print the output of a run's steps",
     .details = "STEP may name one instance of a fan-out as STEP[2].",
     .options = logs_options,
     .noptions = ARRAY_LEN(logs_options),
     .least = 1,
     .most = 2,
     .client = true,
     .run = logs_command},
    {.name = "models",
     .args = "",
     .doc = "List registered models",
     .client = true,
     .run = models_command},
    {.name = "endpoints",
     .args = "[NAME]",
     .doc = "List serving endpoints, or show one",
     .most = 1,
     .client = true,
     .run = endpoints_command},
    {.name = "batch",
     .args = "[list] | submit TARGET FILE | watch JOB | fetch JOB | cancel JOB",
     .doc = "Predict the rows of a file on the server",
     .details = "TARGET is models:/NAME@ALIAS, models:/NAME/VERSION or an endpoint's name. FILE is "
                "uploaded as an artifact.",
     .options = batch_options,
     .noptions = ARRAY_LEN(batch_options),
     .most = 3,
     .client = true,
     .run = batch_command},
    {.name = "bundle",
     .args = "MODEL@ALIAS | MODEL/VERSION | verify FILE",
     .doc = "Fetch a model version as a signed archive that runs by itself, or check one",
     .details = "The archive holds run.py, which needs Python with numpy and onnxruntime and no "
                "network. 'verify' with --key needs no server.",
     .options = bundle_options,
     .noptions = ARRAY_LEN(bundle_options),
     .most = 2,
     .client = true,
     .run = bundle_command},
    {.name = "trash",
     .args = "list | restore KIND ID | empty",
     .doc = "List, restore or erase what was deleted",
     .details = "Deleted things can be restored for trash.keep (30 days). 'empty' erases them now, "
                "as 'mlflow gc' does for MLflow.",
     .options = trash_options,
     .noptions = ARRAY_LEN(trash_options),
     .least = 1,
     .most = 3,
     .client = true,
     .run = trash_command},
    {.name = "lineage",
     .args = "NODE",
     .doc = "Show where a thing came from and what came of it",
     .details = "NODE is kind:id, such as endpoint:breast-cancer, model_version:NAME/3 or "
                "run:ID.",
     .options = lineage_options,
     .noptions = ARRAY_LEN(lineage_options),
     .least = 1,
     .most = 1,
     .client = true,
     .run = lineage_command},
    {.name = "completion",
     .args = "bash | zsh | fish",
     .doc = "Print the completion script of a shell",
     .details = "For bash, in this shell:  . <(quern completion bash)",
     .least = 1,
     .most = 1,
     .run = completion_command},
    {.name = "man", .args = "", .doc = "Print the manual page in troff", .run = man_command},
    {.name = "version",
     .args = "",
     .doc = "Print the version and those of the libraries",
     .run = version_command},
};
const size_t command_count = ARRAY_LEN(commands);
