/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_PAGE_H
#define QUERN_APP_PAGE_H
/* Page: MLflow's own web page, which an operator may lend from an installation of it (setting
 * mlflow.page: the folder mlflow/server/js/build). Its index.html is then the answer to a browser
 * at /, its files lie below /static-files, and it calls the same routes as any client. Files are
 * opened beneath that folder only; it holds no secrets, so they ask for no credential, as in
 * MLflow. Without the setting / stays the guide, which /guide always is. */
#include "quern/http/route.h"

struct buf;

int page_open(const char *folder, struct buf *error); /* "" for none; -1 and a sentence */
void page_close(void);
bool page_is_open(void);
int page_index(struct ctx *c); /* answers with index.html */

extern const struct route_list page_routes;

#endif
