/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_NOTIFY_H
#define QUERN_APP_NOTIFY_H
/* Notify: systemd's service protocol without its library: state over NOTIFY_SOCKET, sockets passed
 * in from descriptor 3 (LISTEN_FDS, LISTEN_PID). All of it is silent where systemd is absent. */
#include <stdint.h>

int notify_listen_fd(void);          /* the first socket passed in, close-on-exec; -1: none */
void notify_state(const char *text); /* "READY=1\nSTATUS=..." */
int64_t notify_watchdog_ms(void);    /* how often WATCHDOG=1 is due (half the limit); 0: never */

#endif
