/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/ctx.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/core/lifecycle.h"
#include "quern/core/page.h"
#include "quern/core/ref.h"
#include "quern/core/shape.h"

static struct ctx c;

static void a_background_context(void) {
    CHECK_STR(c.who.name, "daemon");
    CHECK_INT(c.who.level, PERM_SYSTEM);
    CHECK_INT(c.project, 1);
    CHECK_INT(strlen(c.request_id), 32);
    CHECK(c.now_ms > 1700000000000);
    CHECK_STR(c.body, "");
    CHECK_STR(c.remote, "");
    static const struct header headers[] = {{"host", "x"}, {"etag", "y"}};
    c.headers = headers;
    c.header_count = 2;
    CHECK_STR(ctx_header(&c, "etag"), "y");
    CHECK(ctx_header(&c, "ETag") == NULL);
    c.header_count = 0;
    CHECK(ctx_header(&c, "etag") == NULL);
}

static void the_first_failure_stays(void) {
    CHECK_INT(fail(&c, ERR_NOT_FOUND, "no %s", "run"), -ERR_NOT_FOUND);
    CHECK_INT(fail_field(&c, ERR_INVALID, "x", "later"), -ERR_INVALID);
    CHECK_INT(c.err.code, ERR_NOT_FOUND);
    CHECK_STR(c.err.message, "no run");
    CHECK(c.err.field == NULL);
    err_clear(&c);
    CHECK_INT(c.err.code, 0);
    CHECK_INT(fail_field(&c, ERR_INVALID, "x", "%d", 5), -ERR_INVALID);
    CHECK_STR(c.err.field, "x");
    err_clear(&c);
    CHECK_INT(fail(&c, -ERR_BUSY, "negative is taken as well"), -ERR_BUSY);
    CHECK_INT(c.err.code, ERR_BUSY);
    err_clear(&c);
    CHECK_INT(fail(&c, 0, "zero would read as success"), -ERR_INTERNAL);
    err_clear(&c);
    CHECK_INT(fail(&c, 12345, "unknown"), -ERR_INTERNAL);
    err_clear(&c);
}

static void every_error_has_a_row(void) {
    for (int i = 1; i < ERR_COUNT; i++) {
        const struct err_row *r = err_row(i);
        CHECK(r->name && r->mlflow && *r->title && r->status >= 400 && r->status < 600);
        CHECK(err_row(-i) == r);
        CHECK(r->retry_after > 0 ? r->status == 429 || r->status >= 500 : true);
    }
    CHECK_STR(err_row(ERR_EXISTS)->mlflow, "RESOURCE_ALREADY_EXISTS");
    CHECK_INT(err_row(ERR_EXISTS)->status, 400);
    CHECK_INT(err_row(999)->status, 500);
    CHECK_INT(err_row(-999)->status, 500);
    CHECK_INT(err_row(0)->status, 200);
}

static void pages(void) {
    int64_t offset = 5;
    CHECK_INT(page_offset(&c, NULL, &offset), 0);
    CHECK_INT(offset, 0);
    CHECK_INT(page_offset(&c, "", &offset), 0);
    CHECK_STR(page_token(&c, 7), "eyJvZmZzZXQiOiA3fQ==");
    CHECK_INT(page_offset(&c, page_token(&c, 1), &offset), 0);
    CHECK_INT(offset, 1);
    CHECK_INT(page_offset(&c, page_token(&c, INT64_MAX), &offset), 0);
    CHECK(offset == INT64_MAX);
    CHECK_INT(page_offset(&c, "eyAib2Zmc2V0IjozIH0=", &offset), 0); /* { "offset":3 } */
    CHECK_INT(offset, 3);
    CHECK_INT(page_offset(&c, "%%%", &offset), -ERR_INVALID);
    CHECK_STR(c.err.message, "Invalid page token, could not base64-decode");
    CHECK_STR(c.err.field, "page_token");
    err_clear(&c);
    CHECK_INT(page_offset(&c, page_token(&c, 0), &offset), -ERR_INVALID);
    CHECK_STR(c.err.message, "Invalid page token, parsed value={'offset': 0}");
    err_clear(&c);
    CHECK_INT(page_offset(&c, "eyJvZmZzZXQiOiA5OTk5OTk5OTk5OTk5OTk5OTk5OX0=", &offset),
              -ERR_INVALID);
    err_clear(&c);
    CHECK_INT(page_offset(&c, "eyJhIjogMX0=", &offset), -ERR_INVALID); /* {"a": 1} */
    CHECK_HAS(c.err.message, "parsed value={'a': 1}");
    err_clear(&c);
    CHECK_INT(page_offset(&c, "AAAA", &offset), -ERR_INVALID); /* NUL bytes */
    err_clear(&c);
}

static void refs(void) {
    const char *kind = NULL, *id = NULL;
    CHECK_STR(ref_make(&c, "run", "abc"), "run:abc");
    CHECK_INT(ref_parse(&c, "model_version:a:b/3", &kind, &id), 0);
    CHECK_STR(kind, "model_version");
    CHECK_STR(id, "a:b/3");
    static const char *const bad[] = {"", "run", "run:", "nothing:x", ":x", "RUN:x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_INT(ref_parse(&c, bad[i], &kind, &id), -ERR_INVALID);
        err_clear(&c);
    }
    CHECK_INT(ref_parse(&c, NULL, &kind, &id), -ERR_INVALID);
    err_clear(&c);
    size_t n = 0;
    for (; ref_kinds[n]; n++)
        CHECK(ref_kind_known(ref_kinds[n]));
    CHECK_INT(n, 15);
    CHECK(!ref_kind_known("") && !ref_kind_known(NULL));
}

static void life_cycles(void) {
    static const struct state_row states[] = {{"queued", false, ""},
                                              {"running", false, ""},
                                              {"succeeded", true, ""},
                                              {"cancelled", true, ""}};
    static const struct move_row moves[] = {{"queued", "running", "start"},
                                            {"running", "succeeded", "exit 0"},
                                            {"running", "cancelled", "call"},
                                            {"running", "cancelled", "shutdown"},
                                            {"queued", "cancelled", "call"}};
    static const struct lifecycle l = {"step", states, 4, moves, 5};
    CHECK(lifecycle_known(&l, "running") && !lifecycle_known(&l, "x") &&
          !lifecycle_known(&l, NULL));
    CHECK(lifecycle_terminal(&l, "succeeded") && !lifecycle_terminal(&l, "queued"));
    CHECK_INT(lifecycle_check(&c, &l, "queued", "running"), 0);
    CHECK_INT(lifecycle_check(&c, &l, "succeeded", "cancelled"), -ERR_GONE_STATE);
    CHECK_STR(c.err.message, "step is succeeded; only running or queued can become cancelled");
    err_clear(&c);
    CHECK_INT(lifecycle_check(&c, &l, "succeeded", "running"), -ERR_GONE_STATE);
    CHECK_STR(c.err.message, "step is succeeded; only queued can become running");
    err_clear(&c);
    CHECK_INT(lifecycle_check(&c, &l, "running", "queued"), -ERR_GONE_STATE);
    CHECK_HAS(c.err.message, "nothing can become queued");
    err_clear(&c);
    CHECK_INT(lifecycle_check(&c, &l, "running", "flying"), -ERR_GONE_STATE);
    CHECK_HAS(c.err.message, "no state 'flying'");
    err_clear(&c);
}

static int closed;
static void on_close(void *state) {
    closed += *(int *)state;
}

static void replies(void) {
    static const struct stream_ops ops = {.close = on_close};
    int one = 1, pair[2];
    reply_header(&c, "A", "1");
    reply_header(&c, "B", "x\r\nSet-Cookie: y");
    CHECK_STR(c.reply.headers->name, "A");
    CHECK_STR(c.reply.headers->next->value, "x  Set-Cookie: y");
    reply_stream(&c, "text/event-stream", &ops, &one);
    CHECK_INT(c.reply.kind, REPLY_STREAM);
    reply_text(&c, "text/plain", "hello");
    CHECK_INT(closed, 1);
    CHECK_INT(c.reply.kind, REPLY_BYTES);
    CHECK_INT(c.reply.len, 5);
    CHECK_INT(pipe(pair), 0);
    reply_file(&c, "application/octet-stream", pair[0], 9);
    CHECK_INT(c.reply.file_size, 9);
    reply_status(&c, 404);
    reply_bytes(&c, "x/y", "ab", 2);
    CHECK_INT(close(pair[0]), -1); /* the reply let go of it */
    close(pair[1]);
    CHECK_INT(c.reply.status, 404);
    reply_etag(&c, "\"e\"");
    CHECK_STR(c.reply.etag, "\"e\"");
    c.reply.headers = NULL;
    reply_attachment(&c, "a \"b\"\r\n/\xc3\xa9.png");
    CHECK_STR(c.reply.headers->value, "attachment; filename=\"a _b______.png\"; "
                                      "filename*=UTF-8''a%20%22b%22%0D%0A%2F%C3%A9.png");
    CHECK_STR(c.reply.headers->next->value, "nosniff");
    CHECK_HAS(c.reply.headers->next->next->value, "sandbox");
}

static void names(void) {
    CHECK_STR(perm_name(PERM_PUBLIC), "public");
    CHECK_STR(perm_name(PERM_SYSTEM), "system");
    CHECK_STR(perm_name(PERM_UNSET), "unset");
    CHECK_INT(shape_empty.n, 0);
    CHECK_INT(shape_empty.size, 0);
}

int main(void) {
    ctx_begin(&c);
    RUN(a_background_context);
    RUN(the_first_failure_stays);
    RUN(every_error_has_a_row);
    RUN(pages);
    RUN(refs);
    RUN(life_cycles);
    RUN(replies);
    RUN(names);
    ctx_end(&c);
    return CHECK_END();
}
