/* SPDX-License-Identifier: Apache-2.0 */
#include "support/script.h"

#include <string.h>

#include "base/file.h"
#include "support/cmocka.h"

static void append(char *buffer, size_t size, const char *word, char after)
{
	size_t used = strlen(buffer);
	int n = snprintf(buffer + used, size - used, "%s%c", word, after);

	assert_in_range(n, 1, size - used - 1);
}

static void answer_log(const struct script_answer *answer, const struct run *run)
{
	struct error ignored = ERROR_INIT;

	if (run->log_fd > 0)
		assert_int_equal(file_write_all(run->log_fd, answer->output,
						strlen(answer->output), &ignored),
				 0);
}

static int start(struct runner *runner, const struct root *root, const struct run *run,
		 struct run_result *ret_result, struct error *err)
{
	struct script *script = (struct script *)runner;
	const struct script_answer *answer = script->answers;
	char command[4096] = "";
	size_t i;

	(void)root;
	(void)err;
	for (i = 0; run->env && run->env[i]; i++)
		append(script->log, sizeof(script->log), run->env[i], ' ');
	for (i = 0; run->argv[i]; i++)
		append(command, sizeof(command), run->argv[i],
		       run->argv[i + 1] ? ' ' : '\n');
	append(script->log, sizeof(script->log), command, '\0');

	for (i = 0; answer->match; i++, answer++) {
		assert_true(i < SCRIPT_MAX);
		if (strstr(command, answer->match) &&
		    (answer->times == 0 || script->used[i] < answer->times))
			break;
	}
	if (!answer->match)
		fail_msg("the script has no answer to: %s", command);
	script->used[i]++;

	if (answer->act)
		answer->act(script, run);
	*ret_result = (struct run_result){
		.status = answer->status,
		.signal = answer->signal,
		.timed_out = answer->timed_out,
		.output = strdup(answer->output ? answer->output : ""),
	};
	assert_non_null(ret_result->output);
	ret_result->size = strlen(ret_result->output);
	if (answer->output)
		answer_log(answer, run);
	return 0;
}

void script_init(struct script *script, const struct script_answer *answers,
		 void *context)
{
	*script = (struct script){
		.runner = { .start = start, .cancel_fd = -1 },
		.answers = answers,
		.context = context,
	};
}

int script_count(const struct script *script, const char *text)
{
	int count = 0;

	for (const char *line = script->log; *line; line = strchr(line, '\n') + 1) {
		const char *found = strstr(line, text);

		if (found && found < strchr(line, '\n'))
			count++;
	}
	return count;
}
