/* SPDX-License-Identifier: Apache-2.0 */
#include "key.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/shape.h"
#include "quern/json/json_out.h"

static const char *quoted(struct ctx *c, const char *text) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_str(&w, text);
    const char *out = arena_strndup(c->arena, b.data ? b.data : "", b.len);
    buf_free(&b);
    return out;
}

/* One code point of valid UTF-8; *s moves behind it. */
static uint32_t next_point(const unsigned char **s) {
    const unsigned char *p = *s;
    uint32_t v = *p++;
    int more = v >= 0xf0 ? 3 : v >= 0xe0 ? 2 : v >= 0xc0 ? 1 : 0;
    if (more)
        v &= 0x3fu >> more;
    while (more-- > 0 && *p)
        v = v << 6 | (*p++ & 0x3fu);
    *s = p;
    return v;
}

/* Letters and digits of every script. Beyond ASCII the punctuation, symbol and private blocks are
 * left out as ranges: the full tables would be larger than what they protect. */
static bool word_point(uint32_t v) {
    static const struct {
        uint32_t from, to;
    } not_word[] = {
        {0x80, 0xa9},       {0xab, 0xb1},     {0xb4, 0xb4},     {0xb6, 0xb8},
        {0xbb, 0xbb},       {0xbf, 0xbf},     {0xd7, 0xd7},     {0xf7, 0xf7},
        {0x2000, 0x206f},   {0x20a0, 0x20ff}, {0x2190, 0x245f}, {0x2500, 0x2775},
        {0x2794, 0x2bff},   {0x3000, 0x3004}, {0x3008, 0x3020}, {0xd800, 0xf8ff},
        {0xfe10, 0xfe6f},   {0xff01, 0xff0f}, {0xfff0, 0xffff}, {0x1f000, 0x1f0ff},
        {0x1f300, 0x1faff},
    };
    if (v < 0x80)
        return (v >= '0' && v <= '9') || (v >= 'a' && v <= 'z') || (v >= 'A' && v <= 'Z') ||
               v == '_';
    for (size_t i = 0; i < ARRAY_LEN(not_word); i++)
        if (v >= not_word[i].from && v <= not_word[i].to)
            return false;
    return true;
}

/* POSIX normal form of a relative or absolute path, as Python's normpath gives it. */
static const char *normal_path(struct ctx *c, const char *path) {
    size_t n = strlen(path);
    char *out = arena_alloc(c->arena, n + 2);
    size_t len = 0;
    bool absolute = path[0] == '/';
    if (absolute)
        out[len++] = '/';
    size_t base = len; /* ".." cannot go before this */
    for (const char *p = path; *p;) {
        while (*p == '/')
            p++;
        size_t m = strcspn(p, "/");
        bool up = m == 2 && p[0] == '.' && p[1] == '.';
        if (m == 0 || (m == 1 && p[0] == '.')) {
            p += m;
            continue;
        }
        if (up && len > base) {
            while (len > base && out[len - 1] != '/')
                len--;
            if (len > base)
                len--;
        } else if (!up || !absolute) {
            if (len > 0 && out[len - 1] != '/')
                out[len++] = '/';
            memcpy(out + len, p, m);
            len += m;
            if (up)
                base = len;
        }
        p += m;
    }
    if (len == 0)
        out[len++] = '.';
    out[len] = 0;
    return out;
}

int text_limit(struct ctx *c, const char *label, const char *text, size_t points) {
    if (text && strlen(text) > points && utf8_count(text) > points)
        return fail_field(c, ERR_INVALID, label,
                          "'%s' exceeds the maximum length of %zu characters", label, points);
    return 0;
}

const char *text_cut(struct ctx *c, const char *text, size_t points) {
    if (!text || strlen(text) <= points || utf8_count(text) <= points)
        return text;
    return arena_strndup(c->arena, text, utf8_prefix(text, points));
}

bool key_plain(const char *key) {
    size_t n = 0;
    for (; key[n]; n++) {
        char x = key[n];
        if (n == KEY_MAX || !((x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') ||
                              (x >= '0' && x <= '9') || x == '_' || x == '-' || x == ' '))
            return false;
    }
    return n > 0;
}

int key_check(struct ctx *c, const char *path, const char *key) {
    int rc = text_limit(c, path, key, KEY_MAX);
    if (rc)
        return rc;
    bool slash = false, dot = false;
    for (const unsigned char *p = (const unsigned char *)key; *p;) {
        uint32_t v = next_point(&p);
        slash |= v == '/';
        dot |= v == '.';
        if (!word_point(v) && !(v < 0x80 && strchr("/.- :", (int)v)))
            return fail_field(
                c, ERR_INVALID, path,
                "Invalid value %s for parameter '%s' supplied: Names may only contain "
                "alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), "
                "colon(:) and slashes (/).",
                quoted(c, key), path);
    }
    if (!slash && !dot)
        return 0;
    const char *normal = normal_path(c, key);
    bool up = !strcmp(normal, "..") || str_starts(normal, "../");
    if (strcmp(normal, key) != 0 || !strcmp(normal, ".") || up || normal[0] == '/')
        return fail_field(
            c, ERR_INVALID, path,
            "Invalid value %s for parameter '%s' supplied: Names may be treated as "
            "files in certain cases, and must not resolve to other names when treated "
            "as such. This name would resolve to '%s'",
            quoted(c, key), path, normal);
    return 0;
}

int run_id_check(struct ctx *c, const char *run_id) {
    size_t n = strlen(run_id);
    bool ok = n >= 1 && n <= 256 && run_id[0] != '_' && run_id[0] != '-';
    for (size_t i = 0; ok && i < n; i++) {
        char x = run_id[i];
        ok = (x >= '0' && x <= '9') || (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') ||
             x == '_' || x == '-';
    }
    if (!ok)
        return fail_field(c, ERR_INVALID, "run_id",
                          "Invalid value %s for parameter 'run_id' supplied.", quoted(c, run_id));
    return 0;
}

int experiment_number(struct ctx *c, const char *text, long long *id) {
    int64_t v = 0;
    if (!str_to_i64(text, &v))
        return fail_field(c, ERR_INVALID, "experiment_id",
                          "Invalid experiment ID '%s'. Experiment ID must be a valid integer.",
                          text);
    *id = v;
    return 0;
}

int keys_distinct(struct ctx *c, const struct list *pairs, const char *what) {
    const struct pair *p = pairs->items;
    if (pairs->n < 2)
        return 0;
    struct map *seen = map_new();
    const char *brief = strcmp(what, "parameter") ? what : "param";
    int rc = 0;
    for (size_t i = 0; !rc && i < pairs->n; i++)
        if (map_set(seen, p[i].key, (void *)(uintptr_t)1))
            rc = fail(c, ERR_INVALID,
                      "Duplicate %s keys have been submitted: ['%s']. Please ensure the request "
                      "contains only one %s value per %s key.",
                      what, p[i].key, brief, brief);
    map_free(seen, NULL);
    return rc;
}

const char *member_path(struct ctx *c, const char *list, size_t index, const char *member) {
    return arena_printf(c->arena, "%s[%zu].%s", list, index, member);
}
