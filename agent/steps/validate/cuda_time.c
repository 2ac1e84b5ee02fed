/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/validate/cuda_time.h"

#define ROUNDS 3
#define ROUND_S 0.01 /* six kernels, three rounds: a fifth of a second */
#define LAUNCHES_MAX 500
#define GRAPH_LAUNCHES 50 /* in one graph */
#define CAPTURE_RELAXED 2 /* CU_STREAM_CAPTURE_MODE_RELAXED */

/* What is launched again and again. */
struct work {
	struct cuda_bench *bench;
	const struct cuda_shape *shape; /* NULL: the driver's own copy */
	void *function;
	void *graph; /* `graph_launches` at once; NULL: one by one */
	unsigned graph_launches;
};

static void work_done(struct work *work)
{
	if (work->graph)
		(void)work->bench->api->cuGraphExecDestroy(work->graph);
}

static cuda_result launch(struct work *work)
{
	struct cuda_bench *bench = work->bench;
	const struct cuda_shape *shape = work->shape;
	void *arguments[] = { &bench->out, &bench->in, &bench->size };
	unsigned grid_x, grid_y = 1;

	if (!shape)
		return bench->api->cuMemcpyDtoDAsync_v2(bench->out, bench->in,
							bench->bytes, bench->stream);
	grid_x = (unsigned)(bench->bytes / 16 / shape->threads_x);
	if (shape->tile_x > 0) {
		grid_x = bench->size / shape->tile_x;
		grid_y = bench->size / shape->tile_y;
	}
	return bench->api->cuLaunchKernel(work->function, grid_x, grid_y, 1,
					  shape->threads_x, shape->threads_y, 1, 0,
					  bench->stream, arguments, NULL);
}

/*
 * A small kernel takes less time than the processor takes to launch it. A graph is
 * launched as a whole, so that its kernels wait for nothing but each other. A driver that
 * cannot do it is no error: then they are launched one by one, as are long ones, which
 * gain nothing (and the driver's own copy of a gigabyte is slower in a graph).
 */
static void make_graph(struct work *work)
{
	const struct cuda_api *api = work->bench->api;
	void *graph = NULL;
	cuda_result result = 0;

	if (!api->cuGraphLaunch ||
	    api->cuStreamBeginCapture_v2(work->bench->stream, CAPTURE_RELAXED) != 0)
		return;
	for (unsigned i = 0; i < GRAPH_LAUNCHES && result == 0; i++)
		result = launch(work);
	if (api->cuStreamEndCapture(work->bench->stream, &graph) != 0 || !graph)
		return;
	if (result == 0 && api->cuGraphInstantiateWithFlags(&work->graph, graph, 0) != 0)
		work->graph = NULL;
	work->graph_launches = GRAPH_LAUNCHES;
	(void)api->cuGraphDestroy(graph);
}

static cuda_result launch_many(struct work *work, unsigned launches)
{
	unsigned each = work->graph ? work->graph_launches : 1;
	cuda_result result = 0;

	for (unsigned i = 0; i < launches && result == 0; i += each)
		result = work->graph ? work->bench->api->cuGraphLaunch(
					       work->graph, work->bench->stream)
				     : launch(work);
	return result;
}

/* Seconds of all of them; what is launched before the clock starts warms up. */
static cuda_result time_round(struct work *work, unsigned launches, double *ret_seconds)
{
	const struct cuda_api *api = work->bench->api;
	void *stream = work->bench->stream;
	float milliseconds = 0;
	cuda_result result = launch(work);

	if (result == 0)
		result = api->cuEventRecord(work->bench->begin, stream);
	if (result == 0)
		result = launch_many(work, launches);
	if (result == 0)
		result = api->cuEventRecord(work->bench->end, stream);
	if (result == 0)
		result = api->cuEventSynchronize(work->bench->end);
	if (result == 0)
		result = api->cuEventElapsedTime(&milliseconds, work->bench->begin,
						 work->bench->end);
	*ret_seconds = milliseconds / 1e3;
	return result;
}

/* As many as a round has time for; whole graphs. */
static unsigned count_launches(double seconds)
{
	double fits = seconds > 0 ? ROUND_S / seconds : LAUNCHES_MAX;
	unsigned count = fits < LAUNCHES_MAX ? (unsigned)fits : LAUNCHES_MAX;

	if (count > GRAPH_LAUNCHES)
		count -= count % GRAPH_LAUNCHES;
	return count > 0 ? count : 1;
}

int cuda_time(struct cuda_bench *bench, const struct cuda_kernel *kernel,
	      double *ret_seconds, struct error *err)
{
	cleanup(work_done) struct work work = { .bench = bench };
	const struct cuda_api *api = bench->api;
	double seconds = 0, best = 0;
	cuda_result result = 0;
	unsigned launches;

	if (kernel) {
		work.shape = bench->size <= kernel->small_most ? &kernel->small
							       : &kernel->shape;
		result = api->cuModuleGetFunction(&work.function, bench->module,
						  work.shape->function);
	}
	if (result == 0)
		result = time_round(&work, 1, &seconds);
	launches = count_launches(seconds);
	if (launches >= GRAPH_LAUNCHES)
		make_graph(&work);
	for (int round = 0; round < ROUNDS && result == 0; round++) {
		result = time_round(&work, launches, &seconds);
		if (round == 0 || seconds < best)
			best = seconds;
	}
	if (cuda_api_check(api, result, kernel ? kernel->name : "device to device copy",
			   err) < 0)
		return -1;
	*ret_seconds = best / launches;
	return 0;
}
