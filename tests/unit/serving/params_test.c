/* SPDX-License-Identifier: Apache-2.0 */
/* Params of the scoring protocol against the schema of a signature. */
#include "params.h"

#include "check.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static const char schema[] =
    "[{\"name\":\"t\",\"type\":\"double\",\"default\":0.5,\"shape\":null},"
    "{\"name\":\"n\",\"type\":\"integer\",\"default\":3,\"shape\":null},"
    "{\"name\":\"w\",\"type\":\"string\",\"default\":\"x\",\"shape\":null},"
    "{\"name\":\"l\",\"type\":\"long\",\"default\":[1],\"shape\":[-1]},"
    "{\"name\":\"b\",\"type\":\"boolean\",\"default\":false,\"shape\":null}]";

static const struct {
    const char *given, *out; /* out NULL: refused, naming `says` */
    const char *says;
} rows[] = {
    {NULL, "{\"t\":0.5,\"n\":3,\"w\":\"x\",\"l\":[1],\"b\":false}", NULL},
    {"{}", "{\"t\":0.5,\"n\":3,\"w\":\"x\",\"l\":[1],\"b\":false}", NULL},
    {"{\"t\":1,\"n\":-2,\"w\":\"\",\"l\":[],\"b\":true}",
     "{\"t\":1,\"n\":-2,\"w\":\"\",\"l\":[],\"b\":true}", NULL},
    {"{\"nobody\":1,\"n\":null}", "{\"t\":0.5,\"n\":3,\"w\":\"x\",\"l\":[1],\"b\":false}", NULL},
    {"{\"t\":\"1\"}", NULL, "param 't' must be of type double"},
    {"{\"t\":true}", NULL, "param 't'"},
    {"{\"n\":1.0}", NULL, "param 'n' must be of type integer"},
    {"{\"n\":2147483648}", NULL, "param 'n'"},
    {"{\"n\":[1]}", NULL, "param 'n'"},
    {"{\"w\":5}", NULL, "param 'w'"},
    {"{\"l\":5}", NULL, "param 'l' must be a list"},
    {"{\"l\":[1,2.5]}", NULL, "param 'l': element 1"},
    {"{\"b\":0}", NULL, "param 'b'"},
    {"{\"n\":99999999999999999999}", NULL, "params hold"},
    {"{\"w\":\"a\\u0000b\"}", NULL, "params hold"},
};

static void resolved(void) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        const char *out;
        ctx_begin(&c);
        struct bytes given = {rows[i].given, rows[i].given ? strlen(rows[i].given) : 0};
        int rc = params_resolve(&c, schema, given, &out);
        CHECK_INT(rc, rows[i].out ? 0 : -ERR_INVALID);
        if (rows[i].out)
            CHECK_STR(out, rows[i].out);
        else
            CHECK_HAS(c.err.message, rows[i].says);
        ctx_end(&c);
    }
}

static void texts(void) {
    static const char given[] = "{\"a\":\"u1\",\"b\":-1.5,\"c\":true,\"d\":[1],\"e\":null}";
    struct ctx c;
    ctx_begin(&c);
    struct bytes b = {given, strlen(given)};
    CHECK_STR(params_text(&c, b, "a"), "u1");
    CHECK_STR(params_text(&c, b, "b"), "-1.5");
    CHECK_STR(params_text(&c, b, "c"), "true");
    CHECK(!params_text(&c, b, "d") && !params_text(&c, b, "e") && !params_text(&c, b, "f"));
    ctx_end(&c);
}

int main(void) {
    RUN(resolved);
    RUN(texts);
    return CHECK_END();
}
