/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "quern/config/config.h"

static void option_line(const char *name, char letter, const char *arg, const char *doc) {
    char left[80];
    char short_form[8] = "    ";
    if (letter) {
        snprintf(short_form, sizeof short_form, "-%c, ", letter);
    }
    snprintf(left, sizeof left, "%s--%s%s%s", short_form, name, arg ? " " : "", arg ? arg : "");
    for (char *p = left; *p; p++) {
        if (*p == '.') {
            *p = '-';
        }
    }
    printf("  %-34s %s\n", left, doc);
}

void command_help(const struct command *c) {
    printf("quern %s %s\n\n%s\n", c->name, c->args, c->doc);
    if (c->details) {
        printf("\n%s\n", c->details);
    }
    if (c->noptions || c->client) {
        printf("\nOptions:\n");
    }
    for (size_t i = 0; i < c->noptions; i++) {
        const struct option_row *o = &c->options[i];
        option_line(o->name, o->letter, o->arg, o->doc);
    }
    for (size_t i = 0; c->client && i < client_option_count; i++) {
        const struct option_row *o = &client_options[i];
        option_line(o->name, o->letter, o->arg, o->doc);
    }
    if (c->settings) {
        printf("\nSettings (also in the file of --config and as QUERN_... in the environment):\n");
    }
    for (int i = 0; c->settings && i < CONFIG_COUNT; i++) {
        const struct config_row *r = &config_rows[i];
        option_line(r->key, 0, r->type == CONFIG_BOOL ? NULL : "VALUE", r->doc);
        if (r->def[0]) {
            printf("  %-34s (default %s)\n", "", r->def);
        }
    }
}

void command_overview(void) {
    printf("quern: experiments, registry, pipelines, serving and lineage in one binary.\n\n"
           "usage: quern COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < command_count; i++) {
        printf("  %-12s %s\n", commands[i].name, commands[i].doc);
    }
    printf("\n'quern COMMAND --help' tells more. Start with 'quern serve', then open "
           "http://127.0.0.1:7780/.\n");
}
