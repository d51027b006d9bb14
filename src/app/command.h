/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_COMMAND_H
#define QUERN_APP_COMMAND_H
/* Command: a row per command of the program. Parsing, --help, the man page and the completions of
 * bash, zsh and fish are derived from the rows.
 *
 * Exit codes: 0 ok, 1 error, 2 usage, 3 gate failed, 4 not found, 5 conflict, 6 not permitted,
 * 7 server not reachable or busy, 124 time-out, 130 interrupted. */
#include <stdbool.h>
#include <stddef.h>

struct arena;
struct pairs;

enum exit_code {
    EXIT_OK = 0,
    EXIT_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_GATE = 3,
    EXIT_NOT_FOUND = 4,
    EXIT_CONFLICT = 5,
    EXIT_DENIED = 6,
    EXIT_UNAVAILABLE = 7,
    EXIT_TIMEOUT = 124,
    EXIT_INTERRUPTED = 130,
};

struct option_row {
    const char *name; /* long name without the dashes */
    char letter;      /* 0: none */
    const char *arg;  /* "FILE"; NULL: a flag */
    const char *doc;
    bool many; /* may be given more than once */
};

struct invocation;

struct command {
    const char *name;
    const char *args;    /* "PIPELINE.yaml", "[DIR]" */
    const char *doc;     /* one line */
    const char *details; /* paragraphs for help and man page, or NULL */
    const struct option_row *options;
    size_t noptions;
    size_t least, most;                 /* positional arguments */
    bool settings;                      /* also takes every setting of config.def as a flag */
    bool client;                        /* also takes --url and --json */
    int (*run)(struct invocation *inv); /* an exit code */
};

struct invocation {
    const struct command *command;
    struct arena *arena;
    const char **args; /* positional */
    size_t nargs;
    const char **names, **values; /* options in order; a flag's value is "" */
    size_t noptions;
};

extern const struct command commands[];
extern const size_t command_count;
extern const struct option_row client_options[]; /* --url, --json */
extern const size_t client_option_count;

const struct command *command_find(const char *name);
int command_main(int argc, char **argv); /* all after the hidden commands keeper and vet */
const char *option_value(const struct invocation *inv, const char *name); /* last one, or NULL */
bool option_given(const struct invocation *inv, const char *name);
void command_help(const struct command *c); /* to standard output */
void command_overview(void);
/* "quern: message" on standard error, coloured on a terminal unless NO_COLOR. Returns code. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Each in its own file. */
int serve_command(struct invocation *inv);
int token_command(struct invocation *inv);
int config_command(struct invocation *inv);
int backup_command(struct invocation *inv);
int restore_command(struct invocation *inv);
int import_command(struct invocation *inv);
int export_command(struct invocation *inv);
int doctor_command(struct invocation *inv);
int openapi_command(struct invocation *inv);
int reference_command(struct invocation *inv);
int version_command(struct invocation *inv);
int run_command(struct invocation *inv);
int runs_command(struct invocation *inv);
int logs_command(struct invocation *inv);
int models_command(struct invocation *inv);
int endpoints_command(struct invocation *inv);
int batch_command(struct invocation *inv);
int bundle_command(struct invocation *inv);
int trash_command(struct invocation *inv);
int lineage_command(struct invocation *inv);
int completion_command(struct invocation *inv);
int man_command(struct invocation *inv);

#endif
