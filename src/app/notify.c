/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "quern/base/str.h"

int notify_listen_fd(void) {
    int64_t pid = 0;
    int64_t count = 0;
    const char *pid_text = getenv("LISTEN_PID");
    const char *count_text = getenv("LISTEN_FDS");
    if (!pid_text || !count_text || !str_to_i64(pid_text, &pid) ||
        !str_to_i64(count_text, &count) || pid != (int64_t)getpid() || count < 1) {
        return -1;
    }
    /* Children must not take the message for theirs. */
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return fcntl(3, F_SETFD, FD_CLOEXEC) == 0 ? 3 : -1;
}

void notify_state(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path) {
        return;
    }
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* the abstract namespace */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, len);
        close(fd);
    }
}

int64_t notify_watchdog_ms(void) {
    int64_t usec = 0;
    const char *text = getenv("WATCHDOG_USEC");
    return text && str_to_i64(text, &usec) && usec > 0 ? usec / 2000 : 0;
}
