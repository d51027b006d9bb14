/* SPDX-License-Identifier: Apache-2.0 */
#include "child_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "quern/base/fd.h"
#include "quern/base/str.h"

void probe_drop(struct probe *p) {
    fd_close(p->fd);
    p->fd = -1;
}

static int connect_port(int fd, unsigned port) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(fd, (struct sockaddr *)&a, sizeof a);
}

static int connect_socket(int fd, const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!str_copy(a.sun_path, sizeof a.sun_path, path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return connect(fd, (struct sockaddr *)&a, sizeof a);
}

enum probe_result probe_start(struct probe *p, unsigned port, const char *socket_path,
                              const char *path, int64_t now_ms, int64_t ms) {
    int n = snprintf(p->out, sizeof p->out,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: quern\r\n"
                     "Accept: */*\r\nConnection: close\r\n\r\n",
                     path);
    p->fd = -1;
    p->sent = p->nin = 0;
    p->until_ms = now_ms + ms;
    if (n < 0 || (size_t)n >= sizeof p->out)
        return PROBE_DEAD;
    p->nout = (size_t)n;
    p->fd = socket(port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->fd < 0)
        return PROBE_DEAD;
    int rc = port ? connect_port(p->fd, port) : connect_socket(p->fd, socket_path);
    if (rc == 0 || errno == EINPROGRESS)
        return PROBE_PENDING;
    probe_drop(p);
    return PROBE_DEAD;
}

struct pollfd probe_poll(const struct probe *p) {
    return (struct pollfd){.fd = p->fd, .events = p->sent < p->nout ? POLLOUT : POLLIN};
}

static enum probe_result judge(const struct probe *p) {
    int status = 0;
    char head[16] = "";
    memcpy(head, p->in, p->nin < 15 ? p->nin : 15);
    if (sscanf(head, "HTTP/1.%*1d %3d", &status) != 1)
        return PROBE_DEAD;
    if (status >= 200 && status < 300)
        return PROBE_OK;
    return status == 404 || status == 405 || status == 501 ? PROBE_MISSING : PROBE_NOT_YET;
}

static enum probe_result over(struct probe *p, enum probe_result r) {
    probe_drop(p);
    return r;
}

enum probe_result probe_step(struct probe *p, int64_t now_ms) {
    if (p->fd < 0)
        return PROBE_DEAD;
    while (p->sent < p->nout) {
        ssize_t n = send(p->fd, p->out + p->sent, p->nout - p->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
            return now_ms < p->until_ms ? PROBE_PENDING : over(p, PROBE_DEAD);
        if (n < 0)
            return over(p, PROBE_DEAD);
        p->sent += (size_t)n;
    }
    /* To the end of a short answer: a server that is hung up on in the middle complains. */
    for (;;) {
        ssize_t n = recv(p->fd, p->in + p->nin, sizeof p->in - p->nin, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return now_ms < p->until_ms ? PROBE_PENDING : over(p, judge(p));
        p->nin += n > 0 ? (size_t)n : 0;
        if (n <= 0 || p->nin == sizeof p->in)
            return over(p, judge(p));
    }
}
