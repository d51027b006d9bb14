/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PROCESS_KEEPER_IMAGE_H
#define QUERN_PROCESS_KEEPER_IMAGE_H
/* A sealed memfd with the small keeper program, or -1 where the build carries none or the system
 * refuses to execute such files: the program then starts itself as keeper. */
int keeper_image_open(void);

#endif
