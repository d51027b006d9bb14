/* SPDX-License-Identifier: Apache-2.0 */
#include "source_files.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "quern/base/arena.h"
#include "quern/base/path.h"
#include "quern/base/str.h"

enum { WALK_MAX = 50000, DEPTH_MAX = 20, PATTERNS_MAX = 2000 };

struct collect {
    struct arena *arena;
    struct dir *dir;
    const char *patterns[PATTERNS_MAX];
    size_t npatterns;
    struct local_file *files;
    size_t n, seen, bytes;
    const char *why;
};

static const char *scalar(const yaml_node_t *n) {
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static yaml_node_t *member(yaml_document_t *doc, const yaml_node_t *map, const char *key) {
    if (!map || map->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        if (str_eq(scalar(yaml_document_get_node(doc, p->key)), key)) {
            return yaml_document_get_node(doc, p->value);
        }
    }
    return NULL;
}

static void take_patterns(struct collect *k, yaml_document_t *doc, const yaml_node_t *list) {
    if (!list || list->type != YAML_SEQUENCE_NODE) {
        return;
    }
    for (yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top;
         i++) {
        const char *s = scalar(yaml_document_get_node(doc, *i));
        if (s && k->npatterns < PATTERNS_MAX) {
            k->patterns[k->npatterns++] = arena_strdup(k->arena, s);
        }
    }
}

/* `files` at the top and in each step. What is no YAML has no patterns: the server tells why. */
static void read_patterns(struct collect *k, const char *text, size_t n) {
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser)) {
        mem_die();
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (yaml_parser_load(&parser, &doc)) {
        const yaml_node_t *root = yaml_document_get_root_node(&doc);
        const yaml_node_t *steps = member(&doc, root, "steps");
        take_patterns(k, &doc, member(&doc, root, "files"));
        if (steps && steps->type == YAML_MAPPING_NODE) {
            for (yaml_node_pair_t *p = steps->data.mapping.pairs.start;
                 p < steps->data.mapping.pairs.top; p++) {
                const yaml_node_t *step = yaml_document_get_node(&doc, p->value);
                take_patterns(k, &doc, member(&doc, step, "files"));
            }
        } else if (steps && steps->type == YAML_SEQUENCE_NODE) {
            for (yaml_node_item_t *i = steps->data.sequence.items.start;
                 i < steps->data.sequence.items.top; i++) {
                const yaml_node_t *step = yaml_document_get_node(&doc, *i);
                take_patterns(k, &doc, member(&doc, step, "files"));
            }
        }
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
}

/* '*' stays within one part of the path; a leading or middle "**" part spans any number of them. */
static bool matches(const char *pattern, const char *path) {
    if (strncmp(pattern, "**/", 3) == 0) {
        for (const char *at = path; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
            if (matches(pattern + 3, at)) {
                return true;
            }
        }
        return false;
    }
    const char *wild = strstr(pattern, "/**/");
    if (!wild) {
        return fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0;
    }
    /* The part before the double star must match as many leading parts of the path as it has
     * itself. */
    size_t parts = 1;
    for (const char *p = pattern; p < wild; p++) {
        parts += *p == '/';
    }
    const char *end = path - 1;
    while (parts-- > 0) {
        end = strchr(end + 1, '/');
        if (!end) {
            return false;
        }
    }
    char head[1024];
    char lead[1024];
    const size_t head_len = (size_t)(wild - pattern);
    const size_t lead_len = (size_t)(end - path);
    if (head_len >= sizeof head || lead_len >= sizeof lead) {
        return false;
    }
    memcpy(head, pattern, head_len);
    head[head_len] = '\0';
    memcpy(lead, path, lead_len);
    lead[lead_len] = '\0';
    return fnmatch(head, lead, FNM_PATHNAME | FNM_PERIOD) == 0 && matches(wild + 1, end + 1);
}

static bool wanted(const struct collect *k, const char *path) {
    for (size_t i = 0; i < k->npatterns; i++) {
        if (matches(k->patterns[i], path)) {
            return true;
        }
    }
    return false;
}

static bool take_file(struct collect *k, const char *rel) {
    char *data = NULL;
    size_t n = 0;
    if (k->n >= SOURCE_FILES_MAX) {
        k->why = arena_printf(k->arena, "the patterns name more than %d files", SOURCE_FILES_MAX);
        return false;
    }
    const int e = dir_read_file(k->dir, rel, k->arena, SOURCE_BYTES_MAX, &data, &n);
    if (e == -EFBIG || k->bytes + n > SOURCE_BYTES_MAX) {
        k->why = arena_printf(k->arena,
                              "the files are larger than %d MiB together at %s: source files are "
                              "meant here, data goes in as an input",
                              SOURCE_BYTES_MAX >> 20, rel);
        return false;
    }
    if (e) {
        k->why = arena_printf(k->arena, "%s cannot be read: %s", rel, strerror(-e));
        return false;
    }
    k->bytes += n;
    k->files[k->n++] = (struct local_file){.path = rel, .data = data, .size = n};
    return true;
}

static bool walk(struct collect *k, const char *rel, int depth) {
    char **names = NULL;
    size_t n = 0;
    if (depth > DEPTH_MAX || dir_list(k->dir, rel, k->arena, &names, &n)) {
        return true; /* what cannot be listed names no file */
    }
    for (size_t i = 0; i < n; i++) {
        if (++k->seen > WALK_MAX) {
            k->why = arena_printf(k->arena,
                                  "the definition's folder holds more than %d files; keep it in a "
                                  "folder of its own",
                                  WALK_MAX);
            return false;
        }
        if (names[i][0] == '.') {
            continue; /* .git, .venv: never by a wildcard */
        }
        const char *path =
            rel ? arena_printf(k->arena, "%s/%s", rel, names[i]) : arena_strdup(k->arena, names[i]);
        char **inside = NULL;
        size_t ninside = 0;
        if (dir_list(k->dir, path, k->arena, &inside, &ninside) == 0) {
            if (!walk(k, path, depth + 1)) {
                return false;
            }
        } else if (wanted(k, path) && !take_file(k, path)) {
            return false;
        }
    }
    return true;
}

int source_files_collect(struct arena *a, const char *definition_path, const char *text, size_t n,
                         struct local_file **out, size_t *count, const char **why) {
    struct collect *k = ARENA_NEW(a, struct collect);
    k->arena = a;
    k->files = ARENA_ARRAY(a, struct local_file, SOURCE_FILES_MAX);
    read_patterns(k, text, n);
    const char *slash = strrchr(definition_path, '/');
    const char *folder = !slash ? "."
                         : slash == definition_path
                             ? "/"
                             : arena_strndup(a, definition_path, (size_t)(slash - definition_path));
    if (k->npatterns > 0) {
        const int e = dir_open(folder, false, &k->dir);
        if (e) {
            *why = arena_printf(a, "%s cannot be opened: %s", folder, strerror(-e));
            return -1;
        }
        walk(k, NULL, 0);
        dir_close(k->dir);
    }
    *out = k->files;
    *count = k->n;
    *why = k->why;
    return k->why ? -1 : 0;
}
