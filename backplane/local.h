/* SPDX-License-Identifier: MIT */
/* local.h: the embedded driver: streams in this process's memory.
 *
 * One gateway only; a restart begins with new epochs, which clients notice. See kept.h for streams
 * that outlive the process.
 */
#ifndef MADANG_BACKPLANE_LOCAL_H
#define MADANG_BACKPLANE_LOCAL_H

#include "backplane/driver.h"

extern const struct driver_ops local_driver;

#endif
