/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/module_chosen.h"

#include "base/span.h"
#include "base/text.h"

#define TIMEOUT_S 60
#define OUTPUT_MAX 4096

int module_chosen(struct runner *runner, const struct root *root, const char *release,
		  const char *field, char ret_value[static MODULE_CHOSEN_MAX],
		  struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	char program[64];
	const char *argv[] = { program, "-k", release, "-F", field, "nvidia", NULL };
	const struct run run = { .argv = argv,
				 .timeout_s = TIMEOUT_S,
				 .output_limit = OUTPUT_MAX };
	struct span rest, line;

	ret_value[0] = '\0';
	if (!run_find(root, "modinfo", program, sizeof(program)))
		return 0;
	if (run_question(runner, root, &run, 1, &result, err) < 0)
		return error_prefix(err, "asking modinfo for the module nvidia");
	if (result.status != 0)
		return 0;

	/* The last line counts: warnings stand before it. */
	rest = (struct span){ result.output, result.size };
	while (span_next_line(&rest, &line)) {
		line = span_trim(line);
		if (line.len > 0)
			(void)span_copy(line, ret_value, MODULE_CHOSEN_MAX);
	}
	text_sanitize(ret_value);
	return 0;
}
