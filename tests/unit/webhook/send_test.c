/* SPDX-License-Identifier: Apache-2.0 */
#include "send.h"

#include "check.h"
#include "quern/core/ctx.h"
#include "topic.h"

static void signature(void) {
    struct ctx c;
    ctx_begin(&c);
    /* made with Python's hmac and base64 */
    CHECK_STR(message_signature(&c, "s3cr\xc3\xa9t", "9f1c", "1700000000", "{\"a\":1}"),
              "v1,DcC/r+A3h1+CxzoZJOK85j/9GUjQrlR8o9VgTcrAdzA=");
    ctx_end(&c);
}

static void backoff(void) {
    CHECK_INT(backoff_ms(1, -1, 0), 1000);
    CHECK_INT(backoff_ms(2, -1, 0), 2000);
    CHECK_INT(backoff_ms(3, -1, 999), 4999);
    CHECK_INT(backoff_ms(4, -1, 0), -1); /* three retries, no more */
    CHECK_INT(backoff_ms(1, 30000, 0), 30000);
    CHECK_INT(backoff_ms(1, 500, 0), 1000);
    CHECK_INT(backoff_ms(1, 86400000, 0), 3600000);
    CHECK_INT(backoff_ms(4, 5000, 0), -1);
    CHECK_INT(backoff_ms(1, -1, 12345), 1345);
}

static void topics(void) {
    struct ctx c;
    const struct topic *t = NULL;
    ctx_begin(&c);
    CHECK_INT(topic_find(&c, "MODEL_VERSION_TAG", "SET", &t), 0);
    CHECK_STR(t->event, "model_version_tag.set");
    CHECK(topic_of("model_version_tag.set") == t);
    CHECK(topic_of("model.version.created") == NULL);
    CHECK_INT(topic_find(&c, "PROMPT_TAG", "CREATED", &t), -ERR_INVALID);
    CHECK_STR(c.err.message, "Invalid action 'created' for entity 'prompt_tag'. Valid actions are: "
                             "['deleted', 'set']");
    ctx_end(&c);
}

static void every_topic_has_an_example(void) {
    int n = 0;
    for (int e = 0; topic_entities[e]; e++)
        for (int a = 0; topic_actions[a]; a++) {
            struct ctx c;
            const struct topic *t = NULL;
            ctx_begin(&c);
            if (topic_find(&c, topic_entities[e], topic_actions[a], &t) == 0) {
                n++;
                CHECK_INT(t->example[0], '{');
                CHECK(topic_of(t->event) == t);
            }
            ctx_end(&c);
        }
    CHECK_INT(n, 15);
}

static void body(void) {
    struct ctx c;
    ctx_begin(&c);
    CHECK_STR(topic_body(&c, topic_of("prompt.created"), 1700000000123, "{\"name\":\"p\"}", NULL),
              "{\"entity\":\"prompt\",\"action\":\"created\",\"timestamp\":"
              "\"2023-11-14T22:13:20.123000+00:00\",\"data\":{\"name\":\"p\"}}");
    CHECK_HAS(topic_body(&c, topic_of("prompt.created"), 0, "{}", "team"),
              ",\"workspace\":\"team\"}");
    ctx_end(&c);
}

int main(void) {
    RUN(signature);
    RUN(backoff);
    RUN(topics);
    RUN(every_topic_has_an_example);
    RUN(body);
    return CHECK_END();
}
