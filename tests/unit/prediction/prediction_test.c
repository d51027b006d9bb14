/* SPDX-License-Identifier: Apache-2.0 */
/* From the ring to the segments and back, against a database and a folder of their own. */
#include "quern/prediction/prediction.h"

#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture.h"
#include "check.h"
#include "doors.h"
#include "feedback_store.h"
#include "flat.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/duck/duck.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "quern/metric/metric.h"
#include "retention.h"
#include "segment.h"
#include "segment_store.h"

static struct db *db;
static struct lanes *lanes;
static struct dir *data;
static char folder[] = "/tmp/quern-prediction-XXXXXX";

static void start(uint64_t ring) {
    struct buf error = {0};
    struct prediction_options o = {
        .lanes = lanes, .data = data, .ring_bytes = ring, .sweep_ms = 3600000};
    CHECK_INT(prediction_start(&o, &error), 0);
    if (error.len)
        printf("%s\n", error.data);
    buf_free(&error);
}

/* One row of three columns, a score, and a text; the id is `*id`. */
static bool record(const struct prediction_log *log, const char *endpoint, const char *key,
                   int64_t ms, char id[PREDICTION_ID_SIZE], float x) {
    static const char *const columns[] = {"age", "ssn", "income"};
    static const char *const classes[] = {"no", "yes"};
    float in[] = {x, 123456789.0F, 0.1F}, prob[] = {0.25F, 0.75F};
    struct bytes word = {"a\"b", 3};
    struct tensor inputs = {
        .name = "X", .dtype = DT_FP32, .rank = 2, .shape = {1, 3}, .count = 3, .data = in};
    struct tensor outputs[] = {
        {.name = "label", .dtype = DT_BYTES, .rank = 1, .shape = {1}, .count = 1, .data = &word},
        {.name = "prob",
         .dtype = DT_FP32,
         .rank = 2,
         .shape = {1, 2},
         .count = 2,
         .data = prob,
         .classes = classes}};
    struct prediction_fact f = {.project = 1,
                                .endpoint = endpoint,
                                .model = "iris",
                                .version = 3,
                                .arm = "main",
                                .reason = "",
                                .key = key,
                                .status = 200,
                                .latency_us = 12,
                                .inputs = &inputs,
                                .ninputs = 1,
                                .outputs = outputs,
                                .noutputs = 2,
                                .columns = columns,
                                .ncolumns = 3};
    prediction_id(&(struct prediction_parts){.ms = ms, .arm = 2, .context = 1000}, id);
    return prediction_record(log, id, &f);
}

/* Calls a handler as its row would be; the answer's tree hangs on c. */
static int call(struct ctx *c, route_fn *fn, const struct shape *in, const char *body, void *out) {
    json_t *tree = NULL;
    static struct pair pair = {"endpoint", "e"};
    void *value = arena_alloc(c->arena, in->size);
    int rc = json_parse(c, DIALECT_PROBLEM, body, strlen(body), &tree);
    struct pairs path = {&pair, 1};
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, in, tree, NULL, &path, value);
    return rc < 0 ? rc : fn(c, value, out);
}

struct feedback_out { /* as the door has it */
    struct opt_i64 recorded, updated, duplicate, unmatched;
    struct list results;
};
struct predictions_out {
    struct json_t *predictions;
    const char *next_page_token;
    struct opt_i64 damaged;
};
struct query_in {
    const char *endpoint, *model, *arm, *key, *kind, *id, *page_token;
    struct opt_i64 from_ms, to_ms, version, limit;
};

static int list(struct ctx *c, struct query_in q, struct predictions_out *out) {
    *out = (struct predictions_out){0};
    return predictions_api_list(c, &q, out);
}

static void test_id(void) {
    char a[PREDICTION_ID_SIZE], b[PREDICTION_ID_SIZE];
    struct prediction_parts p;
    for (unsigned i = 0; i < 5000; i++) {
        struct prediction_parts want = {
            .ms = 1700000000000 + i, .arm = i % 256, .context = i % 4096};
        prediction_id(&want, a);
        REQUIRE(prediction_id_read(a, &p));
        CHECK_INT(p.ms, want.ms);
        CHECK_INT(p.arm, want.arm);
        CHECK_INT(p.context, want.context);
        if (i)
            CHECK(strcmp(a, b) > 0);
        memcpy(b, a, sizeof b);
    }
    CHECK(!prediction_id_read("", &p));
    CHECK(!prediction_id_read(NULL, &p));
    CHECK(!prediction_id_read("018bcfe5-6800-4000-8000-000000000000", &p));
    CHECK(!prediction_id_read("018bcfe5-6800-7000-0000-000000000000", &p));
    CHECK(!prediction_id_read("018bcfe5x6800-7000-8000-000000000000", &p));
    CHECK(!prediction_id_read("018bcfe5-6800-7000-8000-00000000000g", &p));
}

static void test_sample(void) {
    struct prediction_log tenth = {.sample = SET_F64(0.1)}, none = {.sample = SET_F64(0)},
                          all = {0};
    char id[PREDICTION_ID_SIZE];
    int kept = 0;
    for (int i = 0; i < 20000; i++) {
        prediction_id(&(struct prediction_parts){.ms = 1700000000000}, id);
        kept += prediction_sampled(&tenth, id);
        CHECK(!prediction_sampled(&none, id));
        CHECK(prediction_sampled(&all, id));
    }
    CHECK(kept > 1800 && kept < 2200); /* 2000, sd 42 */
    CHECK(!prediction_sampled(NULL, id));
}

static void test_round_trip(void) {
    struct ctx c;
    struct predictions_out out;
    static const char *redact[] = {"ssn"};
    struct prediction_log log = {.redact = {redact, 1}};
    char id[PREDICTION_ID_SIZE];
    int64_t now = clock_wall_ms();
    CHECK(record(&log, "e", "ann", now, id, 42));
    ctx_begin(&c);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "e"}, &out), 0);
    REQUIRE(json_array_size(out.predictions) == 1);
    const char *text = json_text(c.arena, json_array_get(out.predictions, 0), JSON_TIGHT);
    CHECK_HAS(text, "\"inputs\":{\"age\":[42.0],\"income\":[0.1]}");
    CHECK_HAS(text, "\"outputs\":{\"label\":[\"a\\\"b\"],\"prob\":[{\"no\":0.25,\"yes\":0.75}]}");
    CHECK_HAS(text, "\"redacted\":[\"ssn\"]");
    CHECK_HAS(text, id);
    CHECK(!strstr(text, "123456789"));
    CHECK(!out.next_page_token);
    ctx_end(&c);
}

/* A matrix that is left out as a whole leaves no columns of it behind. */
static void test_redacted_input(void) {
    struct ctx c;
    struct predictions_out out;
    static const char *redact[] = {"X"};
    struct prediction_log log = {.redact = {redact, 1}};
    char id[PREDICTION_ID_SIZE];
    CHECK(record(&log, "redacted", NULL, clock_wall_ms(), id, 42));
    ctx_begin(&c);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "redacted"}, &out), 0);
    REQUIRE(json_array_size(out.predictions) == 1);
    const char *text = json_text(c.arena, json_array_get(out.predictions, 0), JSON_TIGHT);
    CHECK(!strstr(text, "\"inputs\""));
    CHECK_HAS(text, "\"rows\":1,\"outputs\":{\"label\":[\"a\\\"b\"]");
    CHECK_HAS(text, "\"redacted\":[\"X\"]");
    ctx_end(&c);
}

/* Ids are found however their hex digits are written. */
static void test_upper_case_id(void) {
    struct record_out {
        struct json_t *prediction, *shadows;
    } one = {0};
    struct path_in {
        const char *endpoint, *id;
    } in = {.endpoint = "upper"};
    struct ctx c;
    struct predictions_out out;
    struct prediction_log log = {0};
    char id[PREDICTION_ID_SIZE], upper[PREDICTION_ID_SIZE];
    CHECK(record(&log, "upper", NULL, clock_wall_ms(), id, 1));
    for (size_t i = 0; i < sizeof id; i++)
        upper[i] = (char)(id[i] >= 'a' && id[i] <= 'f' ? id[i] - 32 : id[i]);
    in.id = upper;
    ctx_begin(&c);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "upper", .id = upper}, &out), 0);
    CHECK_INT(json_array_size(out.predictions), 1);
    CHECK_INT(predictions_api_get(&c, &in, &one), 0);
    CHECK_STR(json_string_value(json_object_get(one.prediction, "id")), id);
    ctx_end(&c);
}

/* Pages meet every record once, newest first, over frames and segments. */
static void test_pages(void) {
    struct prediction_log log = {0};
    char id[PREDICTION_ID_SIZE];
    int64_t now = clock_wall_ms();
    struct ctx c;
    for (int i = 0; i < 250; i++) {
        CHECK(record(&log, "pages", NULL, now + i, id, (float)i));
        if (i % 60 == 59) {
            ctx_begin(&c);
            CHECK_INT(prediction_flush(&c, 5000), 0);
            ctx_end(&c);
        }
    }
    const char *token = NULL;
    char *kept = NULL;
    int seen = 0;
    int64_t last = INT64_MAX;
    for (int page = 0; page < 100; page++) {
        struct predictions_out out;
        ctx_begin(&c);
        REQUIRE(
            list(&c,
                 (struct query_in){.endpoint = "pages", .limit = SET_I64(33), .page_token = token},
                 &out) == 0);
        for (size_t i = 0; i < json_array_size(out.predictions); i++, seen++) {
            int64_t ms =
                json_integer_value(json_object_get(json_array_get(out.predictions, i), "time_ms"));
            CHECK(ms < last);
            last = ms;
        }
        free(kept);
        token = kept = out.next_page_token ? strdup(out.next_page_token) : NULL;
        ctx_end(&c);
        if (!token)
            break;
    }
    free(kept);
    CHECK_INT(seen, 250);
    ctx_begin(&c);
    struct predictions_out out;
    CHECK_INT(list(&c,
                   (struct query_in){.endpoint = "pages",
                                     .from_ms = SET_I64(now + 10),
                                     .to_ms = SET_I64(now + 19)},
                   &out),
              0);
    CHECK_INT(json_array_size(out.predictions), 10);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "pages", .id = id}, &out), 0);
    CHECK_INT(json_array_size(out.predictions), 1);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "pages", .version = SET_I64(4)}, &out), 0);
    CHECK_INT(json_array_size(out.predictions), 0);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "pages", .page_token = "eHh4"}, &out),
              -ERR_INVALID);
    CHECK_STR(c.err.field, "page_token");
    ctx_end(&c);
}

/* ---- many columns ---- */

static int flat_rows;

static int count_row(struct ctx *c, void *arg, struct flat *f) {
    struct buf text = {0};
    (void)c;
    (void)arg;
    flat_json_row(f, &text);
    CHECK_HAS(text.data, "\"row\":0,\"inputs.c");
    buf_free(&text);
    flat_rows++;
    return 0;
}

/* Lines of JSON have whatever columns each record has; a table has one set of them. */
static void test_many_columns(void) {
    struct flat lines, table;
    struct ctx c;
    int rc = 0;
    ctx_begin(&c);
    flat_begin(&lines);
    flat_begin(&table);
    for (int i = 0; i < 5; i++) {
        json_t *inputs = json_object(), *record = json_object();
        for (int k = 0; k < 1000; k++)
            json_object_set_new(inputs, arena_printf(c.arena, "c%d", i * 1000 + k), json_real(1));
        json_object_set_new(record, "rows", json_integer(1));
        json_object_set_new(record, "inputs", inputs);
        CHECK_INT(flat_record(&c, &lines, record, count_row, NULL), 0);
        rc = flat_record(&c, &table, record, NULL, NULL);
        json_decref(record);
    }
    CHECK_INT(flat_rows, 5);
    CHECK_INT(rc, -ERR_UNPROCESSABLE);
    CHECK_HAS(c.err.message, "4096 columns");
    flat_end(&lines);
    flat_end(&table);
    ctx_end(&c);
}

/* ---- shadows ---- */

static void record_kind(const char *kind, const char *id, size_t size) {
    static unsigned char pixels[1000000];
    float score = 0.5F;
    struct prediction_log log = {0};
    memset(pixels, 200, sizeof pixels);
    struct tensor in = {.name = "image",
                        .dtype = DT_UINT8,
                        .rank = 2,
                        .shape = {1, (int64_t)size},
                        .count = size,
                        .data = pixels};
    struct tensor out = {
        .name = "score", .dtype = DT_FP32, .rank = 1, .shape = {1}, .count = 1, .data = &score};
    struct prediction_fact f = {.project = 1,
                                .endpoint = "shadows",
                                .model = "m",
                                .version = 1,
                                .arm = kind,
                                .kind = kind,
                                .status = 200,
                                .inputs = &in,
                                .ninputs = 1,
                                .outputs = &out,
                                .noutputs = 1};
    CHECK(prediction_record(&log, id, &f));
}

/* Of answers that wait for their shadows as much stays as memory is set aside for. */
static void test_shadow_report(void) {
    struct report_out {
        struct json_t *arms;
        struct opt_i64 seen, unpaired;
        struct opt_bool complete;
    } out = {0};
    enum { LARGE = 6 };
    char id[LARGE + 1][PREDICTION_ID_SIZE];
    int64_t now = clock_wall_ms();
    struct ctx c;
    for (int i = 0; i < LARGE + 1; i++)
        prediction_id(&(struct prediction_parts){.ms = now + i}, id[i]);
    record_kind("shadow", id[LARGE], 1); /* before its answer */
    for (int i = 0; i < LARGE; i++)
        record_kind("answer", id[i], 1000000); /* 4 MB of text */
    record_kind("answer", id[LARGE], 1);
    record_kind("shadow", id[0], 1);
    record_kind("shadow", id[LARGE - 1], 1);
    ctx_begin(&c);
    struct shadow_in {
        const char *endpoint;
        struct opt_i64 from_ms, to_ms, limit;
        struct opt_f64 tolerance;
        const char *label, *output;
    } in = {.endpoint = "shadows"};
    CHECK_INT(shadow_report_api(&c, &in, &out), 0);
    CHECK_INT(out.seen.v, LARGE + 4);
    CHECK_INT(out.unpaired.v, 1);
    CHECK(out.complete.v);
    const char *text = json_text(c.arena, out.arms, JSON_TIGHT);
    CHECK_HAS(text, "\"shadow m/1\":{\"records\":2,\"rows\":2,\"agreement\":1.0");
    ctx_end(&c);
}

/* ---- feedback ---- */

static int rewards;
static double reward_sum;

static int on_reward(struct ctx *c, const char *endpoint, unsigned arm, unsigned context,
                     double reward, int64_t made_ms) {
    (void)c;
    CHECK(made_ms > 0);
    CHECK_STR(endpoint, "e");
    CHECK_INT(arm, 2);
    CHECK_INT(context, 1000);
    rewards++;
    reward_sum += reward;
    return 0;
}

static struct feedback_out feed(const char *body, int want, const char *field) {
    struct ctx c;
    struct feedback_out out = {0};
    ctx_begin(&c);
    CHECK_INT(call(&c, feedback_api, &shape_feedback, body, &out), want);
    if (want < 0)
        CHECK_STR(c.err.field, field);
    else if (c.err.code)
        printf("%s\n", c.err.message);
    ctx_end(&c);
    out.results.items = NULL;
    return out;
}

static void test_feedback(void) {
    struct prediction_log log = {.key = "k"};
    char id[3][PREDICTION_ID_SIZE], body[600];
    struct feedback_out out;
    int64_t now = clock_wall_ms() - 10000;
    prediction_on_reward(on_reward);
    for (int i = 0; i < 3; i++)
        CHECK(record(&log, "e", "bob", now + i * 1000, id[i], (float)i));
    snprintf(body, sizeof body, "{\"prediction_id\":\"%s\",\"reward\":0.5}", id[0]);
    out = feed(body, 0, NULL);
    CHECK_INT(out.recorded.v, 1);
    out = feed(body, 0, NULL);
    CHECK_INT(out.duplicate.v, 1);
    snprintf(body, sizeof body, "{\"prediction_id\":\"%s\",\"reward\":1.0}", id[0]);
    out = feed(body, 0, NULL); /* the first stays */
    CHECK_INT(out.duplicate.v, 1);
    CHECK_INT(rewards, 1);
    CHECK_NEAR(reward_sum, 0.5, 1e-12);
    /* By key: the newest at or before; late, out of order. */
    snprintf(body, sizeof body,
             "{\"feedback\":[{\"key\":\"bob\",\"at_ms\":%lld,\"label\":\"late\"},{\"key\":\"bob\","
             "\"at_ms\":%lld,\"label\":\"early\"},{\"key\":\"eve\",\"label\":1},{\"key\":\"bob\","
             "\"at_ms\":%lld,\"label\":1}]}",
             (long long)now + 1500, (long long)now + 1200, (long long)now - 1);
    out = feed(body, 0, NULL);
    CHECK_INT(out.recorded.v, 1);
    CHECK_INT(out.duplicate.v, 1); /* an earlier label does not take a later one's place */
    CHECK_INT(out.unmatched.v, 2);
    snprintf(body, sizeof body, "{\"key\":\"bob\",\"at_ms\":%lld,\"label\":\"latest\"}",
             (long long)now + 1900);
    out = feed(body, 0, NULL);
    CHECK_INT(out.updated.v, 1);
    struct ctx c;
    struct predictions_out page;
    ctx_begin(&c);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "e", .key = "bob"}, &page), 0);
    REQUIRE(json_array_size(page.predictions) == 3);
    char *text = json_dumps(json_array_get(page.predictions, 1), JSON_COMPACT);
    CHECK_HAS(text, "\"feedback\":{\"label\":{\"label\":\"latest\"");
    free(text);
    text = json_dumps(json_array_get(page.predictions, 2), JSON_COMPACT);
    CHECK_HAS(text, "\"feedback\":{\"reward\":{\"reward\":0.5");
    free(text);
    CHECK(!json_object_get(json_array_get(page.predictions, 0), "feedback"));
    ctx_end(&c);
    prediction_on_reward(NULL);
}

/* ---- export ---- */

struct export_in {
    const char *endpoint, *format, *kind;
    struct opt_i64 from_ms, to_ms;
};

/* The exported file's bytes in c's arena. */
static char *export_text(struct ctx *c, const char *format, int want, size_t *n) {
    struct export_in in = {.endpoint = "x", .format = format};
    char *text = NULL;
    int rc = export_api(c, &in, NULL);
    CHECK_INT(rc, want);
    if (rc < 0)
        return NULL;
    *n = (size_t)c->reply.file_size;
    text = arena_alloc(c->arena, *n + 1);
    CHECK_INT(pread(c->reply.fd, text, *n, 0), *n);
    close(c->reply.fd);
    c->reply = (struct reply){0};
    return text;
}

static bool record_x(const struct prediction_log *log, const char *word, double score,
                     char id[PREDICTION_ID_SIZE]) {
    int64_t ages[] = {30, 41};
    double scores[] = {score, -1.5}, wide[] = {1, 2, 3, 4};
    struct bytes words[] = {{word, strlen(word)}, {"\xff", 1}};
    struct tensor in[] = {
        {.name = "age", .dtype = DT_INT64, .rank = 2, .shape = {2, 1}, .count = 2, .data = ages},
        {.name = "word", .dtype = DT_BYTES, .rank = 1, .shape = {2}, .count = 2, .data = words}};
    struct tensor out[] = {
        {.name = "score", .dtype = DT_FP64, .rank = 1, .shape = {2}, .count = 2, .data = scores},
        {.name = "wide", .dtype = DT_FP64, .rank = 2, .shape = {2, 2}, .count = 4, .data = wide}};
    struct prediction_fact f = {.project = 1,
                                .endpoint = "x",
                                .model = "m",
                                .version = 1,
                                .arm = "main",
                                .status = 200,
                                .inputs = in,
                                .ninputs = 2,
                                .outputs = out,
                                .noutputs = 2};
    prediction_id(&(struct prediction_parts){.ms = clock_wall_ms()}, id);
    return prediction_record(log, id, &f);
}

static void test_export(void) {
    struct prediction_log log = {0};
    char a[PREDICTION_ID_SIZE], b[PREDICTION_ID_SIZE], body[200];
    struct feedback_out unused;
    struct ctx c;
    size_t n = 0;
    CHECK(record_x(&log, "say \"hi\",\nthen", NAN, a));
    CHECK(record_x(&log, "", 0.1, b));
    snprintf(body, sizeof body, "{\"prediction_id\":\"%s\",\"label\":true,\"name\":\"good\"}", b);
    ctx_begin(&c);
    static struct pair pair = {"endpoint", "x"};
    json_t *tree = NULL;
    void *in = arena_alloc(c.arena, shape_feedback.size);
    CHECK_INT(json_parse(&c, DIALECT_PROBLEM, body, strlen(body), &tree), 0);
    CHECK_INT(json_decode(&c, DIALECT_PROBLEM, &shape_feedback, tree, NULL,
                          &(struct pairs){&pair, 1}, in),
              0);
    CHECK_INT(feedback_api(&c, in, &unused), 0);
    char *text = export_text(&c, "csv", 0, &n);
    REQUIRE(text != NULL);
    CHECK_HAS(
        text,
        "\"prediction_id\",\"row\",\"time_ms\",\"kind\",\"model\",\"version\",\"arm\",\"reason\","
        "\"status\",\"latency_us\",\"key\",\"inputs.age\",\"inputs.word\",\"inputs.word.b64\","
        "\"outputs.score\",\"outputs.wide.0\",\"outputs.wide.1\",\"feedback.good\"\n");
    CHECK_HAS(text, ",30,\"say \"\"hi\"\",\nthen\",,NaN,1.0,2.0,\n");
    CHECK_HAS(text, ",41,,\"/w==\",-1.5,3.0,4.0,\n");
    CHECK_HAS(text, ",30,\"\",,0.1,1.0,2.0,true\n");
    text = export_text(&c, "jsonl", 0, &n);
    REQUIRE(text != NULL);
    CHECK_HAS(text, "\"inputs.age\":30,\"inputs.word\":\"\",\"outputs.score\":0.1,\"outputs.wide."
                    "0\":1.0,\"outputs.wide.1\":2.0,\"feedback.good\":true}\n");
    char **names;
    CHECK_INT(dir_list(data, "exports", c.arena, &names, &n), 0);
    CHECK_INT(n, 0);
    if (!duck_ready()) {
        export_text(&c, "parquet", -ERR_NOT_IMPLEMENTED, &n);
        CHECK_STR(c.err.field, "format");
        printf("     without Parquet: no DuckDB\n");
    } else {
        text = export_text(&c, "parquet", 0, &n);
        REQUIRE(text != NULL);
        CHECK_INT(dir_write_file(data, "back.parquet", text, n), 0);
        const char *files[] = {arena_printf(c.arena, "%s/back.parquet", folder), NULL};
        struct duck *d;
        struct duck_reader *r;
        struct duck_chunk k;
        REQUIRE(duck_begin(&c, &(struct duck_options){.files = files}, &d) == 0);
        REQUIRE(duck_read_file(d, &c, DUCK_PARQUET, files[0], 0, &r) == 0);
        REQUIRE(duck_next(r, &c, &k) == 1);
        CHECK_INT(k.rows, 4);
        CHECK_INT(k.ncolumns, 18);
        CHECK_INT(k.columns[11].kind, DUCK_I64);
        CHECK_INT(k.columns[17].kind, DUCK_BOOL);
        const struct duck_text *w = k.columns[12].data;
        CHECK(w[0].len == 14 && memcmp(w[0].data, "say \"hi\",\nthen", 14) == 0);
        CHECK(k.columns[12].valid && !k.columns[12].valid[1]);
        CHECK(k.columns[12].valid[2] && w[2].len == 0); /* an empty text is no missing one */
        const double *score = k.columns[14].data;
        CHECK(isnan(score[0]) && score[1] == -1.5 && score[2] == 0.1);
        CHECK(!k.columns[17].valid[0] && k.columns[17].valid[2]);
        CHECK_INT(duck_next(r, &c, &k), 0);
        duck_reader_end(r);
        duck_end(d);
    }
    ctx_end(&c);
}

static void test_bad_feedback(void) {
    char id[PREDICTION_ID_SIZE], body[300];
    prediction_id(&(struct prediction_parts){.ms = clock_wall_ms() + 600000}, id);
    feed("{}", -ERR_INVALID, "prediction_id");
    feed("{\"key\":\"a\"}", -ERR_INVALID, "reward");
    feed("{\"key\":\"a\",\"label\":null}", -ERR_INVALID, "reward");
    feed("{\"key\":\"a\",\"reward\":1,\"name\":\"a b\"}", -ERR_INVALID, "name");
    feed("{\"key\":\"a\",\"reward\":1,\"at_ms\":99999999999999}", -ERR_INVALID, "at_ms");
    feed("{\"key\":\"a\",\"reward\":1,\"feedback\":[{\"key\":\"a\",\"reward\":1}]}", -ERR_INVALID,
         "feedback");
    feed("{\"feedback\":[{\"key\":\"a\",\"reward\":1},{\"prediction_id\":"
         "\"000000000000000000000000000000000000\",\"reward\":1}]}",
         -ERR_INVALID, "feedback[1].prediction_id");
    snprintf(body, sizeof body, "{\"prediction_id\":\"%s\",\"reward\":1}", id);
    feed(body, -ERR_INVALID, "prediction_id"); /* from the future */
}

/* ---- bounds ---- */

static atomic_int accepted, refused;

static void *flood(void *arg) {
    struct prediction_log log = {0};
    char id[PREDICTION_ID_SIZE];
    (void)arg;
    for (int i = 0; i < 20000; i++)
        record(&log, "flood", NULL, clock_wall_ms(), id, 1) ? accepted++ : refused++;
    return NULL;
}

static void test_flood(void) {
    pthread_t t[4];
    struct ctx c;
    prediction_stop();
    start(1 << 20);
    double dropped = metric_value(METRIC_PREDICTIONS_DROPPED, "ring", NULL, NULL);
    double logged = metric_value(METRIC_PREDICTIONS_LOGGED, "flood", NULL, NULL);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, flood, NULL) == 0);
    for (int i = 0; i < 200; i++) {
        CHECK(ring_bytes() <= (1 << 20) + 4 * 4096); /* what was refused is counted for a moment */
        usleep(500);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    ctx_begin(&c);
    CHECK_INT(prediction_flush(&c, 10000), 0);
    ctx_end(&c);
    CHECK_INT(ring_bytes(), 0);
    CHECK_INT(accepted + refused, 80000);
    CHECK(refused > 0 && accepted > 0);
    CHECK_INT(metric_value(METRIC_PREDICTIONS_DROPPED, "ring", NULL, NULL) - dropped, refused);
    CHECK_INT(metric_value(METRIC_PREDICTIONS_LOGGED, "flood", NULL, NULL) - logged, accepted);
}

static void test_too_large(void) {
    static float big[400000];
    struct prediction_log log = {0};
    struct tensor in = {.name = "X",
                        .dtype = DT_FP32,
                        .rank = 2,
                        .shape = {1, 400000},
                        .count = 400000,
                        .data = big};
    struct prediction_fact f = {
        .project = 1, .endpoint = "large", .model = "m", .version = 1, .inputs = &in, .ninputs = 1};
    struct predictions_out out;
    struct ctx c;
    char id[PREDICTION_ID_SIZE];
    prediction_id(&(struct prediction_parts){.ms = clock_wall_ms()}, id);
    CHECK(prediction_record(&log, id, &f));
    ctx_begin(&c);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "large"}, &out), 0);
    REQUIRE(json_array_size(out.predictions) == 1);
    CHECK(json_is_true(json_object_get(json_array_get(out.predictions, 0), "too_large")));
    CHECK(!json_object_get(json_array_get(out.predictions, 0), "inputs"));
    ctx_end(&c);
}

static int op_keep(struct ctx *c, void *arg) {
    return prediction_keep(c, "old", arg);
}

/* Feedback on a prediction of then. */
static int op_feedback(struct ctx *c, void *arg) {
    char id[PREDICTION_ID_SIZE];
    prediction_id(&(struct prediction_parts){.ms = *(const int64_t *)arg}, id);
    return feedback_store_put(c, "old", id,
                              &(struct feedback){.name = "n", .label = "1", .at_ms = c->now_ms});
}

static int64_t feedback_rows(void) {
    struct ctx c;
    int64_t n = -1;
    ctx_begin(&c);
    if (db_read_begin(db, &c) == 0) {
        CHECK_INT(db_get_i64(&c, "SELECT count(*) FROM prediction_feedback WHERE endpoint = 'old'",
                             &n, NULL, ""),
                  0);
        db_read_end(&c);
    }
    ctx_end(&c);
    return n;
}

static bool none_open(int64_t id) {
    (void)id;
    return false;
}

static size_t count(const char *endpoint) {
    struct ctx c;
    struct segment *s;
    size_t n = 0;
    ctx_begin(&c);
    if (db_read_begin(db, &c) == 0) {
        CHECK_INT(segment_store_list(&c, endpoint, 0, INT64_MAX, &s, &n), 0);
        db_read_end(&c);
    }
    ctx_end(&c);
    return n;
}

/* Each start seals what was open, so each round makes a segment. */
static void test_retention(void) {
    struct prediction_log log = {.keep_days = SET_F64(1)};
    char id[PREDICTION_ID_SIZE];
    int64_t now = clock_wall_ms();
    struct ctx c;
    for (int day = 3; day >= 0; day--) {
        CHECK(record(&log, "old", "k", now - day * 86400000LL + 1000, id, 1));
        int64_t then = now - day * 86400000LL + 1000;
        ctx_begin(&c);
        CHECK_INT(db_write(db, &c, op_feedback, &then), 0);
        ctx_end(&c);
        prediction_stop();
        start(1 << 20);
    }
    CHECK_INT(count("old"), 4);
    ctx_begin(&c);
    CHECK_INT(db_write(db, &c, op_keep, &log), 0);
    ctx_end(&c);
    CHECK_INT(retention_sweep(db, now, none_open), 2); /* the first two; day 1 is 1 s short of it */
    CHECK_INT(count("old"), 2);
    CHECK_INT(feedback_rows(), 2);
    log.max_bytes = SET_I64(1);
    ctx_begin(&c);
    CHECK_INT(db_write(db, &c, op_keep, &log), 0);
    ctx_end(&c);
    CHECK_INT(retention_sweep(db, now, none_open), 2);
    CHECK_INT(count("old"), 0);
    CHECK_INT(retention_sweep(db, now, none_open), 0);
    CHECK_INT(feedback_rows(), 2); /* theirs is the age alone */
    CHECK_INT(retention_sweep(db, now + 2 * 86400000LL, none_open), 0);
    CHECK_INT(feedback_rows(), 0);
}

/* What lies behind a segment's bytes does not count and is cut off; a damaged frame is an error. */
static void test_damage(void) {
    struct prediction_log log = {0};
    char id[PREDICTION_ID_SIZE], name[200];
    struct predictions_out out;
    struct segment *s = NULL;
    struct ctx c;
    size_t n = 0;
    CHECK(record(&log, "hurt", NULL, clock_wall_ms(), id, 1));
    ctx_begin(&c);
    CHECK_INT(prediction_flush(&c, 5000), 0);
    REQUIRE(db_read_begin(db, &c) == 0);
    CHECK_INT(segment_store_list(&c, "hurt", 0, INT64_MAX, &s, &n), 0);
    db_read_end(&c);
    REQUIRE(n == 1);
    snprintf(name, sizeof name, "predictions/1/hurt/%lld.zst", (long long)s->id);
    int fd = dir_openat(data, name, O_RDWR | O_APPEND, 0);
    REQUIRE(fd >= 0);
    CHECK_INT(write(fd, "half a frame", 12), 12);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "hurt"}, &out), 0);
    CHECK_INT(json_array_size(out.predictions), 1);
    dir_write_file(data, "predictions/1/hurt/999999.zst", "x", 1);
    /* A crash: the row says open. */
    int64_t bytes = s->bytes;
    struct segment open = *s;
    CHECK_INT(segment_cut(&open), 0);
    CHECK_INT(lseek(fd, 0, SEEK_END), bytes);
    prediction_stop();
    start(1 << 20);
    CHECK(!dir_exists(data, "predictions/1/hurt/999999.zst"));
    close(fd);
    fd = dir_openat(data, name, O_RDWR, 0);
    CHECK_INT(pwrite(fd, "\xff\xff\xff", 3, bytes - 8), 3);
    close(fd);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "hurt"}, &out), 0);
    CHECK_INT(json_array_size(out.predictions), 0);
    CHECK_INT(out.damaged.v, 1);
    fd = dir_openat(data, name, O_RDWR, 0);
    CHECK_INT(ftruncate(fd, bytes - 1), 0); /* as of a copy that was cut off */
    close(fd);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "hurt"}, &out), 0);
    CHECK_INT(out.damaged.v, 1);
    CHECK_INT(dir_unlink(data, name), 0);
    CHECK_INT(list(&c, (struct query_in){.endpoint = "hurt"}, &out), 0);
    CHECK_INT(json_array_size(out.predictions), 0);
    ctx_end(&c);
}

static void test_log_check(void) {
    static const char *redact[] = {"ssn"};
    struct {
        struct prediction_log log;
        const char *field;
    } rows[] = {
        {{.sample = SET_F64(1.5)}, "log.sample"},
        {{.sample = SET_F64(-0.1)}, "log.sample"},
        {{.keep_days = SET_F64(0)}, "log.keep_days"},
        {{.keep_days = SET_F64(1e9)}, "log.keep_days"},
        {{.redact = {redact, 1}, .key = "ssn"}, "log.key"},
        {{.key = "header:"}, "log.key"},
        {{.key = "header:Authorization"}, "log.key"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        ctx_begin(&c);
        CHECK_INT(prediction_log_check(&c, &rows[i].log), -ERR_INVALID);
        CHECK_STR(c.err.field, rows[i].field);
        ctx_end(&c);
    }
}

int main(void) {
    struct buf error = {0};
    log_init(LOG_ERROR, LOG_PLAIN);
    if (!mkdtemp(folder) || dir_open(folder, true, &data) != 0)
        return 1;
    struct db_options o = {
        .dir = data, .queue = 1024, .batch = 64, .wal_soft = 1 << 22, .wal_hard = 1 << 26};
    if (db_open(&o, &db, &error) != 0) {
        printf("%s\n", error.data);
        return 1;
    }
    struct lane_options l = {.db = db, .workers = 1, .work_queue = 8};
    lanes = lanes_start(&l);
    glob_t g = {0};
    const char *places = getenv("QUERN_DUCK_PLACES");
    if (places && glob(places, 0, NULL, &g) == 0)
        duck_open(NULL, (const char *const *)g.gl_pathv, &error);
    globfree(&g);
    start(64 << 20);
    RUN(test_id);
    RUN(test_sample);
    RUN(test_log_check);
    RUN(test_round_trip);
    RUN(test_redacted_input);
    RUN(test_upper_case_id);
    RUN(test_pages);
    RUN(test_shadow_report);
    RUN(test_many_columns);
    RUN(test_feedback);
    RUN(test_bad_feedback);
    RUN(test_export);
    RUN(test_too_large);
    RUN(test_flood);
    RUN(test_retention);
    RUN(test_damage);
    prediction_stop();
    lanes_stop(lanes);
    db_thread_end(db);
    db_close(db);
    dir_close(data);
    struct dir *tmp;
    if (dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, folder + strlen("/tmp/"));
        dir_close(tmp);
    }
    return CHECK_END();
}
