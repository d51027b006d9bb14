/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_key.h"

#include <jansson.h>
#include <string.h>

#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "substitution.h"

/* What a command may get together: a parameter named again and again must not fill the memory, and
 * the kernel takes no more. */
#define COMMAND_CAP ((size_t)2 << 20)

static int text_of(struct ctx *c, const char *template, json_t *root, size_t *left, json_t **out) {
    char *text;
    int rc = substitute_text(c, template, root, &text);
    size_t n = rc ? 0 : strlen(text) + 1;
    if (n > *left) {
        rc = fail(c, ERR_TOO_LARGE,
                  "arguments and environment of the step are longer than 2 MiB together; hand over "
                  "large values in a file (QUERN_PARAMS, an input)");
    }
    *left -= rc ? 0 : n;
    *out = rc ? NULL : json_string(text);
    return rc;
}

static int texts(struct ctx *c, const struct strs *list, json_t *root, json_t *into,
                 const char *name, size_t *left) {
    json_t *out = json_array();
    json_object_set_new(into, name, out);
    for (size_t i = 0; i < list->n; i++) {
        json_t *text;
        int rc = text_of(c, list->items[i], root, left, &text);
        if (rc) {
            return rc;
        }
        json_array_append_new(out, text);
    }
    return 0;
}

int cache_key(struct ctx *c, const struct cache_facts *f, char key[65]) {
    const struct step *s = f->step;
    json_t *facts = json_on_arena(c, json_object()), *map = json_object();
    size_t left = COMMAND_CAP;
    json_object_set_new(facts, "key", json_string("quern-step-1"));
    int rc = texts(c, &s->argv, f->root, facts, "argv", &left);
    rc = rc ? rc : texts(c, &s->cache_key, f->root, facts, "extra", &left);
    json_object_set_new(facts, "env", map);
    for (size_t i = 0; f->pipeline_env && i < f->pipeline_env->n; i++) {
        json_object_set_new(map, f->pipeline_env->items[i].key,
                            json_string(f->pipeline_env->items[i].value));
    }
    for (size_t i = 0; rc == 0 && i < s->env.n; i++) {
        json_t *text;
        rc = text_of(c, s->env.items[i].value, f->root, &left, &text);
        json_object_set_new(map, s->env.items[i].key, rc ? json_null() : text);
    }
    json_object_set_new(facts, "params", map = json_object());
    for (size_t i = 0; i < s->params.n; i++) {
        json_object_set(map, s->params.items[i], json_object_get(f->params, s->params.items[i]));
    }
    json_object_set_new(facts, "item", f->item ? json_string(f->item) : json_null());
    json_object_set_new(facts, "inputs", map = json_object());
    for (size_t i = 0; i < s->ninputs; i++) {
        json_object_set_new(map, f->inputs[i].name,
                            json_pack("[s,s]", f->inputs[i].place, f->inputs[i].digest));
    }
    json_object_set_new(facts, "outputs", map = json_object());
    for (size_t i = 0; i < s->noutputs; i++) {
        json_object_set_new(map, s->outputs[i].name,
                            json_pack("[s,i,b]", s->outputs[i].path, (int)s->outputs[i].kind,
                                      (int)s->outputs[i].optional));
    }
    json_object_set_new(facts, "files", map = json_object());
    for (size_t i = 0; i < f->files->n; i++) {
        json_object_set_new(map, f->files->items[i].path, json_string(f->files->items[i].sha256));
    }
    json_object_set_new(facts, "track", json_boolean(s->track));
    char *text = json_canonical(c, facts);
    sha256_hex(text, strlen(text), key);
    return rc;
}
