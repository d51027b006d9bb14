/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_HOUSE_H
#define QUERN_APP_HOUSE_H
/* House: everything that runs while the daemon serves, started in one order and stopped in the
 * reverse one. */
#include <stdatomic.h>
#include <stdbool.h>

#include "quern/http/route.h"

struct access;
struct config;
struct db;
struct dir;
struct housekeeping;
struct lanes;
struct server;
struct buf;

struct house {
    const struct config *config;
    struct dir *data;
    struct db *db;
    struct access *access;
    struct lanes *lanes;
    struct server *server;
    char *public_url;
    char *self_exe;
    struct housekeeping *housekeeping;
    bool pipelines, endpoints, artifacts;
    atomic_bool ready;    /* all rooms are up */
    atomic_bool draining; /* SIGTERM came */
};

extern struct house house;
const struct route_list *house_routes(void); /* every room's rows; ends with n = 0 */

int house_start(struct config *config, int listen_fd, struct buf *error); /* -1 and a sentence */
void house_stop(void);

extern const struct route_list ops_routes;
extern const struct route_list guide_routes;
extern const struct route_list backup_routes;

#endif
