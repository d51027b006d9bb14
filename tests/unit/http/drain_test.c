/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are drained and stopped in the middle of traffic, many times. */
#include "fixture.h"

#include <sys/epoll.h>

enum { ROUNDS = 100, CLIENTS = 2, KEPT = 8 };

static atomic_bool over;

/* Keeps the network threads going round their event loops: a request is always under way. */
static void traffic(void *arg) {
    (void)arg;
    int fds[KEPT];
    for (int i = 0; i < KEPT; i++)
        fds[i] = client_connect(port);
    while (!atomic_load(&over))
        for (int i = 0; i < KEPT; i++) {
            char got[512];
            client_puts(fds[i], "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
            (void)!recv(fds[i], got, sizeof(got), MSG_DONTWAIT);
        }
    for (int i = 0; i < KEPT; i++)
        close(fds[i]);
}

/* The library takes its listening socket out of each thread's epoll set from two threads at once
 * and aborts the process when the second one finds it gone. */
static void in_traffic(void) {
    struct server_options o = fixture_options();
    for (int round = 0; round < ROUNDS; round++) {
        fixture_start(&o);
        atomic_store(&over, false);
        struct thread *clients[CLIENTS];
        for (int i = 0; i < CLIENTS; i++)
            clients[i] = thread_start("traffic", traffic, NULL);
        clock_sleep_ms(3 + round % 5);
        server_drain(server);
        CHECK(server_wait_idle(server, 3000));
        atomic_store(&over, true);
        for (int i = 0; i < CLIENTS; i++)
            thread_join(clients[i]);
        server_stop(server);
    }
}

/* Only a listening socket may be taken out twice: elsewhere ENOENT tells of a mistake. */
static void taken_out_twice(void) {
    struct server_options o = fixture_options();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd,
                   (struct sockaddr *)&(struct sockaddr_in){
                       .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                   sizeof(struct sockaddr_in)),
              0);
    CHECK_INT(listen(fd, 8), 0);
    o.listen_fd = fd;
    fixture_start(&o);
    int set = epoll_create1(EPOLL_CLOEXEC), other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
    CHECK_INT(epoll_ctl(set, EPOLL_CTL_DEL, other, NULL), -1);
    CHECK_INT(errno, ENOENT);
    struct epoll_event e = {.events = EPOLLIN};
    CHECK_INT(epoll_ctl(set, EPOLL_CTL_ADD, fd, &e), 0);
    CHECK_INT(epoll_ctl(set, EPOLL_CTL_ADD, fd, &e), -1);
    CHECK_INT(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
    close(set);
    close(other);
    server_stop(server);
}

int main(void) {
    log_init(LOG_ERROR, LOG_PLAIN);
    RUN(in_traffic);
    RUN(taken_out_twice);
    return CHECK_END();
}
