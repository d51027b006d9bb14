/* SPDX-License-Identifier: Apache-2.0 */
/* Load: sends one kind of request as fast as the answers come, and prints one JSON line.
 *
 *   bench_load PORT CLIENTS SECONDS COUNT get PATH
 *   bench_load PORT CLIENTS SECONDS COUNT post PATH BODY-FILE
 *   bench_load PORT CLIENTS SECONDS COUNT binary PATH BODY-FILE JSON-BYTES   (tensors behind JSON)
 *   bench_load PORT CLIENTS SECONDS COUNT create EXPERIMENT      (run ids go to standard error)
 *   bench_load PORT CLIENTS SECONDS COUNT log-metric RUNS-FILE
 *   bench_load PORT CLIENTS SECONDS COUNT log-batch RUNS-FILE POINTS
 *   bench_load PORT CLIENTS SECONDS COUNT random-batch RUNS-FILE POINTS [ROUND]
 *   bench_load PORT CLIENTS SECONDS COUNT one-series RUNS-FILE POINTS [ROUND]    (one key a run)
 *   bench_load PORT CLIENTS SECONDS COUNT score RUNS-FILE        (one log-batch for each run)
 *   bench_load PORT CLIENTS SECONDS COUNT tags RUNS-FILE SIZE    (100 tags of SIZE bytes each)
 *   bench_load PORT CLIENTS SECONDS COUNT search EXPERIMENT
 *   bench_load PORT 1 0 0 upload PATH BYTES|/FILE
 *   bench_load PORT 1 0 0 download PATH [FILE]
 *
 * SECONDS or COUNT may be 0 for no bound; CLIENTS may be CLIENTS@RATE, which sends RATE requests a
 * second whether or not the answers come, and times each from when it was due; runs files hold one
 * run id a line. A random batch has doubles of all digits and times with jitter, goes to the next
 * run, and its rounds are counted from ROUND. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

enum { REQUEST_CAP = 4 << 20, ID = 32 };

struct job {
    const char *path;
    char *body; /* a fixed body, or room to build one */
    size_t body_len;
    char (*runs)[ID + 1];
    size_t runs_n;
    long number;    /* points, bytes of a tag */
    long keys;      /* that the points of a batch are spread over */
    uint64_t first; /* round of a random batch to begin with */
    const char *experiment;
    uint64_t next, seed;
    FILE *ids;
    int64_t now_ms;
};

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static char *whole_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path);
    char *data = malloc(REQUEST_CAP);
    if (!data)
        die("memory");
    *n = fread(data, 1, REQUEST_CAP - 1, f);
    data[*n] = '\0';
    fclose(f);
    return data;
}

static void read_runs(struct job *j, const char *path) {
    FILE *f = fopen(path, "r");
    char line[ID + 3];
    size_t cap = 0;
    if (!f)
        die(path);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (strlen(line) != ID)
            continue;
        if (j->runs_n == cap) {
            cap = cap ? cap * 2 : 1024;
            j->runs = realloc(j->runs, cap * sizeof *j->runs);
            if (!j->runs)
                die("memory");
        }
        memcpy(j->runs[j->runs_n++], line, ID + 1);
    }
    fclose(f);
    if (j->runs_n == 0) {
        fprintf(stderr, "%s holds no run ids\n", path);
        exit(1);
    }
}

/* A number in [0, 1) that differs from call to call and is the same in every run. */
static double draw(struct job *j) {
    j->seed = j->seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(j->seed >> 11) / 9007199254740992.0;
}

static size_t get(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    int r = snprintf(out, cap, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", j->path);
    return r > 0 && (size_t)r < cap ? (size_t)r : 0;
}

static size_t post(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    return load_post(out, cap, j->path, j->body, j->body_len);
}

/* JSON and, behind it, the bytes of tensors. */
static size_t binary(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    int r = snprintf(out, cap,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     "Content-Type: application/octet-stream\r\n"
                     "Inference-Header-Content-Length: %ld\r\nContent-Length: %zu\r\n\r\n",
                     j->path, j->number, j->body_len);
    if (r < 0 || (size_t)r + j->body_len > cap)
        return 0;
    memcpy(out + r, j->body, j->body_len);
    return (size_t)r + j->body_len;
}

static size_t create(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    char body[400];
    int r =
        snprintf(body, sizeof body,
                 "{\"experiment_id\":\"%s\",\"run_name\":\"bench-%" PRIu64
                 "\",\"start_time\":%" PRId64 ",\"tags\":[{\"key\":\"arch\",\"value\":\"a%u\"}]}",
                 j->experiment, j->next, j->now_ms + (int64_t)j->next, (unsigned)(j->next % 7));
    j->next++;
    return load_post(out, cap, "/api/2.0/mlflow/runs/create", body, (size_t)r);
}

static void created(void *arg, unsigned client, const char *body, size_t len) {
    (void)client;
    struct job *j = arg;
    const char *at = memmem(body, len, "\"run_id\"", 8);
    at = at ? strchr(at + 8, '"') : NULL;
    if (at)
        fprintf(j->ids, "%.32s\n", at + 1);
}

static size_t log_metric(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    struct job *j = arg;
    char body[300];
    int r = snprintf(body, sizeof body,
                     "{\"run_id\":\"%s\",\"key\":\"loss\",\"value\":%.6f,\"timestamp\":%" PRId64
                     ",\"step\":%" PRIu64 "}",
                     j->runs[client % j->runs_n], 1.0 / (double)(n + 1), j->now_ms + (int64_t)n, n);
    return load_post(out, cap, "/api/2.0/mlflow/runs/log-metric", body, (size_t)r);
}

static size_t log_batch(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    struct job *j = arg;
    size_t at =
        (size_t)sprintf(j->body, "{\"run_id\":\"%s\",\"metrics\":[", j->runs[client % j->runs_n]);
    for (long i = 0; i < j->number; i++)
        at += (size_t)sprintf(
            j->body + at,
            "%s{\"key\":\"k%ld\",\"value\":%.6f,\"timestamp\":%" PRId64 ",\"step\":%" PRIu64 "}",
            i ? "," : "", i % 10, (double)i / (double)(n + 1),
            j->now_ms + (int64_t)(n * 100) + i / 10, n * 100 + (uint64_t)(i / 10));
    at += (size_t)sprintf(j->body + at, "]}");
    return load_post(out, cap, "/api/2.0/mlflow/runs/log-batch", j->body, at);
}

/* Each batch to the next run, so that all series grow alike however fast one client is. */
static size_t random_batch(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    uint64_t round = j->first + j->next / j->runs_n;
    size_t at =
        (size_t)sprintf(j->body, "{\"run_id\":\"%s\",\"metrics\":[", j->runs[j->next % j->runs_n]);
    j->next++;
    long each = j->number / j->keys;
    for (long i = 0; i < each * j->keys; i++) {
        uint64_t step = round * (uint64_t)each + (uint64_t)(i % each);
        at += (size_t)sprintf(j->body + at,
                              "%s{\"key\":\"k%ld\",\"value\":%.17g,\"timestamp\":%" PRIu64
                              ",\"step\":%" PRIu64 "}",
                              i ? "," : "", i / each, draw(j),
                              UINT64_C(1700000000000) + step * 50 + (uint64_t)(draw(j) * 20), step);
    }
    at += (size_t)sprintf(j->body + at, "]}");
    return load_post(out, cap, "/api/2.0/mlflow/runs/log-batch", j->body, at);
}

static size_t score(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    if (j->next >= j->runs_n)
        return 0;
    char body[600];
    double accuracy = draw(j), loss = draw(j);
    int r = snprintf(
        body, sizeof body,
        "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"accuracy\",\"value\":%.9f,\"timestamp\":"
        "%" PRId64 ",\"step\":0},{\"key\":\"loss\",\"value\":%.9f,\"timestamp\":%" PRId64
        ",\"step\":0}],"
        "\"params\":[{\"key\":\"lr\",\"value\":\"%.5f\"},{\"key\":\"depth\",\"value\":\"%d\"}]}",
        j->runs[j->next], accuracy, j->now_ms, loss, j->now_ms, draw(j), (int)(draw(j) * 12));
    j->next++;
    return load_post(out, cap, "/api/2.0/mlflow/runs/log-batch", body, (size_t)r);
}

static size_t tags(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    size_t at =
        (size_t)sprintf(j->body, "{\"run_id\":\"%s\",\"tags\":[", j->runs[j->next % j->runs_n]);
    for (int i = 0; i < 100; i++) {
        at += (size_t)sprintf(j->body + at, "%s{\"key\":\"note%" PRIu64 "-%d\",\"value\":\"",
                              i ? "," : "", j->next / j->runs_n, i);
        for (long k = 0; k < j->number; k++)
            j->body[at++] = (char)('a' + (k * 7 + i) % 26);
        at += (size_t)sprintf(j->body + at, "\"}");
    }
    at += (size_t)sprintf(j->body + at, "]}");
    j->next++;
    return load_post(out, cap, "/api/2.0/mlflow/runs/log-batch", j->body, at);
}

/* Another threshold each time; some tens of the runs pass it. */
static size_t search(void *arg, unsigned client, uint64_t n, char *out, size_t cap) {
    (void)client, (void)n;
    struct job *j = arg;
    char body[400];
    int r = snprintf(body, sizeof body,
                     "{\"experiment_ids\":[\"%s\"],\"filter\":\"metrics.accuracy > %.4f\","
                     "\"order_by\":[\"metrics.accuracy DESC\"],\"max_results\":50}",
                     j->experiment, 0.5 + draw(j) * 0.49);
    return load_post(out, cap, "/api/2.0/mlflow/runs/search", body, (size_t)r);
}

static int send_all(int fd, const char *data, size_t n) {
    while (n > 0) {
        ssize_t r = send(fd, data, n, MSG_NOSIGNAL);
        if (r <= 0)
            return -1;
        data += r;
        n -= (size_t)r;
    }
    return 0;
}

static void head_send(int fd, const char *text) {
    if (send_all(fd, text, strlen(text)) < 0)
        die("send");
}

static int told(const char *what, struct timespec t0, uint64_t bytes, const char *answer) {
    struct timespec t1;
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double seconds = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
    bool ok = strlen(answer) > 12 && strncmp(answer + 9, "200", 3) == 0;
    if (!ok)
        fprintf(stderr, "%s: %.300s\n", what, answer);
    printf("{\"seconds\":%.3f,\"mb_per_second\":%.1f,\"errors\":%d}\n", seconds,
           (double)bytes / 1e6 / seconds, !ok);
    return !ok;
}

/* A file as it lies: the client costs next to nothing. */
static int upload_file(uint16_t port, const char *path, const char *file) {
    int fd = loopback_connect(port), from = open(file, O_RDONLY | O_CLOEXEC);
    char head[1024], answer[4096] = "";
    struct stat st;
    struct timespec t0;
    if (fd < 0 || from < 0 || fstat(from, &st) != 0)
        die(file);
    snprintf(head, sizeof head,
             "PUT %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
             "Content-Length: %lld\r\n\r\n",
             path, (long long)st.st_size);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    head_send(fd, head);
    for (off_t at = 0; at < st.st_size;)
        if (sendfile(fd, from, &at, 8 << 20) <= 0)
            die("sendfile");
    if (recv(fd, answer, sizeof answer - 1, 0) < 0)
        die("recv");
    close(from);
    close(fd);
    return told("upload", t0, (uint64_t)st.st_size, answer);
}

/* The body is read and, with a file, kept in it. */
static int download(uint16_t port, const char *path, const char *file) {
    enum { BLOCK = 1 << 20 };
    int fd = loopback_connect(port);
    int to = file ? open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    char head[1024], *block = malloc(BLOCK), answer[4096] = "";
    struct timespec t0;
    uint64_t got = 0, length = 0;
    if (fd < 0 || !block || (file && to < 0))
        die("connect");
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    head_send(fd, head);
    size_t n = 0;
    char *end = NULL;
    while (!end && n < sizeof answer - 1) {
        ssize_t r = recv(fd, answer + n, sizeof answer - 1 - n, 0);
        if (r <= 0)
            die("recv");
        n += (size_t)r;
        answer[n] = '\0';
        end = strstr(answer, "\r\n\r\n");
    }
    const char *field = strcasestr(answer, "\r\ncontent-length:");
    if (!end || !field)
        die("no length");
    length = strtoull(field + 17, NULL, 10);
    size_t early = n - (size_t)(end + 4 - answer);
    got = early;
    if (to >= 0 && write(to, end + 4, early) != (ssize_t)early)
        die("write");
    while (got < length) {
        ssize_t r = recv(fd, block, BLOCK, 0);
        if (r <= 0)
            die("recv");
        if (to >= 0 && write(to, block, (size_t)r) != r)
            die("write");
        got += (uint64_t)r;
    }
    if (to >= 0)
        close(to);
    close(fd);
    free(block);
    return told("download", t0, got, answer);
}

static int upload(uint16_t port, const char *path, uint64_t bytes) {
    enum { BLOCK = 1 << 20 };
    int fd = loopback_connect(port);
    uint64_t *block = malloc(BLOCK);
    char head[1024], answer[4096];
    if (fd < 0 || !block)
        die("connect");
    int r =
        snprintf(head, sizeof head,
                 "PUT %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
                 "Content-Length: %" PRIu64 "\r\n\r\n",
                 path, bytes);
    struct timespec t0;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    if (send_all(fd, head, (size_t)r) < 0)
        die("send");
    uint64_t state = (uint64_t)t0.tv_nsec;
    for (uint64_t done = 0; done < bytes;) {
        size_t n = bytes - done < BLOCK ? (size_t)(bytes - done) : BLOCK;
        if (done % (16 * BLOCK) == 0) /* new content now and then: never a known blob */
            for (size_t i = 0; i < BLOCK / 8; i++)
                block[i] = state = state * 6364136223846793005u + 1442695040888963407u;
        block[0] = done;
        if (send_all(fd, (char *)block, n) < 0)
            die("send");
        done += n;
    }
    ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
    answer[got > 0 ? got : 0] = '\0';
    close(fd);
    free(block);
    return told("upload", t0, bytes, answer);
}

int main(int argc, char **argv) {
    if (argc < 7) {
        fprintf(stderr, "usage: see the head of bench/load.c\n");
        return 2;
    }
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    struct job j = {.seed = 42, .now_ms = (int64_t)t.tv_sec * 1000, .ids = stderr};
    struct load_options o = {.port = (uint16_t)atoi(argv[1]),
                             .clients = (unsigned)atoi(argv[2]),
                             .rate = strchr(argv[2], '@') ? atof(strchr(argv[2], '@') + 1) : 0,
                             .seconds = atof(argv[3]),
                             .count = strtoull(argv[4], NULL, 10),
                             .request_cap = 4096,
                             .arg = &j};
    const char *kind = argv[5], *first = argv[6], *second = argc > 7 ? argv[7] : "";
    if (strcmp(kind, "upload") == 0)
        return second[0] == '/' ? upload_file(o.port, first, second)
                                : upload(o.port, first, strtoull(second, NULL, 10));
    if (strcmp(kind, "download") == 0)
        return download(o.port, first, *second ? second : NULL);
    if (strcmp(kind, "get") == 0) {
        j.path = first;
        o.request = get;
    } else if (strcmp(kind, "post") == 0) {
        j.path = first;
        j.body = whole_file(second, &j.body_len);
        o.request_cap = j.body_len + 1024;
        o.request = post;
    } else if (strcmp(kind, "binary") == 0) {
        j.path = first;
        j.body = whole_file(second, &j.body_len);
        j.number = argc > 8 ? atol(argv[8]) : 0;
        o.request_cap = j.body_len + 1024;
        o.request = binary;
    } else if (strcmp(kind, "create") == 0) {
        j.experiment = first;
        o.request = create;
        o.answer = created;
    } else if (strcmp(kind, "search") == 0) {
        j.experiment = first;
        o.request = search;
    } else {
        read_runs(&j, first);
        j.number = atol(second);
        j.body = malloc(REQUEST_CAP);
        if (!j.body || j.number < 0 || j.number > 20000)
            die("arguments");
        if (strcmp(kind, "log-metric") == 0)
            o.request = log_metric;
        else if (strcmp(kind, "score") == 0)
            o.request = score;
        else if (strcmp(kind, "random-batch") == 0 || strcmp(kind, "one-series") == 0) {
            o.request = random_batch;
            o.request_cap = REQUEST_CAP;
            j.keys = kind[0] == 'r' ? 10 : 1;
            j.first = argc > 8 ? strtoull(argv[8], NULL, 10) : 0;
        } else if (strcmp(kind, "log-batch") == 0) {
            o.request = log_batch;
            o.request_cap = REQUEST_CAP;
        } else if (strcmp(kind, "tags") == 0) {
            o.request = tags;
            o.request_cap = REQUEST_CAP;
        } else {
            fprintf(stderr, "unknown kind %s\n", kind);
            return 2;
        }
    }
    struct load_result r;
    if (load_run(&o, &r) < 0)
        return 1;
    printf("{\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"seconds\":%.3f,\"per_second\":%.1f,"
           "\"p50_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f,\"slow\":%" PRIu64 "}\n",
           r.requests, r.errors, r.seconds, (double)r.requests / r.seconds, r.p50_us, r.p99_us,
           r.max_us, r.slow);
    free(j.body);
    free(j.runs);
    return r.errors > 0;
}
