/* SPDX-License-Identifier: Apache-2.0 */
#include "span_form.h"

#include "check.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/trace/copy.h"

#define IDS "\"trace_id\":\"AQEBAQEBAQEBAQEBAQEBAQ==\",\"span_id\":\"AgICAgICAgI=\""

static int from(struct ctx *c, const char *text, struct copy_span *out) {
    ctx_begin(c);
    return span_from_mlflow(c, text, out);
}

/* There, back, and there again. */
static void kept(const char *attributes, const char *want) {
    struct ctx c;
    struct copy_span a, b;
    char text[4096];
    snprintf(text, sizeof text, "{" IDS ",\"attributes\":%s}", attributes);
    CHECK_INT(from(&c, text, &a), 0);
    CHECK_HAS(a.content, want);
    CHECK_STR(a.id, "0202020202020202");
    CHECK_INT(span_from_mlflow(&c, span_to_mlflow(&c, &a), &b), 0);
    CHECK_STR(b.content, a.content);
    CHECK_STR(b.type, a.type);
    ctx_end(&c);
}

static void values(void) {
    kept("{\"a\":\"5\"}", "{\"int_value\":5}");
    kept("{\"a\":\"\\\"x\\\"\"}", "{\"string_value\":\"x\"}");
    kept("{\"a\":\"[1,{\\\"b\\\":null}]\"}",
         "{\"array_value\":{\"values\":[{\"int_value\":1},{\"kvlist_value\":{\"values\":[{\"key\":"
         "\"b\",\"value\":{}}]}}]}}");
    kept("{\"a\":\"123456789012345678901234567890\"}", "\"123456789012345678901234567890\"");
    kept("{\"a\":\"no json\"}", "{\"string_value\":\"no json\"}");
    kept("{\"mlflow.spanType\":\"\\\"LLM\\\"\"}", "{\"string_value\":\"LLM\"}");
}

/* A type that is plain text is the type that the attribute tells. */
static void type(void) {
    struct ctx c;
    struct copy_span s;
    CHECK_INT(from(&c, "{" IDS ",\"attributes\":{\"mlflow.spanType\":\"LLM\"}}", &s), 0);
    CHECK_STR(s.type, "LLM");
    ctx_end(&c);
    kept("{\"mlflow.spanType\":\"LLM\"}", "{\"string_value\":\"LLM\"}");
}

static void nested(struct buf *b, int levels) {
    buf_clear(b);
    buf_puts(b, "{" IDS ",\"attributes\":{\"a\":\"");
    for (int i = 0; i < levels; i++)
        buf_putc(b, '[');
    buf_puts(b, "7");
    for (int i = 0; i < levels; i++)
        buf_putc(b, ']');
    buf_puts(b, "\"}}");
}

/* Either all of an attribute comes over, or the span does not. */
static void depth(void) {
    struct ctx c;
    struct copy_span s, again;
    struct buf b = {0};
    nested(&b, 150);
    CHECK_INT(from(&c, b.data, &s), 0);
    CHECK_HAS(s.content, "{\"int_value\":7}");
    CHECK_INT(span_from_mlflow(&c, span_to_mlflow(&c, &s), &again), 0);
    CHECK_STR(again.content, s.content);
    ctx_end(&c);
    nested(&b, 300);
    CHECK_INT(from(&c, b.data, &s), -ERR_INVALID);
    CHECK_HAS(c.err.message, "levels");
    ctx_end(&c);
    buf_free(&b);
}

static void refused(void) {
    static const char *const texts[] = {"",
                                        "[1]",
                                        "{}",
                                        "{\"trace_id\":\"AQ==\",\"span_id\":\"AgICAgICAgI=\"}",
                                        "{\"trace_id\":5,\"span_id\":{}}",
                                        ("{" IDS)};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ctx c;
        struct copy_span s;
        CHECK_INT(from(&c, texts[i], &s), -ERR_INVALID);
        ctx_end(&c);
    }
}

int main(void) {
    RUN(values);
    RUN(type);
    RUN(depth);
    RUN(refused);
    return CHECK_END();
}
