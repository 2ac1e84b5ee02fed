/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An older kernel, for this process and all that it starts.
 */

/* One that knows no Landlock, as RHEL 9's. 0, or -1 with errno. */
int kernel_without_landlock(void);
