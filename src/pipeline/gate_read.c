/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of a gate: "roc_auc >= 0.98", "slices.*.accuracy >= params.floor", {metric, min, max},
 * {better_than: {model, metric, mode, margin, or_equal}}. */
#include <ctype.h>
#include <string.h>

#include "definition.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "yaml_tree.h"

static const char METRIC_CHARS[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./*@:";

static const char *blanks(const char *s) {
    return s + strspn(s, " \t");
}

int gate_rule_parse(struct ctx *c, const char *text, struct gate_rule *out) {
    static const char *const ops[] = {">=", "<=", "==", "!=", ">", "<"};
    const char *at = blanks(text);
    *out = (struct gate_rule){.text = text};
    if (*at == '`') {
        const char *end = strchr(at + 1, '`');
        if (!end) {
            return fail(c, ERR_INVALID, "a metric's name without a closing `");
        }
        out->metric = arena_strndup(c->arena, at + 1, (size_t)(end - at - 1));
        at = end + 1;
    } else {
        size_t n = strspn(at, METRIC_CHARS);
        out->metric = arena_strndup(c->arena, at, n);
        at += n;
    }
    at = blanks(at);
    for (size_t i = 0; i < ARRAY_LEN(ops) && !out->op; i++) {
        if (str_starts(at, ops[i])) {
            out->op = ops[i];
            at = blanks(at + strlen(ops[i]));
        }
    }
    if (!*out->metric || !out->op || !*at) {
        return fail(c, ERR_INVALID, "a rule is \"metric >= number\", not \"%s\"", text);
    }
    size_t n = strlen(at);
    while (n && (at[n - 1] == ' ' || at[n - 1] == '\t')) {
        n--;
    }
    const char *value = arena_strndup(c->arena, at, n);
    if (str_to_f64(value, &out->number)) {
        return 0;
    }
    if (str_starts(value, "${") && value[n - 1] == '}') {
        value = arena_strndup(c->arena, value + 2, n - 3);
    }
    if (!isalpha((unsigned char)*value) || strspn(value, METRIC_CHARS) != strlen(value) ||
        !(str_starts(value, "params.") || str_starts(value, "steps."))) {
        return fail(c, ERR_INVALID,
                    "a rule compares with a number, ${params.x} or ${steps.x...}, not \"%s\"",
                    value);
    }
    out->path = value;
    return 0;
}

static int read_mode(struct ctx *c, const struct node *n, bool *min) {
    const char *mode = "max";
    int rc = n ? read_text(c, n, "mode", &mode) : 0;
    *min = str_eq(mode, "min");
    return rc || *min || str_eq(mode, "max")
               ? rc
               : node_fail(c, n, "mode is max or min, not \"%s\"", mode);
}

static int read_better(struct ctx *c, const struct node *n, struct gate_rule *out) {
    const struct node *margin = node_get(n, "margin"), *equal = node_get(n, "or_equal");
    int rc = keys_check(c, n, &keys_better);
    rc = rc ? rc : read_text(c, node_get(n, "model"), "model", &out->model);
    rc = rc ? rc : read_text(c, node_get(n, "metric"), "metric", &out->metric);
    rc = rc ? rc : read_mode(c, node_get(n, "mode"), &out->min);
    rc = rc || !margin ? rc : read_number(c, margin, "margin", &out->margin);
    rc = rc || !equal ? rc : read_bool(c, equal, "or_equal", &out->or_equal);
    if (rc == 0 && !str_starts(out->model, "models:/") && !strstr(out->model, "${")) {
        rc = node_fail(c, node_get(n, "model"), "model is models:/name@alias or models:/name/3");
    }
    if (rc == 0) {
        out->text = arena_printf(c->arena, "%s better than %s", out->metric, out->model);
    }
    return rc;
}

static int add_rule(struct ctx *c, struct step *s, const struct gate_rule *rule) {
    struct gate_rule *wider = ARENA_ARRAY(c->arena, struct gate_rule, s->nrules + 1);
    for (size_t i = 0; i < s->nrules; i++) {
        wider[i] = s->rules[i];
    }
    wider[s->nrules++] = *rule;
    s->rules = wider;
    return 0;
}

static int read_bound(struct ctx *c, const struct node *n, const char *metric, const char *op,
                      struct step *s) {
    double number;
    int rc = read_number(c, n, str_eq(op, ">=") ? "min" : "max", &number);
    struct gate_rule rule = {.metric = metric, .op = op, .number = number};
    rule.text = arena_printf(c->arena, "%s %s %s", metric, op, n->text ? n->text : "");
    return rc ? rc : add_rule(c, s, &rule);
}

static int read_rule(struct ctx *c, const struct node *n, struct step *s) {
    struct gate_rule rule = {0};
    if (n->kind == NODE_SCALAR) {
        int rc = gate_rule_parse(c, n->text, &rule);
        if (rc) {
            const char *message = c->err.message;
            err_clear(c);
            return node_fail(c, n, "%s", message);
        }
        return add_rule(c, s, &rule);
    }
    int rc = keys_check(c, n, &keys_rule);
    const struct node *better = node_get(n, "better_than"), *metric = node_get(n, "metric");
    if (rc == 0 && better) {
        if (n->n > 1) {
            return node_fail(c, n, "better_than stands alone in a rule");
        }
        rc = read_better(c, better, &rule);
        return rc ? rc : add_rule(c, s, &rule);
    }
    const struct node *min = node_get(n, "min"), *max = node_get(n, "max");
    const char *name = NULL;
    if (rc == 0 && (!metric || (!min && !max))) {
        rc = node_fail(c, n, "a rule needs metric with min or max, or better_than");
    }
    rc = rc ? rc : read_text(c, metric, "metric", &name);
    rc = rc || !min ? rc : read_bound(c, min, name, ">=", s);
    return rc || !max ? rc : read_bound(c, max, name, "<=", s);
}

int gate_read(struct definition_reader *r, const struct node *n, struct step *s) {
    if (n->kind != NODE_SEQ || n->n == 0) {
        return node_fail(r->c, n, "gate must be a list of rules");
    }
    for (size_t i = 0; i < n->n; i++) {
        int rc = read_rule(r->c, n->items[i], s);
        if (rc) {
            return rc;
        }
    }
    return 0;
}
