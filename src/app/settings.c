/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/config/config.h"

extern char **environ;

static const struct config_row *setting(const char *name) {
    for (int i = 0; i < CONFIG_COUNT; i++) {
        if (str_eq(config_rows[i].key, name)) {
            return &config_rows[i];
        }
    }
    return NULL;
}

static int flags(struct config *c, const struct invocation *inv, struct buf *error) {
    for (size_t i = 0; i < inv->noptions; i++) {
        const struct config_row *row = setting(inv->names[i]);
        if (!row) {
            continue;
        }
        const char *value = inv->values[i];
        if (row->type == CONFIG_BOOL && !value[0]) { /* the flag alone */
            value = "true";
        }
        if (config_set(c, inv->names[i], value, "flag", error) != 0) {
            return -1;
        }
    }
    return 0;
}

struct config *settings_load(const struct invocation *inv) {
    struct config *c = config_new();
    struct buf error = {0};
    const char *file = option_value(inv, "config");
    /* The default file lies in the data directory, whose place the later origins may set: they are
     * read once for that, and again above the file. */
    int rc = config_env(c, environ, &error);
    if (rc == 0) {
        rc = flags(c, inv, &error);
    }
    if (rc == 0) {
        const char *path =
            file ? file : arena_printf(inv->arena, "%s/quern.conf", config_str(c, CONFIG_DATA));
        config_free(c);
        c = config_new();
        rc = config_file(c, path, file != NULL, &error);
    }
    if (rc == 0) {
        rc = config_env(c, environ, &error);
    }
    if (rc == 0) {
        rc = flags(c, inv, &error);
    }
    if (rc != 0) {
        complain(EXIT_USAGE, "%s", error.data ? error.data : "bad settings");
        config_free(c);
        c = NULL;
    }
    buf_free(&error);
    return c;
}

int config_command(struct invocation *inv) {
    if (!str_eq(inv->args[0], "show")) {
        return complain(EXIT_USAGE, "'%s' is not known; 'quern config show' is", inv->args[0]);
    }
    struct config *c = settings_load(inv);
    if (!c) {
        return EXIT_USAGE;
    }
    struct buf out = {0};
    config_show(c, option_given(inv, "json"), &out);
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    config_free(c);
    return EXIT_OK;
}
