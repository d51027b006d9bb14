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
    const char *page; /* of the list: next_page_token of the page before */
    bool makes;       /* may make a data directory that is not there yet */
};

#define PAGE_ROWS "1000"

static void set_text(json_t *body, const char *key, const char *value) {
    if (value) {
        json_object_set_new(body, key, json_string(value));
    }
}

static int plan(struct invocation *inv, struct request *out) {
    const char *verb = inv->args[0];
    bool has_arg = inv->nargs > 1;
    if (str_eq(verb, "list") && !has_arg) {
        *out = (struct request){.method = "GET", .path = "/api/v1/tokens"};
        return EXIT_OK;
    }
    if (str_eq(verb, "revoke") && has_arg) {
        const char *id = url_encode(inv->arena, inv->args[1], false);
        *out = (struct request){.method = "DELETE",
                                .path = arena_printf(inv->arena, "/api/v1/tokens/%s", id)};
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
        *out = (struct request){
            .method = "POST", .path = "/api/v1/tokens", .body = body, .makes = true};
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
    struct pair rows[] = {{"max_results", PAGE_ROWS}, {"page_token", q->page}};
    struct pairs query = {rows, !str_eq(q->method, "GET") ? 0 : q->page ? 2 : 1};
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
    return json_decode(c, o->row->dialect, o->row->in, q->body, &query, &path, in);
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
    return rc == 0                ? EXIT_OK
           : rc == -ERR_NOT_FOUND ? EXIT_NOT_FOUND
           : rc == -ERR_CONFLICT  ? EXIT_CONFLICT
                                  : EXIT_ERROR;
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
    int rc = dir_open(data, q->makes, &dir);
    if (rc != 0) {
        return complain(q->makes ? EXIT_ERROR : EXIT_NOT_FOUND, "cannot open %s: %s", data,
                        strerror(-rc));
    }
    struct db_options o = {
        .dir = dir, .wal_soft = 4 << 20, .wal_hard = 64 << 20, .as_is = !q->makes};
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

static void release(void *json) {
    json_decref(json);
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

static int ask(struct invocation *inv, bool online, const struct request *q,
               struct client_reply *r) {
    if (!online) {
        int code = offline(inv, q, r);
        if (r->json) {
            arena_defer(inv->arena, release, r->json);
        }
        return code;
    }
    const char *path = q->path;
    if (str_eq(q->method, "GET")) {
        path = arena_printf(inv->arena, "%s?max_results=" PAGE_ROWS "%s%s", path,
                            q->page ? "&page_token=" : "",
                            q->page ? url_encode(inv->arena, q->page, false) : "");
    }
    return client_call(inv, q->method, path, q->body, r);
}

/* All pages as one answer. */
static int ask_list(struct invocation *inv, bool online, struct request *q, json_t *all) {
    int code;
    do {
        struct client_reply r = {0};
        code = ask(inv, online, q, &r);
        json_array_extend(all, json_object_get(r.json, "tokens"));
        q->page = json_string_value(json_object_get(r.json, "next_page_token"));
    } while (code == EXIT_OK && q->page);
    return code;
}

static int token_list(struct invocation *inv, bool online, struct request *q) {
    json_t *all = json_array();
    int code = ask_list(inv, online, q, all);
    if (code == EXIT_OK && option_given(inv, "json")) {
        json_t *out = json_pack("{s:O}", "tokens", all);
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(out);
    } else if (code == EXIT_OK) {
        print_list(all);
    }
    json_decref(all);
    return code;
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
    if (str_eq(inv->args[0], "list")) {
        return token_list(inv, online, &q);
    }
    code = ask(inv, online, &q, &r);
    if (code == EXIT_OK && option_given(inv, "json")) {
        printf("%s\n", r.text);
    } else if (code == EXIT_OK && str_eq(inv->args[0], "create")) {
        /* The secret alone on standard output, so that it can be caught in a variable. */
        fprintf(stderr, "token %s of %s; it is shown this once:\n",
                json_string_value(json_object_get(r.json, "id")),
                json_string_value(json_object_get(r.json, "principal")));
        printf("%s\n", json_string_value(json_object_get(r.json, "token")));
    }
    json_decref(q.body);
    return code;
}
