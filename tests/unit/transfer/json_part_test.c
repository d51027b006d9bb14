/* SPDX-License-Identifier: Apache-2.0 */
/* One form of JSON, whatever it came with; what has no such form is told. */
#include "json_part.h"

#include "check.h"
#include "quern/core/ctx.h"

/* NULL: nothing, or a fault (told then). */
static const char *form(struct ctx *c, const char *text, json_type must, bool *told) {
    ctx_begin(c);
    const char *out = json_part_text(c, text, must);
    *told = c->err.code == ERR_INVALID;
    return out;
}

static void one_form(void) {
    static const struct {
        const char *came, *want;
    } cases[] = {
        {"{ \"z\" : 1, \"a\":[ 0.10,1E2 , 1.0,-0.0, 1e-7 ] }",
         "{\"z\":1,\"a\":[0.1,100.0,1.0,-0.0,1e-07]}"},
        {"[0.30000000000000004,0.1,1e+22,9223372036854775807]",
         "[0.30000000000000004,0.1,1e+22,9223372036854775807]"},
        {"\"\\u0142\\/\\n\"", "\"ł/\\n\""},
        {"{\"n\":null}", "{\"n\":null}"},
        {"true", "true"},
    };
    struct ctx c;
    bool told;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_STR(form(&c, cases[i].came, JSON_NULL, &told), cases[i].want);
        CHECK(!told);
        ctx_end(&c);
        CHECK_STR(form(&c, cases[i].want, JSON_NULL, &told), cases[i].want);
        ctx_end(&c);
    }
}

static void nothing(void) {
    struct ctx c;
    bool told;
    CHECK(!form(&c, "null", JSON_OBJECT, &told) && !told);
    ctx_end(&c);
    CHECK(!form(&c, NULL, JSON_OBJECT, &told) && !told);
    ctx_end(&c);
    CHECK(!json_part_filled("{}") && !json_part_filled("[]") && !json_part_filled(NULL));
    CHECK_STR(json_part_filled("[0]"), "[0]");
}

static void refused(void) {
    static const char *const texts[] = {"",      "{",           "{} x",
                                        "NaN",   "[NaN]",       "9223372036854775808",
                                        "1e999", "\"\\u0000\"", "\"\\ud800\""};
    struct ctx c;
    bool told;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK(!form(&c, texts[i], JSON_NULL, &told));
        CHECK(told);
        ctx_end(&c);
    }
    CHECK(!form(&c, "[]", JSON_OBJECT, &told) && told);
    CHECK_HAS(c.err.message, "must be a JSON object");
    ctx_end(&c);
    CHECK(!form(&c, "{}", JSON_ARRAY, &told) && told);
    CHECK_HAS(c.err.message, "must be a JSON list");
    ctx_end(&c);
}

int main(void) {
    RUN(one_form);
    RUN(nothing);
    RUN(refused);
    return CHECK_END();
}
