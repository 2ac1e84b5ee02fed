/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A driver.url that the metadata names while root's driver.index_key is set. The key's
 * owner says which drivers there are: the cloud only chooses among them.
 */

#include "base/span.h"
#include "core/context.h"
#include "model/repository/repository.h"

/* Whether driver.url is of that kind. */
bool bound_is(const struct context *ctx);

/*
 * The repository whose signed index must name the file: the one of root's own files, else
 * the folder of the URL.
 */
must_check int bound_repository(const struct context *ctx, char *ret_url, size_t size,
				struct error *err);

/*
 * What a signed index has of a file: one whose name ends with `name`, as it stands in a
 * URL, and with this checksum ("": any). NULL: nothing, or the index is not signed.
 */
const struct index_file *bound_file(const struct repository *repository, struct span name,
				    const char *sha256);

/*
 * Takes size and checksum of the signed index for the file of driver.url into `package`.
 * ERROR_INTEGRITY where the index does not name the file, or with another checksum than
 * the metadata does.
 */
must_check int bound_take(const struct context *ctx, const struct repository *repository,
			  struct package *package, struct error *err);
