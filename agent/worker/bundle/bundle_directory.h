/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The end of a zip archive and its central directory, zip64 included.
 */

#include "base/error.h"
#include "worker/bundle/bundle.h"

/* Fills directory, members and count; on failure the caller calls bundle_done(). */
must_check int bundle_directory_read(struct bundle *bundle, struct error *err);
