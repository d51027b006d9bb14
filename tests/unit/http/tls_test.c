/* SPDX-License-Identifier: Apache-2.0 */
/* The same refusals and answers under TLS. The client is the openssl command, the certificate is
 * made by it for this run; without the command there is nothing to test with. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "fixture.h"

extern char **environ;

static char *slurp(const char *path) {
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 65536);
    if (f) {
        text[fread(text, 1, 65535, f)] = '\0';
        fclose(f);
    }
    return text;
}

static int run(char *const *argv) {
    pid_t pid;
    int status = -1;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
        return -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* openssl s_client with pipes to both sides: the answer to `request`, as long as it comes. */
static struct answer ask(const char *request) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        exit(1);
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    char *argv[] = {"openssl", "s_client", "-connect", address, "-quiet", "-no_ign_eof", NULL};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(in[0]);
    close(out[1]);
    (void)!write(in[1], request, strlen(request));
    struct answer a = {.text = calloc(1, 1 << 20)};
    int64_t until = clock_mono_ms() + 3000;
    for (;;) {
        int64_t left = until - clock_mono_ms();
        if (a.answers && left > 300)
            left = 300;
        struct pollfd p = {.fd = out[0], .events = POLLIN};
        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            break;
        ssize_t n = read(out[0], a.text + a.len, (1 << 20) - 1 - a.len);
        if (n <= 0) {
            a.closed = true;
            break;
        }
        a.len += (size_t)n;
        answer_count(&a);
    }
    close(in[1]);
    close(out[0]);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    client_keep(a.text);
    return a;
}

static void good(void) {
    struct answer a = ask("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 200);
    CHECK_STR(a.body, "pong\n");
    CHECK(!a.closed);
    a = ask("POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked \r\n\r\n"
            "3\r\nabc\r\n0\r\n\r\nGET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK_INT(a.answers, 2);
    CHECK_HAS(a.text, "abc");
    CHECK_HAS(a.text, "pong");
    a = ask("GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=1000-2999\r\n\r\n");
    CHECK_INT(a.status, 206);
    CHECK_INT(a.text + a.len - a.body, 2000);
}

static void bad(void) {
    static const char *const texts[] = {
        "GET /ping HTTP/1.1\nHost: x\n\n",
        "POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\nhello",
        "POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /ping HTTP/1.1\r\nHost: x\r\nOrigin: a\r\nOrigin: b\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[512];
        int before = atomic_load(&handled);
        snprintf(text, sizeof(text), "%sGET /ping HTTP/1.1\r\nHost: x\r\n\r\n", texts[i]);
        struct answer a = ask(text);
        CHECK_INT(a.status, 400);
        CHECK_INT(a.answers, 1);
        CHECK(a.closed);
        CHECK_INT(atomic_load(&handled), before);
    }
}

/* Closed without words: a TLS session whose input was shut down cannot send any more. */
static void slow(void) {
    int64_t from = clock_mono_ms();
    struct answer a = ask("GET /ping HTTP/1.1\r\nHost: x\r\nA: b");
    CHECK_INT(a.answers, 0);
    CHECK(a.closed);
    CHECK(clock_mono_ms() - from < 2500);
}

/* Plain HTTP to a TLS port gets no HTTP answer. */
static void plain(void) {
    struct answer a = client_text(port, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.answers, 0);
    CHECK(a.closed);
}

int main(void) {
    char dir[] = "/tmp/quern-tls-XXXXXX";
    char key[64], cert[64];
    if (!mkdtemp(dir))
        return 1;
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    char *make[] = {"openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-keyout",
                    key,
                    "-out",
                    cert,
                    "-days",
                    "2",
                    "-subj",
                    "/CN=localhost",
                    "-batch",
                    "-quiet",
                    NULL};
    char *make_old[] = {"openssl",
                        "req",
                        "-x509",
                        "-newkey",
                        "ec",
                        "-pkeyopt",
                        "ec_paramgen_curve:P-256",
                        "-nodes",
                        "-keyout",
                        key,
                        "-out",
                        cert,
                        "-days",
                        "2",
                        "-subj",
                        "/CN=localhost",
                        "-batch",
                        NULL};
    log_init(LOG_ERROR, LOG_PLAIN);
    signal(SIGPIPE, SIG_IGN);
    if (run(make_old) && run(make)) {
        printf("no openssl command: skipped\n");
        return 77;
    }
    char *cert_text = slurp(cert), *key_text = slurp(key);
    unlink(key);
    unlink(cert);
    rmdir(dir);
    struct server_options o = fixture_options();
    struct buf error = {0};
    o.tls_cert_pem = "nonsense";
    o.tls_key_pem = "nonsense";
    CHECK_INT(server_start(&o, &server, &error), -1);
    CHECK_HAS(error.data, "PEM");
    o.tls_cert_pem = cert_text;
    o.tls_key_pem = key_text;
    o.head_ms = 1000;
    fixture_start(&o);
    RUN(good);
    RUN(bad);
    RUN(slow);
    RUN(plain);
    server_stop(server);
    free(cert_text);
    free(key_text);
    buf_free(&error);
    return CHECK_END();
}
