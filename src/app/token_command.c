/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens through the running server; through the data directory itself when none runs, which is how
 * the first one is made on a machine that listens to the network. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "house.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/http/server.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

struct request {
    const char *method, *path;
    json_t *body;
};

static void set_text(json_t *body, const char *key, const char *value) {
    if (value) {
        json_object_set_new(body, key, json_string(value));
    }
}

static int plan(struct invocation *inv, struct request *out) {
    const char *verb = inv->args[0];
    bool has_arg = inv->nargs > 1;
    if (str_eq(verb, "list") && !has_arg) {
        *out = (struct request){"GET", "/api/v1/tokens", NULL};
        return EXIT_OK;
    }
    if (str_eq(verb, "revoke") && has_arg) {
        const char *id = url_encode(inv->arena, inv->args[1], false);
        *out = (struct request){"DELETE", arena_printf(inv->arena, "/api/v1/tokens/%s", id), NULL};
        return EXIT_OK;
    }
    if (str_eq(verb, "create") && has_arg) {
        json_t *body = json_object();
        set_text(body, "principal", inv->args[1]);
        set_text(body, "name", option_value(inv, "name"));
        set_text(body, "role", option_value(inv, "role"));
        set_text(body, "expires_in", option_value(inv, "expires"));
        if (option_given(inv, "system")) {
            json_object_set_new(body, "system", json_true());
        }
        *out = (struct request){"POST", "/api/v1/tokens", body};
        return EXIT_OK;
    }
    return complain(EXIT_USAGE, "say 'create PRINCIPAL', 'list' or 'revoke ID'");
}

/* The row's handler and audit, as the server would run them. */
struct offline {
    const struct route *row;
    const void *in;
    void *out;
};

static int offline_write(struct ctx *c, void *arg) {
    struct offline *o = arg;
    int rc = o->row->fn(c, o->in, o->out);
    return rc == 0 && o->row->flags & ROUTE_AUDIT ? access_audit(c, o->row, "ok") : rc;
}

static int decode(struct ctx *c, const struct request *q, struct offline *o) {
    struct pair id = {"id", strrchr(q->path, '/') + 1};
    struct pairs path = {&id, 1};
    struct pairs none = {0};
    o->row = routes_find(house_routes(), q->method, q->path);
    if (!o->row) {
        return fail(c, ERR_NO_ROUTE, "no route %s", q->path);
    }
    o->out = arena_alloc(c->arena, o->row->out ? o->row->out->size : 1);
    if (!o->row->in) {
        return 0;
    }
    void *in = arena_alloc(c->arena, o->row->in->size);
    o->in = in;
    return json_decode(c, o->row->dialect, o->row->in, q->body, &none, &path, in);
}

static int project_named(struct ctx *c, const char *name) {
    bool found = name == NULL;
    if (name) {
        int rc =
            db_get_i64(c, "SELECT id FROM project WHERE name = ?", &c->project, &found, "s", name);
        if (rc != 0) {
            return rc;
        }
    }
    return found ? 0 : fail(c, ERR_NOT_FOUND, "There is no project named '%s'.", name);
}

static int run_offline(struct invocation *inv, struct db *db, const struct request *q,
                       struct client_reply *r) {
    struct ctx c;
    struct offline o = {0};
    struct buf text = {0};
    ctx_begin(&c);
    c.path = q->path;
    int rc = db_read_begin(db, &c);
    if (rc == 0) {
        rc = project_named(&c, option_value(inv, "project"));
        rc = rc == 0 ? decode(&c, q, &o) : rc;
        if (rc == 0 && o.row->lane == LANE_READ) {
            rc = o.row->fn(&c, o.in, o.out);
        }
        db_read_end(&c);
    }
    if (rc == 0 && o.row->lane == LANE_WRITE) {
        rc = db_write(db, &c, offline_write, &o);
    }
    if (rc == 0) {
        if (o.row->out) {
            json_encode(&text, o.row->out, o.out);
        }
        r->text = arena_strdup(inv->arena, text.data ? text.data : "{}");
        r->json = json_loads(r->text, 0, NULL);
    } else {
        complain(EXIT_ERROR, "%s", c.err.message);
    }
    buf_free(&text);
    ctx_end(&c);
    return rc == 0 ? EXIT_OK : EXIT_ERROR;
}

static int offline(struct invocation *inv, const struct request *q, struct client_reply *r) {
    const char *data = option_value(inv, "data");
    struct buf error = {0};
    struct dir *dir = NULL;
    struct db *db = NULL;
    if (!data) {
        data = getenv("QUERN_DATA");
    }
    data = data && data[0] ? data : "./quern-data";
    int rc = dir_open(data, true, &dir);
    if (rc != 0) {
        return complain(EXIT_ERROR, "cannot open %s: %s", data, strerror(-rc));
    }
    struct db_options o = {
        .dir = dir, .queue = 64, .batch = 64, .wal_soft = 4 << 20, .wal_hard = 64 << 20};
    int code = EXIT_ERROR;
    if (db_open(&o, &db, &error) != 0) {
        complain(code, "%s", error.data);
    } else {
        code = run_offline(inv, db, q, r);
        db_close(db);
    }
    dir_close(dir);
    buf_free(&error);
    return code;
}

static void print_time(const json_t *v) {
    char text[32] = "-";
    if (json_is_integer(v)) {
        clock_format_ms(json_integer_value(v), text);
        text[16] = '\0'; /* to the minute */
    }
    printf("  %-16s", text);
}

static void print_list(const json_t *tokens) {
    size_t i;
    json_t *t;
    printf("%-14s  %-20s  %-8s  %-16s  %-16s  %s\n", "ID", "PRINCIPAL", "ENDS IN", "EXPIRES",
           "LAST USED", "NAME");
    json_array_foreach(tokens, i, t) {
        printf("%-14s  %-20s  ...%-5s", json_string_value(json_object_get(t, "id")),
               json_string_value(json_object_get(t, "principal")),
               json_string_value(json_object_get(t, "last4")));
        print_time(json_object_get(t, "expires_ms"));
        print_time(json_object_get(t, "used_ms"));
        printf("  %s\n", json_string_value(json_object_get(t, "name")));
    }
}

int token_command(struct invocation *inv) {
    struct request q = {0};
    struct client_reply r = {0};
    int code = plan(inv, &q);
    if (code != EXIT_OK) {
        return code;
    }
    const char *project = option_value(inv, "project");
    if (project) {
        setenv("QUERN_PROJECT", project, 1);
    }
    bool online = !option_given(inv, "data") && client_reachable(inv);
    code = online ? client_call(inv, q.method, q.path, q.body, &r) : offline(inv, &q, &r);
    if (code == EXIT_OK && option_given(inv, "json")) {
        printf("%s\n", r.text);
    } else if (code == EXIT_OK && str_eq(inv->args[0], "list")) {
        print_list(json_object_get(r.json, "tokens"));
    } else if (code == EXIT_OK && str_eq(inv->args[0], "create")) {
        /* The secret alone on standard output, so that it can be caught in a variable. */
        fprintf(stderr, "token %s of %s; it is shown this once:\n",
                json_string_value(json_object_get(r.json, "id")),
                json_string_value(json_object_get(r.json, "principal")));
        printf("%s\n", json_string_value(json_object_get(r.json, "token")));
    }
    json_decref(q.body);
    if (!online) {
        json_decref(r.json);
    }
    return code;
}
