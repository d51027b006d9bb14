/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"

#define DEPTH_CAP 64
/* A tree is much larger than its text where that is made of little things: what jansson takes for
 * each, as measured. */
#define TREE_CAP ((size_t)256 << 20)
#define OBJECT_BYTES 232
#define ARRAY_BYTES 136
#define STRING_BYTES 72 /* keys, too, with their place in the object */
#define NEXT_BYTES 40   /* a number, and a place in the array */

/* Looked at before the parser makes a tree: the greatest nesting, and the memory it will take.
 * Malformed text is found by the parser afterwards. */
struct extent {
    size_t depth, bytes;
};

static struct extent extent_of(const char *text, size_t n) {
    struct extent out = {.bytes = n};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char ch = text[i];
        if (in_string) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                in_string = false;
        } else if (ch == '"') {
            in_string = true;
            out.bytes += STRING_BYTES;
        } else if (ch == '[' || ch == '{') {
            out.bytes += ch == '[' ? ARRAY_BYTES : OBJECT_BYTES;
            if (++depth > out.depth)
                out.depth = depth;
        } else if (ch == ',') {
            out.bytes += NEXT_BYTES;
        } else if (ch == 'N' || ch == 'I') { /* NaN and Infinity become texts */
            out.bytes += STRING_BYTES;
        } else if ((ch == ']' || ch == '}') && depth > 0) {
            depth--;
        }
    }
    return out;
}

/* Python writes NaN, Infinity and -Infinity bare; they become strings, which shapes read. False
 * when there are none. */
static bool quote_bare_numbers(const char *text, size_t n, struct buf *out) {
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    bool in_string = false, found = false;
    size_t i = 0;
    while (i < n) {
        if (!in_string && (text[i] == 'N' || text[i] == 'I' || text[i] == '-')) {
            size_t w = 0;
            for (; w < ARRAY_LEN(words); w++) {
                size_t len = strlen(words[w]);
                if (n - i >= len && memcmp(text + i, words[w], len) == 0) {
                    buf_printf(out, "\"%s\"", words[w]);
                    i += len;
                    found = true;
                    break;
                }
            }
            if (w < ARRAY_LEN(words))
                continue;
        }
        if (in_string && text[i] == '\\' && i + 1 < n)
            buf_putc(out, text[i++]);
        else if (text[i] == '"')
            in_string = !in_string;
        buf_putc(out, text[i++]);
    }
    return found;
}

static bool lenient(enum dialect d) {
    return d == DIALECT_MLFLOW || d == DIALECT_SCORING;
}

static json_t *load(enum dialect d, const char *text, size_t n, json_error_t *e) {
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    json_t *tree = json_loadb(text, n, flags, e);
    if (tree || !lenient(d) || json_error_code(e) != json_error_invalid_syntax)
        return tree;
    struct buf quoted = {0};
    json_error_t second;
    if (quote_bare_numbers(text, n, &quoted)) {
        tree = json_loadb(quoted.data, quoted.len, flags, &second);
        if (!tree)
            *e = second;
    }
    buf_free(&quoted);
    return tree;
}

static void drop(void *tree) {
    json_decref(tree);
}

static int keep(struct ctx *c, json_t *tree, json_t **out) {
    if (!tree)
        mem_die();
    arena_defer(c->arena, drop, tree);
    *out = tree;
    return 0;
}

static int refuse(struct ctx *c, const json_error_t *e) {
    const char *what = "is not valid JSON";
    switch (json_error_code(e)) {
    case json_error_out_of_memory:
        mem_die();
    case json_error_duplicate_key:
        what = "has an object with the same key twice";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        what = "has a NUL character in a string";
        break;
    case json_error_invalid_utf8:
        what = "is not UTF-8";
        break;
    case json_error_numeric_overflow:
        what = "has a number that fits no 64-bit integer or double";
        break;
    case json_error_end_of_input_expected:
        what = "has further bytes after its JSON value";
        break;
    case json_error_premature_end_of_input:
        what = "is JSON that ends too early";
        break;
    default:
        break;
    }
    return fail(c, ERR_INVALID, "The body %s (line %d, column %d)", what, e->line, e->column);
}

static bool is_syntax(const json_error_t *e) {
    switch (json_error_code(e)) {
    case json_error_invalid_syntax:
    case json_error_premature_end_of_input:
    case json_error_end_of_input_expected:
    case json_error_wrong_type:
    case json_error_unknown:
        return true;
    default:
        return false;
    }
}

static int parse(struct ctx *c, enum dialect d, const char *text, size_t n, bool nested,
                 json_t **out) {
    json_error_t e;
    *out = NULL;
    if (n == 0)
        return d == DIALECT_MLFLOW ? keep(c, json_object(), out) : 0;
    const struct extent extent = extent_of(text, n);
    if (extent.depth > DEPTH_CAP)
        return fail(c, ERR_INVALID, "The body nests deeper than %d levels", DEPTH_CAP);
    if (extent.bytes > TREE_CAP)
        return fail(c, ERR_TOO_LARGE, "The body would take more than %zu MiB of memory",
                    TREE_CAP >> 20);
    json_t *tree = load(d, text, n, &e);
    if (!tree) {
        if (d == DIALECT_MLFLOW && is_syntax(&e))
            return keep(c, json_object(), out);
        return refuse(c, &e);
    }
    keep(c, tree, out);
    if (d == DIALECT_MLFLOW && json_is_string(tree) && !nested)
        return parse(c, d, json_string_value(tree), json_string_length(tree), true, out);
    if (d == DIALECT_MLFLOW && json_is_array(tree) && json_array_size(tree) == 0)
        return keep(c, json_object(), out);
    return 0;
}

int json_parse(struct ctx *c, enum dialect d, const char *text, size_t n, struct json_t **out) {
    return parse(c, d, text, n, false, out);
}

static json_t *inner(const char *text, size_t n, size_t room, size_t *bytes) {
    const struct extent extent = extent_of(text, n);
    *bytes = extent.bytes;
    return extent.depth > DEPTH_CAP || extent.bytes > room
               ? NULL
               : json_loadb(text, n, JSON_DECODE_ANY, NULL);
}

struct json_t *json_inner(struct ctx *c, const char *text, size_t n) {
    size_t bytes;
    json_t *tree = inner(text, n, TREE_CAP - c->inner_bytes, &bytes);
    if (tree)
        c->inner_bytes += bytes;
    else if (bytes > TREE_CAP - c->inner_bytes)
        c->inner_full = true;
    return tree;
}

bool json_is_inner(const char *text, size_t n) {
    size_t bytes;
    json_t *tree = inner(text, n, TREE_CAP, &bytes);
    bool yes = json_is_object(tree) || json_is_array(tree) || json_is_string(tree);
    json_decref(tree);
    return yes;
}
