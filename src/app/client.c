/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"

#define DEFAULT_URL "http://127.0.0.1:7780"

const char *client_url(const struct invocation *inv) {
    const char *url = option_value(inv, "url");
    if (!url) {
        url = getenv("QUERN_URL");
    }
    if (!url || !url[0]) {
        url = DEFAULT_URL;
    }
    char *copy = arena_strdup(inv->arena, url);
    size_t n = strlen(copy);
    while (n && copy[n - 1] == '/') {
        copy[--n] = '\0';
    }
    return copy;
}

struct transfer {
    struct buf body;
    bool (*sink)(const char *data, size_t n, void *arg);
    void *arg;
    CURL *curl;
    bool stopped;
    int64_t next_offset;
    FILE *upload; /* what is sent; NULL: the body or nothing */
    int64_t upload_size;
};

static size_t receive(char *data, size_t size, size_t n, void *arg) {
    struct transfer *t = arg;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->sink && status < 400) {
        t->stopped = !t->sink(data, size * n, t->arg);
        return t->stopped ? 0 : size * n;
    }
    buf_put(&t->body, data, size * n);
    return size * n;
}

/* The first line of QUERN_TOKEN_FILE. */
static const char *token_from_file(struct invocation *inv) {
    const char *path = getenv("QUERN_TOKEN_FILE");
    char line[512] = "";
    if (!path || !path[0]) {
        return NULL;
    }
    FILE *f = fopen(path, "re");
    if (!f || !fgets(line, sizeof line, f)) {
        complain(EXIT_ERROR, "QUERN_TOKEN_FILE: %s cannot be read", path);
    }
    if (f) {
        fclose(f);
    }
    line[strcspn(line, "\r\n")] = '\0';
    return arena_strdup(inv->arena, line);
}

static struct curl_slist *headers(struct invocation *inv, bool has_body) {
    struct curl_slist *list = NULL;
    const char *token = getenv("QUERN_TOKEN");
    const char *project = getenv("QUERN_PROJECT");
    if (!token) {
        token = getenv("MLFLOW_TRACKING_TOKEN");
    }
    if (!token) {
        token = token_from_file(inv);
    }
    if (token && token[0]) {
        list = curl_slist_append(list, arena_printf(inv->arena, "Authorization: Bearer %s", token));
    }
    if (project && project[0]) {
        list = curl_slist_append(list, arena_printf(inv->arena, "X-Quern-Project: %s", project));
    }
    if (has_body) {
        list = curl_slist_append(list, "Content-Type: application/json");
    }
    return curl_slist_append(list, "Expect:");
}

static CURLcode transfer(struct invocation *inv, const char *method, const char *path,
                         const char *body, struct transfer *t, long *status) {
    static bool initialised;
    if (!initialised) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        initialised = true;
    }
    CURL *curl = curl_easy_init();
    if (!curl) {
        mem_die();
    }
    t->curl = curl;
    struct curl_slist *list = headers(inv, body != NULL);
    curl_easy_setopt(curl, CURLOPT_URL, arena_printf(inv->arena, "%s%s", client_url(inv), path));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "quern/" QUERN_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    if (t->upload) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READDATA, t->upload);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->upload_size);
    } else if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    struct curl_header *next = NULL;
    t->next_offset = -1;
    if (curl_easy_header(curl, "X-Quern-Next-Offset", 0, CURLH_HEADER, -1, &next) == CURLHE_OK) {
        str_to_i64(next->value, &t->next_offset);
    }
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    return rc;
}

static void release_json(void *json) {
    json_decref(json);
}

static int unreachable(struct invocation *inv, CURLcode rc) {
    return complain(EXIT_UNAVAILABLE,
                    "no answer from %s: %s. Is 'quern serve' running there? --url or QUERN_URL "
                    "name another place.",
                    client_url(inv), curl_easy_strerror(rc));
}

/* What came, read whole. */
static int answer(struct invocation *inv, CURLcode rc, struct transfer *t, long status,
                  struct client_reply *out) {
    *out = (struct client_reply){.status = (int)status, .next_offset = t->next_offset};
    if (rc != CURLE_OK) {
        buf_free(&t->body);
        return unreachable(inv, rc);
    }
    out->text = arena_strndup(inv->arena, t->body.data ? t->body.data : "", t->body.len);
    out->len = t->body.len;
    out->json = json_loadb(out->text, out->len, JSON_REJECT_DUPLICATES, NULL);
    if (out->json) {
        arena_defer(inv->arena, release_json, out->json);
    }
    buf_free(&t->body);
    return EXIT_OK;
}

int client_send(struct invocation *inv, const char *method, const char *path,
                const struct json_t *body, struct client_reply *out) {
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct transfer t = {0};
    long status = 0;
    CURLcode rc = transfer(inv, method, path, text, &t, &status);
    free(text);
    return answer(inv, rc, &t, status, out);
}

static int status_code(int status) {
    switch (status) {
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
    case 412:
        return EXIT_CONFLICT;
    case 401:
    case 403:
        return EXIT_DENIED;
    case 503:
        return EXIT_UNAVAILABLE;
    default:
        return EXIT_ERROR;
    }
}

/* The sentence in whichever dialect the route speaks. */
static const char *told(const struct client_reply *r) {
    static const char *const members[] = {"detail", "message", "error", "title"};
    for (size_t i = 0; r->json && i < ARRAY_LEN(members); i++) {
        const char *s = json_string_value(json_object_get(r->json, members[i]));
        if (s && s[0]) {
            return s;
        }
    }
    return r->text && r->text[0] ? r->text : "no reason given";
}

int client_call(struct invocation *inv, const char *method, const char *path,
                const struct json_t *body, struct client_reply *out) {
    int code = client_send(inv, method, path, body, out);
    if (code != EXIT_OK || out->status < 400) {
        return code;
    }
    return complain(status_code(out->status), "%s (HTTP %d)", told(out), out->status);
}

int client_upload(struct invocation *inv, const char *path, const char *file,
                  struct client_reply *out) {
    struct transfer t = {.upload = fopen(file, "re")};
    struct stat st;
    long status = 0;
    if (!t.upload || fstat(fileno(t.upload), &st) != 0 || !S_ISREG(st.st_mode)) {
        if (t.upload) {
            fclose(t.upload);
        }
        return complain(EXIT_ERROR, "%s cannot be read", file);
    }
    t.upload_size = st.st_size;
    CURLcode rc = transfer(inv, "PUT", path, NULL, &t, &status);
    fclose(t.upload);
    int code = answer(inv, rc, &t, status, out);
    return code == EXIT_OK && out->status >= 400
               ? complain(status_code(out->status), "%s (HTTP %d)", told(out), out->status)
               : code;
}

int client_stream(struct invocation *inv, const char *path,
                  bool (*sink)(const char *data, size_t n, void *arg), void *arg) {
    struct transfer t = {.sink = sink, .arg = arg};
    long status = 0;
    CURLcode rc = transfer(inv, "GET", path, NULL, &t, &status);
    struct client_reply r = {.status = (int)status};
    r.text = arena_strndup(inv->arena, t.body.data ? t.body.data : "", t.body.len);
    r.json = json_loadb(r.text, t.body.len, 0, NULL);
    if (r.json) {
        arena_defer(inv->arena, release_json, r.json);
    }
    buf_free(&t.body);
    if (status >= 400) {
        return complain(status_code((int)status), "%s (HTTP %ld)", told(&r), status);
    }
    return rc == CURLE_OK || t.stopped ? EXIT_OK : unreachable(inv, rc);
}

bool client_reachable(struct invocation *inv) {
    struct transfer t = {0};
    long status = 0;
    CURLcode rc = transfer(inv, "GET", "/livez", NULL, &t, &status);
    buf_free(&t.body);
    return rc == CURLE_OK && status == 200;
}
