/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fetch-worker: reads foreign bytes and says what they are. It has no network: what a job
 * needs from there it asks of the net worker (worker/remote.h).
 */

#include "base/error.h"
#include "base/macro.h"
#include "worker/digest.h"
#include "worker/worker.h"

static const struct job jobs[] = {
	{ "list", job_list },
	{ "fetch", job_fetch },
	{ "copy", job_copy },
	{ "inspect", job_inspect },
	{ "index", job_index },
	{ "unpack", job_unpack },
	{ "modules", job_modules },
	{ "pack", job_pack },
	{ "metadata", job_metadata },
	{ "token", job_token },
	{ "member", job_member },
	{ "layers", job_layers },
	{ "certificate", job_certificate },
	{ "search", job_search },
};

int main(int argc, char **argv)
{
	/* OpenSSL opens its configuration and its providers now: later it cannot. What
	 * went wrong is told by the first digest of the job. */
	digest_load();
	return worker_run(argc, argv, jobs, ARRAY_SIZE(jobs), false);
}
