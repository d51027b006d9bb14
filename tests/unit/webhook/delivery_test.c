/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of deliveries against the real schema: what waits, for how long, and how much of it. */
#include "delivery_store.h"

#include "artifact/house.h"
#include "quern/base/str.h"
#include "send.h"

static struct house h;
static int64_t seen;

static int exec_op(struct ctx *c, void *sql) {
    int rc = db_exec(c, sql, "");
    return rc < 0 ? rc : 0;
}

static int count_op(struct ctx *c, void *sql) {
    return db_get_i64(c, sql, &seen, NULL, "");
}

static int64_t count(const char *sql) {
    seen = -1;
    CHECK_INT(house_read(&h, count_op, (void *)sql), 0);
    return seen;
}

static void exec(const char *sql) {
    CHECK_INT(house_write(&h, exec_op, (void *)sql), 0);
    if (said[0])
        printf("%s: %s\n", sql, said);
}

static bool more;
static int64_t over;
static int fan_out_op(struct ctx *c, void *arg) {
    (void)arg;
    return delivery_store_fan_out(c, 200, &more, &over);
}

#define HOOK(id, status)                                                                           \
    "INSERT INTO webhook (id, project_id, name, url, status, since_seq, created_ms, updated_ms)"   \
    " VALUES ('" id "', 1, 'h', 'https://h.example/', '" status "', 0, 1, 1)"
#define ASKS(id)                                                                                   \
    "INSERT INTO webhook_event (webhook, event, position)"                                         \
    " VALUES ('" id "', 'registered_model.created', 0)"
#define EVENTS(n)                                                                                  \
    "WITH RECURSIVE i (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < " n ")"           \
    " INSERT INTO event (project_id, type, subject, data, created_ms)"                             \
    " SELECT 1, 'registered_model.created', 'registered_model:m', '{\"name\":\"m\"}', 7 FROM i"

static void each_event_once(void) {
    exec(HOOK("a", "ACTIVE"));
    exec(ASKS("a"));
    exec(HOOK("off", "DISABLED"));
    exec(ASKS("off"));
    exec(EVENTS("250"));
    CHECK_INT(house_write(&h, fan_out_op, NULL), 0);
    CHECK(more);
    CHECK_INT(house_write(&h, fan_out_op, NULL), 0);
    CHECK(!more);
    CHECK_INT(house_write(&h, fan_out_op, NULL), 0);
    CHECK_INT(count("SELECT count(*) FROM webhook_delivery"), 250);
    CHECK_INT(count("SELECT count(DISTINCT event_seq) FROM webhook_delivery WHERE webhook = 'a'"
                    " AND state = 'pending' AND instr(body, '\"data\":{\"name\":\"m\"}') > 0"),
              250);
    /* A killed daemon may find the cursor behind the rows. */
    exec("UPDATE webhook_cursor SET seq = 0");
    CHECK_INT(house_write(&h, fan_out_op, NULL), 0);
    CHECK_INT(count("SELECT count(*) FROM webhook_delivery"), 250);
    exec("UPDATE webhook_cursor SET seq = (SELECT max(seq) FROM event)");
}

static void a_dead_receiver_does_not_fill_the_disk(void) {
    exec(HOOK("b", "ACTIVE"));
    exec(ASKS("b"));
    exec("WITH RECURSIVE i (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < 9998)"
         " INSERT INTO webhook_delivery (delivery_id, webhook, event_seq, event, body, state,"
         " next_ms, created_ms, updated_ms) SELECT 'b' || x, 'b', -x, 'registered_model.created',"
         " '{}', 'pending', 1, 1, 1 FROM i");
    exec(EVENTS("5"));
    CHECK_INT(house_write(&h, fan_out_op, NULL), 0);
    CHECK_INT(over, 3);
    CHECK_INT(count("SELECT count(*) FROM webhook_delivery WHERE webhook = 'b'"
                    " AND state = 'pending'"),
              WAITING_MAX);
    CHECK_INT(count("SELECT count(*) FROM webhook_delivery WHERE webhook = 'b'"
                    " AND state = 'failed' AND error LIKE '%too many deliveries%'"),
              3);
    CHECK_INT(count("SELECT count(*) FROM webhook_delivery WHERE webhook = 'a'"
                    " AND state = 'pending'"),
              255); /* the other one is told as before */
    exec("UPDATE webhook_delivery SET state = 'delivered' WHERE webhook = 'b'"
         " AND state = 'pending'");
    exec(EVENTS("2"));
    CHECK_INT(house_write(&h, fan_out_op, NULL), 0);
    CHECK_INT(over, 0);
    exec("DELETE FROM webhook_delivery");
}

static int stranded_op(struct ctx *c, void *arg) {
    return delivery_store_stranded(c, c->now_ms + STRANDED_MS, arg);
}

static int rescue_op(struct ctx *c, void *arg) {
    (void)arg;
    return delivery_store_rescue(c, c->now_ms + STRANDED_MS) < 0 ? -1 : 0;
}

static int due_op(struct ctx *c, void *arg) {
    int64_t ids[8];
    return delivery_store_due_of(c, "a", c->now_ms, 8, ids, arg);
}

static void a_clock_that_was_set_back_strands_nothing(void) {
    bool found = true;
    size_t n = 0;
    exec(EVENTS("3"));
    CHECK_INT(house_write(&h, fan_out_op, NULL), 0);
    exec("DELETE FROM webhook_delivery WHERE webhook <> 'a'");
    CHECK_INT(house_read(&h, stranded_op, &found), 0);
    CHECK(!found);
    /* One retry planned in half an hour, one while the clock was ten years ahead. */
    exec("UPDATE webhook_delivery SET next_ms = next_ms + 1800000 WHERE id ="
         " (SELECT min(id) FROM webhook_delivery)");
    exec("UPDATE webhook_delivery SET next_ms = next_ms + 315360000000 WHERE id ="
         " (SELECT max(id) FROM webhook_delivery)");
    CHECK_INT(house_read(&h, due_op, &n), 0);
    CHECK_INT(n, 1);
    CHECK_INT(house_read(&h, stranded_op, &found), 0);
    CHECK(found);
    CHECK_INT(house_write(&h, rescue_op, NULL), 0);
    CHECK_INT(house_read(&h, stranded_op, &found), 0);
    CHECK(!found);
    CHECK_INT(house_read(&h, due_op, &n), 0);
    CHECK_INT(n, 2);
}

static int id_of(struct ctx *c, int64_t *id) {
    return db_get_i64(c, "SELECT min(id) FROM webhook_delivery WHERE webhook = 'a'", id, NULL, "");
}

static int cancel_op(struct ctx *c, void *arg) {
    (void)arg;
    int rc = delivery_store_cancel(c, "a", "the webhook was deleted");
    return rc < 0 ? rc : 0;
}

static int record_op(struct ctx *c, void *state) {
    struct delivery_row r = {.state = state, .attempts = 1, .next_ms = c->now_ms};
    int rc = id_of(c, &r.id);
    if (rc == 0)
        rc = delivery_store_record(c, &r);
    return rc < 0 ? rc : 0;
}

#define STATE_IS(state)                                                                            \
    count("SELECT state = '" state "' FROM webhook_delivery WHERE id = (SELECT min(id)"            \
          " FROM webhook_delivery WHERE webhook = 'a')")

/* The webhook goes while its delivery is under way. */
static void what_was_cancelled_stays_so_unless_it_arrived(void) {
    CHECK_INT(house_write(&h, cancel_op, NULL), 0);
    CHECK_INT(count("SELECT count(*) FROM webhook_delivery WHERE state <> 'cancelled'"), 0);
    CHECK_INT(house_write(&h, record_op, "pending"), 0);
    CHECK_INT(STATE_IS("cancelled"), 1);
    CHECK_INT(house_write(&h, record_op, "failed"), 0);
    CHECK_INT(STATE_IS("cancelled"), 1);
    CHECK_INT(house_write(&h, record_op, "delivered"), 0);
    CHECK_INT(STATE_IS("delivered"), 1);
}

int main(void) {
    house_open(&h, 0);
    RUN(each_event_once);
    RUN(a_dead_receiver_does_not_fill_the_disk);
    RUN(a_clock_that_was_set_back_strands_nothing);
    RUN(what_was_cancelled_stays_so_unless_it_arrived);
    house_end(&h);
    return CHECK_END();
}
