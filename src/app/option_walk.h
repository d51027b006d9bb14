/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_OPTION_WALK_H
#define QUERN_APP_OPTION_WALK_H
/* Option walk: all options that a command takes (its own, the client's, the settings), in one form,
 * for the completions and the man page. */
#include <stdbool.h>

struct command;

struct option_seen {
    const char *name; /* as typed after the dashes; valid during the visit */
    char letter;
    const char *arg; /* NULL: a flag */
    const char *doc;
    const char *def; /* default of a setting, or "" */
    bool many;
    bool setting;
};

void options_walk(const struct command *c, void (*visit)(const struct option_seen *o, void *arg),
                  void *arg);
void setting_flag(const char *key, char out[64]);     /* db.queue: db-queue */
void setting_variable(const char *key, char out[64]); /* db.queue: QUERN_DB_QUEUE */

#endif
