/* SPDX-License-Identifier: Apache-2.0 */
#include "topic.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

const char *const topic_entities[] = {
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
    NULL,
};
const char *const topic_actions[] = {"CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED", NULL};
const char *const topic_statuses[] = {"ACTIVE", "DISABLED", NULL};

static const struct topic topics[] = {
    {"REGISTERED_MODEL", "CREATED", "registered_model.created",
     "{\"name\":\"example_model\",\"tags\":{\"example_key\":\"example_value\"},"
     "\"description\":\"An example registered model\"}"},
    {"MODEL_VERSION", "CREATED", "model_version.created",
     "{\"name\":\"example_model\",\"version\":\"1\",\"source\":\"models:/123\","
     "\"run_id\":\"abcd1234abcd5678\",\"tags\":{\"example_key\":\"example_value\"},"
     "\"description\":\"An example model version\"}"},
    {"MODEL_VERSION_TAG", "DELETED", "model_version_tag.deleted",
     "{\"name\":\"example_model\",\"version\":\"1\",\"key\":\"example_key\"}"},
    {"MODEL_VERSION_TAG", "SET", "model_version_tag.set",
     "{\"name\":\"example_model\",\"version\":\"1\",\"key\":\"example_key\","
     "\"value\":\"example_value\"}"},
    {"MODEL_VERSION_ALIAS", "CREATED", "model_version_alias.created",
     "{\"name\":\"example_model\",\"alias\":\"example_alias\",\"version\":\"1\"}"},
    {"MODEL_VERSION_ALIAS", "DELETED", "model_version_alias.deleted",
     "{\"name\":\"example_model\",\"alias\":\"example_alias\"}"},
    {"PROMPT", "CREATED", "prompt.created",
     "{\"name\":\"example_prompt\",\"tags\":{\"example_key\":\"example_value\"},"
     "\"description\":\"An example prompt\"}"},
    {"PROMPT_VERSION", "CREATED", "prompt_version.created",
     "{\"name\":\"example_prompt\",\"version\":\"1\",\"template\":\"Hello {{name}}!\","
     "\"tags\":{\"example_key\":\"example_value\"},"
     "\"description\":\"An example prompt version\"}"},
    {"PROMPT_TAG", "DELETED", "prompt_tag.deleted",
     "{\"name\":\"example_prompt\",\"key\":\"example_key\"}"},
    {"PROMPT_TAG", "SET", "prompt_tag.set",
     "{\"name\":\"example_prompt\",\"key\":\"example_key\",\"value\":\"example_value\"}"},
    {"PROMPT_VERSION_TAG", "DELETED", "prompt_version_tag.deleted",
     "{\"name\":\"example_prompt\",\"version\":\"1\",\"key\":\"example_key\"}"},
    {"PROMPT_VERSION_TAG", "SET", "prompt_version_tag.set",
     "{\"name\":\"example_prompt\",\"version\":\"1\",\"key\":\"example_key\","
     "\"value\":\"example_value\"}"},
    {"PROMPT_ALIAS", "CREATED", "prompt_alias.created",
     "{\"name\":\"example_prompt\",\"alias\":\"example_alias\",\"version\":\"1\"}"},
    {"PROMPT_ALIAS", "DELETED", "prompt_alias.deleted",
     "{\"name\":\"example_prompt\",\"alias\":\"example_alias\"}"},
    {"BUDGET_POLICY", "EXCEEDED", "budget_policy.exceeded",
     "{\"budget_policy_id\":\"bp-abc123\",\"budget_unit\":\"USD\",\"budget_amount\":100.0,"
     "\"current_spend\":105.5,\"duration_unit\":\"MONTHS\",\"duration_value\":1,"
     "\"target_scope\":\"ENDPOINT\",\"workspace\":\"default\",\"target_value\":\"ep-abc123\","
     "\"window_start\":1704067200000}"},
};

static const char *lower(struct ctx *c, const char *s) {
    char *out = arena_strdup(c->arena, s);
    for (char *p = out; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return out;
}

int topic_find(struct ctx *c, const char *entity, const char *action, const struct topic **out) {
    const char *valid = "";
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        if (!str_eq(topics[i].entity, entity))
            continue;
        if (str_eq(topics[i].action, action)) {
            *out = &topics[i];
            return 0;
        }
        valid = arena_printf(c->arena, "%s%s'%s'", valid, *valid ? ", " : "",
                             lower(c, topics[i].action));
    }
    return fail_field(c, ERR_INVALID, "events",
                      "Invalid action '%s' for entity '%s'. Valid actions are: [%s]",
                      lower(c, action), lower(c, entity), valid);
}

const struct topic *topic_of(const char *event) {
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        if (str_eq(topics[i].event, event))
            return &topics[i];
    return NULL;
}

const char *topic_body(struct ctx *c, const struct topic *t, int64_t at_ms, const char *data,
                       const char *workspace) {
    struct buf text = {0};
    struct json_writer w;
    struct tm tm;
    char day[32] = "", at[64];
    time_t seconds = (time_t)(at_ms / 1000);
    if (gmtime_r(&seconds, &tm))
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(at, sizeof at, "%s.%03d000+00:00", day, (int)(at_ms % 1000));
    const char *dot = strchr(t->event, '.');
    jw_init(&w, &text);
    jw_obj(&w);
    jw_key(&w, "entity");
    jw_strn(&w, t->event, (size_t)(dot - t->event));
    jw_key_str(&w, "action", dot + 1);
    jw_key_str(&w, "timestamp", at);
    jw_key(&w, "data");
    jw_raw(&w, data, strlen(data));
    jw_key_str(&w, "workspace", workspace);
    jw_obj_end(&w);
    const char *body = arena_strndup(c->arena, text.data, text.len);
    buf_free(&text);
    return body;
}
