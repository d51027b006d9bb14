/* SPDX-License-Identifier: Apache-2.0 */
/* Completion: what a shell has to know, written from the command rows. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "option_walk.h"
#include "quern/base/str.h"

/* ---- bash */

static void bash_word(const struct option_seen *o, void *arg) {
    (void)arg;
    printf("--%s ", o->name);
    if (o->letter) {
        printf("-%c ", o->letter);
    }
}

static void bash_taking(const struct option_seen *o, void *arg) {
    bool *first = arg;
    if (o->arg) {
        printf("%s--%s", *first ? "" : "|", o->name);
        if (o->letter) {
            printf("|-%c", o->letter);
        }
        *first = false;
    }
}

/* Words for the first argument: "create PRINCIPAL | list" offers create and list. */
static void verbs(const struct command *c, const char *before, const char *after) {
    for (const char *at = c->args; *at;) {
        const size_t n = strcspn(at, " |");
        const bool word = n > 0 && strspn(at, "abcdefghijklmnopqrstuvwxyz-") == n;
        if (word) {
            printf("%s%.*s%s", before, (int)n, at, after);
        }
        const char *bar = strchr(at, '|');
        if (!bar) {
            break;
        }
        at = bar + 1 + strspn(bar + 1, " ");
    }
}

static void bash(void) {
    puts(
        "# bash completion of quern: source this, or put it in a completions directory as 'quern'");
    puts("_quern() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    local command=${COMP_WORDS[1]} words= taking=\n"
         "    COMPREPLY=()\n"
         "    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("        COMPREPLY=($(compgen -W \"", stdout);
    for (size_t i = 0; i < command_count; i++) {
        printf("%s ", commands[i].name);
    }
    puts("help --help --version\" -- \"$cur\"))\n"
         "        return\n"
         "    fi\n"
         "    case $command in");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        printf("    %s)\n        words=\"", c->name);
        verbs(c, "", " ");
        options_walk(c, bash_word, NULL);
        puts("--help\"");
        bool first = true;
        fputs("        case $prev in ", stdout);
        options_walk(c, bash_taking, &first);
        puts(first ? "'') ;; esac ;;" : ") taking=1 ;; esac ;;");
    }
    fputs("    help)\n        words=\"", stdout);
    for (size_t i = 0; i < command_count; i++) {
        printf("%s ", commands[i].name);
    }
    puts("\" ;;\n"
         "    esac\n"
         "    if [ -z \"$taking\" ] && [ -n \"$words\" ]; then\n"
         "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "    fi\n"
         "    # File names where a value or an argument may be one.\n"
         "    if [ ${#COMPREPLY[@]} -eq 0 ] && [[ $cur != -* ]]; then\n"
         "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "    fi\n"
         "}\n"
         "complete -o filenames -o bashdefault -F _quern quern");
}

/* ---- zsh */

/* Text inside single quotes and brackets of an _arguments specification. */
static void zsh_text(const char *s) {
    for (; *s; s++) {
        if (*s == '\'') {
            fputs("'\\''", stdout);
        } else {
            if (strchr("[]:\\", *s)) {
                putchar('\\');
            }
            putchar(*s);
        }
    }
}

static void zsh_option(const struct option_seen *o, void *arg) {
    (void)arg;
    fputs("            ", stdout);
    const char *many = o->many ? "*" : "";
    if (o->letter) {
        printf("%s{-%c,--%s}'[", o->many ? "'*'" : "", o->letter, o->name);
    } else {
        printf("'%s--%s[", many, o->name);
    }
    zsh_text(o->doc);
    putchar(']');
    if (o->arg) {
        putchar(':');
        zsh_text(o->arg);
        fputs(strstr(o->arg, "DIR") ? ":_files -/" : ":_files", stdout);
    }
    puts("' \\");
}

static void zsh(void) {
    puts("#compdef quern\n"
         "# zsh completion of quern: put it in a directory of $fpath as '_quern'\n"
         "_quern() {\n"
         "    local -a commands\n"
         "    commands=(");
    for (size_t i = 0; i < command_count; i++) {
        printf("        '%s:", commands[i].name);
        zsh_text(commands[i].doc);
        puts("'");
    }
    puts("    )\n"
         "    if (( CURRENT == 2 )); then\n"
         "        _describe 'command' commands\n"
         "        return\n"
         "    fi\n"
         "    local command=$words[2]\n"
         "    shift words\n"
         "    (( CURRENT-- ))\n"
         "    case $command in");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        printf("    %s)\n        _arguments -s \\\n", c->name);
        options_walk(c, zsh_option, NULL);
        puts("            '(- *)'{-h,--help}'[Show help]' \\");
        bool words = strchr(c->args, '|') != NULL;
        if (words) {
            fputs("            '1:what:(", stdout);
            verbs(c, "", " ");
            puts(")' \\");
        }
        puts("            '*:argument:_files' ;;");
    }
    puts("    help) _describe 'command' commands ;;\n"
         "    esac\n"
         "}\n"
         "_quern \"$@\"");
}

/* ---- fish */

static void fish_text(const char *s) {
    putchar('\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\') {
            putchar('\\');
        }
        putchar(*s);
    }
    putchar('\'');
}

static void fish_option(const struct option_seen *o, void *arg) {
    const struct command *c = arg;
    printf("complete -c quern -n '__fish_seen_subcommand_from %s' -l %s", c->name, o->name);
    if (o->letter) {
        printf(" -s %c", o->letter);
    }
    if (o->arg) {
        fputs(" -r", stdout);
    }
    fputs(" -d ", stdout);
    fish_text(o->doc);
    putchar('\n');
}

static void fish(void) {
    puts("# fish completion of quern: put it in ~/.config/fish/completions/quern.fish");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        printf("complete -c quern -n __fish_use_subcommand -f -a %s -d ", c->name);
        fish_text(c->doc);
        putchar('\n');
        char before[128];
        snprintf(before, sizeof before, "complete -c quern -n '__fish_seen_subcommand_from %s' -a ",
                 c->name);
        verbs(c, before, "\n");
        options_walk(c, fish_option, (void *)(uintptr_t)c);
    }
}

int completion_command(struct invocation *inv) {
    const char *shell = inv->args[0];
    if (str_eq(shell, "bash")) {
        bash();
    } else if (str_eq(shell, "zsh")) {
        zsh();
    } else if (str_eq(shell, "fish")) {
        fish();
    } else {
        return complain(EXIT_USAGE, "'%s' is not a known shell; say bash, zsh or fish", shell);
    }
    return EXIT_OK;
}
