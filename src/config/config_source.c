/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"
#include "quern/config/config.h"

#define FILE_CAP ((size_t)1024 * 1024)

static char *trim(char *s) {
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

/* A comment begins the line or follows a blank, so that a value may hold a '#'; one in quotes may
 * have it anywhere. */
static void cut_comment(char *line) {
    char *quote = strchr(line, '=');
    quote = quote ? quote + 1 + strspn(quote + 1, " \t") : NULL;
    char *end = quote && *quote == '"' ? strchr(quote + 1, '"') : NULL;
    for (char *p = line; (p = strchr(p, '#')); p++)
        if ((p == line || p[-1] == ' ' || p[-1] == '\t') && !(end && p > quote && p < end)) {
            *p = '\0';
            return;
        }
}

static char *unquote(char *value) {
    size_t n = strlen(value);
    if (n < 2 || value[0] != '"' || value[n - 1] != '"')
        return value;
    value[n - 1] = '\0';
    return value + 1;
}

static int one_line(struct config *c, char *line, const char *path, size_t number,
                    struct buf *error) {
    struct buf origin = {0};
    int r = 0;
    buf_printf(&origin, "%s:%zu", path, number);
    cut_comment(line);
    line = trim(line);
    char *eq = strchr(line, '=');
    if (*line && !eq) {
        buf_printf(error, "%s: '%.100s' is not of the form key = value", origin.data, line);
        r = -1;
    } else if (*line) {
        *eq = '\0';
        r = config_set(c, trim(line), unquote(trim(eq + 1)), origin.data, error);
    }
    buf_free(&origin);
    return r;
}

int config_file(struct config *c, const char *path, bool must_exist, struct buf *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        if (errno == ENOENT && !must_exist)
            return 0;
        buf_printf(error, "%s cannot be read: %s", path, strerror(errno));
        return -1;
    }
    char *text = mem_alloc(FILE_CAP + 1);
    ssize_t n = fd_read_all(fd, text, FILE_CAP + 1);
    fd_close(fd);
    int r = 0;
    if (n < 0 || (size_t)n > FILE_CAP || memchr(text, 0, (size_t)n)) {
        buf_printf(error, "%s cannot be read: %s", path,
                   n < 0 ? strerror((int)-n) : "it is not a text of at most 1 MiB");
        r = -1;
    }
    if (r == 0)
        text[n] = '\0';
    char *line = text;
    for (size_t number = 1; r == 0 && line; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        r = one_line(c, line, path, number, error);
        line = end ? end + 1 : NULL;
    }
    free(text);
    return r;
}

/* QUERN_DB_WAL_SOFT names db.wal-soft. */
static bool env_names(const char *key, const char *name, size_t n) {
    for (; *key && n > 0; key++, name++, n--) {
        char want = *key == '.' || *key == '-' ? '_' : *key;
        if (want >= 'a' && want <= 'z')
            want = (char)(want - 'a' + 'A');
        if (want != *name)
            return false;
    }
    return !*key && n == 0;
}

int config_env(struct config *c, char **environ_, struct buf *error) {
    static const char prefix[] = "QUERN_";
    for (char **e = environ_; e && *e; e++) {
        if (!str_starts(*e, prefix))
            continue;
        const char *name = *e + sizeof prefix - 1, *eq = strchr(name, '=');
        if (!eq)
            continue;
        /* Others of the prefix belong to the client (QUERN_URL, QUERN_TOKEN) or to nobody; a
         * service must not fail to start over a stranger's variable. */
        for (int i = 0; i < CONFIG_COUNT; i++) {
            const char *key = config_rows[i].key;
            if (env_names(key, name, (size_t)(eq - name)) &&
                config_set(c, key, eq + 1, "env", error) < 0)
                return -1;
        }
    }
    return 0;
}
