/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "table.h"

struct tree {
    const json_t *nodes, *edges;
    struct map *shown;
    bool up;
};

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static const json_t *node_of(const struct tree *t, const char *ref) {
    size_t i;
    json_t *n;
    json_array_foreach(t->nodes, i, n) {
        if (strcmp(text(n, "ref"), ref) == 0) {
            return n;
        }
    }
    return NULL;
}

/* A node under the one it hangs on; a node that was shown before is named but not opened again, so
 * a graph with many ways to one place stays as small as the graph. */
static void show(struct tree *t, const char *ref, const char *verb, int depth) {
    const json_t *node = node_of(t, ref);
    const bool again = map_has(t->shown, ref);
    printf("%*s", depth * 3, "");
    if (depth > 0) {
        printf("%s ", t->up ? "<-" : "->");
        print_clean(verb, strlen(verb));
        putchar(' ');
    }
    print_clean(ref, strlen(ref));
    const char *label = text(node, "label");
    const char *id = strchr(ref, ':');
    if (label[0] && !(id && strcmp(id + 1, label) == 0)) {
        fputs("  (", stdout);
        print_clean(label, strlen(label));
        putchar(')');
    }
    puts(again ? "  (see above)" : "");
    if (again || depth > 500) {
        return;
    }
    map_set(t->shown, ref, t);
    size_t i;
    json_t *e;
    json_array_foreach(t->edges, i, e) {
        if (strcmp(text(e, t->up ? "to" : "from"), ref) == 0) {
            show(t, text(e, t->up ? "from" : "to"), text(e, "verb"), depth + 1);
        }
    }
}

int lineage_command(struct invocation *inv) {
    const bool up = option_given(inv, "up");
    const bool down = option_given(inv, "down");
    const char *depth = option_value(inv, "depth");
    const bool dot = option_given(inv, "dot");
    const char *direction = up == down ? "both" : up ? "upstream" : "downstream";
    int64_t levels = 0;
    struct client_reply r = {0};
    if (depth && (!str_to_i64(depth, &levels) || levels < 0 || levels > 1000)) {
        return complain(EXIT_USAGE, "--depth is a number from 0 to 1000, not '%s'", depth);
    }
    const char *path =
        arena_printf(inv->arena, "/api/v1/lineage?node=%s&direction=%s%s%s%s",
                     url_encode(inv->arena, inv->args[0], false), direction, depth ? "&depth=" : "",
                     depth ? depth : "", dot ? "&format=dot" : "");
    const int code = client_call(inv, "GET", path, NULL, &r);
    if (code != EXIT_OK) {
        return code;
    }
    if (dot || option_given(inv, "json")) {
        fwrite(r.text, 1, r.len, stdout);
        if (r.len == 0 || r.text[r.len - 1] != '\n') {
            putchar('\n');
        }
        return EXIT_OK;
    }
    struct tree t = {.nodes = json_object_get(r.json, "nodes"),
                     .edges = json_object_get(r.json, "edges")};
    for (int i = 0; i < 2; i++) {
        t.up = i == 0;
        if (t.up ? strcmp(direction, "downstream") == 0 : strcmp(direction, "upstream") == 0) {
            continue;
        }
        puts(t.up ? "upstream (what it came from):" : "downstream (what came of it):");
        t.shown = map_new();
        show(&t, inv->args[0], "", 0);
        map_free(t.shown, NULL);
    }
    if (json_is_true(json_object_get(r.json, "truncated"))) {
        fputs("quern: the graph is larger than what the server sends; use --depth\n", stderr);
    }
    return EXIT_OK;
}
