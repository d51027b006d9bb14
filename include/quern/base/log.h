/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_LOG_H
#define QUERN_BASE_LOG_H
/* Log: one line per event on standard error. JSON form:
 *   {"time":"2026-01-02T03:04:05.678Z","level":"info","event":"db.open","thread":"writer",
 *    "message":"..."}  plus "request_id" where log_request_id was set on this thread.
 * Plain form (a terminal, or --log-format plain): "03:04:05.678 info  db.open  message".
 * The text is escaped; secrets must not be passed (tokens are masked by prefix "qn_" all the
 * same). `event` is a dotted constant. Thread-safe; a line is one write(2). */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_PLAIN, LOG_JSON };

void log_init(enum log_level least, enum log_format format);
void log_write(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void log_request_id(const char *id_or_null); /* thread-local; pointer must outlive its use */

#define log_debug(event, ...) log_write(LOG_DEBUG, (event), __VA_ARGS__)
#define log_info(event, ...) log_write(LOG_INFO, (event), __VA_ARGS__)
#define log_warn(event, ...) log_write(LOG_WARN, (event), __VA_ARGS__)
#define log_error(event, ...) log_write(LOG_ERROR, (event), __VA_ARGS__)

#endif
