/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An archive of prebuilt kernel modules: a gzipped tar of manifest.json and
 * modules/NAME.ko.
 */

#include "base/error.h"
#include "base/json.h"
#include "model/kernel/modules.h"
#include "worker/digest.h"

#define MODULE_ARCHIVE_NAME_SIZE 64

struct module_file {
	char name[MODULE_ARCHIVE_NAME_SIZE]; /* "nvidia-uvm.ko" */
	uint64_t size;
	char sha256[DIGEST_TEXT_SIZE];
	int fd; /* where its bytes go or come from; -1: nowhere */
};

struct module_archive {
	struct json *manifest; /* an object whose "modules" are `files` */
	size_t count;
	struct module_file files[BUILD_MODULES_MAX];
	uint64_t size; /* of the archive itself, and its hash */
	char sha256[DIGEST_TEXT_SIZE];
};

void module_archive_done(struct module_archive *archive);

/*
 * Reads all of `fd` from its start. The first module goes into the first of `outputs`,
 * and so on; without any it is only looked at. ERROR_INTEGRITY where it is not exactly
 * what its manifest says: members, sizes, hashes, signatures of what has an output; or
 * too large.
 */
must_check int module_archive_read(int fd, const int *outputs, size_t output_count,
				   struct module_archive *ret_archive, struct error *err);

/*
 * Writes the archive of `files` (name and fd) to the descriptor `output`. Adds "modules"
 * to the manifest and fills in sizes and hashes. The same input gives the same bytes.
 */
must_check int module_archive_write(struct module_archive *archive, int output,
				    struct error *err);

/*
 * Whether the modules are signed by the certificate that the manifest carries, and that
 * is the one that it names in "signed_by"; where it carries none: 0. Writer and reader
 * ask this. ERROR_INTEGRITY.
 */
must_check int module_archive_check_signed(const struct module_archive *archive,
					   struct error *err);

/* What the jobs "modules" and "pack" answer (worker/job/job.h). */
must_check int module_archive_answer(const struct module_archive *archive,
				     struct json **ret_result, struct error *err);
