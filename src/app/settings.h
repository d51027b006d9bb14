/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_SETTINGS_H
#define QUERN_APP_SETTINGS_H
/* Settings: the config of an invocation, from file, environment and flags in that order. */
struct config;
struct invocation;

/* NULL after a complaint. Free with config_free. */
struct config *settings_load(const struct invocation *inv);

#endif
