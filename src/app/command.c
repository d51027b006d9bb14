/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/config/config.h"

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < command_count; i++) {
        if (str_eq(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

int complain(int code, const char *fmt, ...) {
    bool color = isatty(2) && !getenv("NO_COLOR");
    va_list ap;
    va_start(ap, fmt);
    fputs(color ? "\033[31mquern:\033[0m " : "quern: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

const char *option_value(const struct invocation *inv, const char *name) {
    const char *found = NULL;
    for (size_t i = 0; i < inv->noptions; i++) {
        if (str_eq(inv->names[i], name)) {
            found = inv->values[i];
        }
    }
    return found;
}

bool option_given(const struct invocation *inv, const char *name) {
    return option_value(inv, name) != NULL;
}

/* The option's row among the command's own, the client's and the settings. A setting's key has dots
 * where its flag has dashes. */
struct found {
    const char *name;
    bool takes_value;
};

static bool same_flag(const char *key, const char *flag, size_t n) {
    if (strlen(key) != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (key[i] != flag[i] && !(key[i] == '.' && flag[i] == '-')) {
            return false;
        }
    }
    return true;
}

static bool find_in(const struct option_row *rows, size_t n, const char *flag, size_t len,
                    struct found *out) {
    for (size_t i = 0; i < n; i++) {
        bool letter = len == 1 && rows[i].letter == flag[0];
        if (letter || (strlen(rows[i].name) == len && strncmp(rows[i].name, flag, len) == 0)) {
            *out = (struct found){rows[i].name, rows[i].arg != NULL};
            return true;
        }
    }
    return false;
}

static bool find_option(const struct command *c, const char *flag, size_t len, struct found *out) {
    if (find_in(c->options, c->noptions, flag, len, out)) {
        return true;
    }
    if (c->client && find_in(client_options, client_option_count, flag, len, out)) {
        return true;
    }
    for (int i = 0; c->settings && i < CONFIG_COUNT; i++) {
        if (same_flag(config_rows[i].key, flag, len)) {
            *out = (struct found){config_rows[i].key, config_rows[i].type != CONFIG_BOOL};
            return true;
        }
    }
    return false;
}

__attribute__((format(printf, 2, 3))) static int usage(const struct command *c, const char *fmt,
                                                       ...) __attribute__((format(printf, 2, 3)));
static int usage(const struct command *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("quern: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: quern %s %s\nTry 'quern %s --help'.\n", c->name, c->args, c->name);
    return EXIT_USAGE;
}

static void keep_option(struct invocation *inv, const char *name, const char *value) {
    inv->names[inv->noptions] = name;
    inv->values[inv->noptions++] = value;
}

static int parse(struct invocation *inv, int argc, char **argv) {
    const struct command *c = inv->command;
    bool only_args = false;
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i];
        if (only_args || a[0] != '-' || !a[1]) {
            inv->args[inv->nargs++] = a;
            continue;
        }
        if (str_eq(a, "--")) {
            only_args = true;
            continue;
        }
        if (str_eq(a, "--help") || str_eq(a, "-h")) {
            command_help(c);
            return -1;
        }
        const char *flag = a + (a[1] == '-' ? 2 : 1);
        size_t len = strcspn(flag, "=");
        struct found f;
        if ((a[1] != '-' && len != 1) || !find_option(c, flag, len, &f)) {
            return usage(c, "unknown option '%s'", a);
        }
        const char *value = flag[len] == '=' ? flag + len + 1 : NULL;
        if (!f.takes_value) {
            keep_option(inv, f.name, value ? value : "");
        } else if (value || i + 1 < argc) {
            keep_option(inv, f.name, value ? value : argv[++i]);
        } else {
            return usage(c, "option '%s' needs a value", a);
        }
    }
    if (inv->nargs < c->least) {
        return usage(c, "an argument is missing");
    }
    if (inv->nargs > c->most) {
        return usage(c, "'%s' is one argument too many", inv->args[c->most]);
    }
    return 0;
}

static int no_such_command(const char *name) {
    return complain(EXIT_USAGE, "there is no command '%s'; 'quern help' lists them", name);
}

/* A token or a document that did not arrive is no success. */
static int output_told(int code) {
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    return lost && code == EXIT_OK
               ? complain(EXIT_ERROR, "standard output cannot be written: %s", strerror(errno))
               : code;
}

int command_main(int argc, char **argv) {
    if (argc < 2 || str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
        const struct command *c = argc > 2 ? command_find(argv[2]) : NULL;
        if (argc > 2 && argv[2][0] != '-' && !c) {
            return no_such_command(argv[2]);
        }
        if (c) {
            command_help(c);
        } else {
            command_overview();
        }
        return output_told(argc < 2 ? EXIT_USAGE : EXIT_OK);
    }
    const char *name = str_eq(argv[1], "--version") ? "version" : argv[1];
    const struct command *c = command_find(name);
    if (!c) {
        return no_such_command(argv[1]);
    }
    struct invocation inv = {.command = c, .arena = arena_new()};
    size_t room = (size_t)argc + 1;
    inv.args = ARENA_ARRAY(inv.arena, const char *, room);
    inv.names = ARENA_ARRAY(inv.arena, const char *, room);
    inv.values = ARENA_ARRAY(inv.arena, const char *, room);
    int code = parse(&inv, argc - 2, argv + 2);
    if (code == 0) {
        code = c->run(&inv);
    }
    arena_free(inv.arena);
    return output_told(code < 0 ? EXIT_OK : code);
}
