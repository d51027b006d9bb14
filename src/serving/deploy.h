/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_DEPLOY_H
#define QUERN_SERVING_DEPLOY_H
struct lanes;

void deploy_use(struct lanes *lanes); /* NULL: waiting actions end with ERR_BUSY */

#endif
