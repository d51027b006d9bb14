/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_key.h"

#include <jansson.h>

#include "check.h"
#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static const char base[] =
    "name: p\nenv: {A: one}\nparams: {x: 1, y: 2}\nsteps:\n"
    "  a: {run: [make], outputs: {d: d.csv}}\n"
    "  b:\n"
    "    run: [python, t.py, \"${inputs.d}\", \"${outputs.m}\", --x, \"${params.x}\"]\n"
    "    inputs: {d: a.d}\n"
    "    outputs: {m: {path: m.json, kind: metrics}}\n"
    "    env: {B: two}\n";
static const char other_name[] =
    "name: q\ndescription: New words.\nenv: {A: one}\nparams: {x: 1, y: 2}\nsteps:\n"
    "  a: {run: [make, differently], outputs: {d: d.csv}}\n"
    "  b:\n"
    "    doc: Said anew.\n"
    "    retry: 3\n"
    "    timeout: 5m\n"
    "    env: {B: two}\n"
    "    outputs: {m: {path: m.json, kind: metrics}}\n"
    "    inputs: {d: a.d}\n"
    "    run: [python, t.py, \"${inputs.d}\", \"${outputs.m}\", --x, \"${params.x}\"]\n";

struct facts {
    const char *definition, *params, *digest, *file, *item;
};

static void key_of(const struct facts *f, char key[65]) {
    struct ctx c;
    struct definition *d;
    ctx_begin(&c);
    key[0] = '\0';
    if (definition_parse(&c, f->definition, strlen(f->definition), &d)) {
        printf("%s\n", c.err.message);
        CHECK(false);
        ctx_end(&c);
        return;
    }
    const struct step *s = definition_step(d, "b");
    json_t *params = json_on_arena(&c, json_loads(f->params, 0, NULL));
    json_t *root = json_on_arena(&c, json_pack("{s:O,s:{s:s},s:{s:s}}", "params", params, "inputs",
                                               "d", "in/d.csv", "outputs", "m", "out/m.json"));
    struct bound_input in = {.name = "d", .place = "d.csv", .digest = f->digest};
    struct source_file file = {.path = "t.py", .sha256 = f->file};
    struct source_files files = {.items = &file, .n = 1};
    struct cache_facts facts = {.step = s,
                                .root = root,
                                .params = params,
                                .item = f->item,
                                .pipeline_env = &d->env,
                                .inputs = &in,
                                .files = &files};
    CHECK_INT(cache_key(&c, &facts, key), 0);
    ctx_end(&c);
}

static void replace(char *out, size_t size, const char *from, const char *to) {
    const char *at = strstr(base, from);
    snprintf(out, size, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
}

static void stable(void) {
    struct facts f = {base, "{\"x\":1,\"y\":2}", "aa", "bb", NULL};
    char first[65], again[65];
    key_of(&f, first);
    key_of(&f, again);
    CHECK_STR(again, first);
    /* The key is part of what is stored: changing how it is made means a new version in it. */
    CHECK_STR(first, "a545c2fb748fa4c41505ea631e5309385485d60081ee2286ad158cd42b85efe5");
    f.definition = other_name; /* words, retries, limits and other steps have no say */
    key_of(&f, again);
    CHECK_STR(again, first);
    f = (struct facts){base, "{\"y\":99,\"x\":1}", "aa", "bb",
                       NULL}; /* a parameter it does not use */
    key_of(&f, again);
    CHECK_STR(again, first);
}

static void sensitive(void) {
    struct facts plain = {base, "{\"x\":1,\"y\":2}", "aa", "bb", NULL};
    struct facts rows[] = {plain, plain, plain, plain, plain, plain, plain, plain};
    static char text[4][1024];
    replace(text[0], sizeof text[0], "--x", "--z");
    replace(text[1], sizeof text[1], "{B: two}", "{B: three}");
    replace(text[2], sizeof text[2], "m.json", "n.json");
    replace(text[3], sizeof text[3], "{A: one}", "{A: un}");
    rows[0].params = "{\"x\":2,\"y\":2}";
    rows[1].digest = "ab";
    rows[2].file = "bc";
    rows[3].item = "{\"depth\":3}";
    for (int i = 0; i < 4; i++) {
        rows[4 + i].definition = text[i];
    }
    char keys[ARRAY_LEN(rows) + 1][65];
    key_of(&plain, keys[ARRAY_LEN(rows)]);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        key_of(&rows[i], keys[i]);
    }
    for (size_t i = 0; i <= ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < i; k++) {
            CHECK(strcmp(keys[i], keys[k]) != 0);
        }
    }
}

int main(void) {
    RUN(stable);
    RUN(sensitive);
    return CHECK_END();
}
