/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TESTS_ROLLOUT_MADE_H
#define QUERN_TESTS_ROLLOUT_MADE_H
/* Made: policies from JSON text, as an endpoint's document has them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/rollout/live.h"
#include "quern/rollout/policy.h"

static struct ctx made_ctx;

/* 0, or a negative code with the error in made_ctx. `arms`: "a=80 b=20". */
static inline int made(const char *arms, const char *json, struct live *live, struct policy **out) {
    struct ctx *c = &made_ctx;
    if (!c->arena)
        ctx_begin(c);
    err_clear(c);
    *out = NULL;
    struct policy_arm list[40];
    size_t n = 0;
    char *text = arena_strdup(c->arena, arms), *save = NULL;
    for (char *s = strtok_r(text, " ", &save); s && n < 40; s = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(s, '=');
        *eq = '\0';
        list[n++] = (struct policy_arm){.name = s, .weight = atof(eq + 1)};
    }
    struct json_t *tree = NULL;
    int rc = json_parse(c, DIALECT_PROBLEM, json, strlen(json), &tree);
    struct rollout_spec spec = {0};
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &shape_rollout, tree, NULL, NULL, &spec);
    if (rc == 0)
        rc = policy_make(c, "iris", &spec, list, n, live, out);
    return rc;
}

/* Requests whose attributes are "header:x-user=7 field:age=3". */
static inline const char *made_attribute(void *arg, enum attribute_from from, const char *name) {
    static _Thread_local char value[256];
    static const char *const froms[] = {"", "header", "parameter", "field"};
    char want[128];
    int n = snprintf(want, sizeof want, "%s:%s=", froms[from], name);
    const char *s = strstr(arg, want);
    if (!s)
        return NULL;
    s += n;
    size_t len = strcspn(s, " ");
    memcpy(value, s, len);
    value[len] = '\0';
    return value;
}

static inline struct policy_request made_request(const char *attributes, uint64_t random) {
    union {
        const char *in;
        void *out;
    } u = {.in = attributes};
    return (struct policy_request){.attribute = made_attribute,
                                   .arg = u.out,
                                   .random = random,
                                   .now_ms = 1767225600000, /* 2026-01-01T00:00:00Z, a Thursday */
                                   .usable = UINT32_MAX};
}

static inline uint64_t made_random(void) {
    static _Thread_local uint64_t x = 0x243f6a8885a308d3u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x * 0x2545f4914f6cdd1du;
}

#endif
