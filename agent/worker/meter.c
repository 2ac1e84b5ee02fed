/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/meter.h"

#include "worker/progress.h"

static int meter_write(struct sink *sink, const void *data, size_t size,
		       struct error *err)
{
	struct meter *meter = (struct meter *)sink;

	if (sink_write(sink->next, data, size, err) < 0)
		return -1;
	meter->done += size;
	meter->received += size;
	progress_say(meter->done, meter->total);
	return 0;
}

static int meter_restart(struct sink *sink, struct error *err)
{
	((struct meter *)sink)->done = 0;
	return sink_restart(sink->next, err);
}

void meter_begin(struct meter *meter, uint64_t done, uint64_t total, struct sink *next)
{
	*meter = (struct meter){
		.sink = { .write = meter_write, .restart = meter_restart, .next = next },
		.done = done,
		.total = total,
	};
}
