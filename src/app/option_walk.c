/* SPDX-License-Identifier: Apache-2.0 */
#include "option_walk.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "quern/config/config.h"

void setting_flag(const char *key, char out[64]) {
    snprintf(out, 64, "%s", key);
    for (char *p = out; *p; p++) {
        if (*p == '.') {
            *p = '-';
        }
    }
}

void setting_variable(const char *key, char out[64]) {
    snprintf(out, 64, "QUERN_%s", key);
    for (char *p = out; *p; p++) {
        *p = *p == '.' || *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
}

static void walk_rows(const struct option_row *rows, size_t n,
                      void (*visit)(const struct option_seen *o, void *arg), void *arg) {
    for (size_t i = 0; i < n; i++) {
        const struct option_seen o = {.name = rows[i].name,
                                      .letter = rows[i].letter,
                                      .arg = rows[i].arg,
                                      .doc = rows[i].doc,
                                      .def = "",
                                      .many = rows[i].many};
        visit(&o, arg);
    }
}

void options_walk(const struct command *c, void (*visit)(const struct option_seen *o, void *arg),
                  void *arg) {
    walk_rows(c->options, c->noptions, visit, arg);
    if (c->client) {
        walk_rows(client_options, client_option_count, visit, arg);
    }
    for (int i = 0; c->settings && i < CONFIG_COUNT; i++) {
        char flag[64];
        setting_flag(config_rows[i].key, flag);
        const struct option_seen o = {.name = flag,
                                      .arg = config_rows[i].type == CONFIG_BOOL ? NULL : "VALUE",
                                      .doc = config_rows[i].doc,
                                      .def = config_rows[i].def,
                                      .setting = true};
        visit(&o, arg);
    }
}
