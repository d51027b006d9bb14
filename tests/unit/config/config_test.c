/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/config/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/buf.h"

static struct buf error;

static const char *said(void) {
    static char text[600];
    strncpy(text, error.data ? error.data : "", sizeof text - 1);
    buf_clear(&error);
    return text;
}

static void defaults(void) {
    struct config *c = config_new();
    CHECK_STR(config_str(c, CONFIG_LISTEN), "127.0.0.1:7780");
    CHECK_INT(config_int(c, CONFIG_HTTP_BODY_CAP), 16 << 20);
    CHECK_INT(config_int(c, CONFIG_HTTP_IDLE_MS), 75000);
    CHECK_INT(config_int(c, CONFIG_WORKERS), 4);
    CHECK(!config_bool(c, CONFIG_BEHIND_PROXY));
    for (int i = 0; i < CONFIG_COUNT; i++) {
        CHECK_STR(config_origin(c, (enum config_id)i), "default");
        CHECK(*config_rows[i].doc);
    }
    config_free(c);
    config_free(NULL);
}

static void setting_and_origins(void) {
    struct config *c = config_new();
    CHECK_INT(config_set(c, "db.queue", "100", "flag", &error), 0);
    CHECK_INT(config_set(c, "db-wal-soft", "8M", "flag", &error), 0);
    CHECK_INT(config_set(c, "behind-proxy", "Yes", "flag", &error), 0);
    CHECK_INT(config_set(c, "drain-timeout", "0s", "flag", &error), 0);
    CHECK_INT(config_int(c, CONFIG_DB_QUEUE), 100);
    CHECK_INT(config_int(c, CONFIG_DB_WAL_SOFT), 8 << 20);
    CHECK(config_bool(c, CONFIG_BEHIND_PROXY));
    CHECK_STR(config_origin(c, CONFIG_DB_QUEUE), "flag");
    CHECK_STR(config_origin(c, CONFIG_DB_BATCH), "default");
    static const struct {
        const char *key, *value, *message;
    } bad[] = {
        {"db.queue", "x", "db.queue (flag): 'x' is not a whole number"},
        {"db.queue", "", "is not a whole number"},
        {"db.queue", "15", "out of range; it must be at least 16 and at most 1000000"},
        {"db.queue", "1000001", "out of range"},
        {"http.idle-timeout", "75", "a time with its unit"},
        {"http.idle-timeout", "1ms", "at least 100 and at most 3600000 milliseconds"},
        {"db.wal-soft", "4X", "a size such as"},
        {"db.wal-soft", "1", "bytes"},
        {"artifact.upload-cap", "1", "must be at least 1048576 bytes"},
        {"behind-proxy", "maybe", "true or false"},
        {"listen", "a\nb", "one line of UTF-8"},
        {"listen", "\xff", "one line of UTF-8"},
        {"db.quue", "5", "'db.quue' (flag) is not a setting; did you mean db.queue?"},
        {"nothing-like-it-at-all", "5", "'quern config show' lists them"},
        {"", "5", "is not a setting"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(config_set(c, bad[i].key, bad[i].value, "flag", &error), -1);
        CHECK_HAS(said(), bad[i].message);
    }
    CHECK_INT(config_int(c, CONFIG_DB_QUEUE), 100); /* a refused value changes nothing */
    config_free(c);
}

static void words(void) {
    struct config *c = config_new();
    CHECK_INT(config_set(c, "auth", "on", "flag", &error), 0);
    CHECK_STR(config_str(c, CONFIG_AUTH), "on");
    static const char *const wrong[] = {"yes", "ON", "o", "onn", "auto on", "", " "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_INT(config_set(c, "auth", wrong[i], "flag", &error), -1);
        CHECK_HAS(said(), "none of: auto on");
        CHECK_STR(config_str(c, CONFIG_AUTH), "on");
    }
    config_free(c);
}

static void environment(void) {
    struct config *c = config_new();
    char *good[] = {"PATH=/bin",   "QUERN_DB_QUEUE=64", "QUERN_LISTEN=[::1]:1",
                    "QUERN_URL=x", "QUERNDATA=y",       "QUERN_HTTP_BODY_CAP=1M",
                    "QUERN_ODD",   "quern_db_batch=9",  NULL};
    CHECK_INT(config_env(c, good, &error), 0);
    CHECK_INT(config_int(c, CONFIG_DB_QUEUE), 64);
    CHECK_INT(config_int(c, CONFIG_HTTP_BODY_CAP), 1 << 20);
    CHECK_STR(config_str(c, CONFIG_LISTEN), "[::1]:1");
    CHECK_STR(config_origin(c, CONFIG_LISTEN), "env");
    CHECK_STR(config_origin(c, CONFIG_DB_BATCH), "default");
    char *bad[] = {"QUERN_DB_QUEUE=many", NULL};
    CHECK_INT(config_env(c, bad, &error), -1);
    CHECK_HAS(said(), "db.queue (env): 'many'");
    CHECK_INT(config_env(c, NULL, &error), 0);
    config_free(c);
}

static int from_file(struct config *c, const char *text, char path[32]) {
    strcpy(path, "/tmp/quern-config-XXXXXX");
    int fd = mkstemp(path);
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    int r = n < 0 ? -2 : config_file(c, path, true, &error);
    unlink(path);
    return r;
}

static void files(void) {
    struct config *c = config_new();
    char path[32], want[64];
    CHECK_INT(from_file(c,
                        "# a comment\n\n  db.queue = 128   # trailing\r\n"
                        "data=\"/srv/with blank # and mark\"\nallowed-hosts = a#b, c\nworkers=8",
                        path),
              0);
    CHECK_INT(config_int(c, CONFIG_DB_QUEUE), 128);
    CHECK_STR(config_str(c, CONFIG_ALLOWED_HOSTS), "a#b, c");
    CHECK_INT(config_int(c, CONFIG_WORKERS), 8);
    snprintf(want, sizeof want, "%s:3", path);
    CHECK_STR(config_origin(c, CONFIG_DB_QUEUE), want);
    CHECK_INT(from_file(c, "workers = 2\nworkers\n", path), -1);
    CHECK_HAS(said(), ":2: 'workers' is not of the form key = value");
    CHECK_INT(from_file(c, "\nworkes = 2\n", path), -1);
    CHECK_HAS(said(), ":2) is not a setting; did you mean workers?");
    CHECK_INT(from_file(c, "", path), 0);
    CHECK_INT(config_file(c, "/nonexistent/quern.conf", false, &error), 0);
    CHECK_INT(config_file(c, "/nonexistent/quern.conf", true, &error), -1);
    CHECK_HAS(said(), "/nonexistent/quern.conf cannot be read");
    CHECK_INT(config_file(c, "/tmp", true, &error), -1);
    CHECK_HAS(said(), "cannot be read");
    config_free(c);
}

static void showing(void) {
    struct config *c = config_new();
    struct buf b = {0};
    config_set(c, "data", "/a \"b\"", "flag", &error);
    config_show(c, false, &b);
    CHECK_HAS(b.data, "\ndata "); /* as wide as the longest name */
    CHECK_HAS(b.data, " = /a \"b\"");
    CHECK_HAS(b.data, "# flag\n");
    CHECK_HAS(b.data, "# default\n");
    buf_clear(&b);
    config_show(c, true, &b);
    CHECK_HAS(b.data, "\"data\": {\"value\": \"/a \\\"b\\\"\", \"origin\": \"flag\", \"default\": "
                      "\"./quern-data\"}");
    size_t lines = 0;
    for (char *p = b.data; *p; p++)
        lines += *p == '\n';
    CHECK_INT(lines, CONFIG_COUNT + 2);
    buf_free(&b);
    config_free(c);
}

int main(void) {
    RUN(defaults);
    RUN(setting_and_origins);
    RUN(words);
    RUN(environment);
    RUN(files);
    RUN(showing);
    buf_free(&error);
    return CHECK_END();
}
