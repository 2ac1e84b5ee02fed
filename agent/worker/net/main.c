/* SPDX-License-Identifier: Apache-2.0 */

/*
 * net-worker: has the network, and nothing that it could falsify. It brings raw bytes to
 * the fetch worker (worker/net/serve.h), and looks for the agent whether servers are
 * there.
 */

#include "base/macro.h"
#include "worker/net/serve.h"
#include "worker/worker.h"

static const struct job jobs[] = {
	{ "serve", serve_job },
	{ "probe", job_probe },
};

int main(int argc, char **argv)
{
	return worker_run(argc, argv, jobs, ARRAY_SIZE(jobs), true);
}
