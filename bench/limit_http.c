/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that libmicrohttpd sets: the same number of threads as the daemon, a fixed answer, the
 * body read and thrown away. Prints its port, ends when standard input does.
 *   bench_limit_http ANSWER-FILE [THREADS [HEADERS]]
 * HEADERS: a file of lines "Name: value" that go with the answer besides its type. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct MHD_Response *answer;

/* As in the daemon: a full list of events would stall the library (see src/http/wire.c). */
int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout) {
    return epoll_pwait(epfd, events, max > 1 ? max - 1 : max, timeout, NULL);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state) {
    static int seen;
    (void)cls, (void)url, (void)method, (void)version, (void)data;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(c, MHD_HTTP_OK, answer);
}

/* Lines "Name: value". */
static void add_headers(const char *path) {
    char line[400];
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        line[strcspn(line, "\r\n")] = '\0';
        if (!colon)
            continue;
        *colon = '\0';
        MHD_add_response_header(answer, line, colon + 1 + strspn(colon + 1, " "));
    }
    if (f)
        fclose(f);
}

int main(int argc, char **argv) {
    static char body[4 << 20];
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!f) {
        fprintf(stderr, "usage: bench_limit_http ANSWER-FILE [THREADS [HEADERS]]\n");
        return 2;
    }
    size_t n = fread(body, 1, sizeof body, f);
    fclose(f);
    answer = MHD_create_response_from_buffer(n, body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(answer, "Content-Type", "application/json");
    if (argc > 3)
        add_headers(argv[3]);
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 2;
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handle, NULL,
                         MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at, MHD_OPTION_THREAD_POOL_SIZE,
                         threads, MHD_OPTION_CONNECTION_LIMIT, 1000u, MHD_OPTION_END);
    if (!d) {
        fprintf(stderr, "libmicrohttpd did not start\n");
        return 1;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
    printf("%u\n", info ? info->port : 0u);
    fflush(stdout);
    while (read(0, body + sizeof body - 1, 1) > 0)
        ;
    MHD_stop_daemon(d);
    MHD_destroy_response(answer);
    return 0;
}
