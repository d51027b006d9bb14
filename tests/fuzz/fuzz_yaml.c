/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a pipeline definition. Refusals must have a message that is text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "definition.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "yaml_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctx c;
    struct definition *d = NULL;
    struct node *tree = NULL;
    ctx_begin(&c);
    char *text = arena_dup(c.arena, data, size);
    int r = yaml_parse(&c, text, size, &tree);
    if (r == 0) {
        if (!tree || tree->size > YAML_NODE_CAP || !node_json(&c, tree))
            abort();
        r = definition_parse(&c, text, size, &d);
        if (r == 0 && !d)
            abort();
    }
    if (r < 0 &&
        (r != -c.err.code || !c.err.message || !utf8_valid(c.err.message, strlen(c.err.message))))
        abort();
    ctx_end(&c);
    return 0;
}
