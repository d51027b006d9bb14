/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static void good_table(void) {
    struct buf error = {0};
    CHECK_INT(routes_check(row_lists, &error), 0);
    CHECK(error.len == 0);
    buf_free(&error);
}

static void bad_tables(void) {
    struct route row = rows[0];
    const struct route_list one[] = {{&row, 1}, {NULL, 0}};
    struct buf error = {0};
    row.perm = PERM_UNSET;
    CHECK_INT(routes_check(one, &error), -1);
    CHECK_HAS(error.data, "t.ping: has no permission");
    struct server *s;
    struct server_options o = fixture_options();
    o.routes = one;
    CHECK_INT(server_start(&o, &s, &error), -1);
    row = rows[0];
    row.lane = LANE_UNSET;
    row.fn = NULL;
    row.method = "GTE";
    buf_clear(&error);
    CHECK_INT(routes_check(one, &error), -1);
    CHECK_HAS(error.data, "the method must be");
    row = rows[4];
    row.path = "/api/v1/echo/{other}";
    buf_clear(&error);
    CHECK_INT(routes_check(one, &error), -1);
    CHECK_HAS(error.data, "{other} is no F_PATH field");
    struct route two[2] = {rows[4], rows[4]};
    two[1].id = "t.other";
    const struct route_list both[] = {{two, 2}, {NULL, 0}};
    buf_clear(&error);
    CHECK_INT(routes_check(both, &error), -1);
    CHECK_HAS(error.data, "is the same as that of route t.echo");
    two[1] = rows[0];
    two[1].id = rows[4].id;
    buf_clear(&error);
    CHECK_INT(routes_check(both, &error), -1);
    CHECK_HAS(error.data, "the id is not unique");
    buf_free(&error);
}

/* A twin must be a GET that reads, and the change must name what the GET needs. */
static void twins(void) {
    struct route two[2] = {rows[4], rows[4]};
    const struct route_list both[] = {{two, 2}, {NULL, 0}};
    struct buf error = {0};
    two[0].lane = LANE_READ;
    two[1].id = "t.change";
    two[1].method = "DELETE";
    two[1].lane = LANE_WRITE;
    two[0].twin = two[1].twin = two[0].id;
    CHECK_INT(routes_check(both, &error), 0);
    two[1].twin = "t.none";
    CHECK_INT(routes_check(both, &error), -1);
    CHECK_HAS(error.data, "the twin t.none must be a GET");
    two[1].twin = two[0].id;
    two[1].lane = LANE_WORK;
    buf_clear(&error);
    CHECK_INT(routes_check(both, &error), -1);
    CHECK_HAS(error.data, "must be on the WRITE lane");
    two[1].lane = LANE_WRITE;
    two[1].path = "/api/v1/other";
    two[1].in = NULL;
    buf_clear(&error);
    CHECK_INT(routes_check(both, &error), -1);
    CHECK_HAS(error.data, "which the input lacks");
    buf_free(&error);
}

static void finding(void) {
    CHECK_STR(routes_find(row_lists, "GET", "/api/v1/echo/x")->id, "t.echo");
    CHECK_STR(routes_find(row_lists, "HEAD", "/ping?x=1")->id, "t.ping");
    CHECK_STR(routes_find(row_lists, "GET", "/api/v1/echo/special")->id, "t.special");
    CHECK_STR(routes_find(row_lists, "POST", "/api/v1/echo/special")->id, "t.echo_post");
    CHECK_STR(routes_find(row_lists, "POST", "/api/v1/echo/x:cancel")->id, "t.echo_cancel");
    CHECK_STR(routes_find(row_lists, "POST", "/ajax-api/2.0/mlflow/word")->id, "t.word");
    CHECK_STR(routes_find(row_lists, "PUT", "/up/a/b/c.txt")->id, "t.upload");
    CHECK(!routes_find(row_lists, "PUT", "/up"));
    CHECK(!routes_find(row_lists, "GET", "/up/a"));
    CHECK(!routes_find(row_lists, "GET", "/api/v1/echo/a/b"));
    CHECK(!routes_find(row_lists, "GET", "/api/v1/echo/../ping"));
}

/* argv[1]: where to leave the document for the validator of tests/suites/http.cmake. */
static const char *save_to;
static void documents(void) {
    struct buf doc = {0};
    openapi_render(row_lists, "1.2.3", &doc);
    CHECK_HAS(doc.data, "\"openapi\":\"3.1.0\"");
    CHECK_HAS(doc.data, "\"operationId\":\"t.echo\"");
    CHECK_HAS(doc.data, "\"/up/{path}\":{\"put\"");
    CHECK_HAS(doc.data, "#/components/schemas/Word");
    if (save_to) {
        FILE *f = fopen(save_to, "w");
        fwrite(doc.data, 1, doc.len, f);
        fclose(f);
    }
    buf_clear(&doc);
    routes_markdown(row_lists, &doc);
    CHECK_HAS(doc.data, "### GET /api/v1/echo/{name}\n\nEcho.");
    CHECK_HAS(doc.data, "| `count` | query | integer | A count. |");
    buf_free(&doc);
}

int main(int argc, char **argv) {
    save_to = argc > 1 ? argv[1] : NULL;
    RUN(good_table);
    RUN(bad_tables);
    RUN(twins);
    RUN(finding);
    RUN(documents);
    return CHECK_END();
}
