/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "house.h"
#include "notify.h"
#include "quern/access/access.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/config/config.h"
#include "quern/http/server.h"
#include "quern/metric/metric.h"
#include "settings.h"

static enum log_level level(const char *text) {
    return str_eq(text, "debug")   ? LOG_DEBUG
           : str_eq(text, "warn")  ? LOG_WARN
           : str_eq(text, "error") ? LOG_ERROR
                                   : LOG_INFO;
}

static void start_log(const struct config *c) {
    const char *format = config_str(c, CONFIG_LOG_FORMAT);
    bool plain = str_eq(format, "plain") || (str_eq(format, "auto") && isatty(2));
    log_init(level(config_str(c, CONFIG_LOG_LEVEL)), plain ? LOG_PLAIN : LOG_JSON);
}

static void block_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    /* Blocked before any thread starts, so that only sigtimedwait below takes them. */
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void wait_for_signal(const sigset_t *set) {
    int64_t watchdog = notify_watchdog_ms();
    for (;;) {
        int64_t ms = watchdog > 0 ? watchdog : 60000;
        struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        int s = sigtimedwait(set, NULL, &t);
        if (s == SIGTERM || s == SIGINT) {
            log_info("serve.signal",
                     "%s: finishing what is under way; a second one ends it at once",
                     s == SIGTERM ? "SIGTERM" : "SIGINT");
            return;
        }
        if (s == SIGHUP) {
            log_info("serve.signal", "SIGHUP: settings are read at start only");
        }
        if (watchdog > 0) {
            notify_state("WATCHDOG=1");
        }
    }
}

/* What is acknowledged is on the disk, so whoever does not want to wait for the rest need not. */
static void end_at_second_signal(const sigset_t *set) {
    const struct timespec now = {0};
    while (sigtimedwait(set, NULL, &now) > 0) { /* several senders of the first one */
    }
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

static void drain(const struct config *c) {
    atomic_store(&house.draining, true);
    notify_state("STOPPING=1\nSTATUS=draining");
    server_drain(house.server);
    if (!server_wait_idle(house.server, config_int(c, CONFIG_DRAIN_MS))) {
        log_warn("serve.drain", "some requests were cut off after %s", "drain-timeout");
    }
}

/* A request with a large body would otherwise give its memory back when it ends, and the next one
 * would pay a page fault for each 4 KiB again. A heap of its own for each thread: one that runs at
 * a low priority must not hold what another waits for. Memory beyond this goes back as ever. */
static void keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_ARENA_MAX, 128);
}

int serve_command(struct invocation *inv) {
    struct config *c = settings_load(inv);
    if (!c) {
        return EXIT_USAGE;
    }
    sigset_t set;
    block_signals(&set);
    keep_memory();
    start_log(c);
    int64_t began = clock_mono_ms();
    struct buf error = {0};
    int code = EXIT_OK;
    if (house_start(c, notify_listen_fd(), &error) != 0) {
        code = complain(EXIT_ERROR, "%s", error.data ? error.data : "cannot start");
    } else {
        metric_set(METRIC_BUILD, 1, QUERN_VERSION, NULL, NULL);
        metric_set(METRIC_START, (double)clock_wall_ms() / 1000, NULL, NULL, NULL);
        log_info("serve.ready", "quern %s on %s after %lld ms, data in %s, %s", QUERN_VERSION,
                 house.public_url, (long long)(clock_mono_ms() - began), config_str(c, CONFIG_DATA),
                 access_local_mode(house.access) ? "local mode: callers on this machine are admin"
                                                 : "callers need a credential");
        notify_state("READY=1\nSTATUS=serving");
        wait_for_signal(&set);
        end_at_second_signal(&set);
        drain(c);
    }
    house_stop();
    buf_free(&error);
    if (code == EXIT_OK) {
        log_info("serve.end", "stopped cleanly");
    }
    config_free(c);
    return code;
}
