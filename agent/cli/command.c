/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <string.h>

#include "base/text.h"
#include "cli/print.h"

/* What a command may end with, besides 0, 1 and 2. */
#define S(name) (1u << ERROR_##name)
#define FETCH_STATUSES (S(NO_MATCH) | S(NETWORK) | S(INTEGRITY))
#define DRIVER_STATUSES                                                          \
	(S(NO_GPU) | FETCH_STATUSES | S(PREREQUISITES) | S(BUILD) | S(INSTALL) | \
	 S(SECURE_BOOT) | S(DRIVER) | S(REBOOT) | S(BUSY) | S(PERMISSION))
#define LICENSE_STATUSES (S(TOKEN) | S(UNLICENSED) | S(DRIVER) | S(BUSY) | S(PERMISSION))

const struct command command_table[] = {
	{ "detect", command_plan_detect, print_guest, "", 0, 0, COMMAND_ASKS_HOST,
	  "show GPUs, the host's driver version, the system, its kernels", S(NO_GPU),
	  "sudo vgpu-guest-agent detect" },
	{ "plan", command_plan, print_plan, "", 0, ARGS_KERNEL | ARGS_HOST_VERSION,
	  COMMAND_ASKS_HOST, "show everything run would do and why; change nothing",
	  S(NO_GPU) | S(NETWORK) | S(INTEGRITY) | S(PERMISSION),
	  "sudo vgpu-guest-agent plan" },
	{ "run", command_run, print_steps, "", 0,
	  ARGS_KERNEL | ARGS_LOCK_WAIT | ARGS_TOKEN_ONLY | ARGS_UNATTENDED,
	  COMMAND_NEEDS_ROOT | COMMAND_LOCKS | COMMAND_BY_TIMER | COMMAND_READS_AGAIN,
	  "do the whole job, from a bare guest to a licensed one",
	  DRIVER_STATUSES | LICENSE_STATUSES, "sudo vgpu-guest-agent run" },
	{ "fetch", command_fetch, print_path, "", 0, ARGS_OUTPUT,
	  COMMAND_ASKS_HOST | COMMAND_READS_AGAIN,
	  "find and download the driver, verified; print its path",
	  S(NO_GPU) | FETCH_STATUSES | S(PREREQUISITES) | S(PERMISSION),
	  "sudo vgpu-guest-agent fetch --output /srv/drivers" },
	{ "install", command_run_install, print_steps, "", 0,
	  ARGS_KERNEL | ARGS_DRIVER | ARGS_BACK | ARGS_LOCK_WAIT | ARGS_UNATTENDED,
	  COMMAND_NEEDS_ROOT | COMMAND_LOCKS | COMMAND_READS_AGAIN,
	  "build and install the driver", DRIVER_STATUSES,
	  "sudo vgpu-guest-agent install --driver ./NVIDIA-Linux-x86_64-550.90.07-grid.run" },
	{ "build-modules", command_build_modules, print_steps, "", 0,
	  ARGS_ONE_KERNEL | ARGS_DRIVER | ARGS_ARCHIVE | ARGS_SIGN, 0,
	  "compile the kernel modules into an archive for other guests",
	  FETCH_STATUSES | S(PREREQUISITES) | S(BUILD) | S(PERMISSION),
	  "vgpu-guest-agent build-modules --kernel 6.1.0-37-cloud-amd64 --driver ./X.run --output X.tar.gz" },
	{ "index", command_index, print_index, "FILE...", REQUEST_OPERANDS_MAX,
	  ARGS_PREVIOUS | ARGS_DOCUMENT | ARGS_DROP | ARGS_EXPIRES, 0,
	  "write the vgpu-index.json of a repository with these files",
	  S(INTEGRITY) | S(PREREQUISITES) | S(PERMISSION),
	  "vgpu-guest-agent index --output vgpu-index.json *.zip *.run" },
	{ "configure", command_run_configure, print_steps, "", 0, ARGS_LOCK_WAIT,
	  COMMAND_NEEDS_ROOT | COMMAND_LOCKS,
	  "write gridd.conf and the token, restart nvidia-gridd",
	  S(NO_GPU) | LICENSE_STATUSES, "sudo vgpu-guest-agent configure" },
	{ "token check", command_token_check, print_token, "[FILE]", 1, 0, 0,
	  "say what is in the token and what is wrong with it", S(TOKEN) | S(PERMISSION),
	  "vgpu-guest-agent token check client_configuration_token.tok" },
	{ "token install", command_token_install, print_steps, "[FILE]", 1,
	  ARGS_LOCK_WAIT, COMMAND_NEEDS_ROOT | COMMAND_LOCKS, "put the token in place",
	  S(TOKEN) | S(BUSY) | S(PERMISSION),
	  "sudo vgpu-guest-agent token install client_configuration_token.tok" },
	{ "status", command_status, print_status, "", 0,
	  ARGS_WAIT | ARGS_WATCH | ARGS_PROMETHEUS, 0, "show the license of every GPU",
	  S(NO_GPU) | S(UNLICENSED) | S(DRIVER), "vgpu-guest-agent status --wait 300" },
	{ "validate", command_validate, print_validate, "", 0, ARGS_SIZE, 0,
	  "run a verified GPU workload", S(NO_GPU) | S(DRIVER),
	  "vgpu-guest-agent validate" },
	{ "doctor", command_doctor, print_doctor, "", 0, ARGS_BUNDLE, 0,
	  "say why it is not licensed or does not work, and how to fix it",
	  DRIVER_STATUSES | LICENSE_STATUSES,
	  "sudo vgpu-guest-agent doctor --bundle support.tar.gz" },
	{ "monitor", command_monitor, NULL, "", 0, 0, 0,
	  "watch the licenses; keep status.json and metrics file current", S(NO_GPU),
	  "systemctl enable --now vgpu-guest-agent-monitor" },
	{ "config show", command_config_show, print_settings, "", 0, ARGS_ORIGIN, 0,
	  "show the configuration in force", 0, "vgpu-guest-agent config show --origin" },
	{ "config check", command_config_check, print_valid, "", 0, 0, 0,
	  "check the configuration", 0, "vgpu-guest-agent config check" },
	{ "seal", command_seal, print_steps, "", 0, ARGS_LOCK_WAIT,
	  COMMAND_NEEDS_ROOT | COMMAND_LOCKS,
	  "take token, trust and logs out, before a snapshot",
	  S(INSTALL) | S(BUSY) | S(PERMISSION), "sudo vgpu-guest-agent seal" },
	{ "uninstall", command_uninstall, print_steps, "", 0, ARGS_LOCK_WAIT,
	  COMMAND_NEEDS_ROOT | COMMAND_LOCKS,
	  "take away what install and configure put in place",
	  S(INSTALL) | S(BUSY) | S(PERMISSION), "sudo vgpu-guest-agent uninstall" },
};
const size_t command_table_size = ARRAY_SIZE(command_table);

/* How many of the operands are this command's name; 0: another command. */
static size_t words_of(const struct args *args, const struct command *command)
{
	struct span first, second;
	bool two = span_split(span_of(command->name), ' ', &first, &second);

	if (args->request.operand_count < (two ? 2u : 1u) ||
	    !span_equals(first, args->request.operands[0]) ||
	    (two && !span_equals(second, args->request.operands[1])))
		return 0;
	return two ? 2 : 1;
}

/* The commands whose first word this is, as a hint: "token check", "token install". */
static bool name_group(const char *word, struct error *err)
{
	char names[128] = "";
	size_t length = 0;

	for (size_t i = 0; i < command_table_size; i++) {
		struct span first, second;

		if (span_split(span_of(command_table[i].name), ' ', &first, &second) &&
		    span_equals(first, word) && length < sizeof(names))
			length += (size_t)snprintf(names + length, sizeof(names) - length,
						   "%s\"%s\"", length ? " or " : "",
						   command_table[i].name);
	}
	if (length)
		(void)error_hint(err, "%s", names);
	return length > 0;
}

/* How far a typed word may be from a name to be a slip of it: more is another word. */
static unsigned slip_of(const char *typed)
{
	size_t length = strlen(typed);

	return length < 6 ? 1 : length < 9 ? 2 : 3;
}

/* The command that was begun or mistyped; NULL where several are as near, or none is. */
static const struct command *find_near(const struct args *args)
{
	const struct request *request = &args->request;
	const struct command *nearest = NULL;
	unsigned best = slip_of(request->operands[0]) + 1;
	char name[64];

	(void)text_format(name, sizeof(name), "%s%s%s", request->operands[0],
			  request->operand_count > 1 ? " " : "",
			  request->operand_count > 1 ? request->operands[1] : "");
	for (size_t i = 0; i < command_table_size; i++) {
		const char *candidate = command_table[i].name;
		bool two = strchr(candidate, ' ') != NULL;
		const char *typed = two ? name : request->operands[0];
		unsigned distance = text_distance(typed, candidate);

		if (two && request->operand_count < 2)
			continue;
		/* What was only begun is no typo at all. */
		if (request->operand_count == 1 && text_starts(candidate, typed))
			distance = 0;
		if (distance == best)
			nearest = NULL;
		if (distance < best) {
			best = distance;
			nearest = &command_table[i];
		}
	}
	return nearest;
}

/* The first word of the commands that have two, where `word` is it or a slip of it. */
static bool find_group(const char *word, char *ret_group, size_t size)
{
	for (size_t i = 0; i < command_table_size; i++) {
		struct span first, second;

		if (span_split(span_of(command_table[i].name), ' ', &first, &second) &&
		    span_copy(first, ret_group, size) &&
		    text_distance(word, ret_group) <= slip_of(word))
			return true;
	}
	return false;
}

static int refuse_unknown(const struct args *args, struct error *err)
{
	const struct command *nearest = find_near(args);
	char group[32];

	(void)error_set(err, ERROR_USAGE, "no command \"%s\"", args->request.operands[0]);
	if (args->request.operand_count == 1 &&
	    find_group(args->request.operands[0], group, sizeof(group)) &&
	    (!nearest || strcmp(group, args->request.operands[0]) == 0) &&
	    name_group(group, err))
		return -1;
	if (nearest)
		return error_hint(err, "did you mean \"%s\"?", nearest->name);
	return error_hint(err, "\"vgpu-guest-agent --help\" lists the commands");
}

static int check_arguments(const struct args *args, const struct command *command,
			   struct error *err)
{
	/* Of a name with several meanings the table's first is what was given. */
	unsigned extra = args->given & ~args_same_name(command->options);

	if (extra)
		(void)error_set(err, ERROR_USAGE, "it does not take --%s",
				args_option_name(extra));
	else if (args->request.operand_count > command->operands_max)
		(void)error_set(err, ERROR_USAGE, "unexpected argument \"%s\"",
				args->request.operands[command->operands_max]);
	else
		return 0;
	return error_hint(err, "\"vgpu-guest-agent %s --help\" shows how it is called",
			  command->name);
}

int command_find(struct args *args, const struct command **ret_command, struct error *err)
{
	if (args->request.operand_count == 0) {
		(void)error_set(err, ERROR_USAGE, "which command?");
		return error_hint(err, "\"vgpu-guest-agent --help\" lists the commands");
	}

	for (size_t i = 0; i < command_table_size; i++) {
		size_t words = words_of(args, &command_table[i]);

		if (words == 0)
			continue;
		args->request.operand_count -= words;
		memmove(args->request.operands, args->request.operands + words,
			args->request.operand_count * sizeof(args->request.operands[0]));
		*ret_command = &command_table[i];
		return args->help ? 0 : check_arguments(args, &command_table[i], err);
	}
	return refuse_unknown(args, err);
}

static void print_statuses(FILE *out, const struct command *command)
{
	int column = fprintf(out, "Exit status: 0 ok, 1 internal, 2 usage");

	for (int code = ERROR_NO_GPU; code < ERROR_CODE_COUNT_; code++) {
		char item[32];

		if (!(command->statuses & 1u << code))
			continue;
		(void)text_format(item, sizeof(item), "%d %s", code,
				  error_code_name((enum error_code)code));
		if (column + 2 + (int)strlen(item) >= ARGS_WIDTH)
			column = fprintf(out, ",\n  %s", item) - 2;
		else
			column += fprintf(out, ", %s", item);
	}
	(void)fputc('\n', out);
}

static void print_usage(FILE *out, const struct command *command)
{
	(void)fprintf(out,
		      "Usage: vgpu-guest-agent [GLOBAL OPTIONS] %s%s%s%s\n\n"
		      "%c%s.\nNeeds root: %s\n",
		      command->name, command->options ? " [OPTIONS]" : "",
		      command->operands[0] ? " " : "", command->operands,
		      command->summary[0] - 'a' + 'A', command->summary + 1,
		      command->flags & COMMAND_NEEDS_ROOT ? "yes"
		      : command->flags & COMMAND_ASKS_HOST
			      ? "no; but only root can read the host's driver version"
			      : "no");
	print_statuses(out, command);
	(void)fprintf(out, "Example: %s\n", command->example);
}

/* Of the commands whose first word is this: "token", "config". */
static bool print_group(FILE *out, const char *word)
{
	bool found = false;

	for (size_t i = 0; i < command_table_size; i++) {
		struct span first, second;

		if (!span_split(span_of(command_table[i].name), ' ', &first, &second) ||
		    !span_equals(first, word))
			continue;
		if (!found)
			(void)fprintf(out,
				      "Usage: vgpu-guest-agent [GLOBAL OPTIONS] %s "
				      "COMMAND [OPTIONS]\n\nCommands:\n",
				      word);
		found = true;
		(void)fprintf(out, "  %-14s %s\n", command_table[i].name,
			      command_table[i].summary);
	}
	return found;
}

bool command_help_group(FILE *out, const struct args *args)
{
	return args->help && args->request.operand_count == 1 &&
	       print_group(out, args->request.operands[0]);
}

void command_print_help(FILE *out, const struct command *command)
{
	if (command) {
		print_usage(out, command);
		if (command->options) {
			(void)fputs("\nOptions:\n", out);
			args_print_options(out, command->options, false);
		}
		(void)fputs("\nGlobal options:\n", out);
		args_print_options(out, 0, true);
		return;
	}

	(void)fputs("Usage: vgpu-guest-agent [GLOBAL OPTIONS] COMMAND [OPTIONS]\n\n"
		    "Takes a guest with an NVIDIA vGPU from bare to licensed.\n\n"
		    "Commands:\n",
		    out);
	for (size_t i = 0; i < command_table_size; i++)
		(void)fprintf(out, "  %-14s %s\n", command_table[i].name,
			      command_table[i].summary);
	(void)fputs("\nGlobal options:\n", out);
	args_print_options(out, 0, true);
	(void)fputs("\nThe exit status says what to do next: 0 done, 2 usage, 3 no GPU, "
		    "4 no match,\n5 network, 6 integrity, 7 prerequisites, 8 build, "
		    "9 install, 10 Secure Boot,\n11 token, 12 unlicensed, 13 driver, "
		    "14 reboot, 15 busy, 16 permission.\n\n"
		    "\"vgpu-guest-agent COMMAND --help\" shows a command's options; "
		    "see also\nvgpu-guest-agent(1) and vgpu-guest-agent.conf(5).\n",
		    out);
}
