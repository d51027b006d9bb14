/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_flat.h"

#include "check.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

/* "key=value;" of all pairs, or "refused". */
static void flat(const char *text, const char *want) {
    struct ctx c;
    struct pairs p;
    struct buf got = {0};
    ctx_begin(&c);
    if (yaml_flat(&c, text, strlen(text), &p))
        for (size_t i = 0; i < p.n; i++)
            buf_printf(&got, "%s=%s;", p.items[i].key, p.items[i].value);
    else
        buf_puts(&got, "refused");
    CHECK_STR(got.len ? got.data : "", want);
    buf_free(&got);
    ctx_end(&c);
}

static void pairs_of(void) {
    flat("a: 1\nb: 'x y'\nc: null\nd: ~\ne:\nf: ''\n", "a=1;b=x y;f=;");
    flat("a:\n  b: c\n  d: {e: f}\n  g: [h, {i: j}]\n  k: l\nm: n\n", "a/b=c;a/k=l;m=n;");
    flat("l:\n- x: y\n- [1, {z: 2}]\ni: j\n", "i=j;");
    flat("{a: {b: c}, d: [e], h: i}", "a/b=c;h=i;");
    flat("a: \"x\\0y\"\n", "a=x;");
}

/* What stands for a value and is none of ours must not turn keys into values. */
static void aliases(void) {
    flat("a: &x {}\nb: *x\nc: d\n", "c=d;");
    flat("a: &x {k: v}\nb:\n  c: *x\n  d: e\n", "a/k=v;b/d=e;");
}

static void refused(void) {
    flat("", "refused");
    flat("text", "refused");
    flat("- a: 1\n", "refused");
    flat("a: 1\n---\nb: 2\n", "refused");
    flat("~\n---\nb: 2\n", "refused");
    flat("? [a]\n: b\nc: d\n", "refused");
    flat("? {a: b}\n: c\nd: e\n", "refused");
    flat("a: &x y\n*x : e\n", "refused");
    flat("a: [", "refused");
    flat("a: \xff\n", "refused");
}

static void bounds(void) {
    struct buf b = {0};
    for (int i = 0; i < 80; i++)
        buf_puts(&b, "{a: ");
    buf_puts(&b, "b");
    for (int i = 0; i < 80; i++)
        buf_puts(&b, "}");
    flat(b.data, "refused");
    buf_clear(&b);
    for (int i = 0; i < 100001; i++)
        buf_printf(&b, "k%d: v\n", i);
    flat(b.data, "refused");
    buf_free(&b);
}

int main(void) {
    RUN(pairs_of);
    RUN(aliases);
    RUN(refused);
    RUN(bounds);
    return CHECK_END();
}
