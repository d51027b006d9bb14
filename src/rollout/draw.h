/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_DRAW_H
#define QUERN_ROLLOUT_DRAW_H
/* Draw: random numbers of given distributions, from the state of chance_next. */
#include <stdint.h>

double draw_normal(uint64_t *chance);              /* mean 0, deviation 1 */
double draw_gamma(uint64_t *chance, double shape); /* scale 1; shape above 0 */
double draw_beta(uint64_t *chance, double a, double b);

#endif
