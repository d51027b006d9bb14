/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "table.h"

#define TRASH "/api/v1/trash"

static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

static int64_t number(const json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}

static void release(void *list) {
    json_decref(list);
}

/* All pages; they are read before anything is erased, which would shift nothing but be seen. */
static int fetch(struct invocation *inv, const char *kind, json_t **all) {
    const char *page = NULL;
    *all = json_array();
    arena_defer(inv->arena, release, *all);
    do {
        struct client_reply r = {0};
        const char *path = TRASH "?max_results=1000";
        if (kind) {
            path =
                arena_printf(inv->arena, "%s&kind=%s", path, url_encode(inv->arena, kind, false));
        }
        if (page) {
            path = arena_printf(inv->arena, "%s&page_token=%s", path,
                                url_encode(inv->arena, page, false));
        }
        const int code = client_call(inv, "GET", path, NULL, &r);
        if (code != EXIT_OK) {
            return code;
        }
        json_array_extend(*all, json_object_get(r.json, "things"));
        page = text(r.json, "next_page_token");
    } while (page);
    return EXIT_OK;
}

static const char *left(struct arena *a, int64_t purge_ms) {
    const int64_t days = (purge_ms - clock_wall_ms()) / (24 * 3600 * 1000LL);
    return days > 0 ? arena_printf(a, "%" PRId64 "d", days) : "<1d";
}

static int list(struct invocation *inv) {
    json_t *all, *t;
    struct table out;
    size_t i;
    const int code = fetch(inv, option_value(inv, "kind"), &all);
    if (code != EXIT_OK) {
        return code;
    }
    if (option_given(inv, "json")) {
        json_t *o = json_pack("{s:O}", "things", all);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
        return EXIT_OK;
    }
    table_begin(&out, inv->arena, "KIND", "ID", "NAME", "DELETED", "BY", "LEFT", NULL);
    json_array_foreach(all, i, t) {
        table_row(&out, text(t, "kind"), text(t, "id"), text(t, "name"),
                  table_age(inv->arena, number(t, "deleted_ms")), text(t, "deleted_by"),
                  left(inv->arena, number(t, "purge_ms")));
    }
    if (out.n == 1) {
        fputs("The trash is empty.\n", stderr);
    } else {
        table_print(&out);
    }
    return EXIT_OK;
}

static int restore(struct invocation *inv) {
    struct client_reply r = {0};
    if (inv->nargs != 3) {
        return complain(EXIT_USAGE,
                        "'trash restore' takes KIND and ID, as 'trash list' shows them");
    }
    const char *path = arena_printf(inv->arena, TRASH "/%s/%s/restore",
                                    url_encode(inv->arena, inv->args[1], false),
                                    url_encode(inv->arena, inv->args[2], false));
    const int code = client_call(inv, "POST", path, NULL, &r);
    if (code == EXIT_OK) {
        fprintf(stderr, "%s %s is back.\n", inv->args[1], text(r.json, "name"));
    }
    return code;
}

static int empty(struct invocation *inv) {
    json_t *all, *t;
    size_t i, gone = 0;
    int64_t older = 0;
    const char *age = option_value(inv, "older");
    if (age && !str_to_ms(age, &older)) {
        return complain(EXIT_USAGE, "--older is a time such as 12h or 7d, not '%s'", age);
    }
    if (!option_given(inv, "yes")) {
        return complain(EXIT_USAGE, "what 'trash empty' erases cannot be restored; add --yes");
    }
    int code = fetch(inv, option_value(inv, "kind"), &all);
    json_array_foreach(all, i, t) {
        if (code != EXIT_OK) {
            break;
        }
        if (number(t, "deleted_ms") > clock_wall_ms() - older) {
            continue;
        }
        struct client_reply r = {0};
        const char *path = arena_printf(inv->arena, TRASH "/%s/%s", text(t, "kind"), text(t, "id"));
        code = client_call(inv, "DELETE", path, NULL, &r);
        if (code == EXIT_CONFLICT || code == EXIT_NOT_FOUND) { /* told; the others go on */
            code = EXIT_OK;
        } else if (code == EXIT_OK) {
            gone++;
        }
    }
    fprintf(stderr, "Erased %zu of %zu things.\n", gone, json_array_size(all));
    return code;
}

int trash_command(struct invocation *inv) {
    const char *verb = inv->args[0];
    if (str_eq(verb, "list")) {
        return list(inv);
    }
    if (str_eq(verb, "restore")) {
        return restore(inv);
    }
    if (str_eq(verb, "empty")) {
        return empty(inv);
    }
    return complain(EXIT_USAGE, "'trash' takes list, restore or empty, not '%s'", verb);
}
