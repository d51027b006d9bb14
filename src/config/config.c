/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"

const struct config_row config_rows[CONFIG_COUNT] = {
#define SETTING(id, key, type, def, lo, hi, doc)                                                   \
    [CONFIG_##id] = {key, type, def, lo, hi, doc, false, NULL},
#define CHOICE(id, key, def, words, doc)                                                           \
    [CONFIG_##id] = {key, CONFIG_STR, def, 0, 0, doc, false, words},
#include "quern/config/config.def"
#undef SETTING
};

struct value {
    char *text;
    char *origin;
    int64_t number;
};

struct config {
    struct value values[CONFIG_COUNT];
};

static bool read_bool(const char *s, int64_t *out) {
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_ieq(s, yes[i]) || str_ieq(s, no[i])) {
            *out = str_ieq(s, yes[i]);
            return true;
        }
    }
    return false;
}

static bool read_number(enum config_type type, const char *s, int64_t *out) {
    uint64_t bytes;
    switch (type) {
    case CONFIG_INT:
        return str_to_i64(s, out);
    case CONFIG_BYTES:
        if (!str_to_bytes(s, &bytes) || bytes > INT64_MAX)
            return false;
        *out = (int64_t)bytes;
        return true;
    case CONFIG_MS:
        return str_to_ms(s, out);
    case CONFIG_BOOL:
        return read_bool(s, out);
    case CONFIG_STR:
    case CONFIG_LIST:
        break;
    }
    return true;
}

static const char *wanted(enum config_type type) {
    switch (type) {
    case CONFIG_INT:
        return "a whole number such as 16";
    case CONFIG_BYTES:
        return "a size such as 65536, 64K, 16M or 2G";
    case CONFIG_MS:
        return "a time with its unit such as 250ms, 10s, 5m, 2h or 1d";
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_STR:
    case CONFIG_LIST:
        break;
    }
    return "a text";
}

static bool is_word(const char *words, const char *text) {
    size_t n = strlen(text);
    for (const char *p = words; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        if (len == n && memcmp(p, text, n) == 0)
            return true;
        p += len;
    }
    return false;
}

static int assign(struct config *c, enum config_id id, const char *text, const char *origin,
                  struct buf *error) {
    const struct config_row *row = &config_rows[id];
    int64_t n = 0;
    if (!utf8_valid(text, strlen(text)) || strpbrk(text, "\r\n")) {
        buf_printf(error, "%s (%s): the value must be one line of UTF-8", row->key, origin);
        return -1;
    }
    if (!read_number(row->type, text, &n)) {
        buf_printf(error, "%s (%s): '%s' is not %s", row->key, origin, row->secret ? "***" : text,
                   wanted(row->type));
        return -1;
    }
    if (row->words && !is_word(row->words, text)) {
        buf_printf(error, "%s (%s): '%s' is none of: %s", row->key, origin, text, row->words);
        return -1;
    }
    bool number = row->type == CONFIG_INT || row->type == CONFIG_BYTES || row->type == CONFIG_MS;
    if (number && (n < row->lo || (row->hi && n > row->hi))) {
        buf_printf(error, "%s (%s): '%s' is out of range; it must be at least %lld", row->key,
                   origin, text, (long long)row->lo);
        if (row->hi)
            buf_printf(error, " and at most %lld", (long long)row->hi);
        if (row->type != CONFIG_INT)
            buf_puts(error, row->type == CONFIG_MS ? " milliseconds" : " bytes");
        return -1;
    }
    struct value *v = &c->values[id];
    char *new_text = mem_strdup(text), *new_origin = mem_strdup(origin);
    free(v->text);
    free(v->origin);
    *v = (struct value){.text = new_text, .origin = new_origin, .number = n};
    return 0;
}

struct config *config_new(void) {
    struct config *c = mem_alloc(sizeof *c);
    struct buf error = {0};
    for (int i = 0; i < CONFIG_COUNT; i++)
        if (assign(c, (enum config_id)i, config_rows[i].def, "default", &error) < 0)
            abort(); /* a row whose own default is out of its range */
    buf_free(&error);
    return c;
}

void config_free(struct config *c) {
    if (!c)
        return;
    for (int i = 0; i < CONFIG_COUNT; i++) {
        free(c->values[i].text);
        free(c->values[i].origin);
    }
    free(c);
}

/* A flag is written with dashes throughout: db-queue for db.queue. */
static bool same_key(const char *row, const char *key) {
    for (; *row && *key; row++, key++)
        if (*row != *key && !(*row == '.' && *key == '-'))
            return false;
    return !*row && !*key;
}

/* Edits between two words, bounded rows only: both are short. */
static size_t distance(const char *a, const char *b) {
    size_t row[64], n = strlen(b);
    if (n >= ARRAY_LEN(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t change = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            size_t best = diagonal < row[j] ? diagonal + 1 : row[j] + 1;
            row[j + 1] = change < best ? change : best;
        }
    }
    return row[n];
}

static int unknown(const char *key, const char *origin, struct buf *error) {
    const char *near = NULL;
    size_t best = 4;
    for (int i = 0; i < CONFIG_COUNT; i++) {
        size_t d = distance(config_rows[i].key, key);
        if (d < best) {
            best = d;
            near = config_rows[i].key;
        }
    }
    buf_printf(error, "'%.100s' (%s) is not a setting", key, origin);
    if (near)
        buf_printf(error, "; did you mean %s?", near);
    else
        buf_puts(error, "; 'quern config show' lists them");
    return -1;
}

int config_set(struct config *c, const char *key, const char *value, const char *origin,
               struct buf *error) {
    for (int i = 0; i < CONFIG_COUNT; i++)
        if (same_key(config_rows[i].key, key))
            return assign(c, (enum config_id)i, value, origin, error);
    return unknown(key, origin, error);
}

const char *config_str(const struct config *c, enum config_id id) {
    return c->values[id].text;
}

int64_t config_int(const struct config *c, enum config_id id) {
    return c->values[id].number;
}

bool config_bool(const struct config *c, enum config_id id) {
    return c->values[id].number != 0;
}

const char *config_origin(const struct config *c, enum config_id id) {
    return c->values[id].origin;
}
