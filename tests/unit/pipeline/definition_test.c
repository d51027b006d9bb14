/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>

#include "check.h"
#include "definition.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/pipeline/pipeline.h"

struct deploy {
    const char *endpoint, *model;
};
SHAPE(shape_deploy, "Deploy", struct deploy, FIELD(struct deploy, endpoint, T_STR, F_REQUIRED, ""),
      FIELD(struct deploy, model, T_STR, F_REQUIRED, ""));
static const struct step_action deploy_action = {.name = "deploy", .with = &shape_deploy};
static const char example[] =
    "name: breast-cancer\n"
    "description: From table to endpoint.\n"
    "params:\n"
    "  min_auc: 0.98\n"
    "  seed: {type: int, default: 7, doc: Seed of the split.}\n"
    "  settings:\n"
    "    type: list\n"
    "    default:\n"
    "      - {trees: 50, depth: 4}\n"
    "      - {trees: 100, depth: 6}\n"
    "files: [\"*.py\"]\n"
    "steps:\n"
    "  ingest:\n"
    "    run: [python3, ingest.py, \"${outputs.data}\"]\n"
    "    outputs: {data: data.csv}\n"
    "  split:\n"
    "    run: [python3, split.py, --seed, \"${params.seed}\"]\n"
    "    inputs: {data: ingest.data}\n"
    "    outputs: {train: train.csv, holdout: holdout.csv}\n"
    "  train:\n"
    "    foreach: ${params.settings}\n"
    "    run: [python3, train.py, --trees, \"${item.trees}\"]\n"
    "    inputs: {train: {from: split.train}}\n"
    "    outputs: {model: {path: model, kind: model}}\n"
    "    retry: {count: 2, backoff: 5s}\n"
    "    timeout: 10m\n"
    "  best:\n"
    "    select: {from: train, metric: roc_auc}\n"
    "  evaluate:\n"
    "    run: [python3, evaluate.py, \"${steps.best.run_id}\"]\n"
    "    inputs: {holdout: split.holdout, model: best.model}\n"
    "    outputs: {metrics: {path: metrics.json, kind: metrics}}\n"
    "  check:\n"
    "    from: evaluate\n"
    "    gate:\n"
    "      - roc_auc >= ${params.min_auc}\n"
    "      - slices.*.accuracy >= 0.9\n"
    "      - better_than: {model: \"models:/breast-cancer@champion\", metric: roc_auc}\n"
    "  register:\n"
    "    register: {model: breast-cancer, from: best, alias: champion}\n"
    "    needs: check\n"
    "  deploy:\n"
    "    deploy: {endpoint: breast-cancer, model: \"models:/breast-cancer@champion\"}\n"
    "    needs: [register]\n";

static int parse(struct ctx *c, const char *text, struct definition **d) {
    ctx_begin(c);
    return definition_parse(c, text, strlen(text), d);
}

static void good_definition(void) {
    struct ctx c;
    struct definition *d;
    int rc = parse(&c, example, &d);
    if (rc) {
        printf("%s\n", c.err.message);
    }
    CHECK_INT(rc, 0);
    if (rc == 0) {
        CHECK_STR(d->name, "breast-cancer");
        CHECK_INT(d->nsteps, 8);
        CHECK_INT(d->nparams, 3);
        CHECK_STR(d->steps[2].name, "train");
        CHECK(d->steps[2].fan_out);
        CHECK_INT(d->steps[2].timeout_ms, 600000);
        CHECK_INT(d->steps[2].retry.backoff_ms, 5000);
        CHECK_INT(d->steps[4].nneeds, 2); /* split and best, implied */
        CHECK_STR(d->steps[1].params.items[0], "seed");
        CHECK_INT(d->steps[1].params.n, 1);
        CHECK_INT(d->steps[5].nrules, 3);
        CHECK_STR(d->steps[5].rules[0].path, "params.min_auc");
        CHECK_STR(d->steps[d->steps[6].from].name, "best");
        json_t *params, *items;
        json_t *given = json_loads("{\"min_auc\":\"0.5\"}", 0, NULL);
        CHECK_INT(definition_params(&c, d, given, &params), 0);
        CHECK_NEAR(json_real_value(json_object_get(params, "min_auc")), 0.5, 0);
        CHECK_INT(step_items(&c, &d->steps[2], params, &items), 0);
        CHECK_INT(json_array_size(items), 2);
        json_decref(given);
    }
    ctx_end(&c);
}

static void steps_in_any_order(void) {
    struct ctx c;
    struct definition *d;
    CHECK_INT(
        parse(&c,
              "name: p\nsteps:\n- {name: b, run: [x], needs: [a], inputs: {i: a.o}}\n- {name: a, "
              "run: [y], outputs: {o: f}}\n",
              &d),
        0);
    CHECK_STR(d ? d->steps[0].name : c.err.message, "a");
    CHECK_INT(d ? d->steps[1].inputs[0].step : 99, 0);
    ctx_end(&c);
    CHECK_INT(parse(&c, "{\"name\": \"p\", \"steps\": {\"a\": {\"run\": [\"true\"]}}}", &d), 0);
    ctx_end(&c);
}

/* What a JSON writer may send: escapes of two halves, escaped slashes, an escaped backslash. */
static void json_escapes(void) {
    struct ctx c;
    struct definition *d;
    static const char text[] =
        "{\"name\": \"p\", \"description\": \"\\ud83d\\ude00 \\/ \\\\ud83d\\u00fc\", "
        "\"steps\": {\"a\": {\"run\": [\"true\"]}}}";
    CHECK_INT(parse(&c, text, &d), 0);
    CHECK_STR(d ? d->description : c.err.message, "\U0001F600 / \\ud83d\u00fc");
    ctx_end(&c);
    CHECK_INT(parse(&c, "{\"name\": \"p\", \"description\": \"\\ud83d\"}", &d), -ERR_INVALID);
    CHECK_HAS(c.err.message, "line 1, column ");
    ctx_end(&c);
}

static void bad_definitions(void) {
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "line 1, column 1: the definition is empty"},
        {"name: p\nstep: {}\n",
         "line 2, column 1: \"step\" is no key of a pipeline; did you mean \"steps\"?"},
        {"name: p\n", "pipeline needs \"steps\""},
        {"name: 9p\nsteps: {a: {run: [x]}}\n", "line 1, column 7: \"9p\" is no name of a pipeline"},
        {"name: p\nsteps:\n  a:\n    run: python x.py\n",
         "line 4, column 10: run must be a list of arguments"},
        {"name: p\nsteps:\n  a:\n    runn: [x]\n",
         "line 4, column 5: \"runn\" is no key of a step; did you mean \"run\"?"},
        {"name: p\nsteps:\n  a: {doc: hi}\n", "step a needs one of run, select"},
        {"name: p\nsteps:\n  a: {run: [x], gate: [a > 1]}\n", "has both run and gate"},
        {"name: p\nsteps:\n  a: {run: [x], needs: [b]}\n", "there is no step \"b\""},
        {"name: p\nsteps:\n  train: {run: [x]}\n  b: {run: [x], needs: [trian]}\n",
         "did you mean \"train\"?"},
        {"name: p\nsteps:\n  a: {run: [x], needs: [b]}\n  b: {run: [x], needs: [a]}\n",
         "in a circle"},
        {"name: p\nsteps:\n  a: {run: [\"${params.x}\"]}\n",
         "line 3, column 13: there is no param \"x\""},
        {"name: p\nsteps:\n  a: {run: [\"${item}\"]}\n", "only in a step with foreach"},
        {"name: p\nsteps:\n  a: {run: [\"${nope}\"]}\n", "${nope} is unknown"},
        {"name: p\nsteps:\n  a: {run: [\"${oops\"]}\n", "is no placeholder"},
        {"name: p\nsteps:\n  a: {run: [\"${outputs.x}\"]}\n", "step a has no output \"x\""},
        {"name: p\nsteps:\n  a: {run: [x], timeout: 5}\n", "timeout must be a time with its unit"},
        {"name: p\nsteps:\n  a: {run: [x], outputs: {o: ../x}}\n",
         "is no path below the outputs folder"},
        {"name: p\nsteps:\n  a: {run: [x], outputs: {o: /x}}\n", "is no path below"},
        {"name: p\nsteps:\n  a: {run: [x]}\n  b: {run: [y], inputs: {i: a.o}}\n",
         "step a has no output \"o\""},
        {"name: p\nsteps:\n  a: {run: [x], when: \"params.x >\"}\n", "ends too early at character"},
        {"name: p\nsteps:\n  a: {run: [x], when: \"params.x = 1\"}\n", "write =="},
        {"name: p\nsteps:\n  a: {run: [x], env: {QUERN_X: 1}}\n", "set by the daemon"},
        {"name: p\nsteps:\n  a: {run: [x], env: {\"A=B\": 1}}\n",
         "no name of an environment variable"},
        {"name: p\nsteps:\n  a: {run: [x], run: [y]}\n", "\"run\" is written twice"},
        {"name: p\nsteps:\n  a: {run: !!python/object [x]}\n", "explicit tags"},
        {"name: p\nsteps: {a: {run: [x]}}\n---\nname: q\n", "a second document"},
        {"name: p\nsteps: {a: {run: [*x]}}\n", "alias to an anchor that was not set"},
        {"name: p\nsteps: [\n", "line 3, column 1"},
        {"name: p\n\tsteps: 3\n", "line 2"},
        {"name: p\nsteps:\n  g: {gate: [\"a >= 1\"]}\n", "gate g needs \"from\""},
        {"name: p\nsteps:\n  a: {run: [x]}\n  g: {gate: [\"a >= b\"], needs: a}\n",
         "a rule compares with a number"},
        {"name: p\nsteps:\n  a: {run: [x]}\n  s: {select: {from: a, metric: m}}\n",
         "which has no foreach"},
        {"name: p\nsteps:\n  a: {run: [x], foreach: []}\n", "foreach wants 1 to"},
        {"name: p\nparams: {x: 1}\nsteps:\n  a: {run: [x], foreach: \"${params.x}\"}\n",
         "param x is not a list"},
        {"name: p\nsteps:\n  a: {run: [x]}\n  r: {register: {model: m, from: a, alais: c}}\n",
         "did you mean \"alias\"?"},
        {"name: p\nsteps:\n  d: {deploy: {endpoint: e}}\n", "deploy needs \"model\""},
        {"name: p\nparams: {x: {type: int, default: abc}}\nsteps: {a: {run: [x]}}\n",
         "parameter x wants an int"},
        {"name: p\nsteps: {a: {run: [x], retry: 99}}\n",
         "retry count must be a whole number from 0 to 20"},
        {"name: p\nsteps: {a: {select: {from: a, metric: m}, inputs: {}}}\n",
         "inputs belongs to a step with run"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct definition *d;
        CHECK_INT(parse(&c, rows[i].text, &d), -ERR_INVALID);
        CHECK_HAS(c.err.message, rows[i].want);
        CHECK_STR(c.err.field, "definition");
        ctx_end(&c);
    }
}

static void bounded(void) {
    struct ctx c;
    struct definition *d;
    struct buf b = {0};
    /* Ten anchors, each ten times the one before. */
    buf_puts(&b, "name: p\nx0: &x0 [a]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&b, "x%d: &x%d [", i, i);
        for (int k = 0; k < 10; k++) {
            buf_printf(&b, "*x%d,", i - 1);
        }
        buf_puts(&b, "]\n");
    }
    CHECK_INT(parse(&c, b.data, &d), -ERR_INVALID);
    CHECK_HAS(c.err.message, "more than 20,000 values");
    ctx_end(&c);
    buf_clear(&b);
    for (int i = 0; i < 200; i++) {
        buf_puts(&b, "[");
    }
    CHECK_INT(parse(&c, b.data, &d), -ERR_INVALID);
    CHECK_HAS(c.err.message, "deeper than 32");
    ctx_end(&c);
    buf_free(&b);
    char *big = mem_alloc(1100000);
    memset(big, 'a', 1099999);
    CHECK_INT(parse(&c, big, &d), -ERR_TOO_LARGE);
    ctx_end(&c);
    free(big);
    CHECK_INT(parse(&c, "name: \"\xff\"\n", &d), -ERR_INVALID);
    ctx_end(&c);
}

static void params(void) {
    static const struct {
        const char *given, *want;
    } rows[] = {{"{\"x\":\"abc\"}", "parameter x wants an int, not \"abc\""},
                {"{\"x\":1.5}", "parameter x wants an int, not 1.5"},
                {"{\"y\":1}", "has no parameter y"},
                {"[1]", "params must be an object"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        struct definition *d;
        CHECK_INT(parse(&c, "name: p\nparams: {x: {type: int}}\nsteps: {a: {run: [x]}}\n", &d), 0);
        json_t *given = json_loads(rows[i].given, 0, NULL), *out;
        CHECK_INT(definition_params(&c, d, given, &out), -ERR_INVALID);
        CHECK_HAS(c.err.message, rows[i].want);
        json_decref(given);
        ctx_end(&c);
    }
    struct ctx c;
    struct definition *d;
    json_t *out;
    CHECK_INT(parse(&c, "name: p\nparams: {x: {type: int}}\nsteps: {a: {run: [x]}}\n", &d), 0);
    CHECK_INT(definition_params(&c, d, NULL, &out), -ERR_INVALID);
    CHECK_HAS(c.err.message, "has no default and must be given");
    CHECK_STR(c.err.field, "params.x");
    ctx_end(&c);
}

/* The committed schema is the one that the rows give. */
static void schema_is_current(void) {
    struct buf want = {0}, got = {0};
    definition_schema(&want);
    char path[4096];
    snprintf(path, sizeof path, "%s", __FILE__);
    char *end = strstr(path, "tests/unit/");
    if (end) {
        snprintf(end, sizeof path - (size_t)(end - path), "docs/generated/pipeline.schema.json");
    }
    FILE *f = fopen(path, "re");
    CHECK(f != NULL);
    char part[4096];
    for (size_t n; f && (n = fread(part, 1, sizeof part, f)) > 0;) {
        buf_put(&got, part, n);
    }
    if (f) {
        fclose(f);
    }
    json_t *a = json_loads(want.data, JSON_REJECT_DUPLICATES, NULL);
    json_t *b = got.data ? json_loads(got.data, JSON_REJECT_DUPLICATES, NULL) : NULL;
    CHECK(a != NULL);
    CHECK(a && b && json_equal(a, b));
    if (!a || !b || !json_equal(a, b)) {
        printf("docs/generated/pipeline.schema.json should be:\n%s", want.data);
    }
    json_decref(a);
    json_decref(b);
    buf_free(&want);
    buf_free(&got);
}

int main(void) {
    pipeline_action(&deploy_action);
    RUN(good_definition);
    RUN(steps_in_any_order);
    RUN(json_escapes);
    RUN(bad_definitions);
    RUN(bounded);
    RUN(params);
    RUN(schema_is_current);
    return CHECK_END();
}
