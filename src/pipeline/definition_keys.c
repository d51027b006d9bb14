/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a definition: name, JSON Schema of the value, prose. The reader checks against these
 * rows and the published schema is written from them. */
#include <stdio.h>
#include <string.h>

#include "definition.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/pipeline/pipeline.h"
#include "yaml_tree.h"

#define TEXT "{\"type\":\"string\"}"
#define BOOL "{\"type\":\"boolean\"}"
#define NUMBER "{\"type\":\"number\"}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define TEXTS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define SPAN "{\"type\":\"string\",\"pattern\":\"^[0-9]+(ms|s|m|h|d)$\"}"
#define SIZE "{\"type\":[\"string\",\"integer\"],\"pattern\":\"^[0-9]+[KMGT]?$\"}"
#define ENV                                                                                        \
    "{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"string\",\"number\",\"boolean\"]}" \
    "}"
#define REF(name) "{\"$ref\":\"#/$defs/" name "\"}"
#define MODE "{\"enum\":[\"max\",\"min\"]}"
#define NAME "{\"type\":\"string\",\"pattern\":\"^[A-Za-z][A-Za-z0-9_-]{0,63}$\"}"

#define KEYS(ident, what_, ...)                                                                    \
    static const struct key ident##_rows[] = {__VA_ARGS__};                                        \
    const struct keys ident = {what_, ident##_rows, sizeof(ident##_rows) / sizeof(struct key)}

KEYS(keys_pipeline, "pipeline",
     {"name", NAME, "Name of the pipeline: a letter, then letters, digits, _ or -.", true},
     {"description", TEXT, "What it is for.", false},
     {"experiment", TEXT, "Experiment of the tracking runs; default: the name.", false},
     {"params",
      "{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[" REF(
          "param") ",{\"type\":[\"string\",\"number\",\"boolean\",\"array\"]}]}}",
      "Parameters: name: default, or name: {type, default, doc}.", false},
     {"env", ENV, "Environment of every step.", false},
     {"files", TEXTS, "Source files beside the definition, as globs: scripts/*.py.", false},
     {"max_parallel", COUNT, "Steps of one run at once; 0: the daemon's limit.", false},
     {"track", BOOL, "A tracking run for the pipeline run and for each step; default true.", false},
     {"steps",
      "{\"anyOf\":[{\"type\":\"object\",\"additionalProperties\":" REF(
          "step") "},{\"type\":\"array\",\"items\":{\"allOf\":[" REF("step") ",{\"required\":["
                                                                             "\"name\"]}]}}]}",
      "The steps: a mapping by name, or a list whose items have a name.", true});

KEYS(keys_param, "param",
     {"type", "{\"enum\":[\"string\",\"int\",\"float\",\"bool\",\"list\"]}",
      "Type; default: that of the default.", false},
     {"default", "{}", "Value when the caller gives none; without it the parameter is required.",
      false},
     {"doc", TEXT, "One sentence.", false});

KEYS(keys_step, "step", {"name", NAME, "Name, where steps are a list.", false},
     {"doc", TEXT, "What the step does.", false},
     {"run", "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":[\"string\",\"number\"]}}",
      "The command: a list of arguments, never a shell line.", false},
     {"select", REF("select"), "Instead of run: the best instance of a fan-out.", false},
     {"gate",
      "{\"type\":\"array\",\"minItems\":1,\"items\":{\"anyOf\":[{\"type\":\"string\"}," REF(
          "rule") "]}}",
      "Instead of run: rules that must all hold.", false},
     {"register", "{\"type\":\"object\"}",
      "Instead of run: makes a version of a registered model: {model, from, alias, description}.",
      false},
     {"deploy", "{\"type\":\"object\"}",
      "Instead of run: binds an endpoint to a model: {endpoint, model}.", false},
     {"from", TEXT, "gate: the step whose metrics are judged; default: the only step needed.",
      false},
     {"needs",
      "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}",
      "Steps that must have succeeded; those named in inputs, from and ${steps.x} are implied.",
      false},
     {"inputs",
      "{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[{\"type\":\"string\"}," REF(
          "input") "]}}",
      "Files from earlier steps: name: step.output, or name: {from, select} or {artifact}.", false},
     {"outputs",
      "{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[{\"type\":\"string\"}," REF(
          "output") "]}}",
      "Files the step leaves: name: path, or name: {path, kind, optional}.", false},
     {"env", ENV, "Environment of this step.", false},
     {"params",
      "{\"anyOf\":[{\"const\":\"all\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}",
      "Parameters handed over as PARAM_name and in params.json, besides those in ${params.x}.",
      false},
     {"timeout", SPAN, "Longest time of one attempt: 90s, 10m, 2h.", false},
     {"grace", SPAN, "From TERM to KILL; default 10s.", false},
     {"retry", "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,\"maximum\":20}," REF("retry") "]}",
      "Further attempts after a failure.", false},
     {"when", "{\"type\":[\"string\",\"boolean\"]}",
      "Condition over params and steps before; false: the step is skipped.", false},
     {"after_skipped", "{\"enum\":[\"skip\",\"run\"]}",
      "What to do when a step before was skipped; default skip.", false},
     {"foreach", "{\"anyOf\":[{\"type\":\"array\"},{\"type\":\"string\"}]}",
      "One instance per item of a list or of ${params.list}; ${item} is the item.", false},
     {"resources", REF("resources"), "What an attempt may use.", false},
     {"cache", "{\"anyOf\":[{\"type\":\"boolean\"}," REF("cache") "]}",
      "Whether an earlier result with equal inputs is taken; default true.", false},
     {"track", BOOL, "A tracking run for each instance; default true.", false},
     {"files", TEXTS, "The source files this step sees and depends on; default: all.", false});

KEYS(keys_input, "input", {"from", TEXT, "step.output", false},
     {"artifact", TEXT, "Path of a stored artifact or folder.", false},
     {"select", REF("pick"), "Of a fan-out only the instance with the best metric.", false});

KEYS(keys_output, "output", {"path", TEXT, "File or folder below QUERN_OUTPUTS.", true},
     {"kind", "{\"enum\":[\"artifact\",\"metrics\",\"values\",\"model\"]}",
      "artifact: kept as it is; metrics: JSON of numbers; values: JSON; model: kept "
      "and shown in the tracking run.",
      false},
     {"optional", BOOL, "May be absent; default false.", false});

KEYS(keys_retry, "retry",
     {"count", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":20}", "Further attempts.", true},
     {"backoff", SPAN, "Before the first one, doubled for each further; default 1s.", false},
     {"max", SPAN, "Longest wait; default 5m.", false},
     {"jitter", "{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
      "Random share of the wait; default 0.2.", false});

KEYS(keys_resources, "resources", {"cpu", COUNT, "Threads for numeric libraries.", false},
     {"cpu_time", SPAN, "CPU time of one attempt.", false},
     {"memory", SIZE, "Address space: 512M, 4G.", false},
     {"slots", COUNT, "Share of the daemon's parallel steps; default 1.", false});

KEYS(keys_cache, "cache",
     {"key", TEXTS, "Further texts that must be equal, placeholders allowed.", true});

KEYS(keys_select, "select", {"from", TEXT, "The fan-out step.", true},
     {"metric", TEXT, "Name of the metric.", true}, {"mode", MODE, "Default max.", false});

KEYS(keys_rule, "rule", {"metric", TEXT, "Name, * stands for any part.", false},
     {"min", NUMBER, "At least this.", false}, {"max", NUMBER, "At most this.", false},
     {"better_than", REF("better_than"), "Compared with a registered version.", false});

KEYS(keys_better, "better_than", {"model", TEXT, "models:/name@alias", true},
     {"metric", TEXT, "Name of the metric.", true}, {"mode", MODE, "Default max.", false},
     {"margin", NUMBER, "Least difference; default 0.", false},
     {"or_equal", BOOL, "An equal value passes; default false.", false});

static const char *key_at(const void *list, size_t i) {
    return ((const struct keys *)list)->rows[i].name;
}

static size_t distance(const char *a, const char *b) {
    size_t row[40], n = strlen(b);
    if (n >= ARRAY_LEN(row) || strlen(a) >= ARRAY_LEN(row)) {
        return n;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            best = up + 1 < best ? up + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[n];
}

const char *nearest(const char *name, const char *(*at)(const void *list, size_t i),
                    const void *list, size_t n) {
    const char *best = NULL;
    size_t least = 3;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(name, at(list, i));
        if (d < least && d < strlen(name)) {
            least = d;
            best = at(list, i);
        }
    }
    return best;
}

int keys_check(struct ctx *c, const struct node *map, const struct keys *keys) {
    if (map->kind != NODE_MAP) {
        return node_fail(c, map, "%s must be a mapping (name: value)", keys->what);
    }
    for (size_t i = 0; i < map->n; i++) {
        const char *name = map->keys[i]->text;
        bool known = false;
        for (size_t k = 0; k < keys->n && !known; k++) {
            known = str_eq(keys->rows[k].name, name);
        }
        if (!known) {
            const char *near = nearest(name, key_at, keys, keys->n);
            return near ? node_fail(c, map->keys[i],
                                    "\"%s\" is no key of a %s; did you mean \"%s\"?", name,
                                    keys->what, near)
                        : node_fail(c, map->keys[i], "\"%s\" is no key of a %s", name, keys->what);
        }
    }
    for (size_t k = 0; k < keys->n; k++) {
        if (keys->rows[k].required && !node_get(map, keys->rows[k].name)) {
            return node_fail(c, map, "%s needs \"%s\"", keys->what, keys->rows[k].name);
        }
    }
    return 0;
}

static void schema_object(struct json_writer *w, const struct keys *keys) {
    jw_key_str(w, "type", "object");
    jw_key_bool(w, "additionalProperties", false);
    jw_key(w, "properties");
    jw_obj(w);
    for (size_t i = 0; i < keys->n; i++) {
        const struct key *k = &keys->rows[i];
        jw_key(w, k->name);
        jw_obj(w);
        jw_key_str(w, "description", k->doc);
        size_t n = strlen(k->schema);
        if (n > 2) { /* the fragment's members, without its braces */
            jw_key(w, "allOf");
            jw_arr(w);
            jw_raw(w, k->schema, n);
            jw_arr_end(w);
        }
        jw_obj_end(w);
    }
    jw_obj_end(w);
    jw_key(w, "required");
    jw_arr(w);
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->rows[i].required) {
            jw_str(w, keys->rows[i].name);
        }
    }
    jw_arr_end(w);
}

void definition_schema(struct buf *out) {
    static const struct {
        const char *name;
        const struct keys *keys;
    } defs[] = {{"param", &keys_param}, {"step", &keys_step},
                {"input", &keys_input}, {"output", &keys_output},
                {"retry", &keys_retry}, {"resources", &keys_resources},
                {"cache", &keys_cache}, {"select", &keys_select},
                {"rule", &keys_rule},   {"better_than", &keys_better}};
    static const char pick[] =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":["
        "\"metric\"],\"properties\":{\"metric\":" TEXT ",\"mode\":" MODE "}}";
    struct json_writer w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key_str(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    jw_key_str(&w, "title", "Quern pipeline");
    schema_object(&w, &keys_pipeline);
    jw_key(&w, "$defs");
    jw_obj(&w);
    for (size_t i = 0; i < ARRAY_LEN(defs); i++) {
        jw_key(&w, defs[i].name);
        jw_obj(&w);
        schema_object(&w, defs[i].keys);
        jw_obj_end(&w);
    }
    jw_key(&w, "pick");
    jw_raw(&w, pick, sizeof pick - 1);
    jw_obj_end(&w);
    jw_obj_end(&w);
    buf_putc(out, '\n');
}
