/* SPDX-License-Identifier: Apache-2.0 */
#include "oip_parameters.h"

#include "json_scan.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

#define PARAMETERS_MAX 64 /* kept; more are read and dropped */

static int wants(struct scan *s, const char *name, const char *what) {
    return fail_field(s->c, ERR_INVALID, name, "parameter %s is %s; it must be %s", name,
                      scan_kind(s), what);
}

static int scan_flag(struct scan *s, const char *name, bool *out) {
    char ch = scan_peek(s);
    return ch == 't' || ch == 'f' ? scan_bool(s, out) : wants(s, name, "true or false");
}

static int scan_count(struct scan *s, const char *name, uint64_t *out) {
    struct number n;
    char ch = scan_peek(s);
    if (ch != '-' && !(ch >= '0' && ch <= '9'))
        return wants(s, name, "a whole number");
    int rc = scan_number(s, &n);
    if (rc == 0 && number_store(&n, DT_UINT64, true, out))
        rc = fail_field(s->c, ERR_INVALID, name, "parameter %s must be a whole number, 0 or more",
                        name);
    return rc;
}

/* Models here keep no state between requests: a sequence is accepted and makes no difference. */
static int scan_sequence(struct scan *s) {
    char ch = scan_peek(s);
    if (ch != '"' && ch != '-' && !(ch >= '0' && ch <= '9'))
        return wants(s, "sequence_id", "a number or a string");
    return scan_skip(s);
}

static int scan_content_type(struct scan *s, bool *base64) {
    struct bytes text;
    if (scan_peek(s) != '"')
        return scan_skip(s);
    int rc = scan_string(s, &text);
    *base64 = rc == 0 && bytes_eq(text, "base64");
    return rc;
}

static int scan_reserved(struct scan *s, struct bytes key, struct oip_parameters *out) {
    bool flag;
    uint64_t number;
    if (bytes_eq(key, "binary_data_size")) {
        out->has_size = true;
        return scan_count(s, "binary_data_size", &out->size);
    }
    if (bytes_eq(key, "binary_data")) {
        out->has_binary = true;
        return scan_flag(s, "binary_data", &out->binary);
    }
    if (bytes_eq(key, "binary_data_output")) {
        out->has_output = true;
        return scan_flag(s, "binary_data_output", &out->output);
    }
    if (bytes_eq(key, "classification"))
        return scan_count(s, "classification", &out->classes);
    if (bytes_eq(key, "timeout"))
        return scan_count(s, "timeout", &out->timeout_us);
    if (bytes_eq(key, "priority"))
        return scan_count(s, "priority", &number);
    if (bytes_eq(key, "sequence_start"))
        return scan_flag(s, "sequence_start", &flag);
    if (bytes_eq(key, "sequence_end"))
        return scan_flag(s, "sequence_end", &flag);
    if (bytes_eq(key, "sequence_id"))
        return scan_sequence(s);
    if (bytes_eq(key, "content_type"))
        return scan_content_type(s, &out->base64);
    return 1; /* not reserved */
}

static int scan_custom(struct scan *s, struct bytes key, struct oip_parameters *out) {
    struct oip_parameter p = {.key = key};
    char ch = scan_peek(s);
    const char *from = s->p;
    int rc = ch == '"' ? scan_string(s, &p.text) : scan_skip(s);
    if (rc < 0 || ch == '{' || ch == '[' || ch == 'n' || out->n == PARAMETERS_MAX)
        return rc;
    if (ch != '"')
        p.text = (struct bytes){from, (size_t)(s->p - from)};
    if (!out->items)
        out->items = ARENA_ARRAY(s->c->arena, struct oip_parameter, PARAMETERS_MAX);
    out->items[out->n++] = p;
    return 0;
}

int oip_parameters_scan(struct scan *s, struct oip_parameters *out) {
    *out = (struct oip_parameters){0};
    if (scan_peek(s) == 'n')
        return scan_null(s);
    if (scan_peek(s) != '{')
        return wants(s, "parameters", "an object");
    int rc = scan_enter(s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(s, &key);
        if (rc == 0)
            rc = scan_reserved(s, key, out);
        if (rc > 0)
            rc = scan_custom(s, key, out);
    }
    return rc;
}
