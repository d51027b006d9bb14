/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/duck/duck.h"

#define MEMORY (UINT64_C(256) << 20)
#define WORDS 600 /* of a message; the rest is advice */

const char *duck_quote(struct arena *a, const char *text, char quote) {
    struct buf out = {0};
    buf_putc(&out, quote);
    for (const char *p = text; *p; p++) {
        if (*p == quote)
            buf_putc(&out, quote);
        buf_putc(&out, *p);
    }
    buf_putc(&out, quote);
    char *copy = arena_strndup(a, out.data, out.len);
    buf_free(&out);
    return copy;
}

/* Callers know files by other names than the daemon does. */
static char *without(struct arena *a, char *text, const char *path) {
    const char *name = strrchr(path, '/');
    char *at;
    while (name && (at = strstr(text, path)))
        text = arena_printf(a, "%.*sthe file%s", (int)(at - text), text, at + strlen(path));
    return text;
}

int duck_fail(struct duck *d, struct ctx *c, const char *said) {
    char *text = arena_strdup(c->arena, said ? said : "no reason given");
    bool full = strstr(text, "No space left") != NULL;
    for (size_t i = 0; d->files && d->files[i]; i++)
        text = without(c->arena, text, d->files[i]);
    if (strlen(text) > WORDS) {
        size_t n = WORDS;
        while (n > 0 && (text[n] & 0xC0) == 0x80)
            n--;
        text[n] = '\0';
    }
    if (!utf8_valid(text, strlen(text)))
        text = arena_strdup(c->arena, "unreadable");
    return full ? fail(c, ERR_DISK_FULL, "there is no room on the disk")
                : fail(c, ERR_UNPROCESSABLE, "DuckDB: %s", text);
}

static int open_db(struct ctx *c, const struct duck_options *o, duckdb_database *db) {
    const struct duck_library *l = &duck_library;
    duckdb_config config = NULL;
    char *said = NULL;
    const char *memory =
        arena_printf(c->arena, "%" PRIu64 "MiB", (o->memory ? o->memory : MEMORY) >> 20);
    const char *threads = arena_printf(c->arena, "%u", o->threads ? o->threads : 1);
    bool bad = l->create_config(&config) != 0 || l->set_config(config, "threads", threads) != 0 ||
               l->set_config(config, "memory_limit", memory) != 0 ||
               l->set_config(config, "autoinstall_known_extensions", "false") != 0 ||
               l->set_config(config, "autoload_known_extensions", "false") != 0 ||
               l->open_ext(":memory:", db, config, &said) != 0;
    if (config)
        l->destroy_config(&config);
    int rc =
        bad ? fail(c, ERR_INTERNAL, "DuckDB did not start: %s", said ? said : "bad settings") : 0;
    if (said)
        l->free(said);
    return rc;
}

static void put_list(struct ctx *c, struct buf *sql, const char *const *items) {
    buf_putc(sql, '[');
    for (size_t i = 0; items && items[i]; i++)
        buf_printf(sql, "%s%s", i ? ", " : "", duck_quote(c->arena, items[i], '\''));
    buf_putc(sql, ']');
}

/* The order matters: what may be touched is named before everything else is shut. */
static int confine(struct duck *d, struct ctx *c, const struct duck_options *o) {
    struct buf sql = {0};
    buf_puts(&sql, "SET allowed_paths = ");
    put_list(c, &sql, o->files);
    buf_puts(&sql, "; SET allowed_directories = ");
    put_list(c, &sql, o->spill ? (const char *const[]){o->spill, NULL} : NULL);
    buf_printf(&sql, "; SET temp_directory = %s",
               duck_quote(c->arena, o->spill ? o->spill : "", '\''));
    buf_puts(&sql, "; SET preserve_insertion_order = true; SET enable_external_access = false; "
                   "SET lock_configuration = true");
    int rc = duck_run(d, c, sql.data);
    buf_free(&sql);
    return rc;
}

int duck_begin(struct ctx *c, const struct duck_options *o, struct duck **out) {
    *out = NULL;
    if (!duck_ready())
        return fail(c, ERR_NOT_IMPLEMENTED,
                    "this needs DuckDB's library, which the server was started without (setting "
                    "duck.library)");
    struct duck *d = mem_alloc(sizeof *d);
    d->files = o->files;
    int rc = open_db(c, o, &d->db);
    if (rc == 0 && duck_library.connect(d->db, &d->conn) != 0)
        rc = fail(c, ERR_INTERNAL, "DuckDB did not start");
    if (rc == 0)
        rc = confine(d, c, o);
    if (rc < 0) {
        duck_end(d);
        return rc;
    }
    *out = d;
    return 0;
}

void duck_end(struct duck *d) {
    if (!d)
        return;
    if (d->conn)
        duck_library.disconnect(&d->conn);
    if (d->db)
        duck_library.close(&d->db);
    free(d);
}

int duck_run(struct duck *d, struct ctx *c, const char *sql) {
    duckdb_result r = {{0}, NULL, NULL, NULL};
    int rc = duck_library.query(d->conn, sql, &r) == 0
                 ? 0
                 : duck_fail(d, c, duck_library.result_error(&r));
    duck_library.destroy_result(&r);
    return rc;
}
