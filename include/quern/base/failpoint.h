/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_FAILPOINT_H
#define QUERN_BASE_FAILPOINT_H
/* Failpoint: a named instant at which a test has the process killed, as a crash would. Only
 * sanitizer builds have them: there QUERN_FAILPOINT=name ends the process with SIGKILL when it
 * first comes to that name, name:3 when it comes there the third time. Elsewhere they are nothing.
 */

#ifdef QUERN_SANITIZED
void failpoint(const char *name);
#define FAILPOINT(name) failpoint(name)
#else
#define FAILPOINT(name) ((void)0)
#endif

#endif
