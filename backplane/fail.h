/* SPDX-License-Identifier: MIT */
/* fail.h: what every driver that cannot do something shares.
 *
 * A driver in which each operation completes once, in order, with ERR_NOT_AVAILABLE.
 */
#ifndef MADANG_BACKPLANE_FAIL_H
#define MADANG_BACKPLANE_FAIL_H

#include "backplane/driver.h"

extern const struct driver_ops fail_driver;

#endif
