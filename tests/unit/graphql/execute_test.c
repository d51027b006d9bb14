/* SPDX-License-Identifier: Apache-2.0 */
/* Queries made at random from the shapes themselves, run against a real database: whatever is
 * asked, the answer is one JSON object with data or errors, and what is asked twice is answered
 * alike. */
#include "execute.h"

#include <jansson.h>
#include <stdint.h>

#include "artifact/house.h"
#include "document.h"
#include "quern/base/str.h"
#include "quern/http/route.h"
#include "quern/json/json_in.h"
#include "quern/tracking/tracking.h"
#include "schema.h"

static struct house h;
static char run_id[33];
static uint32_t state = 12345;

static uint32_t dice(uint32_t sides) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % sides;
}

static int fill_op(struct ctx *c, void *arg) {
    struct fpair metrics[] = {{"acc", 0.5}, {"loss", 1.25}};
    struct run_new in = {.name = "r", .start_ms = 1};
    (void)arg;
    int rc = run_create(c, &in, run_id);
    for (int i = 0; rc == 0 && i < 20; i++)
        rc = run_set_tag(c, run_id, arena_printf(c->arena, "tag%d", i), "v\"\\\xc3\xa9\n");
    return rc ? rc : run_log_metrics(c, run_id, &(struct fpairs){metrics, 2}, 1);
}

/* ------------------------------------------------------------------ queries */

static void put_camel(struct buf *b, const char *snake) {
    for (; *snake; snake++)
        if (*snake == '_' && snake[1] >= 'a' && snake[1] <= 'z')
            buf_putc(b, (char)(*++snake - 'a' + 'A'));
        else
            buf_putc(b, *snake);
}

static void put_directive(struct buf *b) {
    static const char *const some[] = {" @include(if: true)", " @skip(if: $yes)",
                                       " @include(if: $no)", " @component(name: \"x\")",
                                       " @skip(if: false)"};
    if (dice(8) == 0)
        buf_puts(b, some[dice(ARRAY_LEN(some))]);
}

static void put_set(struct buf *b, const struct shape *s, int depth);

static void put_field(struct buf *b, const struct shape *s, int depth) {
    const struct field *f = &s->fields[dice((uint32_t)s->n)];
    static const char *const below[] = {"experiment", "modelVersions"};
    const char *more = str_eq(s->name, "Run") && dice(3) == 0 ? below[dice(2)] : NULL;
    bool object = f->type == T_OBJ || f->type == T_LIST;
    if (dice(12) == 0) {
        buf_puts(b, dice(2) ? "__typename " : "apiError {code} ");
        return;
    }
    if ((more || object) && depth > 6) {
        buf_puts(b, "__typename ");
        return;
    }
    if (dice(5) == 0)
        buf_printf(b, "k%u: ", dice(6));
    if (more) {
        const struct gql_read *r = gql_read("Run", false, more);
        buf_puts(b, more);
        put_directive(b);
        put_set(b, gql_member(gql_route(r->route)->out, r->name)->sub, depth + 1);
        return;
    }
    put_camel(b, f->name);
    put_directive(b);
    if (object)
        put_set(b, f->sub, depth + 1);
    buf_putc(b, ' ');
}

static void put_set(struct buf *b, const struct shape *s, int depth) {
    buf_putc(b, '{');
    for (uint32_t n = 1 + dice(4); n > 0; n--) {
        bool wrapped = dice(6) == 0;
        if (wrapped) {
            buf_puts(b, "... ");
            put_directive(b);
            buf_putc(b, '{');
        }
        put_field(b, s, depth);
        if (wrapped)
            buf_putc(b, '}');
    }
    buf_puts(b, "} ");
}

static void put_query(struct buf *b) {
    static const struct {
        const char *name, *input;
    } roots[] = {
        {"mlflowGetRun", "{runId: $run}"},
        {"mlflowGetExperiment", "{experimentId: \"0\"}"},
        {"mlflowSearchRuns", "{experimentIds: [\"0\", $zero], maxResults: 3}"},
        {"mlflowListArtifacts", "{runId: $run}"},
        {"mlflowSearchModelVersions", "{}"},
        {"mlflowGetMetricHistoryBulkInterval", "{runIds: [$run], metricKey: \"acc\"}"},
        {"mlflowGetRun", "{runId: 5}"},
    };
    buf_puts(b, "query Q($run: String!, $zero: String = \"0\", $yes: Boolean!, $no: Boolean!) {");
    for (uint32_t n = 1 + dice(4); n > 0; n--) {
        size_t i = dice(ARRAY_LEN(roots));
        const struct gql_read *r = gql_read(NULL, false, roots[i].name);
        buf_printf(b, "a%u: %s(input: %s) ", n, roots[i].name, roots[i].input);
        put_set(b, gql_route(r->route)->out, 2);
    }
    buf_putc(b, '}');
    /* Sometimes something is lost on the way. */
    if (dice(10) == 0 && b->len > 4)
        b->data[dice((uint32_t)b->len - 1)] = "{}(:$@a1\"."[dice(10)];
}

/* ------------------------------------------------------------------ answers */

static struct tally { int answered, refused; } tally;

static struct json_t *run(struct ctx *c, const char *query, struct json_t *variables) {
    struct gql_request in = {.query = query, .variables = variables};
    struct buf out = {0};
    struct json_t *tree = NULL;
    gql_execute(c, &in, &out);
    CHECK_INT(json_parse(c, DIALECT_PROBLEM, out.data, out.len, &tree), 0);
    buf_free(&out);
    const json_t *data = json_object_get(tree, "data"), *errors = json_object_get(tree, "errors");
    CHECK(json_is_object(data) || json_is_null(data));
    CHECK(json_is_null(errors) || (json_is_array(errors) && json_array_size(errors) > 0));
    CHECK(json_is_object(data) || json_is_array(errors));
    CHECK(c->err.message == NULL); /* nothing stays in the slot */
    return tree;
}

static int random_op(struct ctx *c, void *arg) {
    struct buf query = {0};
    struct json_t *variables = NULL;
    const char *text = arena_printf(c->arena, "{\"run\":\"%s\",\"yes\":true,\"no\":false}", run_id);
    (void)arg;
    CHECK_INT(json_parse(c, DIALECT_PROBLEM, text, strlen(text), &variables), 0);
    put_query(&query);
    struct json_t *first = run(c, query.data, variables), *again = run(c, query.data, variables);
    if (!json_equal(first, again))
        printf("differs: %s\n", query.data);
    CHECK(json_equal(first, again));
    if (json_is_object(json_object_get(first, "data")))
        tally.answered++;
    else
        tally.refused++;
    buf_free(&query);
    return 0;
}

static void random_queries(void) {
    for (int i = 0; i < 1500; i++)
        CHECK_INT(house_read(&h, random_op, NULL), 0);
    /* Most are good ones: conflicts of aliases and damage refuse some. */
    CHECK(tally.answered > 500);
    CHECK(tally.refused > 20);
}

/* Selections are looked at once, not once per object of a list. */
static int cost_op(struct ctx *c, void *arg) {
    struct buf query = {0};
    size_t *cost = arg;
    buf_puts(&query, "{mlflowGetRun(input: {runId: \"");
    buf_printf(&query, "%s\"}) {run {data {", run_id);
    for (int i = 0; i < 10; i++)
        buf_printf(&query, "t%d: tags {key value a: key b: value} ", i);
    buf_puts(&query, "}}}}");
    size_t before = arena_bytes(c->arena);
    struct json_t *tree = run(c, query.data, NULL);
    *cost = arena_bytes(c->arena) - before;
    CHECK(json_is_null(json_object_get(tree, "errors")));
    buf_free(&query);
    return 0;
}

static int more_tags_op(struct ctx *c, void *arg) {
    int rc = 0;
    (void)arg;
    for (int i = 0; rc == 0 && i < 400; i++)
        rc = run_set_tag(c, run_id, arena_printf(c->arena, "more%d", i), "v");
    return rc;
}

static void costs_no_memory_per_object(void) {
    size_t few = 0, many = 0;
    CHECK_INT(house_read(&h, cost_op, &few), 0);
    CHECK_INT(house_write(&h, more_tags_op, NULL), 0);
    CHECK_INT(house_read(&h, cost_op, &many), 0);
    /* 4,000 objects more; reading the 400 rows takes some hundred bytes each. */
    if (many - few > 400 * 1000)
        printf("%zu bytes, then %zu\n", few, many);
    CHECK(many - few <= 400 * 1000);
}

int main(void) {
    house_open(&h, 0);
    CHECK_INT(house_write(&h, fill_op, NULL), 0);
    RUN(random_queries);
    RUN(costs_no_memory_per_object);
    house_end(&h);
    return CHECK_END();
}
