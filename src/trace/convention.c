/* SPDX-License-Identifier: Apache-2.0 */
#include "convention.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "span.h"

struct kind {
    const char *theirs, *ours;
};
enum said { INPUTS, OUTPUTS, MODEL, PROVIDER, TOOLS, NSAID };
/* Keys in the order in which they count; in a key, # stands for digits. */
struct convention {
    const char *kind;
    struct kind kinds[12];
    const char *tokens[5]; /* input, output, total, read from a cache, written to one */
    const char *keys[NSAID][4];
};

/* The first that tells something counts. */
static const struct convention conventions[] = {
    {.kind = "openinference.span.kind",
     .kinds = {{"TOOL", "TOOL"},
               {"CHAIN", "CHAIN"},
               {"LLM", "LLM"},
               {"RETRIEVER", "RETRIEVER"},
               {"EMBEDDING", "EMBEDDING"},
               {"AGENT", "AGENT"},
               {"RERANKER", "RERANKER"},
               {"UNKNOWN", "UNKNOWN"},
               {"GUARDRAIL", "GUARDRAIL"},
               {"EVALUATOR", "EVALUATOR"}},
     .tokens = {"llm.token_count.prompt", "llm.token_count.completion", "llm.token_count.total",
                "llm.token_count.prompt_details.cache_read",
                "llm.token_count.prompt_details.cache_write"},
     .keys[INPUTS] = {"input.value"},
     .keys[OUTPUTS] = {"output.value"},
     .keys[MODEL] = {"llm.response.model_name", "llm.model_name", "llm.request.model_name",
                     "embedding.model_name"},
     .keys[PROVIDER] = {"llm.provider"}},
    {.kind = "gen_ai.operation.name",
     .kinds = {{"chat", "CHAT_MODEL"},
               {"create_agent", "AGENT"},
               {"embeddings", "EMBEDDING"},
               {"execute_tool", "TOOL"},
               {"generate_content", "LLM"},
               {"invoke_agent", "AGENT"},
               {"text_completion", "LLM"},
               {"response", "LLM"}},
     .tokens = {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", NULL,
                "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"},
     .keys[INPUTS] = {"gen_ai.input.messages", "gen_ai.tool.call.arguments"},
     .keys[OUTPUTS] = {"gen_ai.output.messages", "gen_ai.tool.call.result"},
     .keys[MODEL] = {"gen_ai.response.model", "gen_ai.request.model"},
     .keys[PROVIDER] = {"gen_ai.provider.name"},
     .keys[TOOLS] = {"gen_ai.tool.definitions"}},
    {.kind = "traceloop.span.kind",
     .kinds = {{"workflow", "WORKFLOW"},
               {"task", "TASK"},
               {"agent", "AGENT"},
               {"tool", "TOOL"},
               {"unknown", "UNKNOWN"}},
     .tokens = {"gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens",
                "llm.usage.total_tokens"},
     .keys[INPUTS] = {"traceloop.entity.input", "gen_ai.prompt.#.content",
                      "gen_ai.completion.#.tool_calls.#.arguments"},
     .keys[OUTPUTS] = {"traceloop.entity.output", "gen_ai.completion.#.content"},
     .keys[PROVIDER] = {"gen_ai.system"}},
    {.keys[INPUTS] = {"gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"},
     .keys[OUTPUTS] = {"gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"}},
    {.kind = "lmnr.span.type",
     .kinds = {{"LLM", "LLM"},
               {"TOOL", "TOOL"},
               {"DEFAULT", "CHAIN"},
               {"PIPELINE", "CHAIN"},
               {"EXECUTOR", "AGENT"},
               {"EVALUATOR", "EVALUATOR"},
               {"HUMAN_EVALUATOR", "EVALUATOR"},
               {"EVALUATION", "EVALUATOR"},
               {"CACHED", "LLM"}},
     .keys[INPUTS] = {"lmnr.span.input"},
     .keys[OUTPUTS] = {"lmnr.span.output"}},
    {.kind = "langfuse.observation.type",
     .kinds = {{"generation", "LLM"},
               {"embedding", "EMBEDDING"},
               {"tool", "TOOL"},
               {"retriever", "RETRIEVER"},
               {"agent", "AGENT"},
               {"chain", "CHAIN"},
               {"evaluator", "EVALUATOR"},
               {"guardrail", "GUARDRAIL"},
               {"span", "UNKNOWN"}},
     .keys[INPUTS] = {"langfuse.observation.input"},
     .keys[OUTPUTS] = {"langfuse.observation.output"}}};

/* ------------------------------------------------------------------ attributes */

static bool matches(const char *pattern, const char *key) {
    for (; *pattern; pattern++) {
        if (*pattern == '#') {
            size_t digits = strspn(key, "0123456789");
            if (digits == 0)
                return false;
            key += digits;
        } else if (*key++ != *pattern) {
            return false;
        }
    }
    return *key == '\0';
}

/* Empty texts, lists and objects, false, 0 and null tell nothing. */
static bool empty(const json_t *v) {
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && !*json_string_value(v)) ||
           (json_is_array(v) && !json_array_size(v)) ||
           (json_is_object(v) && !json_object_size(v)) ||
           (json_is_number(v) && json_number_value(v) == 0.0);
}

/* A text of JSON as what it holds. */
static json_t *plain(struct ctx *c, const json_t *value) {
    return span_keep(c, span_unwrap(c, span_plain(value)));
}

/* The value of an attribute that tells something; NULL: none. */
static const json_t *told(struct ctx *c, const json_t *of, const char *key) {
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(of, "attributes"), i, item) {
        const char *at = json_string_value(json_object_get(item, "key"));
        const json_t *value = json_object_get(item, "value");
        if (at && matches(key, at) && !empty(plain(c, value)))
            return value;
    }
    return NULL;
}

/* The same, plain. */
static json_t *plain_told(struct ctx *c, const json_t *of, const char *key) {
    const json_t *value = key ? told(c, of, key) : NULL;
    return value ? plain(c, value) : NULL;
}

/* As text of JSON, as MLflow's own exporters write; takes the value. */
static void put(json_t *span, const char *key, json_t *value) {
    json_t *list = json_object_get(span, "attributes");
    if (!list) {
        list = json_array();
        json_object_set_new(span, "attributes", list);
    }
    json_array_append_new(list, json_pack("{s:s,s:{s:o}}", "key", key, "value", "string_value",
                                          span_json_text(value)));
}

/* The first of that name. */
static json_t *find(const json_t *span, const char *key) {
    json_t *item;
    size_t i;
    json_array_foreach(json_object_get(span, "attributes"), i, item) {
        if (str_eq(json_string_value(json_object_get(item, "key")), key))
            return item;
    }
    return NULL;
}

static bool has(const json_t *span, const char *key) {
    return find(span, key) != NULL;
}

/* ------------------------------------------------------------------ messages as events */

static json_t *messages(struct ctx *c, const json_t *span, bool answers) {
    static const struct kind asks[] = {{"gen_ai.system.message", "system"},
                                       {"gen_ai.user.message", "user"},
                                       {"gen_ai.assistant.message", "assistant"}};
    static const struct kind choice[] = {{"gen_ai.choice", "assistant"}};
    const struct kind *of = answers ? choice : asks;
    json_t *out = json_array(), *event;
    size_t i;
    json_array_foreach(json_object_get(span, "events"), i, event) {
        const char *name = json_string_value(json_object_get(event, "name"));
        for (size_t k = 0; name && k < (answers ? ARRAY_LEN(choice) : ARRAY_LEN(asks)); k++) {
            json_t *content = str_eq(name, of[k].theirs) ? plain_told(c, event, "content") : NULL;
            const json_t *role = answers && content ? plain_told(c, event, "role") : NULL;
            if (content)
                json_array_append_new(
                    out, json_pack("{s:s,s:O}", "role",
                                   json_is_string(role) ? json_string_value(role) : of[k].ours,
                                   "content", content));
        }
    }
    return span_keep(c, out);
}

/* ------------------------------------------------------------------ what is told */

static const char *type_of(struct ctx *c, const json_t *span) {
    const char *out = NULL;
    for (size_t i = 0; i < ARRAY_LEN(conventions) && !out; i++) {
        const struct convention *v = &conventions[i];
        const char *kind = json_string_value(plain_told(c, span, v->kind));
        for (size_t k = 0; kind && !out && k < ARRAY_LEN(v->kinds) && v->kinds[k].theirs; k++)
            out = str_eq(kind, v->kinds[k].theirs) ? v->kinds[k].ours : NULL;
    }
    return out;
}

/* A number, or a text of one. */
static bool whole(struct ctx *c, const json_t *span, const char *key, json_int_t *out) {
    const struct span s = {.tree = span};
    const json_t *v = key ? span_attribute(c, &s, key) : NULL;
    double d = json_number_value(v);
    bool real = json_is_real(v) && d == trunc(d) && fabs(d) < 9007199254740992.0;
    int64_t n = real ? (int64_t)d : json_integer_value(v);
    bool yes =
        real || json_is_integer(v) || (json_is_string(v) && str_to_i64(json_string_value(v), &n));
    *out = yes ? n : 0;
    return yes;
}

static json_t *tokens_of(struct ctx *c, const json_t *span) {
    static const char *const names[] = {"input_tokens", "output_tokens", "total_tokens",
                                        "cache_read_input_tokens", "cache_creation_input_tokens"};
    json_t *out = json_object();
    for (size_t i = 0; i < ARRAY_LEN(conventions) && !json_object_size(out); i++) {
        json_int_t n[ARRAY_LEN(names)];
        bool known[ARRAY_LEN(names)];
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            known[k] = whole(c, span, conventions[i].tokens[k], &n[k]);
        if (!known[2] && known[0] && known[1])
            known[2] = !__builtin_add_overflow(n[0], n[1], &n[2]);
        for (size_t k = 0; k < ARRAY_LEN(names) && (known[0] || known[1] || known[2]); k++)
            if (known[k])
                json_object_set_new(out, names[k], json_integer(n[k]));
    }
    return span_keep(c, out);
}

static const json_t *said(struct ctx *c, const json_t *span, enum said what) {
    const json_t *v = NULL;
    for (size_t i = 0; i < ARRAY_LEN(conventions) && !v; i++)
        for (size_t k = 0; k < 4 && conventions[i].keys[what][k] && !v; k++)
            v = told(c, span, conventions[i].keys[what][k]);
    return v;
}

/* Requests and answers of most makers name their model themselves. Looked for in the text first:
 * it may be long, and most name none. */
static const json_t *model_within(struct ctx *c, const json_t *span, const char *key) {
    const json_t *value = json_object_get(find(span, key), "value");
    const char *text = json_string_value(json_object_get(value, "string_value"));
    const json_t *v = text && strstr(text, "\"model\"") ? plain(c, value) : NULL;
    v = json_object_get(v, "model");
    return json_is_string(v) && *json_string_value(v) ? v : NULL;
}

static void put_type(struct ctx *c, json_t *span) {
    const char *type = type_of(c, span);
    const struct span s = {.tree = span};
    json_t *there = find(span, SPAN_TYPE);
    if (type && !there)
        put(span, SPAN_TYPE, json_string(type));
    else if (type && str_eq(json_string_value(span_attribute(c, &s, SPAN_TYPE)), "UNKNOWN"))
        json_object_set_new(there, "value",
                            json_pack("{s:o}", "string_value", span_json_text(json_string(type))));
}

static void put_said(struct ctx *c, json_t *span) {
    static const char *const keys[NSAID] = {SPAN_INPUTS, SPAN_OUTPUTS, SPAN_MODEL, SPAN_PROVIDER,
                                            "mlflow.chat.tools"};
    for (enum said what = INPUTS; what < NSAID; what++) {
        const json_t *value = has(span, keys[what]) ? NULL : said(c, span, what);
        if (value)
            put(span, keys[what], span_plain(value));
    }
}

/* Of what can be told at all; most spans come from MLflow's own clients. */
static bool foreign(const json_t *span) {
    static const char *const prefixes[] = {
        "gen_ai.",    "llm.",       "input.",      "output.", "openinference.",
        "embedding.", "traceloop.", "gcp.vertex.", "lmnr.",   "langfuse."};
    static const char *const lists[][2] = {{"attributes", "key"}, {"events", "name"}};
    const json_t *item;
    size_t i;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        json_array_foreach(json_object_get(span, lists[l][0]), i, item) {
            const char *key = json_string_value(json_object_get(item, lists[l][1]));
            for (size_t p = 0; key && p < ARRAY_LEN(prefixes); p++)
                if (strncmp(key, prefixes[p], strlen(prefixes[p])) == 0)
                    return true;
        }
    return false;
}

void convention_apply(struct ctx *c, struct json_t *span) {
    if (foreign(span)) {
        put_type(c, span);
        put_said(c, span);
        json_t *asked = messages(c, span, false), *answered = messages(c, span, true);
        json_t *tokens = tokens_of(c, span);
        if (json_array_size(asked) && !has(span, SPAN_INPUTS))
            put(span, SPAN_INPUTS, json_incref(asked));
        if (json_array_size(answered) && !has(span, SPAN_OUTPUTS))
            put(span, SPAN_OUTPUTS, json_incref(answered));
        if (json_object_size(tokens) && !has(span, SPAN_TOKENS))
            put(span, SPAN_TOKENS, json_incref(tokens));
    }
    if (has(span, SPAN_MODEL))
        return;
    const json_t *model = model_within(c, span, SPAN_INPUTS);
    model = model ? model : model_within(c, span, SPAN_OUTPUTS);
    if (model)
        put(span, SPAN_MODEL, json_incref((json_t *)model));
}
