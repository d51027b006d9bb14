/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <ctype.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

int length_check(struct ctx *c, const char *label, const char *text, size_t points) {
    if (text && strlen(text) > points && utf8_count(text) > points)
        return fail_field(c, ERR_INVALID, label,
                          "'%s' exceeds the maximum length of %zu characters", label, points);
    return 0;
}

static bool has_control(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

int model_name_check(struct ctx *c, const char *name) {
    if (!name || strspn(name, " \t\r\n") == strlen(name))
        return fail_field(c, ERR_INVALID, "name", "Registered model name cannot be empty.");
    if (strpbrk(name, "/:"))
        return fail_field(c, ERR_INVALID, "name",
                          "Invalid model name '%s'. Names cannot contain '/' or ':'.", name);
    if (str_eq(name, ".") || str_eq(name, ".."))
        return fail_field(
            c, ERR_INVALID, "name",
            "Invalid value \"%s\" for parameter 'name' supplied: Names may be treated "
            "as files in certain cases, and must not resolve to other names when "
            "treated as such. This name would resolve to '%s'",
            name, name);
    if (has_control(name) || strchr(name, '\\'))
        return fail_field(c, ERR_INVALID, "name",
                          "Invalid model name. Names cannot contain control characters or '\\'.");
    return length_check(c, "name", name, MODEL_NAME_MAX);
}

/* Letters and digits beyond ASCII are allowed, as the field's own pattern does. */
static bool word_char(unsigned char b) {
    return isalnum(b) || b == '_' || b >= 0x80;
}

int alias_check(struct ctx *c, const char *alias) {
    const char *p = alias;
    int rc = length_check(c, "Registered model alias name", alias, ALIAS_MAX);
    if (rc != 0)
        return rc;
    while (word_char((unsigned char)*p) || *p == '-')
        p++;
    if (p == alias || *p)
        return fail_field(c, ERR_INVALID, "alias",
                          "Invalid alias name: '%s'. Names may only contain alphanumerics, "
                          "underscores (_), and dashes (-).",
                          alias);
    if (str_ieq(alias, "latest"))
        return fail_field(c, ERR_INVALID, "alias",
                          "'latest' alias name (case insensitive) is reserved.");
    if ((alias[0] == 'v' || alias[0] == 'V') && alias[1] &&
        strspn(alias + 1, "0123456789") == strlen(alias + 1))
        return fail_field(c, ERR_INVALID, "alias", "Version alias name '%s' is reserved.", alias);
    return 0;
}

/* What Python's normpath makes of a key: no empty or "." segment, ".." resolved as far as it goes.
 */
static const char *normal_form(struct ctx *c, const char *key) {
    const char *from = key;
    char *out = arena_alloc(c->arena, strlen(key) + 2);
    size_t root = key[0] == '/', base = root, len = root; /* ".." takes nothing before `base` */
    out[0] = '/';
    for (size_t n; *from; from += n) {
        from += strspn(from, "/");
        n = strcspn(from, "/");
        bool up = n == 2 && from[0] == '.' && from[1] == '.';
        if (n == 0 || (n == 1 && from[0] == '.') || (up && root && len == base))
            continue;
        if (up && len > base) {
            while (len > base && out[len - 1] != '/')
                len--;
            len -= len > base;
            continue;
        }
        if (len > root)
            out[len++] = '/';
        memcpy(out + len, from, n);
        len += n;
        if (up)
            base = len;
    }
    if (len == 0)
        out[len++] = '.';
    out[len] = 0;
    return out;
}

/* Its own normal form, and not one that leads out or to the root. */
static bool leads_astray(const char *key, const char *normal) {
    return strcmp(key, normal) != 0 || normal[0] == '/' || str_eq(normal, ".") ||
           str_eq(normal, "..") || str_starts(normal, "../");
}

int tag_check(struct ctx *c, const char *key, const char *value) {
    int rc = length_check(c, "key", key, TAG_KEY_MAX);
    if (rc == 0)
        rc = length_check(c, "value", value, TAG_VALUE_MAX);
    if (rc != 0)
        return rc;
    for (const char *p = key; *p; p++)
        if (!word_char((unsigned char)*p) && !strchr("/.- :", *p))
            return fail_field(c, ERR_INVALID, "key",
                              "Invalid value \"%s\" for parameter 'key' supplied: Names may only "
                              "contain alphanumerics, underscores (_), dashes (-), periods (.), "
                              "spaces ( ), colon(:) and slashes (/).",
                              key);
    const char *normal = normal_form(c, key);
    if (leads_astray(key, normal))
        return fail_field(c, ERR_INVALID, "key",
                          "Invalid value \"%s\" for parameter 'key' supplied: Names may be treated "
                          "as files in certain cases, and must not resolve to other names when "
                          "treated as such. This name would resolve to '%s'",
                          key, normal);
    return 0;
}

int version_number(struct ctx *c, const char *text, int64_t *out) {
    if (str_to_i64(text, out))
        return 0;
    return fail_field(c, ERR_INVALID, "version",
                      "Parameter 'version' must be an integer, got '%.100s'.", text);
}

int stage_name(struct ctx *c, const char *text, const char **stage) {
    static const char *const stages[] = {"None", "Staging", "Production", "Archived"};
    for (size_t i = 0; i < ARRAY_LEN(stages); i++)
        if (str_ieq(text, stages[i])) {
            *stage = stages[i];
            return 0;
        }
    return fail_field(c, ERR_INVALID, "stage",
                      "Invalid Model Version stage: %.100s. Value must be one of None, Staging, "
                      "Production, Archived.",
                      text);
}
